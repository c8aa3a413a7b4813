"""Threat models: how far an attacker may go. Attacks use their three methods, start, ascend and project.

Every image is x + delta with delta in an l_p ball around the clean image and x + delta in the box [0, 1].
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from leanat.core.component import component
from leanat.core.rng import Draws


@runtime_checkable
class ThreatModel(Protocol):
    """An l_p ball of radius eps; x, z and gradients are [B, ...]."""

    @property
    def eps(self) -> float: ...

    def start(self, x: Tensor, draws: Draws, purpose: str) -> Tensor:
        """A point drawn uniformly from the ball around each x, then clamped to the box."""

    def ascend(self, grad: Tensor) -> Tensor:
        """The steepest ascent direction of unit norm; 0 where the gradient is 0."""

    def project(self, z: Tensor, x: Tensor) -> Tensor:
        """z brought back into the ball around x and into the box."""


@component("linf")
class Linf:
    """Every pixel changes by at most eps. The projection onto ball and box together is exact."""

    eps: NonNegativeFloat

    def start(self, x: Tensor, draws: Draws, purpose: str) -> Tensor:
        noise = draws.uniform(purpose, *x.shape[1:]).to(x.dtype)
        return self.project(x + self.eps * (2 * noise - 1), x)

    def ascend(self, grad: Tensor) -> Tensor:
        return grad.sign()

    def project(self, z: Tensor, x: Tensor) -> Tensor:
        return z.clamp(x - self.eps, x + self.eps).clamp(0, 1)


@component("l2")
class L2:
    """The Euclidean norm of the change, over all pixels and channels, is at most eps.

    ``project`` projects onto the ball, then clamps to [0, 1], as is usual. The clamp moves every pixel towards x, so the result
    is in both sets, but it is not the nearest such point.
    """

    eps: NonNegativeFloat

    def start(self, x: Tensor, draws: Draws, purpose: str) -> Tensor:
        direction = self.ascend(draws.normal(purpose, *x.shape[1:]).to(x.dtype))
        radius = draws.uniform(f"{purpose}/radius").to(x.dtype) ** (1 / math.prod(x.shape[1:]))
        return (x + self.eps * per_example(radius, x) * direction).clamp(0, 1)

    def start_any_norm(self, x: Tensor, draws: Draws, purpose: str) -> Tensor:
        """Uniform noise brought to a norm uniform in (0, eps), then clamped to the box: half of eps on average, where a
        point uniform in the ball has nearly eps. The random start of the code of SAT (mlosch/SAT, AttackerStep)."""
        direction = self.ascend(2 * draws.uniform(purpose, *x.shape[1:]).to(x.dtype) - 1)
        radius = draws.uniform(f"{purpose}/radius").to(x.dtype)
        return (x + self.eps * per_example(radius, x) * direction).clamp(0, 1)

    def ascend(self, grad: Tensor) -> Tensor:
        # Squares of small float32 gradients underflow, so the largest entry is brought to 1 first.
        dims, tiny = tuple(range(1, grad.dim())), torch.finfo(grad.dtype).tiny
        grad = grad / grad.abs().amax(dims, keepdim=True).clamp_min(tiny)
        return grad / grad.square().sum(dims, keepdim=True).sqrt().clamp_min(tiny)

    def project(self, z: Tensor, x: Tensor) -> Tensor:
        delta = z - x
        norm = delta.square().sum(tuple(range(1, x.dim())), keepdim=True).sqrt()
        shrink = self.eps / norm.clamp_min(max(self.eps, torch.finfo(x.dtype).tiny))
        return (x + delta * shrink.to(x.dtype)).clamp(0, 1)


def per_example(value: Tensor, x: Tensor) -> Tensor:
    """[B] as [B, 1, ...], to be broadcast over x."""
    return value.view(-1, *[1] * (x.dim() - 1))
