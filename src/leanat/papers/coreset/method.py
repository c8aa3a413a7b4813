"""Adversarial coreset selection (Dolatabadi, Erfani and Leckie, ECCV 2022): its warm start.

    WarmStart(kappa=0.5, period=20, inner=Craig(fraction=0.5, granularity="batch"))

The selectors are those of ``selection``: CRAIG and GRAD-MATCH on batches, with the run's objective (cross-entropy with an
l_p or a perceptual attack, TRADES) and its attack.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor

from leanat.core.component import Decay, component
from leanat.core.nouns import Hook, Run, Selector, Split, Subset
from leanat.core.planned import EVERYTHING, Planned, planned
from leanat.papers.coreset.lengths import phases_of
from leanat.selection.basic import Everything, Random


@component("warm_start")
class WarmStart:
    """Trains on all examples first, then on subsets that ``inner`` chooses every ``period`` epochs (section 3.3, algorithm 1).

    ``phases_of`` computes the phases from ``inner.fraction``, kappa and the epochs of the run. The first selection comes with
    the first coreset epoch. The learning rate's schedule counts only epochs with training (``drops_for``).

    ``idle`` follows the authors' code. The schedule is that of a full training of E = recipe.epochs, in which the epochs
    from kappa c E to kappa E train on nothing (an empty subset) while the learning rate continues. The coreset is chosen only
    at multiples of ``period``, and until the first of them the training uses a random subset with weight 1.
    """

    kappa: Decay
    period: PositiveInt
    inner: Selector
    idle: bool = False

    def __post_init__(self):
        if getattr(self.inner, "fraction", None) is None:
            raise ValueError(
                "a warm start needs an inner selector with a fraction, such as craig, grad_match or random"
            )

    def __call__(self, run: Run, split: Split) -> Subset:
        epoch, phases = run.epoch, phases_of(run.recipe.epochs, self.kappa, self.inner.fraction, self.idle)
        if epoch < phases.full:
            return Everything()(run, split)
        begin = phases.full + phases.idle
        if epoch < begin:
            device = split.train.labels.device
            return Subset(torch.zeros(0, dtype=torch.int64, device=device), torch.zeros(0, device=device))
        if self._chooses(epoch, begin):
            return self.inner(run, split)
        return Random(self.inner.fraction)(run, split) if epoch == begin else run.subset

    def _chooses(self, epoch: int, begin: int) -> bool:
        return (epoch if self.idle else epoch - begin) % self.period == 0

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        phases = phases_of(epochs, self.kappa, self.inner.fraction, self.idle)
        begin = phases.full + phases.idle
        if epoch < begin:
            return EVERYTHING if epoch < phases.full else Planned(0.0, False)
        share, selects = planned(self.inner, epoch, epochs, examples)
        return Planned(share, selects and self._chooses(epoch, begin))


@component("kept")
class SubsetCounts(Hook):
    """An extra that counts the examples of the current subset, in columns of the history.

    ``kept_distinct`` counts each original once, however many copies of it are kept; ``kept_planted`` counts the examples that are
    rare or wrong on purpose. Both exist only for data that record this (``data.redundant``).
    """

    name: ClassVar[str] = "kept"
    column_names: ClassVar = ("kept_distinct", "kept_planted")

    def start(self, run: Run, split: Split) -> dict[str, Tensor]:
        """origin int64 [N] and planted bool [N] of all training examples."""
        data = split.train
        planted = list(getattr(data, "planted", {}).values())
        memory = {"planted": torch.stack(planted).any(0)} if planted else {}
        return memory if getattr(data, "origin", None) is None else memory | {"origin": data.origin.clone()}

    def columns(self, run: Run) -> dict[str, float]:
        memory, index = run.memory[self.name], run.subset.index
        counts = {"kept_distinct": len(memory["origin"][index].unique())} if "origin" in memory else {}
        return counts | ({"kept_planted": int(memory["planted"][index].sum())} if "planted" in memory else {})
