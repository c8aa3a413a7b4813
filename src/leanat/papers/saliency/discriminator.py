"""The discriminator of the saliency paper, which tells the teacher's gradient maps from the student's, as plain tensors.

    d = Discriminator(layers=5)
    state = d.start((3, 32, 32), seed=0, name="align", like=x)    # {"weights": {...}, "momentum": {...}}
    d.update(state, teacher_maps, student_maps, lr=0.1)           # equations 14 and 19

``state`` is complete, so a checkpoint of it is exact. The discriminator always runs on the teacher's and the student's maps
together, with the BatchNorm statistics of that batch; it has no running statistics. Layers and optimiser are those of the code
that the paper builds on (Chan et al., IGAM, CVPR 2020); the paper itself gives none.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Interval
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor

from leanat.core.component import Decay, component
from leanat.core.rng import Draws
from leanat.models.classifier import PerImage

_standardise = PerImage()


@component()
class Discriminator:
    """Has ``layers`` 4x4 convolutions of stride 2 with ``width``, 2 ``width``, ... channels, BatchNorm and leaky ReLU, then a
    linear layer.

    Its input is one gradient map, scaled to mean 0 and l2 norm 1. It is updated every ``every`` steps of the student, by SGD with
    the student's learning rate; weight decay does not act on biases and BatchNorm.
    """

    layers: Annotated[int, Interval(ge=3, le=5)] = 5
    width: PositiveInt = 16
    every: PositiveInt = 5
    momentum: Decay = 0.9
    weight_decay: NonNegativeFloat = 2e-4

    def start(self, shape: tuple[int, int, int], seed: int, name: str, like: Tensor) -> dict[str, dict[str, Tensor]]:
        """A new state for maps of ``shape`` (C, H, W), with the dtype and device of ``like``; depends on ``seed`` and ``name``.

        He's normal initialisation, biases 0 (an assumption; BatchNorm removes the scale again).
        """
        channels, *sides = shape
        weights: dict[str, Tensor] = {}

        def normal(key: str, std: float, *size: int) -> None:
            index = torch.arange(math.prod(size), device=like.device)
            values = Draws(seed, 0, index).normal(f"discriminator/{name}/{key}")
            weights[key] = values.mul_(std).view(size).to(like.dtype)

        for i in range(self.layers):
            width = self.width * 2**i
            normal(f"conv{i}.weight", math.sqrt(2 / (16 * channels)), width, channels, 4, 4)
            weights[f"conv{i}.bias"] = like.new_zeros(width)
            weights[f"norm{i}.weight"], weights[f"norm{i}.bias"] = like.new_ones(width), like.new_zeros(width)
            channels, sides = width, [(side + 1) // 2 for side in sides]
        units = channels * math.prod(sides)
        normal("head.weight", 1 / math.sqrt(units), 2, units)
        weights["head.bias"] = like.new_zeros(2)
        return {"weights": weights, "momentum": {k: torch.zeros_like(w) for k, w in weights.items()}}

    def __call__(self, weights: dict[str, Tensor], maps: Tensor) -> Tensor:
        """Logits [B, 2], for student and teacher, of gradient maps [B, C, H, W] with respect to pixels in [0, 1]."""
        h = _standardise(maps / 255)  # pixels in [0, 255], as in the authors' code: sets which gradients count as 0
        for i in range(self.layers):
            h = F.pad(h, (1, 1 + h.shape[3] % 2, 1, 1 + h.shape[2] % 2))  # TensorFlow's SAME
            h = F.conv2d(h, weights[f"conv{i}.weight"], weights[f"conv{i}.bias"], stride=2)
            norm = weights[f"norm{i}.weight"], weights[f"norm{i}.bias"]
            h = F.leaky_relu(F.batch_norm(h, None, None, *norm, training=True, eps=1e-3), 0.1)
        return F.linear(h.flatten(1), weights["head.weight"], weights["head.bias"])

    def scores(self, weights: dict[str, Tensor], teacher: Tensor, student: Tensor) -> tuple[Tensor, Tensor]:
        """log f(J_T) [B] and log(1 - f(J_S)) [B], the two terms of equations 11 and 17."""
        logp = self(weights, torch.cat([teacher, student])).log_softmax(1)
        return logp[: len(teacher), 1], logp[len(teacher) :, 0]

    def update(self, state: dict[str, dict[str, Tensor]], teacher: Tensor, student: Tensor, lr: float) -> None:
        """One step of gradient descent, in place, on the mean cross-entropy over both halves: equations 14 and 19."""
        names = list(state["weights"])
        weights = {k: w.detach().requires_grad_() for k, w in state["weights"].items()}
        with torch.enable_grad():
            real, fake = self.scores(weights, teacher.detach(), student.detach())
            grads = torch.autograd.grad(-(real.mean() + fake.mean()) / 2, [weights[k] for k in names])
        for name, grad in zip(names, grads, strict=True):
            weight, momentum = state["weights"][name], state["momentum"][name]
            if weight.dim() > 1:
                grad = grad + self.weight_decay * weight
            momentum.mul_(self.momentum).add_(grad)
            weight.sub_(lr * momentum)
