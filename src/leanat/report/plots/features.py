"""What attacks do to the last features of several networks: distributions of distances, and a map of each network."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from leanat.plan.item import Filled
from leanat.report.overview import plain
from leanat.report.plots.files import Arrays, class_name, cloud, common_edges, distribution, read_files
from leanat.report.plots.page import Plot, finish, page
from leanat.report.plots.points import looks, made_on, points


def features(item: Filled, *, attacks: dict[str, str], bins: int = 40) -> Plot:
    """Above a histogram of the distances under each of ``attacks`` (array: title), a series per network; below the maps.

    ``item.files``: arrays per network, [n] of each attack, and points [m, 2], classes [n >= m], names.
    """
    files = read_files(item)
    for title, arrays in files.items():
        if lost := {*attacks, "points", "classes"} - set(arrays):
            raise ValueError(f"{title}: no array {', '.join(sorted(lost))}")
    panels = {
        title: {network: arrays[attack] for network, arrays in files.items()} for attack, title in attacks.items()
    }
    maps = {title: _map(arrays) for title, arrays in files.items()}
    whose = made_on(points(item))
    across = max(len(panels), len(maps))
    figure, axes = page((2, across), (2.4, 2.3))
    edges, networks = common_edges(panels, bins), looks(plain(title) for title in files)
    for axis, (title, arrays) in zip(axes[0], panels.items(), strict=False):
        distribution(axis, f"{title}, {whose}", arrays, edges, networks)
        axis.set_xlabel("distance of the features")
    top = max(axis.get_ylim()[1] for axis in axes[0][: len(panels)])
    for k, axis in enumerate(axes[0][: len(panels)]):
        axis.set_ylim(0, top)
        axis.set_ylabel("share of examples (%)" if not k else "")
    names = {c: class_name(maps, c) for c in sorted({int(c) for m in maps.values() for c in m["classes"]})}
    classes = looks(names.values())
    for axis, (title, arrays) in zip(axes[1], maps.items(), strict=False):
        cloud(axis, f"{title}\n{whose}", arrays, names, classes)
    for axis in (*axes[0][len(panels) :], *axes[1][len(maps) :]):
        axis.set_visible(False)
    handles = [Line2D([], [], color=look.colour, ls=look.dash, label=name) for name, look in networks.items()]
    count, mapped = (len(next(iter(m.values()))[key]) for m, key in ((files, "classes"), (maps, "points")))
    read = [
        f"Above: {bins} bins from {edges[0]:.3g} to {edges[-1]:.3g}, the same in every panel; {count} examples a series.",
        f"Below: {mapped} examples a map without attack; its axes have no unit.",
        "No interval: one network a series.",
    ]
    return finish(figure, handles, read)


def _map(arrays: Arrays) -> Arrays:
    points = arrays["points"]
    found = {"points": points, "classes": arrays["classes"][: len(points)]}
    return found | ({"names": np.array(arrays["names"])} if "names" in arrays else {})
