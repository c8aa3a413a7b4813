"""The checks of the public functions, each with a one-line error: images outside [0, 1], labels that do not fit, a class given
instead of an object.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

Channels = float | Sequence[float]
ROUNDING = 1e-3  # how far outside [0, 1] a pixel may be because of rounding


def images(x: Tensor, what: str = "x") -> Tensor:
    """x [B, C, H, W], floating, in [0, 1]. Raises TypeError or ValueError, one line."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{what} is a {type(x).__name__}; a tensor [B, C, H, W] of pixels in [0, 1] is expected")
    _dense(x, what)
    if x.dim() != 4:
        raise ValueError(f"{what} has shape {list(x.shape)}; [B, C, H, W] is expected")
    if not x.is_floating_point():
        raise ValueError(f"{what} is {_dtype(x)}; floating pixels in [0, 1] are expected: {what} / 255 of 8-bit images")
    if x.numel():
        in_range(x, what)
    return _of_autograd(x)


def in_range(x: Tensor, what: str) -> None:
    """Raises ValueError if a pixel is outside [0, 1] or not a number, and says in which form images are expected."""
    low, high = (float(v) for v in x.detach().aminmax())
    if low >= 0 and high <= 1:  # False for NaN
        return
    if low != low or high != high:
        raise ValueError(f"pixels of {what}, of shape {list(x.shape)}, are not a number")
    if low >= 0 and high > 2:
        way = f"hand over {what} / 255"
    elif low > -ROUNDING and high < 1 + ROUNDING:
        way = f"hand over {what}.clamp(0, 1)"
    else:
        way = "hand over the pixels before they are normalised, and mean=..., std=... for the network"
    raise ValueError(f"pixels of {what} reach from {low:.9g} to {high:.9g}; they are to be in [0, 1]: {way}")


def labels(y: Tensor, count: int, what: str = "y") -> Tensor:
    """y int64 [B]. Raises TypeError or ValueError, one line."""
    if not isinstance(y, Tensor):
        raise TypeError(f"{what} is a {type(y).__name__}; a tensor of {count} class numbers is expected")
    _dense(y, what)
    if y.dim() != 1 or len(y) != count:
        raise ValueError(f"{what} has shape {list(y.shape)}; [{count}], a class number for each image, is expected")
    if y.is_floating_point() or y.is_complex():
        raise ValueError(f"{what} is {_dtype(y)}; whole class numbers are expected")
    if len(y) and int(y.min()) < 0:
        raise ValueError(f"{int(y.min())} is no class number, in {what}; from 0 on is allowed")
    return _of_autograd(y.long())


def mean_std(mean: Channels | None, std: Channels | None, channels: int) -> tuple[list[float], list[float]] | None:
    """A mean and a standard deviation per channel; None if neither is given. Raises ValueError, one line."""
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise ValueError("mean and std go together; only one of them is given")
    means, stds = _numbers(mean, channels, "mean"), _numbers(std, channels, "std")
    if not len(means) == len(stds) == channels:
        raise ValueError(f"mean has {len(means)} numbers and std {len(stds)}; the images have {channels} channels")
    if any(not abs(m) <= 1 for m in means) or any(not 0 < s <= 1 for s in stds):
        raise ValueError(
            f"mean {means}, std {stds}: those of pixels in [0, 1] are expected, std above 0; divide by 255"
        )
    return means, stds


def made(value: Any, what: str, expected: str) -> None:
    """Raises TypeError, one line, if ``value`` is a class instead of an object, a public function, or cannot be called."""
    if isinstance(value, type):
        raise TypeError(f"{what} is the class {value.__name__}; an object of it is expected: {value.__name__}(...)")
    if not callable(value):
        raise TypeError(f"{what} is {shown(value)}; {expected} is expected")
    if getattr(value, "__module__", "") == "leanat.library.attacks":
        raise TypeError(f"{what} is the function {value.__name__}, which takes images; {expected} is expected")


def whole(value: Any, what: str, least: int | None = None) -> None:
    """Raises TypeError or ValueError, one line, unless ``value`` is a whole number of at least ``least``, if that is given."""
    allowed = "a whole number" + ("" if least is None else f" from {least} on")
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{what} is {shown(value)}; {allowed} is expected")
    if least is not None and int(value) < least:
        raise ValueError(f"{what} is {value}; {allowed} is expected")


def shown(value: Any) -> str:
    """A value for an error message: plain values themselves, others by their type."""
    return repr(value) if isinstance(value, str | int | float | None) else f"of type {type(value).__name__}"


def _numbers(value: Channels, channels: int, what: str) -> list[float]:
    try:
        return [float(value)] * channels if isinstance(value, int | float) else [float(v) for v in value]
    except (TypeError, ValueError, RuntimeError):
        as_text = " ".join(repr(value).split())[:60]
        raise TypeError(f"{what} is {as_text}; a number, or a list of one for each channel, is expected") from None


def _dense(x: Tensor, what: str) -> None:
    if x.layout != torch.strided:
        raise ValueError(f"{what} is a sparse tensor; {what}.to_dense() is expected")


def _of_autograd(x: Tensor) -> Tensor:
    """The tensor, or a copy if it was made inside ``torch.inference_mode()``, since then it cannot be used in gradients."""
    return x.clone() if x.is_inference() else x


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
