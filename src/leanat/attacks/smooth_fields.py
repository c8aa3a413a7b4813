"""Attacks that move a smooth field over an image: Adam on the margin and on a smoothness term, as in PAT's evaluation.

The parameters are projected before each pass; the last iterate is returned, not the best. ``stadv`` and ``recoloradv`` use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from leanat.attacks.pgd import margin
from leanat.core.nouns import Step, eval_without_param_grad


def roughness_gradient(field: Tensor) -> Tensor:
    """Gradient of the smoothness term, at a field [B, C, *grid].

    The term is the sum, over nodes and their neighbours, of the length sqrt(|difference|^2 + 1e-10): each pair counts
    twice. It is in closed form, since for a fine lattice automatic differentiation would cost more than the network.
    """
    gradient = torch.zeros_like(field)
    for dim in range(2, field.dim()):
        pull = field.diff(dim=dim)
        pull *= 2 * (pull.square().sum(dim=1, keepdim=True) + 1e-10).rsqrt_()
        gradient.narrow(dim, 1, pull.shape[dim]).add_(pull)
        gradient.narrow(dim, 0, pull.shape[dim]).sub_(pull)
    return gradient


def adam_on_field(
    attack: Any,
    net: nn.Module,
    step: Step,
    image: Callable[[Tensor], Tensor],
    project: Callable[[Tensor], Tensor],
    shape: torch.Size,
) -> Tensor:
    """Images [B, C, H, W] in [0, 1] after Adam on smoothness / bound x roughness - margin, over fields [B, *shape] from 0.

    ``attack`` gives smoothness, bound, lr and steps.
    """
    field = step.x.new_zeros(len(step.x), *shape).requires_grad_()
    adam, weight = torch.optim.Adam([field], lr=attack.lr), attack.smoothness / attack.bound
    with eval_without_param_grad(net), torch.autocast(step.x.device.type, enabled=False):
        for _ in range(attack.steps):
            with torch.no_grad():
                field.copy_(project(field))
            with torch.enable_grad():
                gain = margin(net(image(field)), step.y, torch.inf).sum()
            (g,) = torch.autograd.grad(gain, field)
            field.grad = weight * roughness_gradient(field.detach()) - g
            adam.step()
        with torch.no_grad():
            return image(project(field)).clamp(0, 1)
