"""CRAIG: chooses examples whose gradients represent those of all examples, weighted by how many examples each represents."""

from __future__ import annotations

from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Run, Split, Subset
from leanat.selection.basic import everyone
from leanat.selection.facility import facility_location
from leanat.selection.last_layer import random_order
from leanat.selection.outer_products import Gradients
from leanat.selection.subsets import Granularity, check_batches, choose, rows_of


@component("craig")
class Craig:
    """CRAIG (Mirzasoleiman et al. 2020): facility location of the gradients; a weight is the size of a cluster.

    ``features=False`` takes gradients of the bias only, as the authors of the adversarial version do. With granularity
    "example" and more than 32,768 examples, similarities are computed on demand, which is slow; "class" and "batch" are fast.
    ``training_mode`` and ``all_layers``: see GradMatch. ``as_published``: training uses not the batches that were scored, but
    the batches at the same positions in another random order, as in the authors' code.
    """

    fraction: Fraction
    granularity: Granularity
    adversarial: bool = True
    features: bool = True
    training_mode: bool = False
    all_layers: bool = False
    as_published: bool = False

    def __post_init__(self):
        check_batches(self.granularity, self.all_layers)
        if self.as_published and self.granularity not in ("batch", "whole_batches"):
            raise ValueError(f"as_published with granularity {self.granularity!r}; allowed: batch, whole_batches")

    def __call__(self, run: Run, split: Split) -> Subset:
        data = split.train
        chosen = choose(run, data, rows_of(run, data, self), self.solve, self.fraction, self.granularity)
        if not self.as_published:
            return chosen
        places = random_order(run, data).argsort()[chosen.index]
        return chosen._replace(index=run.draws(everyone(data)).order("batches that were not scored")[places])

    def solve(self, rows: Gradients, budget: int, label: int | None) -> tuple[Tensor, Tensor]:
        return facility_location(rows, budget)
