"""Figures over a numeric axis: lines with intervals, and shares stacked over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from leanat.plan.item import Filled
from leanat.report.plots import page, points

# The colours of stacked areas: no black, and neighbours differ in lightness.
FILLS = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7")
ASIDE = 0.04  # distance between markers of series whose only point is at the same x, as a share of the axis
BAND = 6  # with so many points or more on a line, the intervals are drawn as a band, not as bars


def lines(
    item: Filled,
    *,
    x: str,
    series: points.Key = "column_label",
    panel: points.Key = None,
    x_label: str = "",
    y_label: str | Mapping[str, str] = "",
) -> page.Plot:
    """One line per series over the number ``x`` of the entries; a cell without ``x`` is a horizontal line.

    ``series`` and ``panel`` are keys of the entries, or lists of keys; two keys of ``panel`` make a grid, the first one
    down, the second one across. ``y_label``: one label for all panels, or a mapping from the panels' titles to labels.
    """
    item_points = points.points(item)
    points.require(item_points, [x, series, panel])
    shape, panels = page.panels_of(item, item_points, panel)
    figure, axes = page.page(shape, (2.45, 2.15 if shape[1] > 1 else 2.9))
    parts = points.series_of(item, item_points, series)
    drawn = points.looks(label for label, own in parts.items() if any(x in p.keys for p in own))
    flat = [label for label in parts if label not in drawn]
    drawn |= {
        label: points.SeriesStyle("#444444", "", ("-", "--", ":", "-.")[k % 4], "") for k, label in enumerate(flat)
    }
    for (r, c), (title, part) in panels.items():
        axis = axes[r][c]
        in_panel = points.series_of(item, part, series)
        aside = _aside(in_panel, x)
        for label, own in in_panel.items():
            _line(axis, own, x, label, drawn[label], aside.get(label, 0.0))
            _level(axis, [p for p in own if x not in p.keys], label, drawn[label])
        axis.set_title(title)
        page.empty(axis, part)
        _ticks(axis, sorted({points.number(p, x) for p in item_points if x in p.keys}))
        axis.grid(axis="y")
        axis.set_ylabel(page.worded(y_label, title) or points.measured(part))
        axis.set_xlabel(x_label or points.name(item.labels, x))
    _share(axes, panels)
    for place, (_, part) in panels.items():
        page.cut(axes[place], part)
    page.tidy(axes, panels)
    labels = {label for label, own in parts.items() if page.anything(own)} or parts
    handles = page.line_handles({label: look for label, look in drawn.items() if label in labels})
    marked = [point for point in item_points if x in point.keys]
    read = page.reading(item, "Lines and filled markers", f"bands or bars: {page.INTERVAL}", each=marked)
    return page.finish(figure, handles + page.paper_handle(item, item_points) + page.real_handle(item_points), read)


def _aside(own: Mapping[str, Sequence[points.Point]], x: str) -> dict[str, float]:
    """The shift along x of each series whose only point has the same x as other such series, so that markers do not overlap."""
    places = {
        label: {points.number(p, x) for p in part if x in p.keys and page.anything([p])} for label, part in own.items()
    }
    every = set().union(*places.values())
    step = ASIDE * ((max(every) - min(every)) or 1.0) if every else 0.0
    alone = {label: min(at) for label, at in places.items() if len(at) == 1}
    beside = {at: [label for label, other in alone.items() if other == at] for at in alone.values()}
    return {label: step * (k - (len(same) - 1) / 2) for same in beside.values() for k, label in enumerate(same)}


def _line(axis: Axes, own: Sequence[points.Point], x: str, label: str, look: points.SeriesStyle, aside: float) -> None:
    """Draws a series; ``aside`` is added to the x of each point."""
    by: dict[float, list[points.Point]] = {}
    for point in own:
        if x in point.keys:
            by.setdefault(points.number(point, x) + aside, []).append(point)
    by_x = sorted(points.single(by, label).items())
    ours = [(at, p.ours) for at, p in by_x if p.ours]
    if ours:
        at, estimates = [a for a, _ in ours], [e for _, e in ours]
        bars = points.spread(estimates)
        as_band = bars is not None and len(at) >= BAND
        if as_band:
            low, high = ([e.mean if bound is None else bound for e, bound in zip(estimates, bounds, strict=True)]
                         for bounds in ([e.low for e in estimates], [e.high for e in estimates]))  # fmt: skip
            axis.fill_between(at, low, high, color=look.colour, alpha=0.16, lw=0, zorder=1)
        axis.errorbar(
            at, [e.mean for e in estimates], yerr=None if as_band else bars, color=look.colour, marker=look.marker,
            ls=look.dash, capsize=2, elinewidth=0.9, zorder=3,
        )  # fmt: skip
    for at, p in by_x:
        page.seeds(axis, p, look.colour, x=at)
    paper = [(at, p.paper) for at, p in by_x if p.paper is not None]
    if paper:
        ring = {**page.PAPER, "marker": look.marker, "mec": look.colour}
        axis.plot(*zip(*paper, strict=True), color=look.colour, lw=0.6, ls=look.dash, alpha=0.75, **ring)
    for at, real in ((at, p.real) for at, p in by_x if p.real):
        whiskers = points.spread([real])
        axis.errorbar([at], [real.mean], yerr=whiskers, ls="", color=look.colour, **page.real_marks(real))


def _level(axis: Axes, own: Sequence[points.Point], label: str, look: points.SeriesStyle) -> None:
    for point in points.single({"every x": own} if own else {}, label).values():
        if point.ours:
            axis.axhline(point.ours.mean, color=look.colour, ls=look.dash, lw=1.1, zorder=2)
            if point.ours.low is not None:
                axis.axhspan(point.ours.low, point.ours.high, color=look.colour, alpha=0.1, lw=0, zorder=0)
        edge = {"transform": axis.get_yaxis_transform(), "clip_on": False, "color": look.colour, "ls": ""}
        if point.paper is not None:
            axis.axhline(point.paper, color=look.colour, ls=look.dash, lw=0.6, alpha=0.75, zorder=1)
            axis.plot([1], [point.paper], marker="o", mec=look.colour, **edge, **page.PAPER)
        if point.real:
            axis.axhline(point.real.mean, color=look.colour, ls=look.dash, lw=1.1, zorder=2)
            axis.plot([1], [point.real.mean], marker="x", mew=1.3, ms=5, **edge)


def areas(
    item: Filled,
    *,
    x: str,
    series: points.Key = "column_label",
    panel: points.Key = None,
    x_label: str = "",
    y_label: str = "",
) -> page.Plot:
    """Means of the series stacked over the number ``x``, in the order of the columns; missing means leave a gap."""
    item_points = points.points(item)
    points.require(item_points, [x, series, panel])
    shape, panels = page.panels_of(item, item_points, panel)
    figure, axes = page.page(shape, (2.45, 2.0), sharex=True, sharey=True)
    drawn = points.looks(points.series_of(item, item_points, series))
    drawn = {title: look._replace(colour=FILLS[k % len(FILLS)]) for k, (title, look) in enumerate(drawn.items())}
    for (r, c), (title, part) in panels.items():
        axis = axes[r][c]
        _stack(axis, part, x, points.series_of(item, part, series), drawn)
        axis.set_title(title)
        page.empty(axis, part)
        axis.margins(x=0, y=0)
        axis.set_xlabel(x_label or points.name(item.labels, x))
        axis.set_ylabel(y_label or points.measured(item_points))
        axis.set_axisbelow(False)
    page.tidy(axes, panels)
    widest = max((p.ours.half for p in item_points if p.ours and p.ours.half is not None), default=None)
    interval = f"{page.INTERVAL}, not drawn: ± {widest or 0:.2g} at most"
    read = page.reading(item, "Areas", interval, "Open markers, stacked")
    return page.finish(figure, page.area_handles(drawn) + page.paper_handle(item, item_points), read)


def _stack(
    axis: Axes, part: Sequence[points.Point], x: str, series: Mapping[str, Sequence[points.Point]], drawn: dict
) -> None:
    at = sorted({points.number(p, x) for p in part})
    floor, printed = dict.fromkeys(at, 0.0), dict.fromkeys(at, 0.0)
    for label, own in series.items():
        height = {points.number(p, x): p.ours.mean for p in own if p.ours}
        top = {a: floor[a] + height.get(a, float("nan")) for a in at}
        style_ = {"fc": drawn[label].colour, "hatch": drawn[label].hatch, "ec": "white", "lw": 0.5}
        axis.fill_between(at, [floor[a] for a in at], [top[a] for a in at], **style_)
        floor = top
        paper = {points.number(p, x): p.paper for p in own if p.paper is not None}
        printed = {a: below + paper[a] for a, below in printed.items() if a in paper}
        if printed:
            axis.plot(*zip(*printed.items(), strict=True), ls="", marker="o", mec=drawn[label].colour, **page.PAPER)


def _share(axes: Any, panels: Mapping) -> None:
    """Gives panels of a row with the same metric the same vertical axis, unless that would flatten all of them."""
    for r in range(axes.shape[0]):
        same: dict[tuple, list] = {}
        for (row, c), (_, part) in panels.items():
            if row == r and part:
                # panels of the paper's values have their own, since they may be of several data sets
                where = c if not any(p.ours for p in part) else None
                same.setdefault((where, *{p.keys.get("metric") for p in part}), []).append(axes[r][c])
        for shared in same.values():
            limits = [axis.get_ylim() for axis in shared]
            low, high = min(low for low, _ in limits), max(high for _, high in limits)
            flat = all(own[1] - own[0] < (high - low) / 3 for own in limits)
            for axis in shared if not flat else ():
                axis.set_ylim(low, high)


def _ticks(axis: Axes, values: Sequence[float]) -> None:
    """Ticks at the measured values of x, as many as are readable, on an axis that is the same in every panel."""
    if not 1 < len(values) <= 16:
        return
    room, kept = 0.095 * (values[-1] - values[0]), [values[0]]
    for value in values[1:]:
        if value - kept[-1] >= room:
            kept.append(value)
    axis.set_xticks(kept, [f"{value:g}" for value in kept])
    axis.xaxis.set_minor_locator(NullLocator())
    beside = 0.05 * (values[-1] - values[0])
    axis.set_xlim(values[0] - beside, values[-1] + beside)
