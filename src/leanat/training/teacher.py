"""A mean teacher: the running average of a network's weights, and a context in which the network has these weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor

from leanat.core.component import Decay, component
from leanat.core.nouns import Hook, Run, Split, Step


@component("teacher")
class Teacher(Hook):
    """Mean teacher (Tarvainen and Valpola 2017): a running average of the network's floating-point state.

    After step t = 0, 1, ... it becomes a * average + (1 - a) * network with a = min(1 - 1 / (t + 1), ``decay``), which is the
    plain mean until 1 / (t + 1) falls below 1 - ``decay``. BatchNorm statistics are averaged, too. ``run.memory["teacher"]``
    has ``t``, which a method may reset to 0, and ``state``.
    """

    decay: Decay
    name: ClassVar[str] = "teacher"

    def start(self, run: Run, split: Split) -> dict:
        return {"t": 0, "state": {k: v.clone() for k, v in _floats(run).items()}}

    @torch.no_grad()
    def after_step(self, run: Run, step: Step) -> None:
        memory = run.memory[self.name]
        share = max(1 / (memory["t"] + 1), 1 - self.decay)
        torch._foreach_lerp_(list(memory["state"].values()), list(_floats(run).values()), share)
        memory["t"] += 1


def _floats(run: Run) -> dict[str, Tensor]:
    return {k: v for k, v in run.net.state_dict().items() if v.is_floating_point()}


@contextmanager
def teaching(run: Run) -> Iterator[None]:
    """Within this context ``run.net`` has the averaged state of its Teacher; afterwards its own again, bit for bit."""
    own = _floats(run)
    kept = {k: v.clone() for k, v in own.items()}
    with torch.no_grad():
        for k, v in run.memory["teacher"]["state"].items():
            own[k].copy_(v)
    try:
        yield
    finally:
        with torch.no_grad():
            for k, v in kept.items():
                own[k].copy_(v)
