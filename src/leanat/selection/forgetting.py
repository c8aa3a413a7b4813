"""Forgetting: keeps the examples that a network forgets most often."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Hook, Run, Split, Subset
from leanat.core.per_example_loss import per_example_loss
from leanat.selection.basic import everyone
from leanat.selection.ranked import keep_highest
from leanat.selection.subsets import Granularity


@component("forgetting_events")
class ForgettingEvents(Hook):
    """An extra that counts the forgetting events of every training example (Toneva et al. 2019, section 3): it is classified
    correctly after one epoch and wrongly after the next.

    The paper evaluates an example when it is in a mini-batch. Here all examples are evaluated after each epoch, un-augmented and
    without an attack, so that those that a subset leaves out count, too. This costs one forward pass over the set per epoch.
    """

    name: ClassVar[str] = "forgetting"

    def start(self, run: Run, split: Split) -> dict[str, Any]:
        events = torch.zeros_like(split.train.labels)
        return {"right": events.bool(), "events": events, "learnt": events.bool()}

    def on_epoch(self, run: Run, split: Split) -> None:
        if run.epoch:
            note(run.memory[self.name], per_example_loss(run, split.train)[1].bool())


def note(memory: dict[str, Tensor], right: Tensor) -> None:
    """Counts the examples that were right before and are wrong now; ``right``: bool [N], now."""
    memory["events"] += memory["right"] & ~right
    memory["learnt"] |= right
    memory["right"] = right


@component("forgetting")
class Forgetting:
    """Keeps the examples with most forgetting events; those that were never right come first, as in the paper (section 3.1).

    Needs ``ForgettingEvents`` among the extras. Ties, and the choice before any epoch was counted, are random.
    """

    fraction: Fraction
    granularity: Granularity

    def __call__(self, run: Run, split: Split) -> Subset:
        memory = run.memory.get(ForgettingEvents.name)
        if memory is None:
            raise ValueError("forgetting needs the extra forgetting_events, which counts them")
        ties = run.draws(everyone(split.train)).uniform("forgetting")
        score = torch.where(memory["learnt"], memory["events"], run.epoch + 1) + ties
        return keep_highest(run, split.train, score, self.fraction, self.granularity)
