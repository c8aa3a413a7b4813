"""The cells on which claims are tested: those of finished items, read from their CSV, and those of committed replications."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leanat.plan.item import Item, seed_of
from leanat.report import examples, item_csv, replicated

NOT_MADE = "not made yet"
OTHER_RUNS = f"{NOT_MADE} from the runs of these settings"


class Cell(NamedTuple):
    """A cell of an item: its values by seed, or the reason why it has none.

    ``tested``: number of examples behind an accuracy, ``not_finite`` of them with logits that are not finite; ``right``: their
    positions and what each adds to the accuracy (``report.examples``), if known. ``runs``: the trainings behind the cell.
    """

    values: dict[int, float]
    missing: str | None = None
    published: float | None = None
    tested: int | None = None
    right: np.ndarray | None = None
    not_finite: int = 0
    runs: tuple[str, ...] = ()


class Items:
    """The cells of a paper's finished items, at one scale; each file read once.

    ``asked``: the items by name, as the settings have them. An item whose file has the numbers of other runs counts as not
    made yet.
    """

    def __init__(self, folder: Path, scale: str, real: bool = False, asked: Mapping[str, Item] | None = None):
        self.folder, self.scale, self.real, self.asked = folder, scale, real, asked or {}
        self._read: dict[tuple[str, str], dict[tuple[str, str], Cell] | str] = {}

    def cell(self, paper: str, item: str, row: str, column: str) -> Cell:
        """The cell, or an empty cell with the reason."""
        if (paper, item) not in self._read:
            self._read[paper, item] = self._load(paper, item)
        cells = self._read[paper, item]
        if isinstance(cells, str):
            return Cell({}, f"{cells}: figures/{paper}/{item}.pdf")
        return cells.get((row, column)) or Cell({}, f"{item} has no cell {row!r}, {column!r}")

    def time_spread(self, paper: str) -> float | None:
        """The relative difference between repeats of the paper's measured times; None if it is not recorded."""
        path = self.folder / "timings" / f"{paper}.json"
        try:
            return float(json.loads(path.read_text(encoding="utf-8"))["spread"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _load(self, paper: str, item: str) -> dict[tuple[str, str], Cell] | str:
        """The cells of an item, or the reason why the item counts as not made yet."""
        if self.real:
            path = self.folder / paper / f"{item}.csv"
            entries = replicated.load(paper, item, self.folder).items()
            cells = {
                (row, column): Cell(dict(cell.values), tested=cell.tested or None, runs=tuple(cell.runs.values()))
                for (row, column, _), cell in entries
                if cell.scale == self.scale
            }
        else:
            path = self.folder / "items" / self.scale / paper / f"{item}.csv"
            if not path.is_file():
                return NOT_MADE
            rows = item_csv.rows(path)
            if (planned_item := self.asked.get(f"{paper}/{item}")) and item_csv.of_other_runs(rows, planned_item):
                return OTHER_RUNS
            cells = {(r["row"], r["column"]): _read_cell(r) for r in rows}
        outcomes = examples.read(path.with_suffix(".npz"))
        return {
            name: cell._replace(right=_agreeing(outcomes.get(name), cell)) for name, cell in cells.items()
        } or NOT_MADE


def _agreeing(right: np.ndarray | None, cell: Cell) -> np.ndarray | None:
    """The outcomes ``right`` if they give the cell's number; None if not, as in a file that is older than the CSV beside it."""
    if right is None or not cell.values:
        return None
    return right if abs(100 * right[1].mean() - statistics.fmean(cell.values.values())) < 0.01 else None


def _read_cell(row: Mapping[str, str]) -> Cell:
    published, tested = row["published"], row.get("tested")
    runs, seeds = row.get("runs") or "", row.get("seeds") or "[]"
    values = by_seed(row["values"], runs, seeds)
    unknown = "of which seeds its numbers are is not known" if not values and json.loads(row["values"]) else None
    return Cell(
        values,
        row["missing"] or unknown,
        float(published) if published else None,
        int(float(tested)) if tested else None,
        not_finite=int(float(row.get("not_finite") or 0)),
        runs=tuple(runs.split()),
    )


def by_seed(text: str, runs: str, of_item: str) -> dict[int, float]:
    """The values of a cell by seed, from the columns ``values``, ``runs`` and ``seeds`` of the item's CSV.

    The seeds are those in the names of the runs, one run for each value. Without names they are the seeds of the item, and
    each has equally many values, one after the other. A seed with several values, from several random subsets, gets their
    mean. If the number of a run or of a seed is missing, nothing can be paired, and the result is empty.
    """
    values, seeds, names = json.loads(text), json.loads(of_item), runs.split()
    if values and len(names) == len(values):
        seeds = [seed_of(name) for name in names]
    elif names and len(values) > 1:
        return {}
    # a single number in an item of several seeds is a time or arithmetic, or was chosen by all of its runs together
    if not seeds or (len(values) == 1 and len(seeds) > 1):
        return dict(enumerate(values))
    if len(values) % len(seeds):
        return {}
    of = [seed for seed in seeds for _ in range(len(values) // len(seeds))]
    return {
        seed: statistics.fmean(value for value, own in zip(values, of, strict=True) if own == seed)
        for seed in dict.fromkeys(of)
    }
