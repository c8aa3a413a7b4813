"""Constants on a device, put there once: each copy from the host to a GPU makes the host wait for what the GPU still does."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def constant(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of ``values``, numbers or tuples of them, that all callers share: it is never changed in place."""
    return torch.tensor(values, dtype=dtype, device=device)
