"""Suites of attacks on runs of the workflow and on files of networks: what ``leanat attack`` does."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from leanat import assess, data, experiment, networks
from leanat.files import read_json, write_json
from leanat.grid import Grid
from leanat.resolve import ConfigError, near

log = logging.getLogger("leanat")


def attack_run(grid: Grid, run: str, suite: str, arguments: argparse.Namespace) -> None:
    """Writes ``<run>/suites/<suite>.json``, and an outcome a file under ``<run>/attacks/``."""
    known = [e for e in grid.evaluations.values() if e.suite == suite]
    found = next((e for e in known if e.run == Path(run).name), None)
    if found is None:
        names = {e.run for e in known}
        raise ConfigError([f"attack: no item evaluates run {run!r} by suite {suite!r}{near(run, names)[:300]}"])
    folder = arguments.results / "runs" / found.run
    metrics = read_json(folder / "metrics.json", "the metrics of a finished run")
    device = experiment.device_of(arguments.device)
    net, about = networks.load(folder / "model.safetensors", device)
    test = data.load(about["data"]["name"], "test", arguments.data_dir or None, device)
    seed = metrics["spec"]["seed"]
    summary = assess.assess(net, test, found.attacks, folder / "attacks", seed, precision=arguments.precision)
    summary |= experiment.provenance(device)
    (folder / "suites").mkdir(exist_ok=True)
    write_json(folder / "suites" / f"{suite}.json", {"run": found.run, "suite": suite, "seed": seed} | summary)


def attack_file(grid: Grid, paper: str, suite: str, arguments: argparse.Namespace) -> None:
    """A suite on any network whose weights are in a safetensors file. Raises NetworkError where they do not fit."""
    device, path = experiment.device_of(arguments.device), arguments.model
    tensors, about = networks.read(path)
    name = arguments.data or about.get("data", {}).get("name")
    if name is None:
        raise ConfigError([f"{path}: does not say its data set; name it with --data"])
    test = data.load(name, "test", arguments.data_dir or None, device)
    if about and arguments.network is None:
        net, _ = networks.load(path, device)
    elif arguments.network is None:
        raise ConfigError([f"{path}: does not say its network; name it with --network"])
    else:
        net = networks.build(arguments.network, "channel", networks.describe(test), 0)
        networks.fit(net, tensors, path)
        net.to(device).eval()
    facts = {"paper": paper, "data": name, "model": "", "method": "", "item": ""}
    folder = arguments.out or path.with_name(path.stem + "-attacks")
    log.info("%s on %s: suite %s of %s at scale %s", path.name, name, suite, paper, grid.scale["scale"])
    summary = assess.assess(net, test, grid.suite(facts, suite), folder, 0, precision=arguments.precision)
    write_json(folder / f"{paper}-{suite}.json", {"model": path.name} | summary | experiment.provenance(device))
    log.info("%s", folder / f"{paper}-{suite}.json")
