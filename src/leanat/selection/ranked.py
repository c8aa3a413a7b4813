"""Rules that score each example and keep the highest scores: EL2N, margin, moderate coresets; random examples by class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Data, Run, Split, Subset
from leanat.core.planned import Planned
from leanat.selection.basic import everyone
from leanat.selection.last_layer import LastLayer, at_last_layer, of_every_example
from leanat.selection.outer_products import Gradients
from leanat.selection.subsets import Granularity, choose


def keep_highest(run: Run, data: Data, scores: Tensor, fraction: float, granularity: str) -> Subset:
    """Keeps the share ``fraction`` (rounded up) with the highest ``scores`` [N], at weight 1: among all examples, within each
    class, or whole batches by their mean score. Ties go to the lower index.
    """

    def highest(rows: Gradients, budget: int, label: int | None) -> tuple[Tensor, Tensor]:
        column = rows.parts[0][0][:, 0]
        order = column.argsort(descending=True, stable=True)[:budget]
        return order, column.new_ones(len(order))

    return choose(run, data, Gradients(((scores[:, None], None),)), highest, fraction, granularity)


def last_layer(run: Run, data: Data, features: bool) -> LastLayer:
    """Logits, and features if requested, at the adversarial examples of the run's attack for all examples."""
    (layer,) = at_last_layer(run, data, of_every_example(run.method.attack), features=features)
    return layer


@component("random_per_class")
class RandomPerClass:
    """The share ``fraction`` of each class at random, weight 1."""

    fraction: Fraction

    def __call__(self, run: Run, split: Split) -> Subset:
        score = run.draws(everyone(split.train)).uniform("random per class")
        return keep_highest(run, split.train, score, self.fraction, "class")

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        return Planned(self.fraction, False)


@component("el2n")
class EL2N:
    """Keeps the highest EL2N scores, ||softmax(z) - onehot(y)||_2 (Paul, Ganguli and Dziugaite 2021, definition 2.3).

    Scores are computed at adversarial examples of the run's own attack. The paper averages them over ten networks after a few
    epochs and prunes once; here the score is that of the run's own network at each selection.
    """

    fraction: Fraction
    granularity: Granularity

    def __call__(self, run: Run, split: Split) -> Subset:
        data = split.train
        z = last_layer(run, data, features=False).z
        error = (z.softmax(1) - F.one_hot(data.labels, z.shape[1])).norm(dim=1)
        return keep_highest(run, data, error, self.fraction, self.granularity)


@component("margin")
class Margin:
    """Keeps the smallest margins between the probabilities of the two likeliest classes (Scheffer, Decomain and Wrobel 2001),
    one of the measures of uncertainty by which Coleman et al. 2020 select data. Labels matter only for selection by class.

    Margins are computed at adversarial examples of the run's own attack.
    """

    fraction: Fraction
    granularity: Granularity

    def __call__(self, run: Run, split: Split) -> Subset:
        p = last_layer(run, split.train, features=False).z.softmax(1)
        first, second = p.topk(2, dim=1).values.unbind(1)
        return keep_highest(run, split.train, second - first, self.fraction, self.granularity)


@component("moderate")
class Moderate:
    """Keeps the examples in the middle when sorted by distance to the centre of their class (Xia et al. 2023, section 3).

    The centre is the mean of the class's features; in the authors' code it is the median of each feature. All examples are
    sorted together, as in their code, but "class" takes the middle of each class. Features are computed at adversarial
    examples of the run's own attack; the paper selects once, by the features of a trained network.
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
    """[N]: minus the distance, in ranks, of each example from the middle of its group."""
    score = torch.empty_like(distance)
    for group in groups.unique():
        members = (groups == group).nonzero()[:, 0]
        rank = torch.empty_like(members)
        rank[distance[members].argsort(stable=True)] = torch.arange(len(members), device=members.device)
        score[members] = -(rank - (len(members) - 1) / 2).abs().to(score.dtype)
    return score
