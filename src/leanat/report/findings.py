"""Numbers of cells as text, and the sentences and tables of ``findings.jinja`` that use them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from leanat.report.statistics import Interval, paired_difference, t_interval

Values = dict[int, float]  # by seed
Cells = dict[tuple[str, str, str], Values]  # by item, row, column


class Findings:
    """Numbers of cells as text; ``used`` records the cells that have been read.

    ``read``: returns the values of a cell, or raises ValueError with the reason if it has none. ``printed``: returns the text
    that the paper prints in a cell. ``alone``: returns the interval of a cell with one seed, over test images.
    """

    def __init__(
        self,
        read: Callable[[str, str, str], Values],
        printed: Callable[[str, str, str], str] | None = None,
        alone: Callable[[str, str, str], Interval] | None = None,
    ):
        self._read, self.printed, self._alone, self.used = read, printed, alone, Cells()

    def values(self, item: str, row: str, column: str) -> Values:
        self.used[item, row, column] = self._read(item, row, column)
        return self.used[item, row, column]

    def has(self, item: str, row: str, column: str) -> bool:
        """Whether the cell has a value."""
        try:
            self._read(item, row, column)
        except ValueError:
            return False
        return True

    def mean(self, item: str, row: str, column: str, digits: int = 0) -> str:
        """The mean over seeds, such as ``62``."""
        return f"{self._interval(item, row, column).mean:.{digits}f}"

    def level(self, item: str, row: str, column: str, digits: int = 1) -> str:
        """The mean with the half-width of its 95 % interval, such as ``62.1 ± 0.9``; only the mean if no interval is known."""
        interval = self._interval(item, row, column)
        half = "" if interval.half is None else f" ± {interval.half:.{digits}f}"
        return f"{interval.mean:.{digits}f}{half}"

    def interval(self, item: str, row: str, column: str, digits: int = 2) -> str:
        """A cell that is a difference itself: ``+0.04 [-0.08, 0.15]``."""
        return _text(self._interval(item, row, column), digits)

    def gap(self, item: str, row: str, other: str, column: str, digits: int = 1) -> str:
        """``row`` minus ``other``, paired over seeds, with its 95 % interval: ``+0.4 [-0.8, 1.5]``."""
        return _text(paired_difference(self.values(item, row, column), self.values(item, other, column)), digits)

    def seeds(self, item: str, rows: Iterable[str], column: str, parts: Sequence[str] = ("",)) -> str:
        """The number of seeds of the rows, such as "5 seeds" or "3 to 5 seeds"; ``parts``: the second part of the rows' names."""
        names = (" | ".join(filter(None, (row, part))) for row in rows for part in parts)
        counts = {len(self.values(item, name, column)) for name in names}
        if len(counts) > 1:
            return f"{min(counts)} to {max(counts)} seeds"
        return "one seed" if counts == {1} else f"{counts.pop()} seeds"

    def present(self, item: str, rows: Mapping[str, str], column: str) -> dict[str, str]:
        """The entries of ``rows``, a mapping from our names to rows, whose rows have a number."""
        return {name: row for name, row in rows.items() if self.has(item, row, column)}

    def span(self, item: str, rows: Iterable[str], column: str, before: str = "") -> str:
        """The least and the greatest mean, such as ``12 to 34``; ``before``: the beginning of each row's name."""
        means = sorted(float(self.mean(item, before + row, column)) for row in rows)
        return f"{means[0]:.0f} to {means[-1]:.0f}"

    def _interval(self, item: str, row: str, column: str) -> Interval:
        values = self.values(item, row, column)
        if len(values) == 1 and self._alone:
            return self._alone(item, row, column)
        return t_interval(list(values.values()))


def told(macro: str, of: Findings) -> list[str]:
    """The entries of a macro of ``findings.jinja``: a line for each paragraph and each row of a table."""
    env = Environment(
        loader=PackageLoader("leanat.report", "."), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    entries = []
    for paragraph in re.split(r"\n\s*\n", getattr(env.get_template("findings.jinja").module, macro)(of).strip()):
        table = paragraph.lstrip().startswith("|")
        entries += ["", *paragraph.strip("\n").split("\n"), ""] if table else [" ".join(paragraph.split())]
    return entries


def _text(interval: Interval, digits: int) -> str:
    text = f"{interval.mean:+.{digits}f}"
    return text if interval.low is None else f"{text} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
