"""Fills items of pictures from the arrays that a suite's measures have saved beside each run."""

from __future__ import annotations

import numpy as np

from leanat.core.errors import named
from leanat.plan.item import Item
from leanat.report.sources import Sources


def pictured(item: Item, sources: Sources) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
    """The arrays for ``plots.files.images``, and the reasons why pictures are left out.

    Each row of the item is a panel, whose title names the stand-in for the data set. Each column of the item is a column of
    pictures, with the metric ``<measure>.<name>``.
    """
    files: dict[str, dict[str, np.ndarray]] = {}
    for row, cells in item.by_row:
        panel = {}
        for column, cell in zip(item.columns, cells, strict=True):
            if cell.evaluations:
                arrays = sources.arrays(cell.evaluations[0], cell.metric.partition(".")[0])
                panel["rows"] = arrays["rows"]
                panel[column.label] = named(arrays, cell.metric.partition(".")[2], cell.metric)
        if panel:
            data_sets = dict.fromkeys(cell.stand_in.data for cell in cells if cell.evaluations and cell.stand_in.data)
            files[f"{row.label} ({', '.join(data_sets)})" if data_sets else row.label] = panel
    return files, list(dict.fromkeys(cell.missing for _, _, cell in item.flat if cell.missing))
