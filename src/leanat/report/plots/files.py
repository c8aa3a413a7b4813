"""Figures whose data are arrays, not cells: distributions, two-dimensional maps, and grids of pictures.

``item.files`` gives a path to an .npz (no pickle), or its arrays, by the title of its panel. What each plot reads from it:

    histograms   one array [n] of finite numbers a series, under the series' name
    embedding    points [n, 2]; classes [n], integers from 0; names [k], of the classes (optional)
    images       a column each under its name, [R, H, W, 3] colours in [0, 1] or [R, H, W] a map of any scale; a picture
                 of NaN is a missing one; rows [R], their names
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from leanat.plan.item import Column, Filled, Row, Value
from leanat.report.overview import plain
from leanat.report.plots.page import WIDEST, Plot, finish, grid, page
from leanat.report.plots.points import SeriesStyle, looks
from leanat.runs import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Arrays = dict[str, np.ndarray]
GAP = 0.03  # of a picture, left free around it


def histograms(item: Filled, *, bins: int = 40, x_label: str = "") -> Plot:
    """Shares of the values in bins that all panels and series have in common; each series' least and greatest value."""
    files = _histogram_arrays(item)
    edges = common_edges(files, bins)
    shape = grid(len(files))
    figure, axes = page(shape, (2.5, 2.25), sharex=True, sharey=True)
    drawn = looks(plain(name) for arrays in files.values() for name in arrays)
    for axis, (title, arrays) in zip(axes.flat, files.items(), strict=False):
        distribution(axis, title, arrays, edges, drawn)
        axis.set_xlabel(plain(x_label))
    for axis in axes.flat[len(files) :]:
        axis.set_visible(False)
    for axis in axes[:, 1:].flat:
        axis.set_ylabel("")
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    handles = [Line2D([], [], color=look.colour, ls=look.dash, label=name) for name, look in drawn.items()]
    counts = _counts([len(values) for arrays in files.values() for values in arrays.values()])
    read = [f"{bins} bins from {edges[0]:.3g} to {edges[-1]:.3g}, the same in every panel; {counts} values a series.",
            "No interval: one network a series."]  # fmt: skip
    return finish(figure, handles, read)


def distribution(axis: Axes, title: str, arrays: Arrays, edges: np.ndarray, drawn: dict[str, SeriesStyle]) -> None:
    """A panel of ``histograms``: a step line a series."""
    ranges = []
    for k, (name, values) in enumerate(arrays.items()):
        look = drawn[plain(name)]
        share = 100 * np.histogram(values, edges)[0] / len(values)
        axis.stairs(share, edges, color=look.colour, fill=True, alpha=0.22, lw=0, zorder=1 + k)
        axis.stairs(share, edges, color=look.colour, ls=look.dash, lw=1.2, zorder=10 + k)
        low, high = values.min(), values.max()
        ranges.append(f"{plain(name)}: {low:.3g} to {high:.3g} (range {high - low:.3g})")
    axis.set_title("\n".join([plain(title), *ranges]), fontsize=7)
    axis.set_ylabel("share of examples (%)")
    axis.margins(y=0.06)


def histogram_cells(item: Filled, *, bins: int = 40, x_label: str = "") -> Filled:
    """The item with a row a panel and bin, a column a series, a cell the share of the values in percent."""
    files = _histogram_arrays(item)
    edges = common_edges(files, bins)
    names = list(dict.fromkeys(name for arrays in files.values() for name in arrays))
    rows, cells = [], []
    for title, arrays in files.items():
        counts = {name: np.histogram(values, edges)[0] / len(values) for name, values in arrays.items()}
        for k in range(bins):
            rows.append(Row(title, f"{edges[k]:.6g} to {edges[k + 1]:.6g}"))
            cells.append([_cell(100 * counts[name][k] if name in counts else None) for name in names])
    return _celled(item, rows, [_column(name, "%", 4) for name in names], cells)


def embedding(item: Filled) -> Plot:
    """Maps side by side, a point per example; its class by colour and marker, and by name at the middle of the class."""
    files = _embedding_arrays(item)
    shape = grid(len(files))
    figure, axes = page(shape, (3.2, 3.0))
    classes = sorted({int(c) for arrays in files.values() for c in arrays["classes"]})
    names = {c: class_name(files, c) for c in classes}
    drawn = looks(names.values())
    for axis, (title, arrays) in zip(axes.flat, files.items(), strict=False):
        cloud(axis, title, arrays, names, drawn)
    for axis in axes.flat[len(files) :]:
        axis.set_visible(False)
    handles = [Line2D([], [], ls="", marker=look.marker, ms=4, mew=0, color=look.colour, label=name)
               for name, look in drawn.items()]  # fmt: skip
    counts = _counts([len(arrays["points"]) for arrays in files.values()])
    read = [f"{counts} examples a map; the axes have no unit, and no map's scale is another's."]
    return finish(figure, handles, read)


