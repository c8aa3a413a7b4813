"""Random numbers per example, each a pure function of (seed, purpose, epoch, example, view).

Dropout, AutoAttack and the initialisation of networks draw from torch's generators instead, seeded from the run's seed.

The generator is counter-based: the bits of an example are a hash (the finaliser of SplitMix64, Steele, Lea and Flood 2014) of
a key and a counter, computed in integer arithmetic on the device that holds the data. There is no state, so the
random numbers of an example stay the same when other examples are left out, the batch size changes, or a run is resumed or moved
to another device (where normal numbers may differ in their last digit).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)  # the golden ratio in 64 bits, as a signed integer
_M1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_M2 = 0x94D049BB133111EB - (1 << 64)


def key(*parts: object) -> int:
    """A signed 64-bit integer that depends on every part, the same in every process."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


@contextmanager
def seeded(seed: int, purpose: str) -> Iterator[None]:
    """Within this context torch's CPU generator is seeded by ``seed`` and ``purpose``; afterwards it is as before."""
    with generators_from(key(seed, purpose) & (2**63 - 1)):
        yield


@contextmanager
def generators_from(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Within this context torch's generators, of the CPU and of a GPU ``device``, start from ``seed``; afterwards as before."""
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs that are not restored, too
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def _shift(z: Tensor, n: int) -> Tensor:
    """Logical shift to the right; ``>>`` on int64 keeps the sign."""
    return (z >> n) & ((1 << (64 - n)) - 1)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _M1
    z = (z ^ _shift(z, 27)) * _M2
    return z ^ _shift(z, 31)


@dataclass(frozen=True)
class Draws:
    """Random numbers for the examples ``index`` [B] in one epoch; equal arguments give equal numbers, bit for bit."""

    seed: int
    epoch: int
    index: Tensor
    view: int = 0

    def bits(self, purpose: str, *shape: int) -> Tensor:
        """int64 [B, *shape], uniform over all 64-bit values."""
        stream = key(self.seed, purpose, self.epoch, self.view)
        example = _mix(_mix(self.index.long() * _GAMMA + stream))
        if not shape:
            return example
        counter = torch.arange(1, math.prod(shape) + 1, device=self.index.device) * _GAMMA
        return _mix(example[:, None] + counter).view(len(self.index), *shape)

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        """float32 [B, *shape] in [0, 1), from 24 bits."""
        return _shift(self.bits(purpose, *shape), 40).float() * 2.0**-24

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """float32 [B, *shape] from N(0, 1), by Box and Muller from two uniforms of 24 bits each."""
        bits = self.bits(purpose, *shape)
        radius = ((_shift(bits, 40) + 1).float() * 2.0**-24).log_().mul_(-2).sqrt_()
        angle = (bits & 0xFFFFFF).float() * (2.0**-24 * 2 * math.pi)
        return radius.mul_(angle.cos_())

    def integers(self, purpose: str, high: int, *shape: int) -> Tensor:
        """int64 [B, *shape], uniform in 0 .. high - 1. Raises ValueError for ``high`` above 2**24."""
        if high > 2**24:
            raise ValueError(f"integers below {high}: at most {2**24}")
        return (_shift(self.bits(purpose, *shape), 40) * high) >> 24

    def order(self, purpose: str = "order") -> Tensor:
        """int64 [B], the examples' indices in random order; leaving some examples out keeps the order of the others."""
        return self.index[self.bits(purpose).argsort()]

    def of(self, index: Tensor) -> Draws:
        """The same streams for other examples."""
        return replace(self, index=index)
