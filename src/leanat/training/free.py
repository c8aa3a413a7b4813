"""Free adversarial training (Shafahi et al. 2019): one backward pass moves the weights and the perturbation.

Method(CrossEntropy(), Free(Linf(8 / 255), step_size=8 / 255), Everything(), replays=8)
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import NonNegativeFloat
from torch import Tensor, nn

from leanat.attacks.pgd import refuse_budget
from leanat.attacks.threat import ThreatModel
from leanat.core.component import component
from leanat.core.nouns import Hook, Run, Split, Step, first_image


@component("free")
class Free(Hook):
    """Free adversarial training (Shafahi et al. 2019): one backward pass moves the weights and the perturbation.

    It is an attack and a hook; ``Method.replays`` is the paper's m. One perturbation delta with the shape of a batch, 0 at
    the start, is kept from batch to batch and from epoch to epoch (``run.memory["free"]``); a smaller last batch uses its
    first rows. After each backward pass delta <- delta + step_size sign(gradient), clamped to the ball and to the range of
    the image. The gradient is that of the training step, in training mode and with augmentation. In the authors' code
    ``step_size`` is eps, and the first replay of a new batch is not clipped to the range of the image.
    """

    threat: ThreatModel
    step_size: NonNegativeFloat
    name: ClassVar[str] = "free"

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        """x_adv as a leaf, so that the training step's own backward pass leaves its gradient there."""
        if self.name not in step.memory:
            raise RuntimeError("free works only inside a training run, which holds its perturbation")
        refuse_budget(self, step)
        delta = step.memory[self.name]["delta"][: len(step.x)]
        return self.threat.project(step.x + delta, step.x).detach().requires_grad_()

    def start(self, run: Run, split: Split) -> dict:
        x = first_image(split.train)
        return {"delta": x.new_zeros(run.recipe.batch, *x.shape[1:])}

    def after_backward(self, run: Run, step: Step) -> None:
        delta = run.memory[self.name]["delta"][: len(step.x)]
        moved = step.x + delta + self.step_size * self.threat.ascend(step.x_adv.grad)
        delta.copy_(self.threat.project(moved, step.x) - step.x)
