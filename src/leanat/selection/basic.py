"""Simple selectors: functions (Run, Split) -> Subset, the examples that an epoch trains on and their weights."""

from __future__ import annotations

import math
from dataclasses import field

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Data, Run, Selector, Split, Subset
from leanat.core.per_example_loss import per_example_loss
from leanat.core.planned import EVERYTHING, Planned, planned
from leanat.selection.granularity import budget_of


def unweighted(index: Tensor) -> Subset:
    """These examples, each at weight 1."""
    return Subset(index, torch.ones(len(index), device=index.device))


def everyone(data: Data) -> Tensor:
    """The indices of all examples, int64 [N], on the device of the data."""
    return torch.arange(len(data), device=data.labels.device)


def all_but_top(scores: Tensor, count: int) -> Tensor:
    """The indices, ascending, of all examples but the ``count`` of highest score; among ties the lower index is left out first.

    Raises ValueError if nothing would be left, or if a score is not a number.
    """
    if count >= len(scores):
        raise ValueError(f"{count} examples to remove of {len(scores)}; at least one must stay")
    if scores.isnan().any():
        raise ValueError("a score is not a number")
    return scores.argsort(descending=True, stable=True)[count:].sort().values


@component("everything")
class Everything:
    """All examples, weight 1: the full-data baseline."""

    def __call__(self, run: Run, split: Split) -> Subset:
        return unweighted(everyone(split.train))

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        return EVERYTHING


@component("once")
class Once:
    """All examples before epoch ``tau``; from then on those that ``inner`` chooses at ``tau`` (Q-TART, section 3.3.1)."""

    tau: NonNegativeInt
    inner: Selector

    def __call__(self, run: Run, split: Split) -> Subset:
        if run.epoch < self.tau:
            return Everything()(run, split)
        return self.inner(run, split) if run.epoch == self.tau else run.subset

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        if epoch < self.tau:
            return EVERYTHING
        share, selects = planned(self.inner, epoch, epochs, examples)
        return Planned(share, selects and epoch == self.tau)


@component("every")
class Every:
    """Selects by ``before`` until epoch ``warmup``; from then on by ``inner``, which chooses again every ``period`` epochs.

    ``before`` is everything, or for example ``Once(0, Random(0.3))``: a random subset until the first selection.
    """

    period: PositiveInt
    warmup: NonNegativeInt
    inner: Selector
    before: Selector = field(default_factory=Everything)

    def __call__(self, run: Run, split: Split) -> Subset:
        if run.epoch < self.warmup:
            return self.before(run, split)
        return self.inner(run, split) if (run.epoch - self.warmup) % self.period == 0 else run.subset

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        if epoch < self.warmup:
            return planned(self.before, epoch, epochs, examples)
        share, selects = planned(self.inner, epoch, epochs, examples)
        return Planned(share, selects and (epoch - self.warmup) % self.period == 0)


@component("random")
class Random:
    """Examples drawn without replacement: the share ``fraction`` (rounded up), or all but ``count``.

    ``whole_batches``: the share is rounded up to whole mini-batches, which is what a batch-wise selection keeps.
    """

    fraction: Fraction | None = None
    count: NonNegativeInt | None = None
    whole_batches: bool = False

    def __post_init__(self):
        if (self.fraction is None) == (self.count is None):
            raise ValueError("takes fraction (kept) or count (left out), one of the two")
        if self.whole_batches and self.fraction is None:
            raise ValueError("whole_batches goes with a fraction")

    def __call__(self, run: Run, split: Split) -> Subset:
        index = everyone(split.train)
        count = self.count
        if count is None:
            kept = budget_of(len(index), self.fraction)
            if self.whole_batches:
                kept = run.recipe.batch * math.ceil(kept / run.recipe.batch)
            count = max(0, len(index) - kept)
        return unweighted(all_but_top(run.draws(index).bits("random subset"), count))

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        return Planned(1 - self.count / examples if self.fraction is None else self.fraction, False)


@component("loss_rank")
class LossRank:
    """All but the ``count`` examples of highest cross-entropy (no augmentation, evaluation mode), for comparison."""

    count: NonNegativeInt

    def __call__(self, run: Run, split: Split) -> Subset:
        return unweighted(all_but_top(per_example_loss(run, split.train)[0], self.count))

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        return Planned(1 - self.count / examples, True)
