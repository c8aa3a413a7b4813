"""Learning rates as functions of the fractional epoch: ``schedule(epoch, epochs)``, with 0 <= epoch < epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass


def _check(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} {value}; allowed: a finite number, 0 or more")


@dataclass(frozen=True)
class Constant:
    """The same learning rate throughout."""

    lr: float

    def __post_init__(self):
        _check("lr", self.lr)

    def __call__(self, epoch: float, epochs: int) -> float:
        return self.lr


@dataclass(frozen=True)
class Steps:
    """``lr``, multiplied by ``factor`` from each epoch in ``drops`` on; below ``warmup_epochs`` a linear rise from 0.

    Perceptual adversarial training (Laidlaw et al. 2021) warms up over 5 epochs.
    """

    lr: float
    drops: tuple[int, ...]
    factor: float
    warmup_epochs: float = 0

    def __post_init__(self):
        _check("lr", self.lr)
        _check("warmup_epochs", self.warmup_epochs)
        if not 0 < self.factor <= 1:
            raise ValueError(f"factor {self.factor}; allowed: above 0, at most 1")
        if any(d < 1 for d in self.drops) or list(self.drops) != sorted(set(self.drops)):
            raise ValueError(f"drops {self.drops}; allowed: epochs from 1 on, rising")

    def __call__(self, epoch: float, epochs: int) -> float:
        lr = self.lr * self.factor ** sum(epoch >= d for d in self.drops)
        return lr * epoch / self.warmup_epochs if epoch < self.warmup_epochs else lr


@dataclass(frozen=True)
class Cosine:
    """Linear from 0 to ``lr`` over the first ``warmup_share`` of the epochs, then half a cosine down to ``lr_min``."""

    lr: float
    lr_min: float = 0.0
    warmup_share: float = 0.0

    def __post_init__(self):
        _check("lr", self.lr)
        _check("lr_min", self.lr_min)
        if self.lr_min > self.lr:
            raise ValueError(f"lr_min {self.lr_min}; allowed: at most lr, {self.lr}")
        if not 0 <= self.warmup_share < 1:
            raise ValueError(f"warmup_share {self.warmup_share}; allowed: from 0, below 1")

    def __call__(self, epoch: float, epochs: int) -> float:
        t = epoch / epochs
        if t < self.warmup_share:
            return self.lr * t / self.warmup_share
        t = (t - self.warmup_share) / (1 - self.warmup_share)
        return self.lr_min + (self.lr - self.lr_min) * (1 + math.cos(math.pi * t)) / 2


@dataclass(frozen=True)
class Triangle:
    """Linear from ``lr_min`` to ``lr_max`` at half of the epochs and back: "cyclic" in Wong et al. 2020."""

    lr_max: float
    lr_min: float = 0.0

    def __post_init__(self):
        _check("lr_min", self.lr_min)
        _check("lr_max", self.lr_max)
        if self.lr_min > self.lr_max:
            raise ValueError(f"lr_min {self.lr_min}; allowed: at most lr_max, {self.lr_max}")

    def __call__(self, epoch: float, epochs: int) -> float:
        return self.lr_min + (self.lr_max - self.lr_min) * (1 - abs(2 * epoch / epochs - 1))


@dataclass(frozen=True)
class Linear:
    """A straight line from ``lr`` to ``lr_end``."""

    lr: float
    lr_end: float

    def __post_init__(self):
        _check("lr", self.lr)
        _check("lr_end", self.lr_end)

    def __call__(self, epoch: float, epochs: int) -> float:
        return self.lr + (self.lr_end - self.lr) * epoch / epochs
