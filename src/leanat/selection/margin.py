"""Margin: the examples between whose two likeliest classes the network is least decided."""

from __future__ import annotations

from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Run, Split, Subset
from leanat.selection.ranked import keep_highest, last_layer
from leanat.selection.subsets import Granularity


@component("margin")
class Margin:
    """Keeps the smallest margins between the probabilities of the two likeliest classes (Scheffer, Decomain and Wrobel 2001),
    one of the uncertainties by which Coleman et al. 2020 select data. Labels play no part but in by-class shares.

    At what the run's own attack makes of each example.
    """

    fraction: Fraction
    granularity: Granularity

    def __call__(self, run: Run, split: Split) -> Subset:
        score = scores(last_layer(run, split.train, features=False).z)
        return keep_highest(run, split.train, score, self.fraction, self.granularity)


def scores(z: Tensor) -> Tensor:
    """Minus the margin, [N], from logits z [N, K]."""
    first, second = z.softmax(1).topk(2, dim=1).values.unbind(1)
    return second - first
