"""Suites of attacks on runs of the workflow and on files of networks: what ``leanat attack`` does."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from leanat import assess, data, experiment, networks, transferred
from leanat.core import Data
from leanat.files import write_json
from leanat.grid import Evaluation, Grid
from leanat.resolve import ConfigError, near
from leanat.transferred import Trained

log = logging.getLogger("leanat")


def attack_runs(grid: Grid, runs: list[str], suite: str, arguments: argparse.Namespace) -> None:
    """Writes ``<run>/suites/<suite>.json``, and an outcome a file under ``<run>/attacks/`` or, of a snapshot,
    ``<run>/attacks-after-<epoch>/``, of each run.

    Runs that are attacked from the same sources go together: each adversarial example is made once.
    """
    known = {e.run: e for e in grid.evaluations.values() if e.suite == suite}
    groups: dict[object, list[Evaluation]] = {}
    for run in runs:
        if (found := known.get(Path(run).name)) is None:
            raise ConfigError([f"attack: no item evaluates run {run!r} by suite {suite!r}{near(run, known)[:300]}"])
        groups.setdefault(found.sources or found.run, []).append(found)
    for number, group in enumerate(groups.values(), 1):
        log.info("[%d/%d] %s", number, len(groups), ", ".join(e.run for e in group))
        targets = {e.run: Trained.load(arguments, e.run, e.snapshot) for e in group}
        first = targets[group[0].run]
        if group[0].sources:
            sources = {run: targets.get(run) or Trained.load(arguments, run) for run in group[0].sources}
            for t in {**sources, **targets}.values():
                networks.check(t.net, networks.describe(t.test), first.test, t.folder)
            made = transferred.assess(sources, targets, first.test, group[0].attacks, first.seed)
        else:
            one, load = group[0], _loader(first.test.name, arguments, first.device)
            kept = first.folder / ("attacks" if one.snapshot is None else f"attacks-after-{one.snapshot}")
            runs_folder, precision = first.folder.parent, arguments.precision
            found = assess.assess(first.net, load, one.attacks, kept, first.seed, runs_folder, precision=precision)
            made = {one.run: found}
        for run, summary in made.items():
            about = {"run": run, "suite": suite, "seed": first.seed, "file": targets[run].file}
            folder = targets[run].folder / "suites"
            folder.mkdir(exist_ok=True)
            write_json(folder / f"{suite}.json", about | summary)


def attack_file(grid: Grid, paper: str, suite: str, arguments: argparse.Namespace) -> None:
    """A suite on any network whose weights are in a safetensors file. Raises NetworkError where they do not fit."""
    device, path = experiment.device_of(arguments.device), arguments.model
    tensors, about = networks.read(path)
    name = arguments.data or about.get("data", {}).get("name")
    if name is None:
        raise ConfigError([f"{path}: does not say its data set; name it with --data"])
    load = _loader(name, arguments, device)
    if about and arguments.network is None:
        net, _ = networks.load(path, device)
    elif arguments.network is None:
        raise ConfigError([f"{path}: does not say its network; name it with --network"])
    else:
        net = networks.build(arguments.network, "channel", networks.describe(load("test")), 0)
        networks.fit(net, tensors, path)
        net.to(device).eval()
    networks.check(net, about.get("data", {}) if arguments.network is None else {}, load("test"), path)
    facts = {"paper": paper, "data": name, "model": "", "method": "", "item": ""}
    folder = arguments.out or path.with_name(path.stem + "-attacks")
    log.info("%s on %s: suite %s of %s at scale %s", path.name, name, suite, paper, grid.scale["scale"])
    summary = assess.assess(
        net, load, grid.suite(facts, suite), folder, 0, arguments.results / "runs", precision=arguments.precision
    )
    write_json(folder / f"{paper}-{suite}.json", {"model": path.name, "data": name} | summary)
    log.info("%s", folder / f"{paper}-{suite}.json")


def _loader(name: str, arguments: argparse.Namespace, device: torch.device) -> Callable[[str], Data]:
    return lambda part: data.load(name, part, arguments.data_dir or None, device)
