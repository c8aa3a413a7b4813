"""Numbers of cells as text, for sentences and tables; which cells were asked for is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

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

    def _interval(self, item: str, row: str, column: str) -> Interval:
        values = self.values(item, row, column)
        if len(values) == 1 and self._alone:
            return self._alone(item, row, column)
        return t_interval(list(values.values()))


def rows_of(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table that stands within an entry of a list, with an empty line on either side."""
    first, *others = (f"  | {' | '.join(line)} |" for line in (head, *rows))
    return ["", first, f"  |{'---|' * len(head)}", *others, ""]


def _text(interval: Interval, digits: int) -> str:
    text = f"{interval.mean:+.{digits}f}"
    return text if interval.low is None else f"{text} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
