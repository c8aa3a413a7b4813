"""Radar plots: one axis per category, such as an attack, around a circle, and one closed line per series.

All panels have the same radial axis. Below each circle are the differences from the first series, paired by seed, which
separate lines that overlap in the circle.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from leanat.plan.item import Filled
from leanat.report.plots import page, points
from leanat.report.statistics import Interval, paired_difference


def polar(
    item: Filled,
    *,
    axis: points.Key = "column_label",
    series: points.Key = "row_label",
    panel: points.Key = "row_group",
    r_label: str = "",
) -> page.Plot:
    """One circle per ``panel``, with an axis for each value of ``axis`` and a closed line per ``series``. The radius goes from 0
    to above the greatest number of all panels.

    A line is open where a value is missing. Below is a dot for each other series and axis: the difference from the first series.
    """
    item_points = points.points(item)
    points.require(item_points, [axis, series, panel])
    shape, panels = page.panels_of(item, item_points, panel)
    names = list(points.series_of(item, item_points, axis))
    drawn = points.looks(points.series_of(item, item_points, series))
    if len(names) < 3:
        raise ValueError(f"a polar plot needs at least three axes, not {', '.join(names)}")
    top = max((b for p in item_points for b in _numbers(p)), default=1.0)
    ticks = [t for t in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top) if t >= 0]
    top = ticks[-1]
    size = (3.2, 3.1) if shape[1] > 1 else (4.2, 3.4)
    below = {place: _differences(item, part, axis, series) for place, (_, part) in panels.items()}
    several = max(len({label for label, _ in own}) for own in below.values())
    apart = min(0.26, 0.78 / max(1, several - 1))  # distance of an axis's dots, in distances between axes
    strip = 0.35 + 0.05 / apart * len(names)  # the dots of one axis do not cover each other
    figure, axes, strips = page.page_with_strips(
        shape, size, strip if any(below.values()) else 0.01, projection="polar"
    )
    widest = max((abs(end) for own in below.values() for gap in own.values() for end in _ends(gap)), default=0.0) or 1.0
    angles = {name: 2 * math.pi * k / len(names) for k, name in enumerate(names)}
    for (r, c), (title, part) in panels.items():
        circle = axes[r][c]
        _frame(circle, angles, ticks, top)
        for label, own in points.series_of(item, part, series).items():
            points_at = points.single(points.series_of(item, own, axis), label)
            _line(circle, angles, points_at, drawn[label], len(drawn))
        circle.set_title(title, pad=19, loc="center", fontweight="bold")
        page.empty(circle, part)
        base = next(iter(points.series_of(item, part, series)))
        _strip(strips[r][c], below[r, c], names, drawn, 1.08 * widest, base, apart)
    for r, c in {divmod(k, shape[1]) for k in range(shape[0] * shape[1])} - set(panels):
        axes[r][c].set_visible(False)
        strips[r][c].set_visible(False)
    radius = r_label or points.measured(item_points)
    read = [f"Radius: {radius}, 0 to {top:g} in every panel."] if radius else []
    read += page.reading(item, "Closed lines", f"bars: {page.INTERVAL}")
    if any(below.values()):
        read.append(
            "Dots below: less the series that the axis names, paired by seed, with the 95 % interval; one seed has none."
        )
    pairs = [pair for _, part in panels.values() for _, *pair in _with_the_first(item, part, axis, series)]
    if any(_same(*pair) for pair in pairs):
        read.append("No dot where a series is, by its settings, the very run of the first one.")
    if any(point.missing for point in item_points):
        read.append("A line is open where a value is missing.")
    handles = page.line_handles(drawn) + page.paper_handle(item, item_points) + page.real_handle(item_points)
    return page.finish(figure, handles, read)


Gaps = dict[tuple[str, str], Interval]  # by series and axis


def _differences(item: Filled, part: Sequence[points.Point], axis: points.Key, series: points.Key) -> Gaps:
    """Each other series minus the first, at each axis where both have common seeds and are not the same runs."""
    return {
        where: paired_difference(point.by_seed, base.by_seed)
        for where, point, base in _with_the_first(item, part, axis, series)
        if point.by_seed.keys() & base.by_seed.keys() and not _same(point, base)
    }


def _with_the_first(
    item: Filled, part: Sequence[points.Point], axis: points.Key, series: points.Key
) -> list[tuple[tuple[str, str], points.Point, points.Point]]:
    """For each other series and axis, its point and the point of the first series."""
    of = {
        label: points.single(points.series_of(item, own, axis), label)
        for label, own in points.series_of(item, part, series).items()
    }
    (_, base), *others = of.items()
    return [((label, name), own[name], base[name]) for label, own in others for name in own if name in base]


def _same(point: points.Point, base: points.Point) -> bool:
    return bool(point.specs) and (point.specs, point.by_seed) == (base.specs, base.by_seed)


def _ends(gap: Interval) -> tuple[float, float]:
    return (gap.mean, gap.mean) if gap.low is None or gap.high is None else (gap.low, gap.high)


def _strip(
    axes: Axes,
    gaps: Gaps,
    names: Sequence[str],
    drawn: Mapping[str, points.SeriesStyle],
    wide: float,
    base: str,
    apart: float,
) -> None:
    """Draws the dots below a circle: differences from the series ``base``, at distances ``apart`` within an axis."""
    if not gaps:
        axes.set_visible(False)
        return
    others = list(dict.fromkeys(label for label, _ in gaps))
    for (label, name), gap in gaps.items():
        look, y = drawn[label], names.index(name) + apart * (others.index(label) - (len(others) - 1) / 2)
        axes.plot(_ends(gap), [y, y], color=look.colour, lw=1.2, alpha=0.6, marker="", ls="-")
        axes.plot([gap.mean], [y], color=look.colour, marker=look.marker, ms=3.4, ls="")
    axes.axvline(0, color="#999999", lw=0.7, zorder=0)
    axes.set(xlim=(-wide, wide), ylim=(len(names) - 0.5, -0.5), xlabel=f"points, less {base}")
    axes.set_yticks(range(len(names)), names, fontsize=6.5)
    axes.tick_params(axis="x", labelsize=6.5)
    axes.xaxis.label.set_size(7)


def _numbers(point: points.Point) -> list[float]:
    estimates = [e for e in (point.ours, point.real) if e]
    numbers = [e.mean if e.high is None else e.high for e in estimates]
    return numbers if point.paper is None else [*numbers, point.paper]


def _frame(circle: Axes, angles: dict[str, float], ticks: Sequence[float], top: float) -> None:
    circle.set_theta_zero_location("N")
    circle.set_theta_direction(-1)
    circle.set_ylim(0, top)
    circle.set_xticks(list(angles.values()), [""] * len(angles))
    rings = [t for t in ticks if 0 < t <= top]
    circle.set_yticks(rings, [""] * len(rings))
    for ring in rings:
        halo = [withStroke(linewidth=2, foreground="white")]
        where = {"ha": "center", "va": "center", "fontsize": 6.5, "color": "#444444", "path_effects": halo, "zorder": 6}
        circle.text(math.pi / len(angles), ring, f"{ring:g}", **where)
    circle.spines["polar"].set_color("#aaaaaa")
    for name, angle in angles.items():
        side, up = math.sin(angle), math.cos(angle)
        ha = "left" if side > 0.1 else "right" if side < -0.1 else "center"
        va = "bottom" if up > 0.7 else "top" if up < -0.7 else "center"
        circle.text(angle, top * 1.07, textwrap.fill(name, 14), ha=ha, va=va, fontsize=7.5)


def _line(
    circle: Axes, angles: dict[str, float], own: dict[str, points.Point], look: points.SeriesStyle, several: int
) -> None:
    nan = float("nan")
    ours = {name: own[name].ours if name in own else None for name in angles}
    around = [*angles, next(iter(angles))]
    means = [ours[name].mean if ours[name] else nan for name in around]
    circle.plot([angles[name] for name in around], means, color=look.colour, marker=look.marker, ls=look.dash, ms=3.6,
                lw=1.2, zorder=3)  # fmt: skip
    for name, estimate in ours.items():
        if estimate and estimate.low is not None:
            where = [angles[name]] * 2
            bar = {"color": look.colour, "ls": "-", "marker": "", "lw": 2.4 if several < 4 else 1.8, "alpha": 0.45}
            circle.plot(where, [max(0.0, estimate.low), estimate.high], zorder=2, **bar)
    for name, point in own.items():
        if point.paper is not None:
            circle.plot([angles[name]], [point.paper], marker=look.marker, ls="", mec=look.colour, **page.PAPER)
        if point.real:
            cross = {key: page.REAL[key] for key in ("marker", "mew", "ms", "zorder")}
            circle.plot([angles[name]], [point.real.mean], ls="", color=look.colour, **cross)
