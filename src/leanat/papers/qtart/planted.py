"""Tests whether Q-TART finds noisy examples, on drawn shapes, where the examples that were made hard on purpose are known."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Interval
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from leanat.core.component import component
from leanat.core.nouns import Data
from leanat.core.per_example_loss import per_example_loss_of
from leanat.core.rng import Draws
from leanat.evaluation.evaluate import fitting
from leanat.evaluation.measured import Measured
from leanat.papers.qtart.method import WINDOWS, Instability
from leanat.selection.basic import all_but_top, everyone

BATCH = 250


@component("planted")
class Planted:
    """A measure of the examples that each ranking would remove with a network at epoch tau, ``share`` of the training set.

    The rankings are the instability of equations 6 to 9 in each window, with ``filters`` and ``noise`` as in ``Instability``; the
    training loss; and chance. The numbers <ranking>_<kind> are the share, in percent of the removed examples, of each kind of
    planted example ("faint", "ambiguous"); None on data without any. Nothing is trained here, since Q-TART trains on all
    examples until tau.
    """

    share: Annotated[float, Interval(gt=0, lt=1)]
    filters: PositiveInt
    noise: NonNegativeFloat = 0.5
    part: ClassVar[str] = "train"
    reads_layers: ClassVar[bool] = True
    number_names: ClassVar = tuple(f"{r}_{k}" for r in (*WINDOWS, "loss", "random") for k in ("faint", "ambiguous"))

    def __call__(self, net: nn.Module, data: Data, seed: int) -> Measured:
        count = round(self.share * len(data))
        rankings = fitting(lambda batch: dict(self.rankings(net, data, seed, batch)), BATCH)
        gone = {name: removed(scores, count) for name, scores in rankings.items()}
        kinds = getattr(data, "planted", {})
        numbers = {
            f"{name}_{kind}": 100 * float(kinds[kind][index].float().mean()) if kind in kinds else None
            for name, index in gone.items()
            for kind in ("faint", "ambiguous")
        }
        return Measured(numbers, {name: index.cpu().numpy() for name, index in gone.items()})

    def rankings(self, net: nn.Module, data: Data, seed: int, batch: int):
        """The name and the scores [N] of each ranking; the highest scores are removed first."""
        draws = Draws(seed, 0, everyone(data))
        for window in WINDOWS:
            yield window, Instability(0, self.filters, self.noise, window).of(net, data, draws, batch)
        yield "loss", per_example_loss_of(net, data, batch)[0]
        yield "random", draws.bits("random subset")


def removed(scores: Tensor, count: int) -> Tensor:
    """The indices, ascending, of the ``count`` examples of highest score."""
    gone = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    gone[all_but_top(scores, count)] = False
    return gone.nonzero()[:, 0]
