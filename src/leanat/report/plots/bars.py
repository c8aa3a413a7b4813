"""Figures over categories: grouped bars with intervals, and matrices with printed numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from leanat.plan.item import Filled
from leanat.report import style
from leanat.report.layout import number as printed
from leanat.report.plots import page, points
from leanat.report.statistics import Interval

BAR = 0.8  # width of a group's bars together, as a share of the group's width
LETTER = 0.062  # inches per letter of a tick label
SHADES = LinearSegmentedColormap.from_list("shades", ["#f4f8fb", "#9cc4e0", "#2f7fb8", "#08306b"])  # light to dark
NO_SHADE = "#eeeeee"


def bars(
    item: Filled,
    *,
    group: points.Key = "row_label",
    series: points.Key = "column_label",
    panel: points.Key = None,
    x_label: str = "",
    y_label: str = "",
) -> page.Plot:
    """A group of bars for each value of ``group``, with one bar per series and its interval; keys as for ``lines``."""
    item_points = points.points(item)
    points.require(item_points, [group, series, panel])
    shape, panels = page.panels_of(item, item_points, panel)
    groups = list(points.series_of(item, item_points, group))
    drawn = points.looks(points.series_of(item, item_points, series))
    wide = min(7.2, max(2.4, 0.9 + len(groups) * max(0.32, 0.14 * len(drawn)))) if shape[1] == 1 else 2.4
    # Values on real data have the paper's own classes.
    as_printed = list(points.series_of(replace(item, labels={}), item_points, group))
    letters = max(4, int(wide / len(groups) / LETTER))
    turned = max(len(word) for label in groups + as_printed for word in label.split()) > letters
    rest = max(map(len, groups + as_printed)) * LETTER * 0.6 if turned else 0.0
    bar = BAR / len(drawn)
    alike = item.scale == "paper" and not any(point.real for point in item_points)
    figure, axes = page.page(shape, (wide, 2.2 + rest), sharey=alike)
    for (r, c), (title, part) in panels.items():
        axis = axes[r][c]
        for k, (label, look) in enumerate(drawn.items()):
            by = points.series_of(item, points.series_of(item, part, series).get(label, []), group)
            aside = (k - (len(drawn) - 1) / 2) * bar
            at = {groups.index(name) + aside: point for name, point in points.single(by, "one bar").items()}
            _series(axis, at, bar, look)
        real = any(p.real or p.paper is not None for p in part) and not any(p.ours for p in part)
        ticks = as_printed if real else groups
        ticks = ticks if turned else [textwrap.fill(label, letters) for label in ticks]
        turn = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if turned else {}
        axis.set_xticks(range(len(groups)), ticks, **turn)
        axis.set_xlim(-0.6, len(groups) - 0.4)
        axis.tick_params(axis="x", length=0)
        axis.set_title(title)
        axis.set_xlabel(x_label)
        axis.set_ylabel(y_label or points.measured(item_points))
        axis.grid(axis="y")
        axis.axhline(0, color="#333333", lw=0.7, zorder=2)
        axis.set_axisbelow(True)
        page.empty(axis, part)
    page.tidy(axes, panels)
    bars_shown = any(point.ours for point in item_points) or not any(point.real for point in item_points)
    crosses = [Line2D([], [], ls="", color=look.colour, marker="x", label=label) for label, look in drawn.items()]
    handles = [] if len(drawn) == 1 else page.area_handles(drawn) if bars_shown else crosses
    read = page.reading(item, "Bars", f"whiskers: {page.INTERVAL}", each=item_points)
    if any(p.missing and p.paper is None and not p.real for _, part in panels.values() for p in part):
        read.append("–: not measured.")
    return page.finish(figure, handles + page.paper_handle(item, item_points) + page.real_handle(item_points), read)


def _series(axis: Axes, points_at: Mapping[float, points.Point], wide: float, look: points.SeriesStyle) -> None:
    """Draws the bars of a series; ``points_at``: its points by their positions."""
    ours = {at: p.ours for at, p in points_at.items() if p.ours}
    if ours:
        where, estimates = list(ours), list(ours.values())
        colours = {"color": look.colour, "hatch": look.hatch, "ec": "white", "lw": 0.4}
        axis.bar(where, [e.mean for e in estimates], wide, zorder=2, **colours)
        for at in ours:
            page.seeds(axis, points_at[at], "#333333", x=at)
        axis.errorbar(
            where, [e.mean for e in estimates], yerr=points.spread(estimates), fmt="none", ecolor="#333333", capsize=1.8,
            elinewidth=0.9, zorder=3,
        )  # fmt: skip
    ring = {**page.PAPER, "mec": "black", "mew": 0.9, "ms": min(5.5, max(3.0, 20 * wide))}
    for at, point in points_at.items():
        if point.paper is not None:
            axis.plot([at], [point.paper], marker="o", ls="", **ring)
        if point.real:
            real = {"color": look.colour, "path_effects": [withStroke(linewidth=3, foreground="white")]}
            whiskers = points.spread([point.real])
            axis.errorbar([at], [point.real.mean], yerr=whiskers, ls="", **real, **page.real_marks(point.real))
        if point.missing and point.paper is None and not point.real:
            axis.text(at, 0, "–", ha="center", va="bottom", color=style.GREY, fontsize=9)


def matrix(
    item: Filled,
    *,
    x_label: str = "",
    y_label: str = "",
    bars: Sequence[str] = (),
    diagonal: bool = False,
) -> page.Plot:
    """The item as a heat map of means with printed numbers, beside it the paper's and replicated values.

    Shades go from the least to the greatest number of each matrix. Columns whose labels are in ``bars`` are drawn as bars
    left of the matrix, one per row. Replicated values, if there are any, are in a second line of panels. With ``diagonal``
    the cells whose row and column have the same label get a frame.
    """
    item_points = points.points(item)
    across = [c for c, column in enumerate(item.columns) if column.label not in bars]
    beside = [c for c, column in enumerate(item.columns) if column.label in bars]
    if len(beside) != len(bars) or not across:
        have = ", ".join(column.label for column in item.columns)
        raise ValueError(f"bars {list(bars)} must be labels of columns, and not of all; the columns: {have}")
    rows, columns = len(item.rows), len(item.columns)
    table = [item_points[r * columns : (r + 1) * columns] for r in range(rows)]
    kinds = {"this run": lambda p: p.ours.mean if p.ours else None, "paper": lambda p: p.paper,
             "replicated, real data": lambda p: p.real.mean if p.real else None}  # fmt: skip
    matrices = {
        kind: [[of(row[c]) for c in across] for row in table]
        for kind, of in kinds.items()
        if kind == "this run" or any(of(row[c]) is not None for row in table for c in across)
    }
    real, first = int("replicated, real data" in matrices), int(bool(beside))
    barred, drawn = [[row[c] for c in beside] for row in table], points.looks(bars)
    tall = 0.85 + 0.26 * rows
    # At smaller scales than the paper's, the paper's bars have an axis of their own, left of the paper's matrix.
    own = int(bool(beside) and item.scale != "paper" and "paper" in matrices)
    matrix_wide = 0.3 * len(across) + 0.2
    wide = [1.5] * first + [matrix_wide] + ([1.2] * own + [matrix_wide]) * ("paper" in matrices)
    room = (0.9 + sum(wide)) / len(wide), tall
    figure, axes = page.page((1 + real, len(wide)), room, sharey="row", width_ratios=wide)
    places = {"this run": axes[0][first], "paper": axes[0][-1]}
    if real:
        places["replicated, real data"] = axes[1][first]
        for axis in axes[1][first + 1 :]:
            axis.set_visible(False)
    both = [", ".join(_both(item, part) for part in (row.group, row.label) if part) for row in item.rows]
    papers = [", ".join(points.name({}, part) for part in (row.group, row.label) if part) for row in item.rows]
    decimals = [item.columns[c].digits for c in across]
    lines = ((both, lambda p: p.ours), (papers, lambda p: p.real))  # real data have the paper's own classes
    for line, (labels, of) in zip(axes, lines, strict=False):
        if beside:
            _bars_beside(line[0], barred, drawn, of, rings=not own)
        line[0].set_yticks(range(rows), labels)
        line[0].set_ylabel(y_label)
        line[0].set_ylim(rows - 0.5, -0.5)
    if own:
        as_printed = lambda p: None if p.paper is None else Interval(p.paper, None, None, 1)  # noqa: E731
        _bars_beside(axes[0][first + 1], barred, drawn, as_printed, rings=False)
        axes[0][first + 1].set_title("paper")
    for kind, values in matrices.items():
        axis = places[kind]
        _shaded(axis, np.array(values, float), decimals)
        names = [points.name(item.labels if kind == "this run" else {}, item.columns[c].label) for c in across]
        slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        fits = max(map(len, names)) * LETTER < figure.get_figwidth() / sum(wide) * wide[-1] / len(across)
        axis.set_xticks(range(len(across)), names, **({} if fits else slant))
        data = {points.name(item.labels, p.keys["data"]) for p in item_points if "data" in p.keys}
        where = f", {data.pop()}" if kind == "paper" and len(data) == 1 else ""
        own_title = points.made_on([row[c] for row in table for c in across]) or "not run"
        axis.set_title(own_title if kind == "this run" else kind + where)
        axis.set_xlabel(x_label)
        if diagonal:
            _frame(axis, item, across)
    widest = max((p.ours.half for p in item_points if p.ours and p.ours.half is not None), default=0)
    paper = "Matrix" + (" and bars" if own else " and open markers" * bool(beside)) + " named paper"
    read = page.reading(item, "Numbers" + " and bars" * bool(beside), f"{page.INTERVAL}: ± {widest:.2g} at most", paper)
    read = [said for said in read if not said.startswith("Crosses")]
    read.append("Shades run from the least to the greatest number of each matrix by itself.")
    rings = [] if own else page.paper_handle(item, [point for row in barred for point in row])
    return page.finish(figure, page.area_handles(drawn) + rings, read)


def _both(item: Filled, label: str) -> str:
    """The class that this scale uses instead of a class of the paper, with the paper's class in brackets."""
    ours, paper = points.name(item.labels, label), points.name({}, label)
    return ours if ours == paper else f"{ours} ({paper})"


