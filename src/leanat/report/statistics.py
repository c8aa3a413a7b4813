"""Estimates with their intervals, over a few seeds or over test examples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

from leanat.plan.item import Value

LEVEL = 0.95  # the level of every interval
NORMAL = NormalDist().inv_cdf((1 + LEVEL) / 2)  # half-width of a normal interval, in standard errors


class Interval(NamedTuple):
    """An estimate from n values and its interval; ``low`` and ``high`` are None if the n values show no spread."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def half(self) -> float | None:
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def t_interval(values: Sequence[float]) -> Interval:
    """The mean over seeds and Student's t interval with n - 1 degrees of freedom; a single value has no interval."""
    if not len(values) or not all(map(math.isfinite, values)):
        raise ValueError(f"finite values expected, at least one, not {list(values)}")
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, None, 1)
    from scipy.stats import t

    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return Interval(mean, mean - half, mean + half, n)


def paired_difference(a: Mapping[int, float], b: Mapping[int, float]) -> Interval:
    """The mean of a - b and its interval over the seeds that both have. Runs are paired, since runs with the same seed share
    initial weights, order of examples and noise.

    Raises ValueError if they have no seed in common.
    """
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise ValueError(f"no seed in common: {sorted(a)} and {sorted(b)}")
    return t_interval([a[seed] - b[seed] for seed in seeds])


def told_apart(a: Mapping[int, float], b: Mapping[int, float]) -> Interval | None:
    """The interval of a - b if it excludes 0; None if it does not, or if there are fewer than two common seeds."""
    difference = paired_difference(a, b) if len(a.keys() & b.keys()) > 1 else None
    return difference if difference and (difference.low > 0 or difference.high < 0) else None


def wilson(successes: int, n: int) -> Interval:
    """The share ``successes / n`` of n test examples, and Wilson's score interval (1927)."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"successes must be 0 .. n with n > 0, not {successes} of {n}")
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(LEVEL, method="wilson")
    return Interval(successes / n, float(interval.low), float(interval.high), n)


def over_images(cell: Value, unit: str | None) -> Interval | None:
    """Wilson's interval of an accuracy with one seed, in %; None for several seeds, or if the number is not a share of images."""
    if cell.n != 1 or unit != "%":
        return None
    return share_of_images(cell.values[0], cell.tested)


def share_of_images(percent: float, tested: int | None) -> Interval | None:
    """``percent`` of the test examples with Wilson's interval, in %; None if ``percent`` is not a share of the examples."""
    if not tested or not 0 <= percent <= 100:
        return None
    interval = wilson(round(percent / 100 * tested), tested)
    return Interval(percent, 100 * interval.low, 100 * interval.high, tested)
