"""Trains and attacks the runs of a trial, one after the other or by several processes at once."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from leanat import data
from leanat.bench.experiments import BenchScale, paper_of
from leanat.bench.settings import Settings
from leanat.plan.grid import Grid
from leanat.plan.items import resolve
from leanat.runs import attacking, signals, training
from leanat.selection import from_file

log = logging.getLogger("leanat")


class PartFailed(RuntimeError):
    """A process for a part of a trial has ended with an error; the message has its log and the log's last line."""


def grid_of(settings: Settings, data_dir: str | None) -> Grid:
    """All runs, evaluations and items of the trial. Raises ConfigError, DataError and ValueError, each in one line."""
    sets = {name: _facts(name, data_dir) for name in settings.data}
    for source in settings.own:
        from_file.load(source).chooser(settings.fraction)
    paper = paper_of(settings, from_file.hash_of)
    grid = Grid(Path("config"), {"seeds": settings.seeds}, BenchScale(), sets, {"bench": paper})
    for name in paper.items:
        grid.items[f"bench/{name}"] = resolve(grid, "bench", name)
    return grid


def _facts(name: str, data_dir: str | None) -> dict[str, int]:
    train, test = (data.load(name, part, data_dir) for part in ("train", "test"))
    return {
        "train": len(train),
        "test": len(test),
        "classes": train.n_classes,
        "channels": train.channels,
        "size": train.image_size,
    }


def runs_of(grid: Grid, part: tuple[int, int]) -> list[str]:
    """The runs of part ``i`` of ``n``: every n-th run, so that the parts have similar costs."""
    return list(grid.runs)[part[0] :: part[1]]


def work(grid: Grid, runs: list[str], arguments: argparse.Namespace) -> None:
    """Trains these runs and attacks them. Finished runs and attacks are kept, so that the same command continues."""
    training.train_runs([(run, grid.runs[run].spec) for run in runs], arguments)
    suites: dict[str, list[str]] = {}
    for evaluation in grid.evaluations.values():
        if evaluation.run in runs:
            suites.setdefault(evaluation.suite, []).append(evaluation.run)
    for suite, own in suites.items():
        attacking.attack_runs(grid, own, suite, arguments)


def spread(jobs: int, arguments: argparse.Namespace) -> None:
    """Runs this command as ``jobs`` processes that each do a part. Raises PartFailed if one of them fails."""
    folder: Path = arguments.results / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "leanat.cli", *sys.argv[1:]]
    logs = [folder / f"part-{k + 1}-of-{jobs}.log" for k in range(jobs)]
    with signals.heard() as asked:
        children, env = [], os.environ | {signals.HANDED_ON: "1"}
        for k, path in enumerate(logs):
            with open(path, "w") as file:
                part = [*command, "--part", f"{k + 1}/{jobs}"]
                children.append(
                    subprocess.Popen(part, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, env=env)
                )
        asked.wait_for(children)
    if asked():
        log.info("stopped; all is saved, the same command goes on from there")
        sys.exit(asked.status)
    for child, path in zip(children, logs, strict=True):
        if child.returncode:
            last = [line for line in path.read_text(errors="replace").splitlines() if line.strip()][-1:]
            raise PartFailed(f"{path}: stopped: {' '.join(last)}")


def missing(grid: Grid, results: Path) -> list[str]:
    """The runs that are not trained and attacked yet."""
    done = [run for run in grid.runs if (results / "runs" / run / "metrics.json").is_file()]
    attacked = {e.run for e in grid.evaluations.values() if (results / "runs" / f"{e.id}.json").is_file()}
    return [run for run in grid.runs if run not in done or run not in attacked]


def settings_of(grid: Grid) -> list[dict[str, Any]]:
    """An entry per run, with its complete spec, from which it can be trained again."""
    return [{"run": run.id, **run.spec} for run in grid.runs.values()]
