"""The cells of a filled item as points to draw: their keys, our estimates, the paper's values."""

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
# Hatches of filled areas, which distinguish them in grey.
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
    stand_in: StandIn = StandIn()  # the stand-in behind our number
    seeds: tuple[float, ...] = ()  # our value of each seed
    images: Interval | None = None  # interval over test examples of an accuracy with one seed
    by_seed: Mapping[int, float] = {}  # never modified
    specs: tuple[str, ...] = ()  # the digests of our runs' specs


class SeriesStyle(NamedTuple):
    """The look by which a series differs from the others, in colour and in grey."""

    colour: str
    marker: str
    dash: Any
    hatch: str


def points(item: Filled) -> list[Point]:
    """Every cell as a point, row by row; a key that both row and column have gets the column's value."""
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
    """The line in a panel's head on our numbers: "this run" and the stand-ins for the paper's data and attack.

    If the stand-ins differ between points, only the data sets are named; the foot gives the rest by column. Empty without
    numbers of ours.
    """
    used = dict.fromkeys(point.stand_in for point in item_points if point.ours)
    names = next(iter(used)).names if len(used) == 1 else dict.fromkeys(own.data for own in used if own.data)
    return ", ".join(["this run", *map(plain, names)]) if used else ""


def require(item_points: Sequence[Point], keys: Iterable[Key]) -> None:
    """Raises ValueError, one line, for a key that no row or column has."""
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
    """The point's values of one or several keys in words, without missing values and without values that begin the next one."""
    words = [name(item.labels, point.keys[k]) for k in flat([key]) if point.keys.get(k) not in (None, "")]
    return ", ".join(word for word, after in zip_longest(words, words[1:]) if not (after or "").startswith(f"{word} "))


def split(item: Filled, item_points: Sequence[Point], key: Key) -> dict[str, list[Point]]:
    """The points by the title of ``key``, in order of appearance; a point without any of its keys belongs to every part."""
    parts: dict[str, list[Point]] = {title(item, p, key): [] for p in item_points if _has(p, key)} or {"": []}
    for point in item_points:
        for part in [title(item, point, key)] if _has(point, key) else parts:
            parts[part].append(point)
    return parts


def series_of(item: Filled, item_points: Sequence[Point], key: Key) -> dict[str, list[Point]]:
    """The points by the title of ``key``, in order of appearance; a point without any of its keys goes by its row's label."""
    parts: dict[str, list[Point]] = {}
    for point in item_points:
        parts.setdefault(title(item, point, key if _has(point, key) else "row_label"), []).append(point)
    return parts


def single(parts: Mapping[Any, Sequence[Point]], where: str) -> dict[Any, Point]:
    """The single point of each part. Raises ValueError if there are several, which would hide each other."""
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
    """A look for each series. With more series than colours, colours repeat with other markers and dashes."""
    n, styles = len(style.COLOURS), {}
    for k, text in enumerate(dict.fromkeys(titles)):
        other = k + k // n
        styles[text] = SeriesStyle(
            style.COLOURS[k % n], style.MARKERS[other % n], style.DASHES[other % n], HATCHES[other % n]
        )
    return styles


def number(point: Point, key: str) -> float:
    """The value of a key as a number. Raises ValueError if it is not a number."""
    try:
        return float(point.keys[key])
    except (TypeError, ValueError):
        raise ValueError(f"{key} must be a number to be drawn, not {point.keys[key]!r}") from None


def measured(item_points: Sequence[Point]) -> str:
    """The axis label for the points: the label of their column with its unit, or only the unit if there are several columns."""
    labels = {plain(str(point.keys["column_label"])) for point in item_points}
    units = {point.unit for point in item_points if point.unit}
    unit = plain(units.pop()) if len(units) == 1 else ""
    label = labels.pop() if len(labels) == 1 else ""
    if not label:
        return unit
    return f"{label} ({unit})" if unit and unit not in label else label


def spread(estimates: Sequence[Interval]) -> tuple[list[float], list[float]] | None:
    """The lower and upper lengths of error bars, 0 for estimates without an interval; None if no estimate has one."""
    if all(estimate.low is None for estimate in estimates):
        return None
    lower = [0.0 if e.low is None else e.mean - e.low for e in estimates]
    return lower, [0.0 if e.high is None else e.high - e.mean for e in estimates]
