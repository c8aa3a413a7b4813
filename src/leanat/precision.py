"""What "fp32" means on a GPU. By torch's default, convolutions there round their operands to TF32, 10 bits of mantissa.

Robust accuracies are reported in fp32, and the perceptual attacks take finite differences with a step of 1e-3, which TF32
rounds away: they would then show robustness that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_fp32() -> Iterator[None]:
    """Inside, fp32 convolutions and matrix products use all their bits; outside, torch's flags are as before."""
    flags = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [flag.allow_tf32 for flag in flags]
    for flag in flags:
        flag.allow_tf32 = False
    try:
        yield
    finally:
        for flag, allowed in zip(flags, before, strict=True):
            flag.allow_tf32 = allowed


@contextmanager
def searching(device: torch.device, fixed: bool) -> Iterator[None]:
    """Inside, cuDNN searches the fastest algorithm for each shape: it pays where shapes are ``fixed``, and only there."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = device.type == "cuda" and fixed
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
