"""Weighted subsets by the gradients of examples: chosen among all examples, within each class, or as whole batches.

    Every(20, 0, Craig(fraction=0.5, granularity="batch"))
    Every(20, 20, Glister(0.3, "example", eta=0.02), before=Once(0, Random(0.3)))

By Danskin's theorem an adversarial example is a constant of the gradient (Dolatabadi et al. 2022, section 3.2), so the
"Adv." selectors differ from the clean ones in one respect: the gradients are those at the example that the run's own
attack finds on the view that this epoch trains on (equations 12 and 14).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from leanat.core.nouns import Data, Run, Subset
from leanat.selection.granularity import budget_of, per_batch, per_class
from leanat.selection.last_layer import AllLayers, gradients, random_order
from leanat.selection.outer_products import Gradients

Granularity = Literal["example", "class", "batch", "whole_batches"]

# (gradients, how many to choose, the class if only one is looked at) -> index, weight
Solver = Callable[[Gradients, int, int | None], tuple[Tensor, Tensor]]


def choose(
    run: Run, data: Data, rows: Gradients | AllLayers, solve: Solver, fraction: float, granularity: str
) -> Subset:
    """Chooses ``fraction`` of the examples (rounded up) by their gradients: among all, within each class, or as whole batches.

    The batches are ``random_order``, divided into pieces of ``recipe.batch``. The number of chosen batches is that which
    holds the fraction, where the last batch counts as full even if it is shorter. With "whole_batches" the loop trains on
    these batches unchanged, in the order of choice (the shorter one last), so that the equal weights within a mini-batch
    cancel. Otherwise it shuffles all examples, and the weights act.
    """
    budget = budget_of(len(data), fraction)
    if granularity == "example":
        index, weight = solve(rows, budget, None)
        return Subset(index, weight.float())
    if granularity == "class":
        labels = data.labels
        return Subset(*per_class(lambda m, k: solve(rows[m], k, int(labels[m[0]])), labels, budget))
    order, size = random_order(run, data), run.recipe.batch
    index, weight = per_batch(lambda atoms, k: solve(Gradients.of(atoms), k, None), rows, order, size, budget)
    if granularity == "batch":
        return Subset(index, weight)
    short_last = torch.isin(index, order.split(size)[-1]).sort(stable=True).indices
    return Subset(index[short_last], weight[short_last], shuffle=False)


def check_batches(granularity: Granularity, all_layers: bool) -> None:
    """Raises ValueError if gradients of all layers are requested for examples instead of batches."""
    if all_layers and granularity not in ("batch", "whole_batches"):
        raise ValueError(f"all_layers with granularity {granularity!r}; allowed: batch, whole_batches")


def rows_of(run: Run, data: Data, selector: Any) -> Gradients | AllLayers:
    if selector.all_layers:
        return AllLayers(run, data, selector.adversarial, selector.training_mode)
    return gradients(run, data, selector.adversarial, selector.features, selector.training_mode)
