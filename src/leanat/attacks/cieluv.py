"""sRGB to CIELUV and back, differentiable, every coordinate scaled to [0, 1].

IEC 61966-2-1 (sRGB, its two matrices with four decimals as printed there) and CIE 1976 L*u*v*, with the white point of
ReColorAdv's code: L* / 100, (u* + 100) / 200, (v* + 100) / 200.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WHITE_U, _WHITE_V = 0.1978, 0.4683  # u' and v' of D65
_TINY = 1e-10  # where a quotient or a root would have no finite gradient

_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9504))
_TO_RGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))


def _mixed(a: Tensor, b: Tensor, c: Tensor, matrix: tuple[tuple[float, float, float], ...]) -> list[Tensor]:
    return [row[0] * a + row[1] * b + row[2] * c for row in matrix]


def rgb_to_luv(rgb: Tensor) -> Tensor:
    """[B, 3, ...] sRGB in [0, 1] -> [B, 3, ...] L, u, v in [0, 1]."""
    linear = torch.where(rgb < 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = _mixed(*linear.unbind(1), _TO_XYZ)
    total = x + 15 * y + 3 * z + _TINY
    lightness = torch.where(y < (6 / 29) ** 3, (29 / 3) ** 3 * y, 116 * y.clamp_min(_TINY) ** (1 / 3) - 16)
    u = 13 * lightness * (4 * x / total - _WHITE_U)
    v = 13 * lightness * (9 * y / total - _WHITE_V)
    return torch.stack([lightness / 100, (u + 100) / 200, (v + 100) / 200], dim=1)


def luv_to_rgb(luv: Tensor) -> Tensor:
    """[B, 3, ...] L, u, v in [0, 1] -> [B, 3, ...] sRGB; colours outside the gamut are clipped to [0, 1]."""
    lightness, u, v = luv.unbind(1)
    lightness, u, v = 100 * lightness, 200 * u - 100, 200 * v - 100
    u = u / (13 * lightness + _TINY) + _WHITE_U
    v = v / (13 * lightness + _TINY) + _WHITE_V
    y = torch.where(lightness <= 8, (3 / 29) ** 3 * lightness, ((lightness + 16) / 116) ** 3)
    x = 9 * u * y / (4 * v + _TINY)
    z = (12 - 3 * u - 20 * v) * y / (4 * v + _TINY)
    linear = torch.stack(_mixed(*(c.clamp(0, 1.1) for c in (x, y, z)), _TO_RGB), dim=1)
    curved = 1.055 * linear.clamp_min(_TINY) ** (1 / 2.4) - 0.055
    return torch.where(linear < 0.0031308, 12.92 * linear, curved).clamp(0, 1)
