"""The averaged network, measures of the examples of a step, and a pass over the whole set: several papers use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leanat.core.component import Decay, component
from leanat.core.nouns import Data, Hook, Run, Split, Step, eval_without_param_grad


@component("teacher")
class Teacher(Hook):
    """Mean teacher (Tarvainen and Valpola 2017): a running average of the network's floating-point state.

    After step t = 0, 1, ... it moves to a * average + (1 - a) * network with a = min(1 - 1 / (t + 1), ``decay``): the plain
    mean until 1 / (t + 1) falls below 1 - ``decay``. BatchNorm statistics are averaged too. ``run.memory["teacher"]`` holds
    ``t``, which a method may set back to 0, and ``state``.
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
    """Inside, ``run.net`` carries the averaged state of its Teacher; then its own again, bit for bit."""
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


def correct(step: Step) -> Tensor:
    return (step.z_adv.detach().argmax(1) == step.y).float()


def entropy(step: Step) -> Tensor:
    """Shannon entropy [B] in nats of the prediction at the trained image."""
    logp = step.z_adv.detach().float().log_softmax(1)
    return -(logp.exp() * logp).sum(1)


def per_example_loss(run: Run, data: Data, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Cross-entropy of ``scale`` times the logits, and correctness (0 or 1), of every un-augmented example.

    Both float32 [N]; the network is in evaluation mode.
    """
    return per_example_loss_of(run.net, data, run.recipe.batch, scale)


def per_example_loss_of(net: nn.Module, data: Data, batch: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Does what ``per_example_loss`` does, for a network that belongs to no run."""
    data = data.plain()
    losses, hits = [], []
    with eval_without_param_grad(net), torch.no_grad():
        for index in torch.arange(len(data), device=data.labels.device).split(batch):
            x, y = data.batch(index, 0)
            z = net(x).float()
            losses.append(F.cross_entropy(scale * z, y, reduction="none"))
            hits.append((z.argmax(1) == y).float())
    return torch.cat(losses), torch.cat(hits)
