"""The trials of selection rules (``leanat bench``) as the site shows them, from the CSV files that they left."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Trial:
    """One data set: column heads, a line of numbers per rule, and what the planned looks say of each rule against chance."""

    data: str
    seeds: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]  # training, rule, numbers
    verdicts: tuple[dict[str, str], ...]
    picture: Path


def read(folder: Path) -> list[Trial]:
    """The finished trials below ``folder``; none where there is no such folder."""
    found = []
    for path in sorted(folder.glob("*-verdicts.csv")):
        data = path.name.removesuffix("-verdicts.csv")
        cells = _rows(folder / f"{data}.csv")
        if not cells:
            continue
        heads = tuple(dict.fromkeys(cell["column"] for cell in cells))
        lines: dict[tuple[str, str], dict[str, str]] = {}
        for cell in cells:
            lines.setdefault((cell["row_group"], cell["row_label"]), {})[cell["column"]] = _text(cell)
        rows = tuple((*name, tuple(line.get(head, "–") for head in heads)) for name, line in lines.items())
        picture = folder / f"{data}-above-random.png"
        found.append(Trial(data, cells[0]["seeds"].strip("[]"), heads, rows, tuple(_rows(path)), picture))
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _text(cell: dict[str, str]) -> str:
    """The mean with its interval over seeds, to a tenth."""
    if not cell["mean"]:
        return "–"
    return number(cell["mean"]) + interval(cell["low"], cell["high"])


def number(text: str) -> str:
    """To a tenth, with a real minus."""
    return f"{float(text):.1f}".replace("-", "−")


def interval(low: str, high: str) -> str:
    """`` [low, high]``, or nothing where one is missing or all seeds are alike."""
    return f" [{number(low)}, {number(high)}]" if low and high and low != high else ""


def words(found: Iterable[Trial]) -> str:
    """What a search finds the page by."""
    return " ".join(f"{trial.data} {' '.join(rule for _, rule, _ in trial.rows)}" for trial in found)
