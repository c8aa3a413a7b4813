"""Items that are arithmetic on a paper's own settings; no run stands behind them."""

from __future__ import annotations

import math
from typing import Any


def iterations_saved(inputs: dict[str, Any]) -> float:
    """Q-TART, appendix B.4: gamma (E - tau) / batch, cut after two decimals as Table 9 prints it (not rounded)."""
    recipe, variables = inputs["recipe"], inputs["vars"]
    saved = variables["gamma"] * (recipe["epochs"] - variables["tau"]) / recipe["batch"]
    return math.floor(saved * 100) / 100


FORMULAS = {"iterations_saved": iterations_saved}
# What each reads of a paper's settings, so that the foot has the marks of these and of no others.
READS = {"iterations_saved": ("vars.gamma", "vars.tau", "recipe.epochs", "recipe.batch")}
