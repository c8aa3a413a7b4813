"""Scatter plots of one measurement against another, with Spearman's rank correlation."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from leanat.core.errors import did_you_mean
from leanat.plan.item import Filled
from leanat.report.plots import page, points


class Pair(NamedTuple):
    """The cells of the two columns in one row of the item."""

    x: points.Point
    y: points.Point


def scatter(
    item: Filled,
    *,
    x: str,
    y: str,
    series: points.Key = "row_group",
    panel: points.Key = None,
    label: points.Key = None,
    x_label: str = "",
    y_label: str | Mapping[str, str] = "",
    join: bool = False,
    spearman: bool = False,
) -> page.Plot:
    """A point per row: column ``x`` against column ``y``, each named by its label or by its ``metric``.

    ``y_label``: one label for all panels, or a mapping from the panels' titles to labels.

    ``series``, ``panel`` and ``label`` (written at each point) are keys of the rows' entries. ``join`` draws a line
    through a series in the order of its rows. ``spearman`` prints rho and its two-sided p value (t approximation) over
    the means of each series of at least three points.
    """
    item_points = points.points(item)
    points.require(item_points, [series, panel, label])
    pairs = _pairs(item, item_points, x, y)
    firsts = [pair.y for pair in pairs]
    shape, panels = page.panels_of(item, firsts, panel)
    figure, axes = page.page(shape, (2.6, 2.5) if shape[1] > 1 else (4.4, 3.0))
    drawn, labels = points.looks(points.series_of(item, firsts, series)), []
    for (r, c), (head, part) in panels.items():
        axis, correlations = axes[r][c], []
        for name, own in points.series_of(item, part, series).items():
            mine = [pair._replace(y=point) for pair in pairs for point in own if pair.y.keys is point.keys]
            _series(axis, mine, drawn[name], join)
            if spearman and (rho := correlation(mine)):
                correlations.append(f"{name}: {rho}" if len(drawn) > 1 else rho)
            if label:
                # Only our points are labelled with the name of a stand-in.
                of = {True: item, False: replace(item, labels={})}
                words = [points.title(of[pair.y.ours is not None], pair.y, label) for pair in mine]
                labels += [(axis, at[0], text) for pair, text in zip(mine, words, strict=True) if (at := _places(pair))]
        axis.set_title("\n".join(filter(None, [head, *correlations])))
        page.empty(axis, [p for pair in pairs for point in part if pair.y.keys is point.keys for p in (pair.x, point)])
        axis.grid()
        axis.set_axisbelow(True)
        axis.margins(0.08)
        page.cut(axis, part)
        axis.set_xlabel(x_label or points.measured([pair.x for pair in pairs]))
        axis.set_ylabel(page.worded(y_label, head) or points.measured(firsts))
        if all(point.ours.mean.is_integer() for point in part if point.ours):  # ranks
            axis.yaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    page.tidy(axes, panels)
    handles = [] if list(drawn) == [""] else [
        Line2D([], [], color=look.colour, marker=look.marker, ls=look.dash if join else "", label=name)
        for name, look in drawn.items()
    ]  # fmt: skip
    read = page.reading(item, "Filled markers", f"bars: {page.INTERVAL}")
    if spearman:
        read.append("ρ: Spearman's rank correlation of the means shown, p two-sided by the t approximation.")
    handles += page.paper_handle(item, [pair.y for pair in pairs if None not in (pair.x.paper, pair.y.paper)])
    plot = page.finish(figure, handles + page.real_handle(item_points), read)
    annotate(figure, labels)
    return plot


def correlation(pairs: Sequence[Pair]) -> str:
    """Spearman's rho of our means in words; empty for fewer than three points, or if one side is constant."""
    means = [(pair.x.ours.mean, pair.y.ours.mean) for pair in pairs if pair.x.ours and pair.y.ours]
    if len(means) < 3 or any(len(set(side)) == 1 for side in zip(*means, strict=True)):
        return ""
    from scipy.stats import spearmanr

    rank_test = spearmanr(*zip(*means, strict=True))
    p = "< 0.001" if rank_test.pvalue < 0.001 else f"= {rank_test.pvalue:.3f}"
    return f"ρ = {rank_test.statistic:.2f}, p {p}, n = {len(means)}".replace("-", "−")


def _pairs(item: Filled, item_points: Sequence[points.Point], x: str, y: str) -> list[Pair]:
    column_names = [{column.label, str(column.entry.get("metric", column.label))} for column in item.columns]
    place = []
    for option in (x, y):
        match = [c for c, names in enumerate(column_names) if option in names]
        if len(match) != 1:
            how = "is no column" if not match else "names several columns"
            raise ValueError(f"{option!r} {how}{did_you_mean(option, {n for names in column_names for n in names})}")
        place += match
    across = len(item.columns)
    rows = [item_points[k : k + across] for k in range(0, len(item_points), across)]
    return [Pair(row[place[0]], row[place[1]]) for row in rows]


def _series(axis: Axes, pairs: Sequence[Pair], look: points.SeriesStyle, join: bool) -> None:
    ours = [(pair.x.ours, pair.y.ours) for pair in pairs if pair.x.ours and pair.y.ours]
    if ours:
        xs, ys = (list(side) for side in zip(*ours, strict=True))
        axis.errorbar(
            [e.mean for e in xs], [e.mean for e in ys], xerr=points.spread(xs), yerr=points.spread(ys), color=look.colour,
            marker=look.marker, ls=look.dash if join else "", lw=1, elinewidth=0.8, capsize=1.5, zorder=3,
        )  # fmt: skip
    paper = [(pair.x.paper, pair.y.paper) for pair in pairs if None not in (pair.x.paper, pair.y.paper)]
    if paper:
        ring = {**page.PAPER, "marker": look.marker, "mec": look.colour}
        axis.plot(*zip(*paper, strict=True), color=look.colour, lw=0.6, ls=look.dash if join else "", **ring)
    for x, y in ((pair.x.real, pair.y.real) for pair in pairs if pair.x.real and pair.y.real):
        bars = {"xerr": points.spread([x]), "yerr": points.spread([y]), "color": look.colour, "ls": ""}
        axis.errorbar([x.mean], [y.mean], **bars, **page.real_marks(y))


