"""A data set that is completely on the device, as uint8, and class-balanced splits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from leanat.core.rng import Draws, key
from leanat.data.augment import NONE, Augmentation, RandomResizedCrop
from leanat.data.facts import DataError, Facts


@dataclass(frozen=True, eq=False, kw_only=True)
class TensorData(Facts):
    """Images uint8 [N, C, H, W] and labels int64 [N] on one device, augmented in batches.

    ``numbers`` int64 [N] key the examples' random numbers; a part of a data set keeps the numbers of the whole, so an
    example has the same augmentation in both. ``masks`` bool [N, H, W]: the object's pixels. ``planted``: which examples
    were made hard, rare or wrong on purpose (bool [N] each). ``origin`` int64 [N]: the original that each example copies.
    ``hard_to_easy``: the classes in this order. These four exist only if they are known.
    """

    images: Tensor
    labels: Tensor
    numbers: Tensor
    augment: Augmentation = NONE
    seed: int = 0
    masks: Tensor | None = None
    planted: Mapping[str, Tensor] = field(default_factory=dict)
    origin: Tensor | None = None
    hard_to_easy: tuple[int, ...] | None = None

    def __post_init__(self):
        if any(isinstance(piece, RandomResizedCrop) for piece in self.augment.pieces):
            raise DataError(f"{self.name}: random resized crop needs images streamed from files")

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor, epoch: int, view: int = 0) -> tuple[Tensor, Tensor]:
        """x float32 [B, C, H, W] in [0, 1], with the augmentation of that epoch and view, and y int64 [B]."""
        index = index.to(self.labels.device)
        draws = Draws(self.seed, epoch, self.numbers[index], view)
        return self.augment(self.images[index], draws), self.labels[index]

    def prefetch(self, index: Tensor, epoch: int, view: int = 0) -> None:
        """Nothing to do: all examples are on the device."""

    def take(self, index: Tensor) -> TensorData:
        """The examples ``index`` as a data set of their own, with the same random numbers as before."""
        index = index.to(self.labels.device)
        return self._each(lambda part: part[index])

    def plain(self) -> TensorData:
        """The same examples without augmentation."""
        return replace(self, augment=NONE)

    def to(self, device: torch.device | str) -> TensorData:
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> TensorData:
        """The data set with ``change`` applied to every tensor of examples."""
        names = [n for n in ("images", "labels", "numbers", "masks", "origin") if getattr(self, n) is not None]
        planted = {name: change(which) for name, which in self.planted.items()}
        return replace(self, planted=planted, **{name: change(getattr(self, name)) for name in names})


def stratified(labels: Tensor, fraction: float, seed: int, purpose: str) -> tuple[Tensor, Tensor]:
    """Two sorted int64 index tensors: ``fraction`` of the examples, with the same share of every class, and the others.

    Numbers per class are rounded by largest remainders, so that the first part has round(fraction * N) examples.
    """
    if not 0 < fraction < 1:
        raise DataError(f"split: the fraction is {fraction}, allowed: above 0 and below 1")
    wanted = labels.bincount().double() * fraction
    quota = wanted.floor().long()
    missing = round(fraction * len(labels)) - int(quota.sum())
    quota[(wanted - quota).argsort(descending=True, stable=True)[:missing]] += 1
    return some_of_each(labels, quota, seed, purpose)


def at_random(labels: Tensor, count: int, seed: int, purpose: str) -> tuple[Tensor, Tensor]:
    """Draws ``count`` examples, regardless of their class; returns them and the others as sorted int64 index tensors."""
    order = Draws(key(seed, "split"), 0, torch.arange(len(labels), device=labels.device)).order(purpose)
    return order[:count].sort().values, order[count:].sort().values


def some_of_each(labels: Tensor, quota: Tensor, seed: int, purpose: str) -> tuple[Tensor, Tensor]:
    """Draws ``quota`` int64 [K] examples of each class (all if it has fewer); returns them and the others, both sorted."""
    everyone = torch.arange(len(labels), device=labels.device)
    counts = labels.bincount()
    order = Draws(key(seed, "split"), 0, everyone).order(purpose)
    order = order[labels[order].argsort(stable=True)]  # by class, and at random within each class
    rank = everyone - (counts.cumsum(0) - counts)[labels[order]]
    first = rank < quota[labels[order]]
    return order[first].sort().values, order[~first].sort().values