def _shaded(axis: Axes, values: np.ndarray, digits: Sequence[int]) -> None:
    finite_values = values[np.isfinite(values)]
    low, high = (finite_values.min(), finite_values.max()) if finite_values.size else (0.0, 1.0)
    shade = (values - low) / (high - low or 1.0)
    axis.imshow(np.ma.masked_invalid(shade), cmap=SHADES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axis.set_facecolor(NO_SHADE)
    for (r, c), value in np.ndenumerate(values):
        if np.isnan(value):
            axis.text(c, r, "–", ha="center", va="center", color=style.GREY)
        else:
            colour = "white" if shade[r, c] > 0.55 else "black"
            axis.text(c, r, printed(float(value), digits[c]), ha="center", va="center", fontsize=6.5, color=colour)
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)


def _frame(axis: Axes, item: Filled, across: Sequence[int]) -> None:
    for r, row in enumerate(item.rows):
        for k, c in enumerate(across):
            if row.label == item.columns[c].label:
                axis.add_patch(Rectangle((k - 0.5, r - 0.5), 1, 1, fill=False, ec=style.COLOURS[1], lw=1.6))


def _bars_beside(
    axis: Axes, table: Sequence[Sequence[points.Point]], drawn: dict[str, points.SeriesStyle], of: Callable, rings: bool
) -> None:
    """Draws horizontal bars of the estimates ``of(point)``."""
    wide = BAR / len(drawn)
    for k, look in enumerate(drawn.values()):
        for r, row in enumerate(table):
            at, point = r + (k - (len(drawn) - 1) / 2) * wide, row[k]
            if of(point):
                axis.barh([at], [of(point).mean], wide, color=look.colour, hatch=look.hatch, ec="white", lw=0.4)
                bar = {"fmt": "none", "ecolor": "#333333", "capsize": 1.2 * (of(point).n > 1), "elinewidth": 0.8}
                axis.errorbar([of(point).mean], [at], xerr=points.spread([of(point)]), **bar)
            if point.paper is not None and rings:
                ring = {**page.PAPER, "mec": "black", "mew": 0.9, "ms": 4}
                axis.plot([point.paper], [at], marker="o", ls="", **ring)
    page.cut(axis, [p for row in table for p in row], "x")
    axis.set_xlabel(points.measured([p for row in table for p in row]))
    axis.grid(axis="x")
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)
