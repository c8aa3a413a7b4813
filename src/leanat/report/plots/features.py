"""How far attacks move the last features of several networks: distributions of distances, and a map of each network."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from leanat.plan.item import Filled
from leanat.report.overview import plain
from leanat.report.plots.files import Arrays, read_files
from leanat.report.plots.page import Plot, finish, page
from leanat.report.plots.points import SeriesStyle, looks, made_on, points
from leanat.report.plots.scatter import annotate


def features(item: Filled, *, attacks: dict[str, str], bins: int = 40) -> Plot:
    """Above, a histogram of the distances for each of ``attacks`` (array: title), with a series per network; below, the maps.

    ``item.files``: the arrays of each network, [n] for each attack, and points [m, 2], classes [n >= m], names.
    """
    files = read_files(item)
    for title, arrays in files.items():
        if lost := {*attacks, "points", "classes"} - set(arrays):
            raise ValueError(f"{title}: no array {', '.join(sorted(lost))}")
    panels = {
        title: {network: arrays[attack] for network, arrays in files.items()} for attack, title in attacks.items()
    }
    maps = {title: own | {"classes": own["classes"][: len(own["points"])]} for title, own in files.items()}
    whose = made_on(points(item))
    across = max(len(panels), len(maps))
    figure, axes = page((2, across), (2.4, 2.3))
    distances = np.concatenate([values for arrays in panels.values() for values in arrays.values()])
    edges, networks = np.histogram_bin_edges(distances, bins), looks(plain(title) for title in files)
    for axis, (title, arrays) in zip(axes[0], panels.items(), strict=False):
        _distribution(axis, f"{title}, {whose}", arrays, edges, networks)
        axis.set_xlabel("distance of the features")
    top = max(axis.get_ylim()[1] for axis in axes[0][: len(panels)])
    for axis in axes[0][: len(panels)]:
        axis.set_ylim(0, top)
    axes[0][0].set_ylabel("share of examples (%)")
    names = {c: _class_name(maps, c) for c in sorted({int(c) for m in maps.values() for c in m["classes"]})}
    classes, labels = looks(names.values()), []
    for axis, (title, arrays) in zip(axes[1], maps.items(), strict=False):
        labels += _cloud(axis, f"{title}\n{whose}", arrays, names, classes)
    for axis in (*axes[0][len(panels) :], *axes[1][len(maps) :]):
        axis.set_visible(False)
    handles = [Line2D([], [], color=look.colour, ls=look.dash, label=name) for name, look in networks.items()]
    count, mapped = (len(next(iter(m.values()))[key]) for m, key in ((files, "classes"), (maps, "points")))
    read = [
        f"Above: {bins} bins from {edges[0]:.3g} to {edges[-1]:.3g}, the same in every panel; {count} examples a series.",
        f"Below: {mapped} examples a map without attack; its axes have no unit.",
        "No interval: one network a series" + "".join(f", of seed {seed}" for seed in item.provenance.seeds[:1]) + ".",
    ]
    plot = finish(figure, handles, read)
    annotate(figure, labels)
    return plot


def _distribution(axis: Axes, title: str, arrays: Arrays, edges: np.ndarray, drawn: dict[str, SeriesStyle]) -> None:
    """Draws the shares of the values in the bins ``edges``, one step line per series; the title has each series' range."""
    ranges = []
    for k, (name, values) in enumerate(arrays.items()):
        look = drawn[plain(name)]
        share = 100 * np.histogram(values, edges)[0] / len(values)
        axis.stairs(share, edges, color=look.colour, fill=True, alpha=0.22, lw=0, zorder=1 + k)
        axis.stairs(share, edges, color=look.colour, ls=look.dash, lw=1.2, zorder=10 + k)
        low, high = values.min(), values.max()
        ranges.append(f"{plain(name)}: {low:.3g} to {high:.3g} (range {high - low:.3g})")
    axis.set_title("\n".join([plain(title), *ranges]), fontsize=7)
    axis.margins(y=0.06)


def _cloud(
    axis: Axes, title: str, arrays: Arrays, names: dict[int, str], drawn: dict[str, SeriesStyle]
) -> list[tuple[Axes, tuple[float, float], str]]:
    """Draws a map with a point per example; colour and marker show its class. Returns the classes' names at their medians."""
    labels = []
    for c, name in names.items():
        own, look = arrays["points"][arrays["classes"] == c], drawn[name]
        axis.plot(*own.T, ls="", marker=look.marker, ms=2.2, mew=0, color=look.colour, alpha=0.75, rasterized=True)
        if len(own):
            labels.append((axis, tuple(np.median(own, axis=0)), name))
    axis.set(title=plain(title), xticks=[], yticks=[])
    axis.set_aspect("equal", "datalim")
    for side in axis.spines.values():
        side.set_visible(True)
    return labels


def _class_name(files: dict[str, Arrays], c: int) -> str:
    for arrays in files.values():
        if "names" in arrays and c < len(arrays["names"]):
            return plain(str(arrays["names"][c]))
    return str(c)
