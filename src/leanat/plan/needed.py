"""Finds the data sets that the jobs of a target will read, and checks them before the first job starts. Imports no torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from leanat.core.errors import ConfigError
from leanat.plan import targets, walk
from leanat.plan.grid import Grid


def sets_of(target_names: Iterable[str], grid: Grid, results: Path) -> set[str]:
    """The data sets that the jobs of these targets will read; finished runs read none.

    Targets other than items, papers and pages, such as a file of a run, are ignored.
    """
    sets, items, runs_folder = set[str](), [], results / "runs"
    for target in target_names or ["all"]:
        with suppress(ConfigError):
            items += walk.items_of(target, grid)
    for name in items:
        item = grid.items[name]
        runs = [run for run in item.all_runs if not (runs_folder / run / "metrics.json").is_file()]
        runs += [grid.evaluations[e].run for e in item.evaluations if not (runs_folder / f"{e}.json").is_file()]
        sets |= {grid.runs[run].spec["data"]["name"] for run in runs}
    return sets


def check_data(target_names: Iterable[str], grid: Grid, results: Path, warn: Callable[[str], None] | None) -> None:
    """Checks that every data set that a job will read exists and has the known checksums and numbers of classes and images.

    Raises ConfigError if not; with ``warn``, as in a dry run, the lines go to ``warn`` instead.
    """
    check_sets(sets_of(target_names, grid, results), grid, warn)


def check_sets(names: Iterable[str], grid: Grid, warn: Callable[[str], None] | None) -> None:
    """Like ``check_data``, for data sets by name."""
    outside = sorted(name for name in names if name != "digits" and not name.startswith("shapes"))
    if not outside:
        return
    folder = grid.settings.get("data_dir")
    command = [sys.executable, "-m", "leanat.cli", "data", *([folder] if folder else []), "--need", *outside]
    command += ["--config-dir", str(grid.folder), "--set", *targets.overrides(grid.settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return
    said_of = [line for line in done.stdout.splitlines() if line.split()[1:2] in (["missing"], ["wrong"])]
    where = "data_dir is not set" if folder is None else f"data_dir is {folder}"
    lines = [
        f"data sets are missing or wrong ({where}; say --config data_dir=DIR, or data_dir in config/config.yaml):",
        *(f"  {' '.join(line.split())}" for line in said_of or done.stderr.splitlines()),
    ]
    if warn is None:
        raise ConfigError(lines)
    warn("WARNING: " + "\n".join(lines))
