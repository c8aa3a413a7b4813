"""Adversarial weight perturbation (Wu et al. 2020): the gradient is taken at weights that raise the loss.

Method(AWP(CrossEntropy(), gamma=0.01), PGD(Linf(8 / 255), 10, 2 / 255, "uniform"), Everything())
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn
from torch.func import functional_call

from leanat.core.component import component
from leanat.core.nouns import Hook, Objective, Run, Step


class _Losses(nn.Module):
    """The objective's losses as a module, so that the objective gets the network itself, with other parameter tensors."""

    def __init__(self, net: nn.Module, objective: Objective):
        super().__init__()
        self.net, self.objective = net, objective

    def forward(self, step: Step) -> Tensor:
        return self.objective(self.net, step)


@component("awp")
class AWP(Hook):
    """Adversarial weight perturbation (Wu et al. 2020): ``objective`` at w + v, where v raises its loss on this batch.

    It is an objective and a hook. For every weight tensor with more than one dimension v = gamma ||w|| g / ||g||, where g is
    the gradient of the batch's mean loss in training mode. (The authors find g by a step of a copy of the network, whose
    learning rate cancels.) Before ``warmup_epochs`` there is no perturbation.

    The weights are restored bit for bit before the optimiser moves them, so weight decay acts on w; in the authors' code it acts
    on w + v. BatchNorm records the statistics of the perturbed network only. In the authors' code it also records those of a
    pass of the clean images at the restored weights, and of the training attack, which runs in training mode.
    """

    objective: Objective
    gamma: NonNegativeFloat
    warmup_epochs: NonNegativeInt = 0
    name: ClassVar[str] = "awp"

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        step.aux[self.name] = self._perturb(net, step) if self.gamma and step.epoch >= self.warmup_epochs else []
        return self.objective(net, step)

    def of_logits(self, z: Tensor, z_adv: Tensor, y: Tensor) -> Tensor:
        return self.objective.of_logits(z, z_adv, y)

    def _perturb(self, net: nn.Module, step: Step) -> list[tuple[Tensor, Tensor]]:
        """Perturbs the weights; returns each with its old value."""
        own = {k: p for k, p in net.named_parameters() if p.requires_grad and p.dim() > 1}
        copies = {k: p.detach().requires_grad_() for k, p in own.items()}
        buffers = {k: b.clone() for k, b in net.named_buffers()}  # this pass does not update BatchNorm
        there = {f"net.{name}": tensor for name, tensor in {**copies, **buffers}.items()}
        losses = functional_call(_Losses(net, self.objective), there, (step,))
        grads = torch.autograd.grad((step.weight * losses).sum(), list(copies.values()))
        kept = [(p, p.detach().clone()) for p in own.values()]
        with torch.no_grad():
            for (p, _), g in zip(kept, grads, strict=True):
                p.add_(g * (self.gamma * p.norm() / (g.norm() + 1e-20)))
        torch.clear_autocast_cache()  # which may hold the weights as they were
        return kept

    @torch.no_grad()
    def after_backward(self, run: Run, step: Step) -> None:
        for p, old in step.aux[self.name]:
            p.copy_(old)