def annotate(figure: Figure, labels: Sequence[tuple[Axes, tuple[float, float], str]]) -> None:
    """Writes each label near its point, without covering other labels or markers; a thin line leads to labels that are further
    away.
    """
    renderer, point = figure.canvas.get_renderer(), figure.dpi / 72  # pixels
    halo = [withStroke(linewidth=1.5, foreground="white")]
    for axis in dict.fromkeys(axis for axis, *_ in labels):
        own = [(at, text) for of, at, text in labels if of is axis]
        look = {"fontsize": 7, "color": "#333333", "ha": "center", "va": "center", "zorder": 6, "path_effects": halo}
        notes = [axis.annotate(text, at, (0, 0), textcoords="offset points", **look) for at, text in own]
        extents = [note.get_window_extent(renderer) for note in notes]
        sizes = np.array([[box.width, box.height] for box in extents]) + 2 * point
        anchors = axis.transData.transform([at for at, _ in own])
        offsets, off = _apart(anchors, sizes, _marks(axis), axis.get_window_extent().extents, point)
        for note, offset, stands_off, (at, text) in zip(notes, offsets / point, off, own, strict=True):
            note.remove()
            line = {"arrowstyle": "-", "lw": 0.4, "color": "#777777", "shrinkA": 0, "shrinkB": 1}
            leads = {"arrowprops": line} if stands_off else {}
            axis.annotate(text, at, tuple(offset), textcoords="offset points", **look, **leads)


GAPS = (2.5, 4, 7, 11, 16, 22, 29)  # points between a marker's middle and its label
SWEEPS = 4  # how often every label may move away from the others


def _apart(
    anchors: np.ndarray, sizes: np.ndarray, marks: np.ndarray, inside: np.ndarray, point: float
) -> tuple[np.ndarray, np.ndarray]:
    """The offset of each label's middle from its anchor, and whether it is far from it or nearer to another anchor; in pixels.

    anchors, sizes: [n, 2]; marks: [m, 2], pixels of lines and bars; inside: [4], the axes' corners. The cost is highest for
    overlaps with other labels, the edge and markers, lower for places nearer to another anchor, and lowest for the gap and
    for covered lines and bars.
    """
    turns = np.arange(16) * np.pi / 8
    gap, turn = (grid.ravel() for grid in np.meshgrid(GAPS, turns, indexing="ij"))
    way = np.stack([np.cos(turn), np.sin(turn)], 1)
    offsets = gap[:, None] * point * way + np.clip(1.6 * way, -1, 1) * sizes[:, None] / 2  # [n, candidates, 2]
    middles, half = anchors[:, None] + offsets, sizes[:, None] / 2
    low, high = inside[:2], inside[2:]
    cost = np.broadcast_to(gap, middles.shape[:2]).copy()
    cost += 1000 * ((middles - half < low) | (middles + half > high)).any(2)
    cost += 300 * _covered(middles, half + 2 * point, anchors) + 0.15 * _covered(middles, half, marks)
    far = np.linalg.norm(np.maximum(np.abs(middles[:, :, None] - anchors) - half[:, :, None], 0), axis=3)
    own = far[np.arange(len(anchors)), :, np.arange(len(anchors))]
    astray = (far < own[:, :, None] - point / 2).any(2)
    cost += 25 * astray
    best = cost.argmin(1)
    for _ in range(SWEEPS):
        for k in range(len(anchors)):
            others = np.delete(np.arange(len(anchors)), k)
            placed = middles[others, best[others]]
            near = np.abs(middles[k][:, None] - placed) < (half[k] + half[others, 0])
            best[k] = (cost[k] + 1000 * near.all(2).sum(1)).argmin()
    chosen = np.arange(len(anchors)), best
    return offsets[chosen], astray[chosen] | (gap[best] > 4)


def _covered(middles: np.ndarray, half: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The number of the points [m, 2] in each box around ``middles`` [n, candidates, 2]."""
    return np.stack(
        [(np.abs(own[:, None] - points) < size).all(2).sum(1) for own, size in zip(middles, half, strict=True)]
    )


def _marks(axis: Axes) -> np.ndarray:
    """Pixels [n, 2] along the lines and bars of the axes, a few pixels apart."""
    ends = [axis.transData.transform(line.get_xydata()) for line in axis.lines]
    ends += [
        axis.transData.transform(bar) for bars in axis.collections for bar in getattr(bars, "get_segments", list)()
    ]
    pixels = [np.zeros((0, 2))]
    for path in ends:
        pixels += [np.linspace(a, b, max(2, int(np.hypot(*(b - a)) / 4))) for a, b in itertools.pairwise(path)]
    return np.concatenate(pixels)


def _places(pair: Pair) -> list[tuple[float, float]]:
    """The positions of the row's markers, ours first."""
    places = [(pair.x.ours.mean, pair.y.ours.mean)] if pair.x.ours and pair.y.ours else []
    places += [(pair.x.paper, pair.y.paper)] if None not in (pair.x.paper, pair.y.paper) else []
    return places + ([(pair.x.real.mean, pair.y.real.mean)] if pair.x.real and pair.y.real else [])