def cloud(axis: Axes, title: str, arrays: Arrays, names: dict[int, str], drawn: dict[str, SeriesStyle]) -> None:
    """A panel of ``embedding``: a point per example."""
    for c, name in names.items():
        own, look = arrays["points"][arrays["classes"] == c], drawn[name]
        axis.plot(*own.T, ls="", marker=look.marker, ms=2.2, mew=0, color=look.colour, alpha=0.75, rasterized=True)
        if len(own):
            halo = [withStroke(linewidth=2, foreground="white")]
            middle = np.median(own, axis=0)
            axis.text(*middle, name, ha="center", va="center", fontsize=7, path_effects=halo, zorder=5)
    axis.set(title=plain(title), xticks=[], yticks=[])
    axis.set_aspect("equal", "datalim")
    for side in axis.spines.values():
        side.set_visible(True)


def embedding_cells(item: Filled) -> Filled:
    """The item with a row a panel and point, columns x, y and class."""
    rows, cells = [], []
    for title, arrays in _embedding_arrays(item).items():
        for k, (point, c) in enumerate(zip(arrays["points"], arrays["classes"], strict=True)):
            rows.append(Row(title, str(k)))
            cells.append([_cell(point[0]), _cell(point[1]), _cell(c)])
    return _celled(item, rows, [_column("x", None, 4), _column("y", None, 4), _column("class", None, 0)], cells)


def images(item: Filled) -> Plot:
    """Pictures in rows and columns, a block per file. Maps in grey from their least to their greatest value, each by
    itself; a map with negative values from purple by white (zero) to orange."""
    files = _image_arrays(item)
    across = max(len(columns) for _, columns in files.values())
    letters = max(len(str(name)) for rows, _ in files.values() for name in rows)
    tile = min(0.85, (WIDEST - 0.3 - 0.06 * min(letters, 24)) / across)
    heights = [tile * len(rows) + 0.45 for rows, _ in files.values()]
    figure, axes = page((len(files), 1), (tile * across + 0.9, sum(heights) / len(heights)), height_ratios=heights)
    signed = mapped = False
    for axis, (title, (rows, columns)) in zip(axes.flat, files.items(), strict=True):
        for c, pictures in enumerate(columns.values()):
            for r, picture in enumerate(pictures):
                _picture(axis, picture, r, c)
                mapped |= picture.ndim == 2
                signed |= picture.ndim == 2 and bool((picture < 0).any())
        axis.set_xlim(-0.5, len(columns) - 0.5)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_aspect("equal")
        axis.set_xticks(range(len(columns)), [_narrow(name, tile) for name in columns])
        axis.set_yticks(range(len(rows)), [plain(str(name)) for name in rows])
        axis.tick_params(length=0, labeltop=True, labelbottom=False)
        axis.set_title(plain(title), fontweight="bold")
        for side in axis.spines.values():
            side.set_visible(False)
    read = ["Maps: from the least (black) to the greatest value (white), each picture by itself."] if mapped else []
    read += ["With negative values: purple below zero, white zero, orange above, symmetric."] if signed else []
    if any(np.isnan(p).all() for _, columns in files.values() for own in columns.values() for p in own):
        read.append("–: no picture.")
    return finish(figure, [], read)


def image_cells(item: Filled) -> Filled:
    """The item with the mean value of each picture, so that a file tells which pictures were drawn."""
    rows, cells = [], []
    files = _image_arrays(item)
    names = list(dict.fromkeys(name for _, columns in files.values() for name in columns))
    for title, (labels, columns) in files.items():
        for r, label in enumerate(labels):
            rows.append(Row(title, str(label)))
            shown = [columns[name][r] if name in columns else np.array([np.nan]) for name in names]
            cells.append([_cell(None if np.isnan(p).all() else p.mean()) for p in shown])
    return _celled(item, rows, [_column(name, "mean value", 4) for name in names], cells)


