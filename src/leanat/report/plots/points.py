"""The cells of a filled item as points to draw: what each stands for, its estimate, the paper's value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from leanat.core.errors import did_you_mean
from leanat.plan.item import Filled, StandIn
from leanat.report import style
from leanat.report.overview import plain
from leanat.report.statistics import Interval, over_images, t_interval

Key = str | Sequence[str] | None
# Of filled areas, to tell them in grey.
HATCHES = (
    "", "///", "...", "\\\\\\", "xxx", "++", "ooo", "---", "|||", "**", "//..", "\\\\oo", "--..", "||oo",
)  # fmt: skip


class Point(NamedTuple):
    """A cell. ``keys``: the entries of its row and column, and row_label, row_group, column_label, column_group."""

    keys: dict[str, Any]
    ours: Interval | None
    paper: float | None
    real: Interval | None
    missing: str | None
    unit: str | None
    stand_in: StandIn = StandIn()  # of ours
    seeds: tuple[float, ...] = ()  # ours, one by one
    images: Interval | None = None  # of one seed's accuracy, over its test examples
    by_seed: Mapping[int, float] = {}  # never written to
    specs: tuple[str, ...] = ()  # of the runs of ours


class SeriesStyle(NamedTuple):
    """How a series is told from the others, in colour and in grey."""

    colour: str
    marker: str
    dash: Any
    hatch: str


def points(item: Filled) -> list[Point]:
    """Every cell, row by row; a key of both row and column has the column's value."""
    item_points = []
    for row, column, cell in item.flat:
        lines = (("row", row), ("column", column))
        names = {f"{kind}_{part}": getattr(line, part) for kind, line in lines for part in ("group", "label")}
        keys = {**row.entry, **column.entry, **names}
        keys = {key: value for key, value in keys.items() if value is not None}
        ours = t_interval(cell.trials) if cell.values else None
        real = Interval(*cell.replicated[:4]) if cell.replicated else None
        missing = None if ours else column.skipped or cell.missing
        more = cell.stand_in, tuple(cell.by_seed.values()), over_images(cell, column.unit), cell.by_seed, cell.specs
        item_points.append(Point(keys, ours, cell.published, real, missing, column.unit, *more))
    return item_points


def made_on(item_points: Sequence[Point]) -> str:
    """Whose the numbers of a panel are: this run's, if there are any, and what stands in for the paper's data and attack.

    Where that is not the same in all, the data sets alone; the foot says the rest by column.
    """
    used = dict.fromkeys(point.stand_in for point in item_points if point.ours)
    names = next(iter(used)).names if len(used) == 1 else dict.fromkeys(own.data for own in used if own.data)
    return ", ".join(["this run", *map(plain, names)]) if used else ""


def require(item_points: Sequence[Point], keys: Iterable[Key]) -> None:
    """ValueError, one line, for a key that no row or column has."""
    point_keys = {key for point in item_points for key in point.keys}
    for key in flat(keys):
        if key not in point_keys:
            raise ValueError(f"no row or column has the key {key!r}{did_you_mean(key, point_keys)}")


def flat(keys: Iterable[Key]) -> list[str]:
    return [one for key in keys if key for one in ([key] if isinstance(key, str) else key)]


def name(labels: Mapping[Any, str], value: Any) -> str:
    """A value of an entry as the paper prints it, ready for matplotlib."""
    text = labels.get(value, value) if isinstance(value, (str, int, float)) else value
    return plain(f"{text:g}" if isinstance(text, float) else str(text))


def title(item: Filled, point: Point, key: Key) -> str:
    """The values of one or several keys in words; of those the point lacks, nothing, and none that the next begins with."""
    words = [name(item.labels, point.keys[k]) for k in flat([key]) if point.keys.get(k) not in (None, "")]
    return ", ".join(word for word, after in zip_longest(words, words[1:]) if not (after or "").startswith(f"{word} "))


def split(item: Filled, item_points: Sequence[Point], key: Key) -> dict[str, list[Point]]:
    """Points by the title of ``key``, in order of appearance; what has none of its keys belongs to every part."""
    parts: dict[str, list[Point]] = {title(item, p, key): [] for p in item_points if _has(p, key)} or {"": []}
    for point in item_points:
        for part in [title(item, point, key)] if _has(point, key) else parts:
            parts[part].append(point)
    return parts


def series_of(item: Filled, item_points: Sequence[Point], key: Key) -> dict[str, list[Point]]:
    """Points by the title of ``key``, in order of appearance; what has none of its keys by the name of its row."""
    parts: dict[str, list[Point]] = {}
    for point in item_points:
        parts.setdefault(title(item, point, key if _has(point, key) else "row_label"), []).append(point)
    return parts


def single(parts: Mapping[Any, Sequence[Point]], where: str) -> dict[Any, Point]:
    """The one point of each part; ValueError where there are several, which would hide each other."""
    for part, own in parts.items():
        if len(own) > 1:
            which = ", ".join(
                f"{p.keys['row_group']} {p.keys['row_label']} / {p.keys['column_label']}".strip() for p in own[:2]
            )
            raise ValueError(
                f"{len(own)} cells at {part} of {where or 'one series'} ({which}): series or panel must part them"
            )
    return {part: own[0] for part, own in parts.items()}


def _has(point: Point, key: Key) -> bool:
    return any(k in point.keys for k in flat([key]))


def looks(titles: Iterable[str]) -> dict[str, SeriesStyle]:
    """A look for each series. Past the palette its colours come again, with other markers and dashes."""
    n, styles = len(style.COLOURS), {}
    for k, text in enumerate(dict.fromkeys(titles)):
        other = k + k // n
        styles[text] = SeriesStyle(
            style.COLOURS[k % n], style.MARKERS[other % n], style.DASHES[other % n], HATCHES[other % n]
        )
    return styles


def number(point: Point, key: str) -> float:
    """The value of a key as a number; ValueError for what is no number."""
    try:
        return float(point.keys[key])
    except (TypeError, ValueError):
        raise ValueError(f"{key} must be a number to be drawn, not {point.keys[key]!r}") from None


def measured(item_points: Sequence[Point]) -> str:
    """What the points measure, with its unit: their column's name if it is one, else the unit."""
    labels = {plain(str(point.keys["column_label"])) for point in item_points}
    units = {point.unit for point in item_points if point.unit}
    unit = plain(units.pop()) if len(units) == 1 else ""
    label = labels.pop() if len(labels) == 1 else ""
    if not label:
        return unit
    return f"{label} ({unit})" if unit and unit not in label else label


def spread(estimates: Sequence[Interval]) -> tuple[list[float], list[float]] | None:
    """Lower and upper lengths of error bars, zero where one seed tells none; None where none has any."""
    if all(estimate.low is None for estimate in estimates):
        return None
    lower = [0.0 if e.low is None else e.mean - e.low for e in estimates]
    return lower, [0.0 if e.high is None else e.high - e.mean for e in estimates]
