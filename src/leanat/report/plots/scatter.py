"""One measurement against another, with Spearman's rank correlation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.lines import Line2D

from leanat.core.errors import did_you_mean
from leanat.plan.item import Filled
from leanat.report.plots.page import (
    INTERVAL,
    PAPER,
    REAL,
    Plot,
    cut,
    empty,
    finish,
    page,
    panels_of,
    paper_handle,
    reading,
    real_handle,
    tidy,
)
from leanat.report.plots.points import (
    Key,
    Point,
    SeriesStyle,
    looks,
    measured,
    points,
    require,
    series_of,
    spread,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Pair(NamedTuple):
    """A row of the item: its cells of the two columns."""

    x: Point
    y: Point


def scatter(
    item: Filled,
    *,
    x: str,
    y: str,
    series: Key = "row_group",
    panel: Key = None,
    label: Key = None,
    x_label: str = "",
    y_label: str = "",
    join: bool = False,
    spearman: bool = False,
) -> Plot:
    """A point per row: column ``x`` against column ``y``, both named by their label or by the ``metric`` they measure.

    ``series``, ``panel`` and ``label`` (written at each point) are keys of the rows' entries. ``join`` draws a line
    through a series in the order of its rows. ``spearman`` prints rho and its two-sided p value (t approximation) over
    the means of each series of at least three points.
    """
    found = points(item)
    require(found, [series, panel, label])
    pairs = _pairs(item, found, x, y)
    firsts = [pair.y for pair in pairs]
    shape, panels = panels_of(item, firsts, panel)
    figure, axes = page(shape, (2.6, 2.5) if shape[1] > 1 else (4.4, 3.0))
    drawn, told = looks(series_of(item, firsts, series)), []
    for (r, c), (head, part) in panels.items():
        axis, correlations = axes[r][c], []
        for name, own in series_of(item, part, series).items():
            mine = [pair._replace(y=point) for pair in pairs for point in own if pair.y.keys is point.keys]
            _series(axis, mine, drawn[name], join)
            if spearman and (said := correlation(mine)):
                correlations.append(f"{name}: {said}" if len(drawn) > 1 else said)
            if label:
                told += [(axis, pair, title(item, pair.y, label)) for pair in mine]
        axis.set_title("\n".join(filter(None, [head, *correlations])))
        empty(axis, [p for pair in pairs for point in part if pair.y.keys is point.keys for p in (pair.x, point)])
        axis.grid()
        axis.set_axisbelow(True)
        axis.margins(0.08)
        cut(axis, part)
        axis.set_xlabel(x_label or measured([pair.x for pair in pairs]))
        axis.set_ylabel(y_label or measured(firsts))
    tidy(axes, panels)
    handles = [] if list(drawn) == [""] else [
        Line2D([], [], color=look.colour, marker=look.marker, ls=look.dash if join else "", label=name)
        for name, look in drawn.items()
    ]  # fmt: skip
    read = reading(item, "Filled markers", f"bars: {INTERVAL}")
    if spearman:
        read.append("ρ: Spearman's rank correlation of the means shown, p two-sided by the t approximation.")
    handles += paper_handle(item, [pair.y for pair in pairs if None not in (pair.x.paper, pair.y.paper)])
    plot = finish(figure, handles + real_handle(found), read)
    _annotate(figure, told)
    return plot


def correlation(pairs: Sequence[Pair]) -> str:
    """Spearman's rho of our means in words; nothing below three points, and where one side does not vary."""
    known = [(pair.x.ours.mean, pair.y.ours.mean) for pair in pairs if pair.x.ours and pair.y.ours]
    if len(known) < 3 or any(len(set(side)) == 1 for side in zip(*known, strict=True)):
        return ""
    from scipy.stats import spearmanr

    found = spearmanr(*zip(*known, strict=True))
    p = "< 0.001" if found.pvalue < 0.001 else f"= {found.pvalue:.3f}"
    return f"ρ = {found.statistic:.2f}, p {p}, {len(known)} points".replace("-", "−")


def _pairs(item: Filled, found: Sequence[Point], x: str, y: str) -> list[Pair]:
    known = [{column.label, str(column.entry.get("metric", column.label))} for column in item.columns]
    place = []
    for option in (x, y):
        match = [c for c, names in enumerate(known) if option in names]
        if len(match) != 1:
            how = "is no column" if not match else "names several columns"
            raise ValueError(f"{option!r} {how}{did_you_mean(option, {n for names in known for n in names})}")
        place += match
    across = len(item.columns)
    rows = [found[k : k + across] for k in range(0, len(found), across)]
    return [Pair(row[place[0]], row[place[1]]) for row in rows]