def _picture(axis: Axes, picture: np.ndarray, r: int, c: int) -> None:
    half = 0.5 - GAP
    if np.isnan(picture).all():
        corner = (c - half, r - half)
        axis.add_patch(Rectangle(corner, 2 * half, 2 * half, fc="#eeeeee", ec="#cccccc", hatch="///", lw=0))
        axis.text(c, r, "–", ha="center", va="center")
        return
    look: dict[str, Any] = {}
    if picture.ndim == 2:
        bound = np.abs(picture).max() or 1.0
        if (picture < 0).any():
            look = {"cmap": "PuOr_r", "vmin": -bound, "vmax": bound}
        else:
            look = {"cmap": "gray", "vmin": picture.min(), "vmax": max(picture.max(), picture.min() + 1e-12)}
    axis.imshow(picture, extent=(c - half, c + half, r + half, r - half), interpolation="nearest", **look)
    frame = Rectangle((c - half, r - half), 2 * half, 2 * half, fill=False, ec="#bbbbbb", lw=0.5)
    axis.add_patch(frame)  # an all-white picture is one too


def _counts(found: list[int]) -> str:
    return f"{min(found):,}" + (f" to {max(found):,}" if max(found) > min(found) else "")


def _narrow(name: str, tile: float) -> str:
    import textwrap

    return plain(textwrap.fill(str(name), max(6, int(tile / 0.062))))


def _histogram_arrays(item: Filled) -> dict[str, Arrays]:
    files = read_files(item)
    for title, arrays in files.items():
        for name, values in arrays.items():
            if values.ndim != 1 or not values.size or not np.isfinite(values).all():
                raise ValueError(f"{item.files[title]}: {name} must be [n] finite numbers, not {_shape(values)}")
    return files


def common_edges(files: dict[str, Arrays], bins: int) -> np.ndarray:
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    both = [values for arrays in files.values() for values in arrays.values()]
    return np.histogram_bin_edges(np.concatenate(both), bins)


def _embedding_arrays(item: Filled) -> dict[str, Arrays]:
    files = read_files(item)
    for title, arrays in files.items():
        lost = {"points", "classes"} - set(arrays)
        if lost:
            raise ValueError(f"{item.files[title]}: no array {', '.join(sorted(lost))}")
        points, classes = arrays["points"], arrays["classes"]
        if points.ndim != 2 or points.shape != (len(classes), 2) or not np.isfinite(points).all():
            raise ValueError(f"{item.files[title]}: points must be [n, 2] and finite, classes [n]; "
                             f"not {_shape(points)}, {_shape(classes)}")  # fmt: skip
    return files


def _image_arrays(item: Filled) -> dict[str, tuple[list[str], Arrays]]:
    found = {}
    for title, arrays in read_files(item).items():
        where = item.files[title]
        if "rows" not in arrays or len(arrays) < 2:
            raise ValueError(f"{where}: rows (names) and at least one column of pictures expected, not {list(arrays)}")
        rows = [str(name) for name in arrays.pop("rows")]
        for name, pictures in arrays.items():
            kind = pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[-1] == 3)
            if not kind or len(pictures) != len(rows):
                raise ValueError(f"{where}: {name} must be [{len(rows)}, H, W, 3] or [{len(rows)}, H, W], "
                                 f"not {_shape(pictures)}")  # fmt: skip
            if pictures.ndim == 4 and (np.nanmin(pictures) < 0 or np.nanmax(pictures) > 1):
                raise ValueError(f"{where}: {name} must lie in [0, 1]")
        found[title] = rows, arrays
    return found


def read_files(item: Filled) -> dict[str, Arrays]:
    if not item.files:
        raise ValueError("this plot draws arrays: the item's files must name at least one .npz")
    found = {}
    for title, path in item.files.items():
        if isinstance(path, dict):
            found[title] = dict(path)
            continue
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file; the arrays of {title!r} are expected there")
        found[title] = records.arrays(Path(path), again=f"the arrays of {title!r} are expected there")
    return found


def class_name(files: dict[str, Arrays], c: int) -> str:
    for arrays in files.values():
        if "names" in arrays and c < len(arrays["names"]):
            return plain(str(arrays["names"][c]))
    return str(c)


def _shape(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"


def _column(label: str, unit: str | None, digits: int) -> Column:
    return Column("", label, unit=unit, digits=digits)


def _cell(value: float | None) -> Value:
    return Value(missing="not in the file") if value is None else Value(values=(float(value),))


def _celled(item: Filled, rows: list[Row], columns: list[Column], cells: list[list[Value]]) -> Filled:
    return replace(item, rows=tuple(rows), columns=tuple(columns), cells=tuple(map(tuple, cells)))
