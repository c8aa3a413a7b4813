"""JPEG attack: moves the quantised DCT coefficients of a JPEG file (Kang et al., "Testing Robustness Against Unforeseen
Adversaries", 2019, attack "JPEG-linf"; PAT evaluates on it).

The coefficients are those of baseline JPEG at quality 50 (ITU-T T.81, tables K.1 and K.2), with the colours of JFIF and the
chroma halved in both directions (4:2:0). They are never rounded: a variable stands for the rounding error ("relaxed rounding").
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from leanat.attacks.pgd import refuse_budget
from leanat.core.component import component
from leanat.core.nouns import Step, eval_without_param_grad
from leanat.core.uploads import constant

_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_RGB = ((1, 0, 1.402), (1, -0.344136, -0.714136), (1, 1.772, 0))


@component("jpeg")
class JPEG:
    """Sign ascent of the cross-entropy over all quantised coefficients, from a random point, step bound / sqrt(steps).

    ``bound`` is the width, in quantisation steps, of the interval in which the relaxed rounding may put a coefficient:
    each moves by at most bound / 2, as in the authors' code. Takes x [B, 3, H, W], padded internally to multiples of 16.
    Returns x_adv like step.x, in [0, 1]. It differs from x even for the smallest bound, since the chroma is halved. Raises
    ValueError unless there are 3 channels.
    """

    bound: PositiveFloat
    steps: PositiveInt

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        refuse_budget(self, step)
        x = step.x
        if x.shape[1] != 3:
            raise ValueError(f"JPEG needs 3 colour channels; these images have {x.shape[1]}")
        if not len(x):
            return x
        height, width = x.shape[2:]
        with eval_without_param_grad(net), torch.autocast(x.device.type, enabled=False):
            code = compress(x)
            shift = self.bound * (2 * step.draws.uniform("start/0", code.shape[1]) - 1)
            for _ in range(self.steps):
                shift.requires_grad_()
                with torch.enable_grad():
                    loss = F.cross_entropy(net(decompress(code + shift / 2, height, width)), step.y, reduction="sum")
                (g,) = torch.autograd.grad(loss, shift)
                shift = (shift.detach() + self.bound / math.sqrt(self.steps) * g.sign()).clamp(-self.bound, self.bound)
            return decompress(code + shift / 2, height, width)


def compress(x: Tensor) -> Tensor:
    """The quantised, unrounded coefficients [B, n] of x [B, 3, H, W] in [0, 1]: luma blocks, then Cb, then Cr."""
    height, width = x.shape[2:]
    x = F.pad(255 * x, (0, -width % 16, 0, -height % 16), mode="replicate")
    ycc = _mixed(x, _YCC)
    luma, chroma = ycc[:, :1] - 128, F.avg_pool2d(ycc[:, 1:], 2)
    return torch.cat([_coefficients(luma, _LUMA), _coefficients(chroma, _CHROMA)], dim=1)


def decompress(code: Tensor, height: int, width: int) -> Tensor:
    """The image [B, 3, height, width] in [0, 1] of the coefficients [B, n] that ``compress`` gives for that size."""
    rows, columns = height + -height % 16, width + -width % 16
    luma, chroma = code.split([rows * columns, rows * columns // 2], dim=1)
    luma = _planes(luma, 1, rows, columns, _LUMA) + 128
    chroma = F.interpolate(_planes(chroma, 2, rows // 2, columns // 2, _CHROMA), scale_factor=2)
    rgb = _mixed(torch.cat([luma, chroma], dim=1), _RGB)
    return (rgb[:, :, :height, :width] / 255).clamp(0, 1)


def _mixed(x: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    return F.conv2d(x, constant(matrix, x.dtype, x.device)[:, :, None, None])


def _dct(like: Tensor) -> Tensor:
    """The orthonormal DCT-II of 8x8 blocks, [64 frequencies, 64 samples]."""
    k, n = torch.arange(8, device=like.device)[:, None], torch.arange(8, device=like.device)
    line = torch.cos((2 * n + 1) * k * (math.pi / 16)) / 2
    line[0] /= math.sqrt(2)
    return torch.kron(line, line).to(like.dtype)


def _coefficients(planes: Tensor, table: tuple[tuple[int, ...], ...]) -> Tensor:
    """[B, P, h, w] -> DCT of the 8x8 blocks, over the table: [B, P h w]."""
    blocks = planes.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)  # [B, P, h/8, w/8, 8, 8]
    return (blocks.flatten(4) @ _dct(planes).T / constant(table, planes.dtype, planes.device).flatten()).flatten(1)


def _planes(code: Tensor, n: int, height: int, width: int, table: tuple[tuple[int, ...], ...]) -> Tensor:
    """[B, n h w] -> [B, n, h, w], the inverse."""
    blocks = (
        code.reshape(len(code), n, height // 8, width // 8, 64) * constant(table, code.dtype, code.device).flatten()
    ) @ _dct(code)
    return blocks.unflatten(4, (8, 8)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
