"""Runs trained one after the other, by one process or by several: what ``leanat train`` does."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from leanat import data, options
from leanat.core import distributed
from leanat.core.errors import ConfigError
from leanat.core.meter import Stopped
from leanat.data import folders
from leanat.plan import components, sense, settings
from leanat.plan.grid import named_runs
from leanat.runs import experiment, identity, progress, records, signals

log = logging.getLogger("leanat")


def train_runs(specs: list[tuple[str, dict[str, Any]]], arguments: argparse.Namespace) -> None:
    """Trains those runs that are not finished. After a signal to stop, saves the run and exits with a status of ``signals``.

    Raises ConfigError with every problem of every spec that is not finished, before anything is trained.
    """
    device = experiment.device_of(arguments.device)
    check_specs(specs, arguments)
    check_counts({spec["data"]["name"] for _, spec in specs}, arguments)
    with signals.heard() as asked, distributed.joined(device) as device:
        if distributed.rank() > 0:
            log.setLevel(logging.WARNING)
        for number, (name, spec) in enumerate(specs, 1):
            log.info("[%d/%d] %s", number, len(specs), name)
            folder = arguments.results / "runs" / name
            try:
                with progress.Progress(spec["recipe"]["epochs"], name, shown=distributed.rank() == 0) as bar:
                    stop = lambda bar=bar: bar.tick() or asked()  # noqa: E731
                    metrics = experiment.train_run(name, spec, folder, arguments.data_dir or None, device, bar, stop)
            except Stopped as stopped:
                log.info("%s: %s; all is saved, the same command goes on from there", name, stopped)
                sys.exit(asked.status)
            if metrics is None:
                continue
            accuracy = 100 * metrics["clean"]["accuracy"]
            log.info("%s: clean accuracy %.2f %%, %.1f s", name, accuracy, metrics["wall_seconds"])


def check_specs(specs: list[tuple[str, dict[str, Any]]], arguments: argparse.Namespace) -> None:
    """Raises ValueError for what is no spec, and ConfigError with all that ``leanat check`` would say of these specs, for
    folders that hold the run of another spec, and for data and runs that one of several needs and that are not there.

    Sizes are not checked for a data set that ``datasets.yaml`` does not list, nor if there is no such file.
    """
    counts, problems = arguments.config_dir / "datasets.yaml", []
    datasets = settings.data_sets(counts.parent) if counts.is_file() else {}
    named: dict[str, dict[str, Any]] = {}
    to_train: list[tuple[str, dict[str, Any]]] = []
    for name, spec in specs:
        records.spec(spec, Path(name, "spec.json"))
        folder = arguments.results / "runs" / name
        if named.setdefault(name, spec) != spec:
            problems.append(
                f"{name}: two folders of this name have other specs, and would be trained in {folder}; rename one"
            )
        try:
            finished = identity.finished(folder, spec)
        except identity.IdentityError as error:
            problems.append(str(error))
            continue
        if finished is not None:
            continue
        try:
            components.read(spec)
            spec_problems = sense.spec_problems(spec, datasets.get(spec["data"]["name"]))
            epochs = spec["recipe"]["epochs"]
            spec_problems += [f"spec: {key} {at} never acts in {epochs} epochs" for key, at in sense.beyond_end(spec)]
        except ConfigError as error:
            spec_problems = error.problems
        problems += [f"{name}: {line}" if len(specs) > 1 else line for line in spec_problems]
        to_train.append((name, spec))
    if not problems and len(specs) > 1:  # one alone says so itself before it is trained
        problems = list(_missing(to_train, arguments.results / "runs", arguments.data_dir or None))
    if problems:
        raise ConfigError(problems)


def _missing(specs: list[tuple[str, dict[str, Any]]], runs: Path, data_dir: str | None) -> Iterator[str]:
    """A line for each data set that is missing, and for each run that a spec needs and that neither exists nor precedes it."""
    yield from missing_data((spec["data"]["name"] for _, spec in specs), data_dir)
    names = [name for name, _ in specs]
    for number, (name, spec) in enumerate(specs):
        for needed in dict.fromkeys(named_runs(spec)):
            there = any((runs / needed / record).is_file() for record in ("finished.json", "metrics.json"))
            if needed not in names[:number] and not there:
                yield f"{name}: needs the run {needed}, which is not trained: {runs / needed}"


def missing_data(names: Iterable[str], data_dir: str | None) -> Iterator[str]:
    """A line for each of these data sets that does not exist, is not there, or whose files are damaged."""
    for name in dict.fromkeys(names):
        try:
            if not data.is_data_set(name):
                data.load(name, "train")
            elif not data.is_embedded(name):
                data.examine(name.removesuffix("-tenth"), data_dir, None)
        except data.DataError as error:
            yield str(error)


def check_counts(names: set[str], arguments: argparse.Namespace) -> None:
    """Sets of image files have the classes and images that ``config/datasets.yaml`` says, unless other_counts is set.

    Raises DataError, one line. Nothing is checked where there is no such file: a run by its folder needs no configuration.
    """
    names &= set(folders.STREAMED)
    if not names or not (arguments.config_dir / "datasets.yaml").is_file():
        return
    grid = options.grid(arguments)
    for name in sorted(names):
        if not grid.settings.get("other_counts"):
            folders.check_counts(name, arguments.data_dir or None, grid.datasets[name])


def launch(processes: int) -> None:
    """Starts this command again as several processes of torchrun on this machine, each with its own GPU if there are GPUs."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    with signals.heard() as asked:
        # A session of its own, so that Ctrl-C comes once, through us.
        child = subprocess.Popen([*command, "-m", "leanat.cli", *sys.argv[1:]], start_new_session=True)
        asked.wait_for([child])  # torchrun hands SIGTERM on, and gives the processes 30 seconds
    if asked():
        log.info("stopped; torchrun shows that as an error of its own")
        sys.exit(asked.status)
    if child.returncode:
        sys.exit(1)
