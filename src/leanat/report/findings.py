"""Numbers of cells as text, and the sentences and tables of ``findings.jinja`` that they stand in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from leanat.report.statistics import Interval, paired_difference, t_interval

Values = dict[int, float]  # by seed
Cells = dict[tuple[str, str, str], Values]  # by item, row, column


class Findings:
    """Numbers of cells as text; it remembers which cells it was asked for.

    ``read``: the values of a cell; ValueError, saying why, where it has none. ``printed``: what the paper prints there.
    ``alone``: of a cell of one seed its interval, over test images.
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
        """Whether there is such a cell."""
        try:
            self._read(item, row, column)
        except ValueError:
            return False
        return True

    def mean(self, item: str, row: str, column: str, digits: int = 0) -> str:
        """The mean over seeds, such as ``62``."""
        return f"{self._interval(item, row, column).mean:.{digits}f}"

    def level(self, item: str, row: str, column: str, digits: int = 1) -> str:
        """The mean with the half-width of its 95 % interval, such as ``62.1 ± 0.9``; of one seed without ``alone`` the mean."""
        interval = self._interval(item, row, column)
        half = "" if interval.half is None else f" ± {interval.half:.{digits}f}"
        return f"{interval.mean:.{digits}f}{half}"

    def interval(self, item: str, row: str, column: str, digits: int = 2) -> str:
        """A cell that is a difference itself: ``+0.04 [-0.08, 0.15]``."""
        return _text(self._interval(item, row, column), digits)

    def gap(self, item: str, row: str, other: str, column: str, digits: int = 1) -> str:
        """Row less other row, paired over seeds, with its 95 % interval: ``+0.4 [-0.8, 1.5]``."""
        return _text(paired_difference(self.values(item, row, column), self.values(item, other, column)), digits)

    def seeds(self, item: str, rows: Iterable[str], column: str, parts: Sequence[str] = ("",)) -> str:
        """How many seeds the rows have, such as "5 seeds" or "3 to 5 seeds"; ``parts``: of each row, where it has several."""
        names = (" | ".join(filter(None, (row, part))) for row in rows for part in parts)
        counts = {len(self.values(item, name, column)) for name in names}
        if len(counts) > 1:
            return f"{min(counts)} to {max(counts)} seeds"
        return "one seed" if counts == {1} else f"{counts.pop()} seeds"

    def present(self, item: str, rows: Mapping[str, str], column: str) -> dict[str, str]:
        """Of rows by a name of ours those that have a number."""
        return {name: row for name, row in rows.items() if self.has(item, row, column)}

    def span(self, item: str, rows: Iterable[str], column: str, before: str = "") -> str:
        """The least and the greatest mean, such as ``12 to 34``; ``before``: with what the name of each row begins."""
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
