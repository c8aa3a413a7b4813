"""Moderate coresets: the examples that are neither near their class's centre nor far from it."""

from __future__ import annotations

import torch
from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Run, Split, Subset
from leanat.selection.ranked import keep_highest, last_layer
from leanat.selection.subsets import Granularity


@component("moderate")
class Moderate:
    """Keeps the middle of the examples in the order of their distance to the centre of their class (Xia et al. 2023, section 3).

    The centre is the mean of the class's features; in the authors' code it is their median, number by number. The order is that
    of all examples, as in their code, and "class" takes the middle of each class. At what the run's own attack makes of each
    example; the paper selects once, by the features of a trained network.
    """

    fraction: Fraction
    granularity: Granularity

    def __call__(self, run: Run, split: Split) -> Subset:
        data = split.train
        distance = distances(last_layer(run, data, features=True).phi, data.labels)
        groups = data.labels if self.granularity == "class" else torch.zeros_like(data.labels)
        return keep_highest(run, data, centrality(distance, groups), self.fraction, self.granularity)


def distances(phi: Tensor, y: Tensor) -> Tensor:
    """Euclidean distance [N] of each feature vector phi [N, D] to the mean of those of its class y [N]."""
    count = y.bincount().clamp_min(1)
    sums = phi.new_zeros(len(count), phi.shape[1]).index_add_(0, y, phi)
    return (phi - (sums / count[:, None])[y]).norm(dim=1)


def centrality(distance: Tensor, groups: Tensor) -> Tensor:
    """Minus how many ranks each example is from the middle of its group, [N]."""
    score = torch.empty_like(distance)
    for group in groups.unique():
        members = (groups == group).nonzero()[:, 0]
        rank = torch.empty_like(members)
        rank[distance[members].argsort(stable=True)] = torch.arange(len(members), device=members.device)
        score[members] = -(rank - (len(members) - 1) / 2).abs().to(score.dtype)
    return score
