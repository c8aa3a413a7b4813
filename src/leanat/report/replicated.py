"""Committed summaries of runs at real scale: ``replicated/<paper>/<item>.csv``, one row per cell and seed.

``row`` and ``column`` name the cell as the item's own CSV does, and ``metric`` what was measured. ``n`` and ``seeds`` (such
as ``0 1 2``) list all seeds of the cell, so that a lost row is noticed. ``tested``: number of examples behind an accuracy, 0
for other numbers. ``run`` and ``spec_hash`` identify the run. ``<item>.npz`` has the outcome of each image, which gives cells
with one seed an interval over test images.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from leanat.core.files import write_csv
from leanat.plan.item import Replicated
from leanat.report.statistics import NORMAL, Interval, share_of_images, t_interval
from leanat.runs import records

COLUMNS = "row column metric seed value run spec_hash scale n seeds tested device revision date".split()  # noqa: SIM905
SHARED = ("scale", "n", "seeds", "tested", "device")  # equal for all runs of a cell; dates may differ
# "subset" is a tenth of CIFAR-10. It is no longer run; the revision in the file names its code.
SCALES = ("subset", "cpu", "lite", "paper")


class Cell(NamedTuple):
    """One cell: its value by seed, and where the runs were made."""

    values: dict[int, float]
    runs: dict[int, str]
    scale: str
    device: str
    tested: int
    error: float | None = None  # standard error over test images, for one seed whose outcomes are saved

    def interval(self) -> Interval:
        """The mean with its 95 % interval: over seeds, or for a single seed over its test images, if they are known."""
        over_seeds = t_interval([self.values[seed] for seed in sorted(self.values)])
        if over_seeds.n > 1:
            return over_seeds
        if images := share_of_images(over_seeds.mean, self.tested):
            return images._replace(n=1)
        if self.error is None:
            return over_seeds
        half = NORMAL * self.error
        return Interval(over_seeds.mean, over_seeds.mean - half, over_seeds.mean + half, 1)

    def summary(self, metric: str = "") -> Replicated:
        """Returns the cell in the form in which an item shows it, with its metric."""
        by_run = tuple((self.runs[seed], self.values[seed]) for seed in sorted(self.values))
        return Replicated(*self.interval(), self.scale, self.device, self.tested, by_run, metric)


def load(paper: str, item: str, folder: Path | str = "replicated") -> dict[tuple[str, str, str], Cell]:
    """The cells by (row, column, metric); empty if there is no file. Raises ValueError with every fault of the file."""
    path = Path(folder) / paper / f"{item}.csv"
    if not path.is_file():
        return {}
    cells = _load(path)
    if not (alone := [key for key, cell in cells.items() if len(cell.values) == 1]):
        return cells
    from leanat.report import examples  # loads numpy

    outcomes = examples.read(path.with_suffix(".npz"))
    for row, column, metric in alone:
        if (row, column) in outcomes:
            error = examples.spread(100.0 * outcomes[row, column][1].astype(float))
            cells[row, column, metric] = cells[row, column, metric]._replace(error=error)
    return cells


def _load(path: Path) -> dict[tuple[str, str, str], Cell]:
    faults: list[str] = []
    cells: dict[tuple[str, str, str], Cell] = {}
    claims: dict[tuple[str, str, str], dict[str, str]] = {}
    for line, fields in records.committed_rows(path, COLUMNS):
        row = dict(itertools.zip_longest(COLUMNS, fields))
        key = (row["row"], row["column"], row["metric"])
        fault = _fault(row) or _contradiction(row, claims.setdefault(key, row))
        if not fault and key in cells and int(row["seed"]) in cells[key].values:
            fault = f"seed {row['seed']} stands twice"
        if fault:
            faults.append(f"{path}:{line}: {' | '.join(map(str, key))}: {fault}")
            continue
        cell = cells.setdefault(key, Cell({}, {}, row["scale"], row["device"], int(row["tested"])))
        cell.values[int(row["seed"])] = float(row["value"])
        cell.runs[int(row["seed"])] = row["run"]
    for key, cell in cells.items():
        promised = sorted(map(int, claims[key]["seeds"].split()))
        if sorted(cell.values) != promised or int(claims[key]["n"]) != len(promised):
            contradiction = (
                f"rows of seeds {sorted(cell.values)}, but n = {claims[key]['n']} and seeds = {claims[key]['seeds']}"
            )
            faults.append(f"{path}: {' | '.join(key)}: {contradiction}")
    if faults:
        raise ValueError("\n".join(faults))
    return cells


def rows(paper: str, item: str, folder: Path | str) -> list[dict[str, str]]:
    """The file's rows as text; raises the errors of ``load``."""
    return records.rows(Path(folder) / paper / f"{item}.csv") if load(paper, item, folder) else []


def save(rows: Iterable[dict[str, str]], path: Path) -> None:
    """Writes all rows or nothing. Raises ValueError for rows that ``load`` refuses, and if a cell's runs differ in SHARED."""
    first: dict[tuple[str, ...], dict[str, str]] = {}
    for row in (rows := list(rows)):
        if fault := _fault(row):
            raise ValueError(f"{path}: {row['row']} | {row['column']}: {row['run']}: {fault}")
        of_cell = first.setdefault((row["row"], row["column"], row["metric"]), row)
        if different := [name for name in SHARED if row[name] != of_cell[name]]:
            values = ", ".join(f"{name} ({of_cell[name]}, {row[name]})" for name in different)
            raise ValueError(
                f"{path}: {row['row']} | {row['column']}: {row['run']} differs from {of_cell['run']} in {values}"
            )
    write_csv(path, [COLUMNS, *([row[name] for name in COLUMNS] for row in rows)])


def _fault(row: dict[str, str | None]) -> str | None:
    if None in row or None in row.values():
        return f"{len(COLUMNS)} fields expected"
    empty = [name for name in COLUMNS if not row[name].strip()]
    if empty:
        return f"{', '.join(empty)} empty"
    for name, pattern in {
        "seed": r"\d+",
        "n": r"[1-9]\d*",
        "tested": r"\d+",
        "seeds": r"\d+( \d+)*",
        "spec_hash": r"[0-9a-f]{8,64}",
        "scale": "|".join(SCALES),
        "date": r"\d{4}-\d\d-\d\d",
    }.items():
        if not re.fullmatch(pattern, row[name]):
            return f"{name} {row[name]!r} does not match {pattern}"
    try:
        finite = math.isfinite(float(row["value"]))
    except ValueError:
        finite = False
    return None if finite else f"value {row['value']!r} is no finite number"


def _contradiction(row: dict[str, str], first: dict[str, str]) -> str | None:
    different = [name for name in SHARED if row[name] != first[name]]
    return f"{', '.join(different)} differs from the cell's first row" if different else None
