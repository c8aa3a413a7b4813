"""GRAD-MATCH: chooses examples and weights so that the weighted sum of their gradients is close to that of all examples."""

from __future__ import annotations

from pydantic import NonNegativeFloat
from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Run, Split, Subset
from leanat.selection.basic import everyone
from leanat.selection.granularity import budget_of, top_up
from leanat.selection.matching import matching_pursuit
from leanat.selection.outer_products import Gradients
from leanat.selection.subsets import Granularity, check_batches, choose, rows_of


@component("grad_match")
class GradMatch:
    """GRAD-MATCH (Killamsetty et al. 2021): weights w >= 0 with which the chosen gradients sum to about the sum over all.

    ``lam`` is the ridge (0.5 on examples and 0 on batches in CORDS). The subset is smaller than ``fraction`` if fewer examples
    already match the sum, or span all gradients, since further ones would have weight 0. The gradients have at most K (D + 1)
    dimensions, or K without ``features``.

    ``as_published``: the solver stops early as the authors' does, and random examples of weight 1 fill the budget.
    ``training_mode``: gradients are taken in training mode, as in the authors' code, where BatchNorm normalises by the
    statistics of the batch. ``all_layers``: gradients of all parameters in place of the last layer's (section 3.3, "gradient
    approximation"), batch by batch.
    """

    fraction: Fraction
    granularity: Granularity
    adversarial: bool = True
    features: bool = True
    lam: NonNegativeFloat = 0.0
    as_published: bool = False
    training_mode: bool = False
    all_layers: bool = False

    def __post_init__(self):
        check_batches(self.granularity, self.all_layers)

    def __call__(self, run: Run, split: Split) -> Subset:
        data = split.train
        chosen = choose(run, data, rows_of(run, data, self), self.solve, self.fraction, self.granularity)
        if not self.as_published:
            return chosen
        numbers = run.draws(everyone(data)).uniform("gradmatch")
        index, weight = top_up(chosen.index, chosen.weight, numbers, budget_of(len(data), self.fraction))
        return chosen._replace(index=index, weight=weight)

    def solve(self, rows: Gradients, budget: int, label: int | None) -> tuple[Tensor, Tensor]:
        tol = 0.0 if self.as_published else 1e-7
        return matching_pursuit(rows, rows.sum(), budget, self.lam, tol, as_published=self.as_published)[:2]
