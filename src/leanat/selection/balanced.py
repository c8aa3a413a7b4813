"""Chance with equal shares: the control of whatever gives each class its share."""

from __future__ import annotations

from leanat.core.component import Fraction, component
from leanat.core.nouns import Run, Split, Subset
from leanat.selection.basic import everyone
from leanat.selection.ranked import keep_highest


@component("random_per_class")
class RandomPerClass:
    """Of each class the share ``fraction`` at random, weight 1."""

    fraction: Fraction

    def __call__(self, run: Run, split: Split) -> Subset:
        score = run.draws(everyone(split.train)).uniform("random per class")
        return keep_highest(run, split.train, score, self.fraction, "class")
