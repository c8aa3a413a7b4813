"""What the public functions refuse, each in one line with the shapes: images outside [0, 1], labels that do not fit."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

Channels = float | Sequence[float]


def images(x: Tensor, what: str = "x") -> Tensor:
    """x [B, C, H, W], floating, in [0, 1]. Raises TypeError or ValueError, one line."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{what} is a {type(x).__name__}; a tensor [B, C, H, W] of pixels in [0, 1] is expected")
    if x.dim() != 4:
        raise ValueError(f"{what} has shape {list(x.shape)}; [B, C, H, W] is expected")
    if not x.is_floating_point():
        raise ValueError(f"{what} is {_dtype(x)}; floating pixels in [0, 1] are expected: {what} / 255 of 8-bit images")
    if x.numel():
        in_range(x, what)
    return x


def in_range(x: Tensor, what: str) -> None:
    """Raises ValueError where a pixel is outside [0, 1] or not a number, and says how to hand it over."""
    low, high = (float(v) for v in x.detach().aminmax())
    if low >= 0 and high <= 1:  # False for NaN
        return
    if low != low or high != high:
        raise ValueError(f"{what} of shape {list(x.shape)} has pixels that are not a number")
    if low >= 0 and high > 2:
        way = f"hand over {what} / 255"
    else:
        way = "hand over the pixels before they are normalised, and mean=..., std=... for the network"
    raise ValueError(f"{what} reaches from {low:.4g} to {high:.4g}; pixels are to be in [0, 1]: {way}")


def labels(y: Tensor, count: int, what: str = "y") -> Tensor:
    """y int64 [B]. Raises TypeError or ValueError, one line."""
    if not isinstance(y, Tensor):
        raise TypeError(f"{what} is a {type(y).__name__}; a tensor of {count} class numbers is expected")
    if y.dim() != 1 or len(y) != count:
        raise ValueError(f"{what} has shape {list(y.shape)}; [{count}], a class number for each image, is expected")
    if y.is_floating_point() or y.is_complex():
        raise ValueError(f"{what} is {_dtype(y)}; whole class numbers are expected")
    if len(y) and int(y.min()) < 0:
        raise ValueError(f"{what} has the class number {int(y.min())}; from 0 on is allowed")
    return y.long()


def mean_std(mean: Channels | None, std: Channels | None, channels: int) -> tuple[list[float], list[float]] | None:
    """A mean and a standard deviation per channel; None where neither is given. Raises ValueError, one line."""
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise ValueError("mean and std go together; only one of them is given")
    means, stds = ([float(v)] * channels if isinstance(v, int | float) else [float(e) for e in v] for v in (mean, std))
    if not len(means) == len(stds) == channels:
        raise ValueError(f"mean has {len(means)} numbers and std {len(stds)}; the images have {channels} channels")
    if any(abs(m) > 1 for m in means) or any(not 0 < s <= 1 for s in stds):
        raise ValueError(
            f"mean {means}, std {stds}: those of pixels in [0, 1] are expected, std above 0; divide by 255"
        )
    return means, stds


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
