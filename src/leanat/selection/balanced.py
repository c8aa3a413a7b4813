"""Chance with equal shares: the control of whatever gives each class its share."""

from __future__ import annotations

from dataclasses import dataclass

from leanat.core.nouns import Run, Split, Subset
from leanat.selection.basic import everyone
from leanat.selection.ranked import keep_highest
from leanat.selection.subsets import check


@dataclass(frozen=True)
class RandomPerClass:
    """Of each class the share ``fraction`` at random, weight 1."""

    fraction: float

    def __post_init__(self):
        check(self.fraction, "class")

    def __call__(self, run: Run, split: Split) -> Subset:
        score = run.draws(everyone(split.train)).uniform("random per class")
        return keep_highest(run, split.train, score, self.fraction, "class")
