"""The structure of every network: standardisation, then a body that computes features, then a head that computes logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PerChannel(nn.Module):
    """(x - mean) / std, one mean and one standard deviation per channel, in units of [0, 1] pixels."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Copied(nn.Module):
    """The images unchanged, as a copy, since a network of the user's may normalise its input in place."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


class PerImage(nn.Module):
    """Subtracts the image's mean over channels and pixels, then divides by the L2 norm of the whole image.

    This is the saliency paper's input layer. A constant image becomes zero. The result does not depend on the scale of the
    pixels, [0, 1] or [0, 255].
    """

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean((1, 2, 3), keepdim=True)
        return x * x.square().sum((1, 2, 3), keepdim=True).clamp_min(1e-12).rsqrt()


class Classifier(nn.Module):
    """Logits [B, K] of images [B, C, H, W] in [0, 1]: ``head(body(normalise(x)))``.

    ``body`` computes the features phi [B, D]; ``head`` is linear and may be replaced. ``shape`` is (C, H, W) at construction.
    """

    def __init__(self, normalise: nn.Module, body: nn.Module, head: nn.Module, shape: tuple[int, int, int]):
        super().__init__()
        self.normalise, self.body, self.head = normalise, body, head
        self.shape = shape

    def features(self, x: Tensor) -> Tensor:
        """phi [B, D], the input of the head."""
        return self.body(self.normalise(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))
