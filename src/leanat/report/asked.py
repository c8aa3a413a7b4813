"""What items ask for and will not get: metrics that no run has, cells that the papers' numbers do not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leanat.grid import Grid
from leanat.items import TIMED
from leanat.report.items import printed_value
from leanat.resolve import near

OWN = {"clean", "validation", "chosen", "worst", "masking"}  # metrics that are no attack's name


def item_problems(grid: Grid, published: Path) -> list[str]:
    """Metrics that no run of an item will have, and cells that the papers' numbers do not have."""
    found: dict[str, None] = {}
    for item in grid.items.values():
        where = f"{grid.folder}/papers/{item['paper']}.yaml: items.{item['item']}"
        for row, cells in zip(item["rows"], item["cells"], strict=True):
            for column, cell in zip(item["columns"], cells, strict=True):
                at = f"{where}: row {row['label']!r}, column {column['label']!r}"
                if item["kind"] != "formula" and cell["runs"] and "timed" not in cell:
                    evaluation = grid.evaluations[cell["evaluations"][0]] if cell["evaluations"] else None
                    suite = evaluation.attacks if evaluation else None
                    found |= dict.fromkeys(f"{at}: {text}" for text in metric_problems(cell["metric"], suite))
                if cell["published"]:
                    try:
                        printed_value(item["paper"], cell["published"], published)
                    except ValueError as error:
                        if str(error).startswith(str(published)):  # faults of the file itself, with their lines
                            found |= dict.fromkeys(str(error).splitlines())
                        else:
                            found[f"{at}: published: {error}"] = None
    return list(found)


def metric_problems(metric: str, suite: Mapping[str, Any] | None) -> Iterable[str]:
    """``suite``: its attacks and measures by name; None where the item names none."""
    for part in metric.replace("-", "+").split("+") if metric not in (suite or {}) else []:
        name = part.partition("@")[0]
        if name in OWN | TIMED or name.startswith(("history.", "metrics.")) or name in (suite or {}):
            continue
        if name.partition(".")[0] in (suite or {}):
            continue
        known = [*sorted(OWN), *(suite or {}), "history.<column>", "metrics.<key>"]
        without = "" if suite is not None else " without a suite"
        yield f"no metric {part!r}{without}{near(part, known)}"
