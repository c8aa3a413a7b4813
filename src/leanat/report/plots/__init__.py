"""Figures of filled items: PDF, PNG and the tidy CSV of what is drawn.

Of a figure, the item's ``options`` are ``plot``, a name of PLOTS, and the keyword arguments of its function.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import matplotlib

from leanat.core.errors import did_you_mean
from leanat.core.files import atomic_write
from leanat.plan.item import Filled
from leanat.report import style, table
from leanat.report.plots.bars import bars, matrix
from leanat.report.plots.features import features
from leanat.report.plots.files import embedding, embedding_cells, histogram_cells, histograms, image_cells, images
from leanat.report.plots.lines import areas, lines
from leanat.report.plots.polar import polar
from leanat.report.plots.scatter import scatter

PLOTS = {
    "lines": lines,
    "bars": bars,
    "matrix": matrix,
    "scatter": scatter,
    "polar": polar,
    "areas": areas,
    "histograms": histograms,
    "embedding": embedding,
    "images": images,
    "features": features,
}
CELLS = {
    "histograms": histogram_cells,
    "embedding": embedding_cells,
    "images": image_cells,
}  # arrays as cells, for the CSV


def write_figure(item: Filled, stem: Path | str) -> None:
    """Write ``stem``.csv, .pdf and .png, each whole or not at all. Same item, same bytes.

    Raises ValueError, one line with the item's name, for an unknown plot or option or an item that it cannot draw.
    """
    name = f"item {item.paper} {item.item}"
    options = dict(item.options)
    kind = options.pop("plot", None)
    if kind not in PLOTS:
        raise ValueError(f"{name}: options: no plot is called {kind!r}{did_you_mean(kind, PLOTS)}")
    _check(name, kind, options)
    style.apply()
    matplotlib.rcParams["hatch.linewidth"] = 0.5
    try:
        drawn = CELLS[kind](item, **options) if kind in CELLS else item
        cells = table.frame(drawn)
        figure = PLOTS[kind](item, **options)
    except ValueError as error:
        raise ValueError(f"{name}: plot {kind}: {error}") from None
    for key in ("factors", "assumptions"):  # once, in the first row: the foot may have no room for them
        cells[key] = ["; ".join(getattr(item.provenance, key))] + [None] * (len(cells) - 1)
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(Path(f"{stem}.csv")) as file:
        file.write_text(cells.to_csv(index=False, lineterminator="\n"), encoding="utf-8")
    style.save(figure, stem)


def _check(name: str, kind: str, options: dict[str, Any]) -> None:
    known = {k: p for k, p in inspect.signature(PLOTS[kind]).parameters.items() if k != "item"}
    for option in options:
        if option not in known:
            raise ValueError(f"{name}: plot {kind} has no option {option!r}{did_you_mean(option, known)}")
    lost = [k for k, p in known.items() if p.default is inspect.Parameter.empty and k not in options]
    if lost:
        raise ValueError(f"{name}: plot {kind} needs the option{'s' * (len(lost) > 1)} {', '.join(lost)}")
