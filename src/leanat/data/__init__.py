"""Data sets by name. They are on the device and augmented in batches, or streamed from files.

    data = load("cifar10", "train", "/data", "cuda", seed=0, augment=Augmentation((Crop(4), Flip())))
    train, validation = split(data, 0.1, seed=0)
    x, y = train.batch(torch.arange(128), epoch=0)

Names: digits; digits-copies, digits-tail, digits-noise (see ``redundant``); shapes<n> (16x16), shapes<n>-32, shapes<n>u
(classes that no shapes<n> has); cifar10, cifar100, svhn, stl10; flowers102, caltech256, tiny-imagenet, mini-imagenet,
imagenet, imagenet200, imagenet12. cifar10-tenth is 5,000 training and 1,000 test images of CIFAR-10.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from leanat.core.nouns import Split
from leanat.data import archives, folders
from leanat.data.augment import NONE, Augmentation, Crop, Cutout, Flip, PixelNoise, RandomResizedCrop, Rotation
from leanat.data.color_augment import AutoAugment, ColorJitter, Lighting
from leanat.data.facts import DataError, Facts
from leanat.data.places import EMBEDDED, NAMES, Place, download, examine, how, is_data_set, survey
from leanat.data.redundant import NAMES as REDUNDANT
from leanat.data.redundant import load_redundant
from leanat.data.shapes import is_shapes, load_shapes
from leanat.data.streamed import StreamedData
from leanat.data.tensors import TensorData, stratified

__all__ = [
    "NAMES", "NONE", "Augmentation", "AutoAugment", "ColorJitter", "Crop", "Cutout", "DataError", "Facts", "Flip",
    "Lighting", "PixelNoise", "Place", "RandomResizedCrop", "Rotation", "StreamedData", "TensorData", "download",
    "examine", "how", "is_data_set", "is_embedded", "load", "load_folder", "split", "survey",
]  # fmt: skip


def load(
    name: str,
    part: str,
    data_dir: Path | str | None = None,
    device: torch.device | str = "cpu",
    seed: int = 0,
    augment: Augmentation = NONE,
    n: int | None = None,
) -> TensorData | StreamedData:
    """A data set's ``part``, 'train' or 'test'. The test part is never augmented.

    ``seed`` is the seed of the augmentation; the examples of a part do not depend on it. ``n`` sets the number of
    images, only for drawn shapes. Raises DataError, one line, for unknown names and for missing or damaged files.
    """
    if part not in ("train", "test"):
        raise DataError(f"{name}: part is {part!r}, allowed: train, test")
    if n is not None and not is_shapes(name):
        raise DataError(f"{name}: only drawn shapes come in any number of examples")
    augment = augment if part == "train" else NONE
    match name:
        case _ if is_shapes(name):
            data = load_shapes(name, part, n)
        case "digits":
            data = archives.digits(part)
        case _ if name in REDUNDANT:
            data = load_redundant(name, part)
        case "cifar10" | "cifar100":
            data = archives.cifar(name, part, data_dir)
        case "cifar10-tenth":
            data = archives.cifar10_tenth(part, data_dir)
        case "svhn":
            data = archives.svhn(part, data_dir)
        case "stl10":
            data = archives.stl10(part, data_dir)
        case _ if name in NAMES:
            return _streamed(folders.listing(name, part, data_dir), device, augment, seed)
        case _:
            raise DataError(
                f"{name}: unknown data set; known: {', '.join(NAMES)}, shapes<n>, shapes<n>-32, shapes<n>u, cifar10-tenth"
            )
    return replace(data.to(device), augment=augment, seed=seed)


def is_embedded(name: str) -> bool:
    """Whether a data set comes with the package: the digits and drawn shapes."""
    return name in EMBEDDED or is_shapes(name)


def load_folder(
    path: str, device: torch.device | str = "cpu", channels: int = 3, size: int | None = None
) -> StreamedData:
    """The images of any folder of class folders, for tests; see ``folders.own``. Raises DataError."""
    return _streamed(folders.own(path, channels, size), device, NONE, 0)


def _streamed(listing: folders.Listing, device: torch.device | str, augment: Augmentation, seed: int) -> StreamedData:
    folders.say_ignored(listing.facts["name"], listing.ignored)
    labels = listing.labels.to(device)
    return StreamedData(
        **listing.facts,
        files=listing.files,
        labels=labels,
        numbers=torch.arange(len(labels)),
        resize=listing.resize,
        augment=augment,
        seed=seed,
    )


def split(data: TensorData | StreamedData, fraction: float, seed: int) -> Split:
    """Splits off a class-balanced ``fraction`` of the examples, without augmentation, as validation part."""
    validation, train = stratified(data.labels, fraction, seed, "validation")
    if not len(validation) or not len(train):
        raise DataError(f"{data.name}: a split of {fraction} of {len(data)} examples leaves a part empty")
    return Split(data.take(train), data.take(validation).plain())
