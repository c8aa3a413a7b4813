"""Learning rates as functions of the fractional epoch: ``schedule(epoch, epochs)``, with 0 <= epoch < epochs."""

from __future__ import annotations

import math

from pydantic import NonNegativeFloat

from leanat.core.component import Decay, Epochs, Fraction, component


@component("constant")
class Constant:
    """The same learning rate throughout."""

    lr: NonNegativeFloat

    def __call__(self, epoch: float, epochs: int) -> float:
        return self.lr


@component("steps")
class Steps:
    """The rate ``lr``, multiplied by ``factor`` at each epoch in ``drops``; during ``warmup_epochs`` it rises linearly from 0.

    Perceptual adversarial training (Laidlaw et al. 2021) warms up over 5 epochs.
    """

    lr: NonNegativeFloat
    drops: Epochs
    factor: Fraction
    warmup_epochs: NonNegativeFloat = 0

    def __call__(self, epoch: float, epochs: int) -> float:
        lr = self.lr * self.factor ** sum(epoch >= d for d in self.drops)
        return lr * epoch / self.warmup_epochs if epoch < self.warmup_epochs else lr


@component("cosine")
class Cosine:
    """Linear from 0 to ``lr`` over the first ``warmup_share`` of the epochs, then half a cosine down to ``lr_min``."""

    lr: NonNegativeFloat
    lr_min: NonNegativeFloat = 0.0
    warmup_share: Decay = 0.0

    def __post_init__(self):
        if self.lr_min > self.lr:
            raise ValueError(f"lr_min {self.lr_min}; allowed: at most lr, {self.lr}")

    def __call__(self, epoch: float, epochs: int) -> float:
        t = epoch / epochs
        if t < self.warmup_share:
            return self.lr * t / self.warmup_share
        t = (t - self.warmup_share) / (1 - self.warmup_share)
        return self.lr_min + (self.lr - self.lr_min) * (1 + math.cos(math.pi * t)) / 2


@component("triangle")
class Triangle:
    """Linear from ``lr_min`` to ``lr_max`` at half of the epochs and back: "cyclic" in Wong et al. 2020."""

    lr_max: NonNegativeFloat
    lr_min: NonNegativeFloat = 0.0

    def __post_init__(self):
        if self.lr_min > self.lr_max:
            raise ValueError(f"lr_min {self.lr_min}; allowed: at most lr_max, {self.lr_max}")

    def __call__(self, epoch: float, epochs: int) -> float:
        return self.lr_min + (self.lr_max - self.lr_min) * (1 - abs(2 * epoch / epochs - 1))


@component("linear")
class Linear:
    """A straight line from ``lr`` to ``lr_end``."""

    lr: NonNegativeFloat
    lr_end: NonNegativeFloat

    def __call__(self, epoch: float, epochs: int) -> float:
        return self.lr + (self.lr_end - self.lr) * epoch / epochs