def _series(axis: Axes, pairs: Sequence[Pair], look: SeriesStyle, join: bool) -> None:
    shown = [(pair.x.ours, pair.y.ours) for pair in pairs if pair.x.ours and pair.y.ours]
    if shown:
        xs, ys = (list(side) for side in zip(*shown, strict=True))
        axis.errorbar(
            [e.mean for e in xs], [e.mean for e in ys], xerr=spread(xs), yerr=spread(ys), color=look.colour,
            marker=look.marker, ls=look.dash if join else "", lw=1, elinewidth=0.8, capsize=1.5, zorder=3,
        )  # fmt: skip
    paper = [(pair.x.paper, pair.y.paper) for pair in pairs if None not in (pair.x.paper, pair.y.paper)]
    if paper:
        ring = {**PAPER, "marker": look.marker, "mec": look.colour}
        axis.plot(*zip(*paper, strict=True), color=look.colour, lw=0.6, ls=look.dash if join else "", **ring)
    real = [(pair.x.real, pair.y.real) for pair in pairs if pair.x.real and pair.y.real]
    if real:
        xs, ys = (list(side) for side in zip(*real, strict=True))
        bars = {"xerr": spread(xs), "yerr": spread(ys), "color": look.colour, "ls": ""}
        axis.errorbar([e.mean for e in xs], [e.mean for e in ys], **bars, **REAL)


def _annotate(figure: Figure, told: Sequence[tuple[Axes, Pair, str]]) -> None:
    """Write each label near its point, at the place around it where it covers least of what was drawn before."""
    renderer, taken = figure.canvas.get_renderer(), {}
    for axis, pair, text in told:
        at = next(iter(_places(pair)), None)
        if at is None:
            continue
        marks, notes = taken.setdefault(axis, (_marks(axis), []))
        best = None
        for far, k in itertools.product((6, 11, 17), range(8)):
            turn = math.pi / 4 * (k + 1)
            dx, dy = far * math.cos(turn), far * math.sin(turn)
            ha = "left" if dx > 1 else "right" if dx < -1 else "center"
            va = "bottom" if dy > 1 else "top" if dy < -1 else "center"
            note = axis.annotate(
                text, at, (dx, dy), textcoords="offset points", ha=ha, va=va, fontsize=7, color="#444444"
            )
            box, inside = note.get_window_extent(renderer).padded(1.5), axis.get_window_extent()
            outside = inside.x0 > box.x0 or inside.x1 < box.x1 or inside.y0 > box.y0 or inside.y1 < box.y1
            within = (
                abs(marks - [box.x0 / 2 + box.x1 / 2, box.y0 / 2 + box.y1 / 2]) < [box.width / 2, box.height / 2]
            ).all(1)
            cost = within.sum() + 10 * sum(box.overlaps(other) for other in notes) + 20 * outside + far / 4
            if best is None or cost < best[0]:
                if best:
                    best[1].remove()
                best = (cost, note, box)
            else:
                note.remove()
        notes.append(best[2])


def _marks(axis: Axes) -> np.ndarray:
    """Pixels [n, 2] that lines and bars of the axes pass, a few pixels apart; markers count more."""
    ends = [axis.transData.transform(line.get_xydata()) for line in axis.lines]
    ends += [
        axis.transData.transform(bar) for bars in axis.collections for bar in getattr(bars, "get_segments", list)()
    ]
    found = [np.zeros((0, 2))]
    for path in ends:
        steps = [np.linspace(a, b, max(2, int(np.hypot(*(b - a)) / 4))) for a, b in itertools.pairwise(path)]
        around = [path + np.array(shift) for shift in itertools.product((-3, 0, 3), repeat=2)]
        found += steps + around
    return np.concatenate(found)


def _places(pair: Pair) -> list[tuple[float, float]]:
    """Where the row's markers stand, ours first."""
    found = [(pair.x.ours.mean, pair.y.ours.mean)] if pair.x.ours and pair.y.ours else []
    found += [(pair.x.paper, pair.y.paper)] if None not in (pair.x.paper, pair.y.paper) else []
    return found + ([(pair.x.real.mean, pair.y.real.mean)] if pair.x.real and pair.y.real else [])
