"""The verb ``leanat bench``: its options, and the function that runs it. torch is imported only when a trial begins."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from leanat import options
from leanat.bench import settings
from leanat.core.machine import usable_cores

log = logging.getLogger("leanat")


def add_options(add: options.Add) -> None:
    add("own", nargs="*", metavar="FILE.py:NAME", help="a rule of your own; the code of the file is executed")
    add("--settings", type=options.path, metavar="FILE", help="a file of settings, such as config/bench.yaml")
    for name, text in (
        ("data", "data sets (default: digits)"),
        ("trainings", "standard, pgd, trades, fgsm_rs (default: all)"),
        ("methods", "rules instead of the default ones, such as random craig:class; random must be among them"),
    ):
        add(f"--{name}", nargs="+", metavar="NAME", help=text)
    add("--fraction", type=float, help="share of the training set that is kept (default: 0.1)")
    add("--seeds", type=options.count, help="number of seeds (default: 5)")
    add("--choices", type=options.count, help="how often a rule chooses during a training (default: 4)")
    add("--epochs", type=options.count, help="epochs of every training (default: depends on the data set)")
    add("--jobs", type=options.count, help="number of processes (default: as many as the GPUs take, else one per core)")
    add("--part", type=options.part, help="train and attack the I-th of N parts of the runs, and draw nothing")
    add(
        "--out",
        type=options.path,
        default=Path("figures/bench"),
        help="folder for the results (default: figures/bench)",
    )


def processes(arguments: argparse.Namespace) -> int:
    return arguments.jobs or arguments.gpus * arguments.jobs_per_gpu or usable_cores()


def spreads(arguments: argparse.Namespace) -> bool:
    """Whether this process only starts others, each of which uses a GPU of its own."""
    return arguments.part is None and processes(arguments) > 1


def run(arguments: argparse.Namespace, torch: Callable[[argparse.Namespace], Any]) -> None:
    """Runs the trial; finished runs are not repeated. ``torch``: the function that imports torch and sets it up."""
    given = {f.name: getattr(arguments, f.name) for f in fields(settings.Settings)}
    chosen = settings.read(arguments.settings, given | {"own": arguments.own or None})
    if arguments.part is None:
        arguments.out.mkdir(parents=True, exist_ok=True)  # fails before anything is trained
    torch(arguments)
    from leanat.bench import pages, trials

    grid = trials.grid_of(chosen, arguments.data_dir or None)
    if arguments.part is not None:
        trials.work(grid, trials.runs_of(grid, arguments.part), arguments)
        return
    if left := trials.missing(grid, arguments.results):
        log.info("%d of %d runs are to be trained and attacked", len(left), len(grid.runs))
        if spreads(arguments):
            trials.spread(min(processes(arguments), len(left)), arguments)
        else:
            trials.work(grid, left, arguments)
    for line in pages.write(grid, arguments.results, arguments.out):
        log.info("%s", line)
    log.info("%s", arguments.out)
