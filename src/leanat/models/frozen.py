"""A trained network that is frozen except for its head (SAT, section 4.3: fixed-feature transfer)."""

from __future__ import annotations

from copy import deepcopy

from torch import nn

from leanat.core.rng import seeded
from leanat.models.classifier import Classifier
from leanat.models.residual import he


class Transferred(Classifier):
    """A classifier of which only the head is trained: the rest has no gradients and is always in evaluation mode.

    No graph is built below the head unless the images themselves require a gradient, as in attacks.
    """

    def train(self, mode: bool = True) -> Transferred:
        super().train(mode)
        self.normalise.eval()
        self.body.eval()
        return self


def transfer_head(net: Classifier, hidden: int | None, n_classes: int, seed: int) -> Transferred:
    """A copy of ``net`` in which everything but the head is frozen, including BatchNorm statistics, with a new head.

    The head has one hidden layer of ``hidden`` units (None: as many as features, the authors' 512 and 2048) and depends only
    on ``seed``: He's normal initialisation and zero biases, as in their code. Raises ValueError for sizes below 1.
    """
    if n_classes < 1 or (hidden is not None and hidden < 1):
        raise ValueError(f"hidden {hidden}, n_classes {n_classes}; allowed: 1 or more")
    width = net.head.in_features
    hidden = hidden or width
    with seeded(seed, "transfer head"):
        head = he(nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, n_classes)), "fan_in")
    normalise, body = (deepcopy(part).requires_grad_(False) for part in (net.normalise, net.body))
    return Transferred(normalise, body, head.to(net.head.weight.device), net.shape).train()
