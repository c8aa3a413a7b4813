"""Friendly adversarial training (Zhang et al. 2020): an attack that stops soon after an example is fooled.

Method(CrossEntropy(), FAT(Linf(8 / 255), 10, 2 / 255, patience=0, bounds=(50, 90)), Everything())
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from leanat.attacks.pgd import ascent, refuse_budget
from leanat.attacks.threat import ThreatModel
from leanat.core.component import Epochs, component
from leanat.core.nouns import Step, eval_without_param_grad
from leanat.core.precision import cast_once


@component("fat")
class FAT:
    """Friendly adversarial training (Zhang et al. 2020, Algorithm 1): PGD that stops soon after the decision flips.

    There are at most ``steps`` steps. An example moves while it is classified correctly, and at most tau times while it is
    misclassified; then it stops. tau is ``patience`` at first, and grows by one at each epoch in ``bounds`` (in the authors'
    code 0, 1 and 2 within 120 epochs, with bounds 50 and 90). ``start``: "uniform" in the ball, or "none". ``omega`` times
    N(0, 1) is added to each step (0.001 in their code). The attack runs in evaluation mode, and only on examples that have
    not stopped.
    """

    threat: ThreatModel
    steps: PositiveInt
    step_size: NonNegativeFloat
    patience: NonNegativeInt
    bounds: Epochs = ()
    start: Literal["uniform", "none"] = "uniform"
    omega: NonNegativeFloat = 0.0
    shrinks: ClassVar[bool] = True  # examples leave the batch on the way

    def tau(self, epoch: int) -> int:
        """Steps allowed after the decision has flipped."""
        return self.patience + sum(epoch >= b for b in self.bounds)

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        refuse_budget(self, step)
        x, y = step.x, step.y
        z = x.clone() if self.start == "none" else self.threat.start(x, step.draws, "start/0")
        live = torch.arange(len(x), device=x.device)
        left = torch.full_like(live, self.tau(step.epoch))
        with eval_without_param_grad(net), cast_once(net):
            for t in range(self.steps):
                if not len(live):
                    break
                grad, _, logits = ascent(net, z[live], y[live])
                wrong = logits.argmax(1) != y[live]
                going = ~wrong | (left[live] > 0)
                left[live] -= wrong.long()
                kept = going.nonzero().squeeze(1)  # the step's only wait for the device
                live = live[kept]
                moved = z[live] + self.step_size * self.threat.ascend(grad[kept])
                if self.omega:
                    moved += self.omega * step.draws.normal(f"omega/{t}", *x.shape[1:])[live]
                z[live] = self.threat.project(moved, x[live])
        return z
