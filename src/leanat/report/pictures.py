"""Items of pictures, filled from the arrays that a suite's measures left beside each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leanat.core.errors import named

if TYPE_CHECKING:
    from leanat.report.items import Sources


def pictured(item: dict[str, Any], sources: Sources) -> dict[str, Any]:
    """What ``plot_files.images`` reads: a row is a panel, a column per column of pictures, the metric ``<measure>.<name>``."""
    files: dict[str, dict[str, np.ndarray]] = {}
    for row, cells in zip(item["rows"], item["cells"], strict=True):
        shown = {}
        for column, cell in zip(item["columns"], cells, strict=True):
            if cell["evaluations"]:
                arrays = sources.arrays(cell["evaluations"][0], cell["metric"].partition(".")[0])
                shown["rows"] = arrays["rows"]
                shown[column["label"]] = named(arrays, cell["metric"].partition(".")[2], cell["metric"])
        if shown:
            files[row["label"]] = shown
    skipped = dict.fromkeys(c["missing"] for cells in item["cells"] for c in cells if c["missing"])
    caption = " ".join([item["caption"], *(f"Not shown: {reason}." for reason in skipped)])
    return {"caption": caption, "rows": [], "columns": [], "cells": [], "files": files}
