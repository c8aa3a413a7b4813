"""The papers' own numbers, as printed: ``published/<paper>.csv``, one row per number.

A value is a number, ``NA`` (the paper leaves the cell empty), ``LOST`` (not legible in our text of the paper) or, for
settings, words such as ``8/255`` or ``SGD``. ``text`` is the value as written; only numbers also have a ``value``.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from leanat.plan.item import Printed
from leanat.runs import records

COLUMNS = ["paper", "item", "row", "column", "value", "unit", "note"]
ABSENT = ("NA", "LOST")
MEASURED = ("%", "×", "seconds", "minutes", "min/epoch")  # units of results, which must be numbers in a table


class Number(NamedTuple):
    """One published number; ``value`` is None if ``text`` is not a number."""

    paper: str
    item: str
    row: str
    column: str
    value: float | None
    text: str
    unit: str
    note: str


def papers(folder: Path | str = "published") -> list[str]:
    """The papers that have a file of numbers."""
    return sorted(path.stem for path in Path(folder).glob("*.csv") if path.stem != "claims")


def load(paper: str, item: str, folder: Path | str = "published") -> list[Number]:
    """The numbers of one table, figure or section, in printed order. Raises ValueError if there is no such paper or item."""
    numbers = _read(Path(folder), paper)
    items = list(dict.fromkeys(number.item for number in numbers))
    if item not in items:
        raise ValueError(f"published/{paper}.csv has no item {item!r}; {nearest(item, items)}")
    return [number for number in numbers if number.item == item]


def lookup(paper: str, item: str, row: str, column: str, folder: Path | str = "published") -> Number:
    """The number of one cell. Raises ValueError, with the nearest names, if there is no such cell."""
    numbers = load(paper, item, folder)
    in_row = [number for number in numbers if number.row == row]
    if not in_row:
        close = nearest(row, (n.row for n in numbers))
        raise ValueError(f'{paper} {item} has no row {row!r}; {close}; a row of your own is marked "ours": True')
    for number in in_row:
        if number.column == column:
            return number
    clause = nearest(column, (number.column for number in in_row))
    raise ValueError(f"{paper} {item}, row {row!r}, has no column {column!r}; {clause}")


def check(path: Path | str) -> list[Number]:
    """Reads and validates a whole file. Raises ValueError with every fault, each beginning with its line.

    Two rows of one cell must agree. They are two sources of one number, and become one row with both notes.
    """
    path, faults, numbers, lines = Path(path), [], {}, {}
    for at, fields in records.committed_rows(path, COLUMNS):
        if fault := _fault(fields, path.stem):
            faults.append(f"{path}:{at}: {fault}")
            continue
        paper, item, row, column, text, unit, note = fields
        key = (item, row, column)
        first = numbers.setdefault(key, Number(paper, item, row, column, _number(text), text, unit, note))
        line = lines.setdefault(key, at)
        if line != at and (first.text, first.unit) != (text, unit):
            contradiction = f"{text} {unit} here, {first.text} {first.unit} in line {line}"
            faults.append(f"{path}:{at}: {item}, {row!r}, {column!r} stands twice: {contradiction}")
        elif line != at:
            numbers[key] = first._replace(note="; ".join(filter(None, (first.note, note))))
    if faults:
        raise ValueError("\n".join(faults))
    return list(numbers.values())


def nearest(name: str, names: Iterable[str]) -> str:
    """A clause for an error message: the known names that resemble ``name``, or else some of the known names."""
    names = list(dict.fromkeys(names))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "nearest: " + ", ".join(map(repr, close))
    return "known: " + (", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "") or "none")


@cache
def _read(folder: Path, paper: str) -> tuple[Number, ...]:
    path = folder / f"{paper}.csv"
    if paper == "claims" or not path.is_file():
        raise ValueError(f"no published numbers of {paper!r} in {folder}; {nearest(paper, papers(folder))}")
    return tuple(check(path))


def _fault(fields: list[str], paper: str) -> str | None:
    if len(fields) != len(COLUMNS):
        return f"{len(fields)} fields, not {len(COLUMNS)}"
    empty = [name for name, field in zip(COLUMNS[:5], fields, strict=False) if not field.strip()]
    if empty:
        return f"{', '.join(empty)} empty"
    if fields[0] != paper:
        return f"paper {fields[0]!r} in the file of {paper!r}"
    loose = [name for name, field in zip(COLUMNS, fields, strict=True) if field != field.strip()]
    if loose:
        return f"space around {', '.join(loose)}"
    number = _number(fields[4])
    if number is not None and not math.isfinite(number):
        return f"value {fields[4]!r} is not finite"
    words = number is None and fields[4] not in ABSENT
    if words and fields[1].startswith("table") and fields[5] in MEASURED:
        return f"value {fields[4]!r} is neither a number nor {' nor '.join(ABSENT)}"
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def printed(paper: str, where: Printed, folder: Path | str = "published") -> float | None:
    """The paper's number; for a cell that is LOST in the text, the number in the authors' README (``<item>_readme``).

    With ``against``, another row, the result is by how many percent the number is below the number of that row.
    """
    if where.against:
        rows = (replace(where, row=row, against=None) for row in (where.against, where.row))
        other, own = (printed(paper, row, folder) for row in rows)
        return round(100 * (other - own) / other, 3)
    number = lookup(paper, where.item, where.row, where.column, folder)
    if number.text == "LOST":
        number = lookup(paper, f"{where.item}_readme", where.row, where.column, folder)
    return number.value
