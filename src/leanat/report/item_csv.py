"""Reads the CSV of a finished item, below ``results/items``; a damaged file is refused with one line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from leanat.plan.item import Item
from leanat.runs import records

if TYPE_CHECKING:
    import pandas

CELL = ("row", "column", "published", "values", "missing")
NUMBERS = ("published", "mean", "low", "high", "n", "tested", "not_finite", "digits")
NUMBERS += ("replicated_mean", "replicated_low", "replicated_high", "replicated_n")


def rows(path: Path, *need: str) -> list[dict[str, str]]:
    """A row for each cell. Raises ValueError, one line, for a file that is incomplete or does not contain an item's cells."""
    cells = records.rows(path, *CELL, *need)
    records.check_numbers(path, cells, NUMBERS)
    for row in cells:
        try:
            values = json.loads(row["values"])
            right = isinstance(values, list) and all(math.isfinite(value) for value in values)
        except (ValueError, TypeError):
            right = False
        if not right:
            where = f"values of {row['row']}, {row['column']}"
            raise ValueError(f"{path}: damaged: {where}: {row['values']!r} are no numbers; {records.AGAIN}")
    return cells


def of_other_runs(cells: Iterable[Mapping[str, str]], item: Item) -> bool:
    """Whether a number in these rows comes from other runs, or from fewer or more runs, than those that the item names for it.
    If so, the CSV was made with other settings.
    """
    named = {(cell["row"], cell["column"]): set((cell.get("runs") or "").split()) for cell in cells}
    if not any(named.values()):  # times, arithmetic, pictures
        return False
    parts = {(row.name, column.name): (cell, *cell.candidates) for row, column, cell in item.flat}
    return any(runs and runs not in [set(part.runs) for part in parts.get(at, ())] for at, runs in named.items())


def of_these_runs(path: Path, item: Item) -> bool:
    """Whether the file exists and its numbers come from the item's own runs. Raises ValueError for a damaged file."""
    return path.is_file() and not of_other_runs(rows(path), item)


def frame(path: Path, *text: str) -> pandas.DataFrame:
    """The CSV as a data frame; the columns named in ``text`` are required and stay text. Raises the errors of ``rows``."""
    import pandas

    rows(path, *text)
    # A method of an item may be called "None" or "NA", so only an empty field counts as missing.
    return pandas.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(text, str))
