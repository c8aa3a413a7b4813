"""Columns of tables and panels of figures. Imports no torch.

Metrics are explained in ``report.measures.measure``, and those of time and memory in ``report.composed.number``.
"""

from __future__ import annotations

from typing import Any


def column(label: str, metric: str, group: str = "", **more: Any) -> dict[str, Any]:
    """A column that shows ``metric``; ``more``: unit, better ("high" or "low"), digits, published, reference ..."""
    return {"group": group, "label": label, "metric": metric} | more


def accuracy(label: str, metric: str = "clean", group: str = "", **more: Any) -> dict[str, Any]:
    """Accuracy in %: clean, or under the attack of the cell's suite that ``metric`` names."""
    return column(label, metric, group, unit="%", better="high", **more)


def seconds_per_epoch(label: str, group: str = "", **more: Any) -> dict[str, Any]:
    """Seconds per epoch, computed from measured steps."""
    return column(label, "seconds_per_epoch", group, unit="seconds", better="low", **more)


def speedup(label: str, reference: Any, group: str = "", **more: Any) -> dict[str, Any]:
    """The training time of the method ``reference`` divided by that of the cell."""
    return column(label, "speedup", group, unit="×", better="high", reference=reference, **more)
