"""The captions of items in the report, as reStructuredText; pure Python, since the Snakefile imports it."""

from __future__ import annotations

import re
from typing import Any

from leanat.plan.item import Item


def escape(text: str) -> str:
    """The text with all characters escaped that are markup in reStructuredText."""
    return re.sub(r"([\\*_`|<>:])", r"\\\1", " ".join(text.split()))


def about(item: Item) -> dict[str, Any]:
    """``title``, ``caption``, ``scale``, ``runs``, and ``lists`` of lines by head: the differences from the paper, and why."""
    used: dict[str, dict[str, None]] = {}
    for column in item.columns:
        if column.stand_in:
            used.setdefault(column.stand_in, {})[column.group or column.label] = None
    stand_ins = [f"{name}, for {', '.join(columns)}" for name, columns in used.items()]
    missing = dict.fromkeys(
        [c.skipped for c in item.columns if c.skipped] + [cell.missing for _, _, cell in item.flat if cell.missing]
    )
    lists = {
        "Seeds": [", ".join(map(str, item.seeds))] if item.seeds else [],
        "Scaled down": item.factors,
        "Stand-ins": stand_ins,
        "Not run": missing,
        "Not in the paper, our own reference": [r.label for r in item.rows if r.ours],
        "Assumed, where the paper leaves it open (values at its own scale)": item.assumptions,
    }
    return {
        "title": escape(item.title),
        "caption": escape(item.caption),
        "scale": item.scale,
        "runs": len(item.all_runs),
        "lists": {head: [escape(line) for line in dict.fromkeys(lines)] for head, lines in lists.items() if lines},
    }
