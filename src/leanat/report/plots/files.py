"""Figures whose data are arrays, not cells: grids of pictures.

``item.files`` has the arrays of each panel, by its title. For ``images`` these are one array per column, under its name:
[R, H, W, 3] colours in [0, 1] or [R, H, W] a map of any range; and the names of the rows, rows [R]. A picture of NaN is
missing.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from leanat.plan.item import Column, Filled, Row, Value
from leanat.report.overview import plain
from leanat.report.plots.page import WIDEST, Plot, finish, page

Arrays = dict[str, np.ndarray]
GAP = 0.03  # margin around a picture, as a share of its size


def images(item: Filled) -> Plot:
    """Pictures in rows and columns, a block per file. Each map is grey, from its own least to its own greatest value; a map with
    negative values goes from purple through white (zero) to orange.
    """
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
        narrow = [textwrap.fill(name, max(6, int(tile / 0.062))) for name in columns]
        axis.set_xticks(range(len(columns)), list(map(plain, narrow)))
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
    """The item with the mean value of each picture as cells, so that the CSV shows which pictures were drawn."""
    rows, cells = [], []
    files = _image_arrays(item)
    gone = Value(missing="not in the file")
    names = list(dict.fromkeys(name for _, columns in files.values() for name in columns))
    for title, (labels, columns) in files.items():
        for r, label in enumerate(labels):
            rows.append(Row(title, str(label)))
            pictures = [columns[name][r] if name in columns else np.array([np.nan]) for name in names]
            cells.append(tuple(gone if np.isnan(p).all() else Value(values=(float(p.mean()),)) for p in pictures))
    columns = tuple(Column("", name, unit="mean value", digits=4) for name in names)
    return replace(item, rows=tuple(rows), columns=columns, cells=tuple(cells))


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
    axis.add_patch(frame)  # makes an all-white picture visible


def _image_arrays(item: Filled) -> dict[str, tuple[list[str], Arrays]]:
    files = {}
    for title, arrays in read_files(item).items():
        if "rows" not in arrays or len(arrays) < 2:
            raise ValueError(f"{title}: rows (names) and at least one column of pictures expected, not {list(arrays)}")
        rows = [str(name) for name in arrays.pop("rows")]
        for name, pictures in arrays.items():
            kind = pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[-1] == 3)
            if not kind or len(pictures) != len(rows):
                raise ValueError(f"{title}: {name} must be [{len(rows)}, H, W, 3] or [{len(rows)}, H, W], "
                                 f"not {pictures.dtype} {list(pictures.shape)}")  # fmt: skip
            if pictures.ndim == 4 and (np.nanmin(pictures) < 0 or np.nanmax(pictures) > 1):
                raise ValueError(f"{title}: {name} must lie in [0, 1]")
        files[title] = rows, arrays
    return files


def read_files(item: Filled) -> dict[str, Arrays]:
    if not item.files:
        raise ValueError("this plot draws arrays: no run of the item has left any")
    return {title: dict(arrays) for title, arrays in item.files.items()}
