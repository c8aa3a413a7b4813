"""Keeping the examples of highest score: what the rules that score each example by itself share."""

from __future__ import annotations

from torch import Tensor

from leanat.core.nouns import Data, Run, Subset
from leanat.selection.last_layer import Layer, at_last_layer, of_every_example
from leanat.selection.solvers import Gradients
from leanat.selection.subsets import choose


def keep_highest(run: Run, data: Data, scores: Tensor, fraction: float, granularity: str) -> Subset:
    """The share ``fraction`` (rounded up) of highest ``scores`` [N], weight 1: of all, of each class, or of whole batches by
    their mean score. Of equal ones the lower number is kept.
    """

    def highest(rows: Gradients, budget: int, label: int | None) -> tuple[Tensor, Tensor]:
        column = rows.parts[0][0][:, 0]
        order = column.argsort(descending=True, stable=True)[:budget]
        return order, column.new_ones(len(order))

    return choose(run, data, Gradients(((scores[:, None], None),)), highest, fraction, granularity)


def last_layer(run: Run, data: Data, features: bool) -> Layer:
    """Logits, and features if asked for, at what the run's attack makes of every example."""
    (layer,) = at_last_layer(run, data, of_every_example(run.method.attack), features=features)
    return layer
