"""The trials of selection rules (``leanat bench``) for the site, read from their CSV files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from leanat.runs import records

CELL = "row_group row_label column mean low high seeds".split()  # noqa: SIM905
VERDICT = ("training", "method", "verdict")
NUMBERS, OF_A_VERDICT = ("mean", "low", "high"), ("above_random", "low", "high")


@dataclass(frozen=True)
class Trial:
    """One data set: column heads, a line of numbers per rule, and the verdict on each rule against chance."""

    data: str
    seeds: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]  # training, rule, numbers
    verdicts: tuple[dict[str, str], ...]
    picture: Path


def read(folder: Path) -> list[Trial]:
    """The finished trials below ``folder``; an empty list if there is no such folder.

    Raises ValueError, one line, for a file that is incomplete or has values that are not numbers.
    """
    finished = []
    for path in sorted(folder.glob("*-verdicts.csv")):
        data = path.name.removesuffix("-verdicts.csv")
        table = folder / f"{data}.csv"
        if not table.is_file():
            continue
        cells = records.rows(table, *CELL)
        heads = tuple(dict.fromkeys(cell["column"] for cell in cells))
        records.check_numbers(table, cells, NUMBERS)
        lines: dict[tuple[str, str], dict[str, str]] = {}
        for cell in cells:
            lines.setdefault((cell["row_group"], cell["row_label"]), {})[cell["column"]] = _text(cell)
        if len(cells) != len(lines) * len(heads):
            raise ValueError(f"{table}: damaged: {len(cells)} of {len(lines) * len(heads)} cells; {records.AGAIN}")
        rows = tuple((*name, tuple(line.get(head, "–") for head in heads)) for name, line in lines.items())
        picture, verdicts = folder / f"{data}-above-random.png", records.rows(path, *VERDICT)
        records.check_numbers(path, verdicts, OF_A_VERDICT)
        finished.append(Trial(data, cells[0]["seeds"].strip("[]"), heads, rows, tuple(verdicts), picture))
    return finished


def _text(cell: dict[str, str]) -> str:
    """The mean with its interval over seeds, rounded to tenths."""
    if not cell["mean"]:
        return "–"
    return number(cell["mean"]) + interval(cell["low"], cell["high"])


def number(text: str) -> str:
    """A number rounded to tenths, with a true minus sign."""
    return f"{float(text):.1f}".replace("-", "−")


def interval(low: str, high: str) -> str:
    """`` [low, high]``, or an empty string if one of them is missing or all seeds are equal."""
    return f" [{number(low)}, {number(high)}]" if low and high and low != high else ""


def words(finished: Iterable[Trial]) -> str:
    """The words by which the search finds the page."""
    return " ".join(f"{trial.data} {' '.join(rule for _, rule, _ in trial.rows)}" for trial in finished)
