"""Figures of filled items: PDF, PNG and a tidy CSV of the numbers drawn.

The ``options`` of a figure's item are ``plot``, a name in PLOTS, and the keyword arguments of that function.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas

from leanat.core.errors import did_you_mean
from leanat.core.files import atomic_write
from leanat.plan.item import Filled
from leanat.report import style, table, typeset
from leanat.report.plots import page, points
from leanat.report.plots.bars import bars, matrix
from leanat.report.plots.features import features
from leanat.report.plots.files import image_cells, images
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
    "images": images,
    "features": features,
}
CELLS = {"images": image_cells}  # plots of arrays, with the function that makes cells for the CSV
FROM_FILES = (*CELLS, "features")  # plots of arrays, which do not exist if a scale runs nothing of the item


def write_figure(item: Filled, stem: Path | str, claims: Sequence[Mapping[str, Any]] = ()) -> None:
    """Writes ``stem``.csv, .pdf, .png, and .svg with only the plot, each either completely or not at all. Same item, same bytes.

    Raises ValueError, one line with the item's name, for an unknown plot or option, or an item that cannot be drawn.
    """
    try:
        cells, plot = numbers(item), drawn(item)
    except ValueError as error:
        plot = f": plot {item.options['plot']}" if item.options.get("plot") in PLOTS else ""
        raise ValueError(f"item {item.paper} {item.item}{plot}: {error}") from None
    pictures = {}
    for form, about in style.FORMS.items():
        file = io.BytesIO()
        plot.figure.savefig(file, format=form, dpi=2 * style.DPI, metadata=about)
        pictures[form] = file.getvalue()
    data = typeset.frame(item, page.foot(item, plot.read), claims) | {"width": float(plot.figure.get_figwidth())}
    table.write_csv(cells, stem)
    with atomic_write(Path(f"{stem}.svg")) as beside:
        beside.write_bytes(pictures.pop("svg"))
    typeset.write(*typeset.render(data, pictures), stem)


def numbers(item: Filled) -> pandas.DataFrame:
    """The contents of an item's CSV. Raises ValueError as ``write_figure`` does."""
    kind, options = _asked(item)
    cells = table.frame(CELLS[kind](item, **options) if kind in CELLS and not _not_run(kind, item) else item)
    for key in ("factors", "assumptions"):  # only in the first row
        cells[key] = ["; ".join(getattr(item.provenance, key))] + [None] * (len(cells) - 1)
    return cells


def drawn(item: Filled) -> page.Plot:
    """An item's plot. Raises ValueError as ``write_figure`` does."""
    kind, options = _asked(item)
    style.apply()
    matplotlib.rcParams["hatch.linewidth"] = 0.5
    if _not_run(kind, item) or (item.rows and not page.anything(points.points(item))):
        return _nothing(item)
    return PLOTS[kind](item, **options)


def _not_run(kind: str, item: Filled) -> bool:
    """Whether a plot of arrays has no arrays because this scale makes no run of the item."""
    return kind in FROM_FILES and not item.files and not item.provenance.seeds


def _nothing(item: Filled) -> page.Plot:
    """A line instead of pictures, with the reason why there are none."""
    figure, axes = page.page((1, 1), (style.WIDTH, 0.8))
    axes[0][0].axis("off")
    reasons = dict.fromkeys(reason for _, column, cell in item.flat if (reason := column.skipped or cell.missing))
    axes[0][0].text(0.5, 0.5, "; ".join(reasons), ha="center", color=style.GREY)
    return page.Plot(figure, ("No run of ours is shown.",))


def _asked(item: Filled) -> tuple[str, dict[str, Any]]:
    """The name of the plot, and the keyword arguments of its function."""
    options = dict(item.options)
    kind = options.pop("plot", None)
    if kind not in PLOTS:
        raise ValueError(f"options: no plot is called {kind!r}{did_you_mean(kind, PLOTS)}")
    parameters = {k: p for k, p in inspect.signature(PLOTS[kind]).parameters.items() if k != "item"}
    for option in options:
        if option not in parameters:
            raise ValueError(f"plot {kind} has no option {option!r}{did_you_mean(option, parameters)}")
    lost = [k for k, p in parameters.items() if p.default is inspect.Parameter.empty and k not in options]
    if lost:
        raise ValueError(f"plot {kind} needs the option{'s' * (len(lost) > 1)} {', '.join(lost)}")
    return kind, options
