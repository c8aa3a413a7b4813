"""EL2N: the examples whose error vector is longest."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Run, Split, Subset
from leanat.selection.ranked import keep_highest, last_layer
from leanat.selection.subsets import Granularity


@component("el2n")
class EL2N:
    """Keeps the highest EL2N scores, ||softmax(z) - onehot(y)||_2 (Paul, Ganguli and Dziugaite 2021, definition 2.1).

    At what the run's own attack makes of each example. The paper averages over ten networks a few epochs into training and
    prunes once; here the score is that of the run's one network, whenever it is asked.
    """

    fraction: Fraction
    granularity: Granularity

    def __call__(self, run: Run, split: Split) -> Subset:
        data = split.train
        score = scores(last_layer(run, data, features=False).z, data.labels)
        return keep_highest(run, data, score, self.fraction, self.granularity)


def scores(z: Tensor, y: Tensor) -> Tensor:
    """[N], from logits z [N, K] and labels y [N]."""
    return (z.softmax(1) - F.one_hot(y, z.shape[1])).norm(dim=1)
