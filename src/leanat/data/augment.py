"""Augmentation in batches: each image gets its own random numbers, without a Python loop over images.

A piece is a frozen dataclass whose call takes images [B, C, H, W], uint8 or float32 in [0, 1], and the Draws of those
examples, and returns images of the same shape. The augmentation of an example depends only on (seed, epoch, index, view),
not on its batch. Pieces that only move pixels keep uint8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval, MinLen
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.nn import functional as F

from leanat.core.component import Fraction, Probability, component
from leanat.core.rng import Draws
from leanat.core.uploads import constant

Piece = Callable[[Tensor, Draws], Tensor]


def unit(x: Tensor) -> Tensor:
    """Images as float32 in [0, 1]; uint8 is divided by 255."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def per_image(values: Tensor) -> Tensor:
    """Reshapes [B] to [B, 1, 1, 1]."""
    return values.view(-1, 1, 1, 1)


@dataclass(frozen=True)
class Augmentation:
    """Pieces that are applied one after the other; no augmentation if there are none."""

    pieces: tuple[Piece, ...] = ()

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        """float32 [B, C, H, W] in [0, 1]; the images are the same within autocast, as in selections, and outside."""
        with torch.autocast(x.device.type, enabled=False):
            for piece in self.pieces:
                x = piece(x, draws)
        return unit(x)


NONE = Augmentation()


@component("crop")
class Crop:
    """A random window of the image's size from the image padded with ``pad`` black pixels on each side."""

    pad: Annotated[int, Ge(0), Field(description="0 or more pixels")]

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        side = 2 * self.pad + 1
        top, left = draws.integers("crop", side, 2).unbind(1)
        height, width = x.shape[2:]
        windows = F.pad(x, (self.pad,) * 4).unfold(2, height, 1).unfold(3, width, 1)
        return windows[torch.arange(len(x), device=x.device), :, top, left]


@component("flip")
class Flip:
    """Mirrored left to right with probability one half."""

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        return torch.where(per_image(draws.bits("flip") < 0), x.flip(3), x)


@component("cutout")
class Cutout:
    """Overwrites a square of ``size`` pixels around a random pixel, as far as it is inside the image.

    DeVries and Taylor 2017. They fill with zero after normalisation, which is the channel mean here.
    """

    size: Annotated[int, Ge(1), Field(description="1 or more pixels")]
    fill: Annotated[tuple[Probability, ...], MinLen(1)] = (0.0,)

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        inside = []
        for purpose, length in (("cutout row", x.shape[2]), ("cutout column", x.shape[3])):
            offset = torch.arange(length, device=x.device) - draws.integers(purpose, length)[:, None] + self.size // 2
            inside.append((offset >= 0) & (offset < self.size))
        hole = (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
        return torch.where(hole, constant(tuple(self.fill), torch.float32, x.device).view(1, -1, 1, 1), unit(x))


@component("rotation")
class Rotation:
    """Rotates by U(-degrees, degrees) about the centre, with black outside; sampled like torchvision's RandomRotation."""

    degrees: Annotated[float, Interval(ge=0, le=180)]
    mode: Literal["nearest", "bilinear"] = "nearest"

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        angle = (draws.uniform("rotation") * 2 - 1) * math.radians(self.degrees)
        return rotate(unit(x), angle, self.mode)


def rotate(x: Tensor, angle: Tensor, mode: str = "nearest") -> Tensor:
    """float32 [B, C, H, W], rotated counter-clockwise by ``angle`` [B] in radians about the centre."""
    c, s, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return warp(x, torch.stack((torch.stack((c, -s, zero), 1), torch.stack((s, c, zero), 1)), 1), mode)


def warp(x: Tensor, matrix: Tensor, mode: str = "nearest") -> Tensor:
    """float32 [B, C, H, W]: pixel p of the result is the pixel at matrix @ (p, 1) of the image, black outside.

    ``matrix`` [B, 2, 3] acts on (column, row) in pixels, counted from the centre of the image.
    """
    height, width = x.shape[2:]
    rows = torch.arange(height, device=x.device) + (0.5 - height / 2)
    columns = torch.arange(width, device=x.device) + (0.5 - width / 2)
    p = torch.stack((columns.expand(height, width), rows[:, None].expand(height, width)), -1)
    source = torch.einsum("bij,hwj->bhwi", matrix[:, :, :2], p) + matrix[:, None, None, :, 2]
    grid = source / constant((width / 2, height / 2), torch.float32, x.device)
    return F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False)


@component("pixel_noise")
class PixelNoise:
    """Adds U(-amplitude, amplitude) to every channel of every pixel, and clips to [0, 1] (IGAM's code: 8/255)."""

    amplitude: Probability

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        noise = draws.uniform("pixel noise", *x.shape[1:]).mul_(2).sub_(1)
        return (unit(x) + self.amplitude * noise).clamp_(0, 1)


@component("random_resized_crop")
class RandomResizedCrop:
    """A box of random area and aspect ratio, resized to the data set's image size; only as the first piece of streamed images.

    Ten tries to find a box that fits, then the largest central box with an allowed aspect ratio, as in torchvision.
    """

    scale: tuple[Fraction, Fraction] = (0.08, 1.0)
    ratio: tuple[PositiveFloat, PositiveFloat] = (3 / 4, 4 / 3)

    def __post_init__(self):
        for name, (least, most) in (("scale", self.scale), ("ratio", self.ratio)):
            if least > most:
                raise ValueError(f"{name} {(least, most)}; allowed: least <= most")

    def tries(self, draws: Draws) -> Tensor:
        """float32 [B, 10, 4] in [0, 1): area, aspect ratio, row and column of ten tries."""
        return draws.uniform("random resized crop", 10, 4)

    def box(self, width: int, height: int, tries: list[list[float]]) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the box in an image of that size, from the tries [10, 4] of one image."""
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for area, aspect, row, column in tries:
            area = width * height * (self.scale[0] + area * (self.scale[1] - self.scale[0]))
            aspect = math.exp(low + aspect * (high - low))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                left, top = int(column * (width - w + 1)), int(row * (height - h + 1))
                return left, top, left + w, top + h
        aspect = min(max(width / height, self.ratio[0]), self.ratio[1])
        w, h = min(width, round(height * aspect)), min(height, round(width / aspect))
        left, top = (width - w) // 2, (height - h) // 2
        return left, top, left + w, top + h

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        raise ValueError("random resized crop is for images streamed from files, and must come first there")
