"""CRAIG: the examples whose gradients, weighted by how many they stand for, cover those of all."""

from __future__ import annotations

from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Run, Split, Subset
from leanat.selection.solvers import (
    Gradients,
    facility_location,
)
from leanat.selection.subsets import Granularity, check_batches, choose, rows_of


@component("craig")
class Craig:
    """CRAIG (Mirzasoleiman et al. 2020): facility location of the gradients; a weight is the size of a cluster.

    ``features`` False, gradients of the bias alone, is the setting of the authors of the adversarial version. Of more than
    32,768 examples one by one the similarities are computed when needed, which is slow; "class" and "batch" are fast.
    ``training_mode`` and ``all_layers``: see GradMatch.
    """

    fraction: Fraction
    granularity: Granularity
    adversarial: bool = True
    features: bool = True
    training_mode: bool = False
    all_layers: bool = False

    def __post_init__(self):
        check_batches(self.granularity, self.all_layers)

    def __call__(self, run: Run, split: Split) -> Subset:
        return choose(run, split.train, rows_of(run, split.train, self), self.solve, self.fraction, self.granularity)

    def solve(self, rows: Gradients, budget: int, label: int | None) -> tuple[Tensor, Tensor]:
        return facility_location(rows, budget)
