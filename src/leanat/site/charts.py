"""Charts as SVG inside a page: lines over epochs, and effects with their intervals. The page's style colours them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 320, 170
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 30
ROW = 22  # height of a case in pixels


class Series(NamedTuple):
    name: str
    points: list[tuple[float, float]]


def lines(title: str, series: Sequence[Series]) -> str:
    """A chart of lines over epochs, with at least one point; ``title``, with the first and last values, is also the text for
    screen readers.
    """
    points = [p for s in series for p in s.points]
    xs, ys = axis([p[0] for p in points]), axis([p[1] for p in points])
    ends = "; ".join(f"{s.name}: {s.points[0][1]:.4g} at {s.points[0][0]:g}, {s.points[-1][1]:.4g} at {s.points[-1][0]:g}"
                     for s in series if s.points)  # fmt: skip
    out = [_open(WIDTH, HEIGHT, f"{title}. {ends}")]
    for value in ys.ticks:
        y = _y(value, ys)
        out.append(
            f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 5}" y="{y + 4:.1f}" class="e">{value:g}</text>'
        )
    for value in xs.ticks:
        out.append(f'<text x="{_x(value, xs):.1f}" y="{HEIGHT - BOTTOM + 15}" class="m">{value:g}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 2}" class="m">epoch</text>')
    for k, s in enumerate(series):
        path = " ".join(f"{_x(x, xs):.1f},{_y(y, ys):.1f}" for x, y in s.points)
        out.append(f'<polyline class="l{k}" points="{path}"/>')
        if len(s.points) <= 8:
            marks = "".join(f"M{_x(x, xs):.1f} {_y(y, ys):.1f}h0" for x, y in s.points)
            out.append(f'<path class="d l{k}" d="{marks}"/>')
    return "".join(out) + "</svg>"


class Effect(NamedTuple):
    label: str
    mean: float
    low: float | None
    high: float | None
    seeds: Sequence[float] = ()


def intervals(title: str, effects: Sequence[Effect], sign: str, bound: float, unit: str) -> str:
    """A chart with a row for each effect, at least one: its seeds as rings, mean and interval; the expected range is shaded."""
    values = [v for e in effects for v in (e.mean, e.low, e.high, *e.seeds) if v is not None]
    edges = [-bound, bound] if sign == "within" else [bound]
    xs = axis([*values, *edges])
    # The interval of two seeds may be so wide that nothing else is visible. Then means and seeds determine the axis.
    near = [v for e in effects for v in (e.mean, *e.seeds)] + edges
    if xs.high - xs.low > 6 * (max(near) - min(near) or 1):
        middle, half = (max(near) + min(near)) / 2, 3 * (max(near) - min(near) or 1)
        xs = axis([middle - half, middle + half])
    wide, left = 560, 30
    high = TOP + ROW * len(effects) + 34

    def x(value: float) -> float:
        return left + (min(max(value, xs.low), xs.high) - xs.low) / (xs.high - xs.low) * (wide - left - 14)

    bottom = TOP + ROW * len(effects)
    span = {">": (bound, xs.high), "<": (xs.low, bound), "within": (-bound, bound)}[sign]
    out = [_open(wide, high, title)]
    out.append(
        f'<rect class="ok" x="{x(span[0]):.1f}" y="{TOP - 4}" width="{x(span[1]) - x(span[0]):.1f}" height="{bottom - TOP + 4}"/>'
    )
    for edge in edges:
        out.append(f'<path class="b" d="M{x(edge):.1f} {TOP - 6}V{bottom}"/>')
    for value in xs.ticks:
        out.append(f'<text x="{x(value):.1f}" y="{bottom + 14}" class="m">{value:g}</text>')
    out.append(
        f'<text x="{(left + wide) / 2:.0f}" y="{bottom + 30}" class="m">effect{" (" + escape(unit) + ")" if unit else ""}</text>'
    )
    for k, effect in enumerate(effects):
        y = TOP + ROW * k + ROW / 2 - 2
        out.append(f"<g><title>{escape(said(effect))}</title>")
        out.append(f'<text x="{left - 8}" y="{y + 4:.1f}" class="e">{k + 1}</text>')
        if effect.low is not None:
            out.append(f'<path class="i" d="M{x(effect.low):.1f} {y:.1f}H{x(effect.high):.1f}"/>')
        out += [
            f'<circle class="s" cx="{x(v):.1f}" cy="{y:.1f}" r="2.6"/>' for v in effect.seeds if len(effect.seeds) > 1
        ]
        out.append(f'<circle class="p" cx="{x(effect.mean):.1f}" cy="{y:.1f}" r="4"/></g>')
    return "".join(out) + "</svg>"


def said(effect: Effect) -> str:
    """The text for an effect: its label, mean and interval."""
    interval = "" if effect.low is None else f", 95 % interval {effect.low:.3g} to {effect.high:.3g}"
    return f"{effect.label}: {effect.mean:.3g}{interval}"


class Axis(NamedTuple):
    low: float
    high: float
    ticks: list[float]


def axis(values: Sequence[float]) -> Axis:
    """A range that contains the values, and round numbers in it."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    pad = (high - low) * 0.04
    low, high = low - pad, high + pad
    raw = (high - low) / 4
    power = 10 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= raw)
    first = math.ceil(low / step)
    return Axis(low, high, [round(k * step, 12) + 0.0 for k in range(first, math.floor(high / step) + 1)])


def _open(width: int, height: int, label: str) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg class="chart" {size} role="img" aria-label="{escape(label, quote=True)}">'


def _x(value: float, of: Axis) -> float:
    return LEFT + (value - of.low) / (of.high - of.low) * (WIDTH - LEFT - RIGHT)


def _y(value: float, of: Axis) -> float:
    return HEIGHT - BOTTOM - (value - of.low) / (of.high - of.low) * (HEIGHT - TOP - BOTTOM)
