"""Attacks with momentum, made to transfer between networks: MI-FGSM and DI2-FGSM. Conventions as in ``pgd``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from annotated_types import Interval
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from leanat.attacks.pgd import ascent, refuse_budget
from leanat.attacks.threat import ThreatModel, per_example
from leanat.core.component import Probability, component
from leanat.core.nouns import Step, eval_without_param_grad
from leanat.core.precision import cast_once
from leanat.core.rng import Draws


@component("mi_fgsm")
class MIFGSM:
    """Momentum iterative FGSM (Dong et al. 2018, equations 6 and 7), without a random start.

    The gradient is divided by its mean absolute value, as in torchattacks, not by its l_1 norm as in the paper. Both give the
    same directions. An example whose gradient is 0 keeps its momentum. Budgets per example are not possible.
    """

    threat: ThreatModel
    steps: PositiveInt
    step_size: NonNegativeFloat
    decay: NonNegativeFloat

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        return _momentum(net, step, self, step.x, lambda z, t: z)


@component("di2_fgsm")
class DI2FGSM:
    """Diverse inputs iterative FGSM (Xie et al. 2019): with probability ``diversity_prob`` the network sees the image
    shrunk to a random size from int(H * resize_rate) to H - 1 and padded with zeros at a random place.

    The published codes draw one coin, size and place per batch and step (``per_batch``), which by itself makes robust accuracy
    vary by many points. By default every image has its own. Images are square. Budgets per example are not possible.
    """

    threat: ThreatModel
    steps: PositiveInt
    step_size: NonNegativeFloat
    decay: NonNegativeFloat
    resize_rate: Annotated[float, Interval(gt=0, lt=1)]
    diversity_prob: Probability
    random_start: bool
    per_batch: bool = False

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        start = self.threat.start(step.x, step.draws, "start/0") if self.random_start else step.x
        draws = step.draws.of(step.draws.index[:1]) if self.per_batch else step.draws
        return _momentum(net, step, self, start, lambda z, t: self.diversify(z, draws, t))

    def diversify(self, x: Tensor, draws: Draws, t: int) -> Tensor:
        """x [B, C, H, H] as the network sees it at iteration t; differentiable, and deterministic on every device.

        Bilinear resizing and padding are two small matrices per image, so that every image can have its own size.
        """
        side = x.shape[-1]
        if x.shape[-2] != side:
            raise ValueError(f"DI2FGSM needs square images, not {tuple(x.shape[-2:])}")
        low = max(1, int(side * self.resize_rate))
        size = low + draws.integers(f"size/{t}", side - low)
        room = side - size
        top = (draws.uniform(f"top/{t}") * room).long()
        left = (draws.uniform(f"left/{t}") * room).long()
        coin = draws.uniform(f"coin/{t}") < self.diversity_prob
        with torch.autocast(x.device.type, enabled=False):
            rows, columns = (_resize(size, offset, side, x)[:, None] for offset in (top, left))
            seen = rows @ x @ columns.mT
        return torch.where(per_example(coin, x), seen, x)


def _resize(size: Tensor, offset: Tensor, side: int, like: Tensor) -> Tensor:
    """[B, side, side]: bilinear weights that shrink ``side`` pixels to ``size`` and place them at ``offset``, else 0.

    Sampling points as in F.interpolate(align_corners=False).
    """
    place = torch.arange(side, device=like.device)[None] - offset[:, None]
    inside = (place >= 0) & (place < size[:, None])
    source = ((place + 0.5) * (side / size.to(like.dtype))[:, None] - 0.5).clamp(0, side - 1)
    hat = 1 - (source[..., None] - torch.arange(side, device=like.device)).abs()
    return hat.clamp_min(0) * inside[..., None]


def _momentum(net: nn.Module, step: Step, attack: MIFGSM | DI2FGSM, z: Tensor, seen: Callable[[Tensor, int], Tensor]):
    refuse_budget(attack, step)
    if not len(z):
        return z
    momentum, dims = torch.zeros_like(z), tuple(range(1, z.dim()))
    tiny = torch.finfo(z.dtype).tiny
    with eval_without_param_grad(net), cast_once(net):
        for t in range(attack.steps):
            grad = ascent(lambda z, t=t: net(seen(z, t)), z, step.y)[0]
            momentum = attack.decay * momentum + grad / grad.abs().mean(dims, keepdim=True).clamp_min(tiny)
            z = attack.threat.project(z + attack.step_size * attack.threat.ascend(momentum), step.x)
    return z
