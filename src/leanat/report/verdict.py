"""From effects with their uncertainty to a verdict; docs/verdicts.md is the method in words.

A claim is about cases (pairs of network and data set, say), each with an effect: ``every``, ``most``, ``some`` of them, or
their ``mean``, are above a bound, below it, or within a distance of zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from leanat.experiments.claim import Expect

ALPHA = (
    0.05  # of ever supporting a claim that is false, and of ever rejecting one that is true, over the claims of a paper
)
FEW, LARGE = 5, 2.0  # below this many seeds, only effects over this many points support
TIMES = 0.05  # a measured time ratio this close to its bound decides nothing
MOST_SEEDS = 100
TINY = 1e-12  # p values below are this


@dataclass(frozen=True)
class Effect:
    """A case: its mean over n seeds, the seeds' standard deviation and the error from the choice of test examples."""

    mean: float
    n: int
    sd: float | None = None  # None: one seed
    examples: float = 0.0

    def half(self, tail: float, n: int | None = None) -> float:
        """Half-width of an interval that leaves ``tail`` on each side, of n seeds: nan for one seed.

        Student's of the seeds (n - 1 degrees of freedom) and the normal one of the examples, as the sides of a right angle.
        One t of Welch's degrees of freedom would be too short at small tails: three seeds often agree by chance.
        """
        from scipy.special import ndtri, stdtrit

        n = n or self.n
        if self.sd is None or n < 2:
            return math.nan
        return math.hypot(stdtrit(n - 1, 1 - tail) * self.sd / math.sqrt(n), ndtri(1 - tail) * self.examples)

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Not corrected for the number of claims; None for one seed."""
        if self.sd is None:
            return None
        half = self.half((1 - level) / 2)
        return self.mean - half, self.mean + half

    def above(self, bound: float) -> float:
        """One-sided p of the hypothesis that the effect is at most ``bound``; 1 for one seed."""
        if self.sd is None:
            return 1.0
        gap = self.mean - bound
        if not self.sd and not self.examples:
            return 0.0 if gap > 0 else 1.0
        p = self._tail(abs(gap))
        return p if gap > 0 else 1 - p

    def _tail(self, gap: float) -> float:
        """The tail whose half-width is ``gap``."""
        from scipy.optimize import brentq

        if self.half(TINY) <= gap:
            return TINY
        return math.exp(brentq(lambda x: self.half(math.exp(x)) - gap, math.log(TINY), math.log(0.5)))

    def flipped(self) -> Effect:
        return replace(self, mean=-self.mean)


@dataclass(frozen=True)
class TestResult:
    """Two p values and what else a verdict needs; ``shown`` and ``against``: the places of the cases that decide them."""

    support: float
    reject: float
    large: bool  # whether the estimate itself says what the claim says, by as much as matters
    shown: int
    against: int


def judge(effects: Sequence[Effect], expect: Expect, points: bool) -> TestResult:
    """Tests a claim on its cases; ``points``: accuracies, for which few seeds need large effects.

    ``k of K``: the partial conjunction test of Benjamini and Heller (2008), which for every is the largest p.
    """
    k, cases = expect.needed(len(effects)), len(effects)
    if expect.sign == "within":
        tests = [
            (max(e.above(-expect.bound), e.flipped().above(-expect.bound)), _outside(e, expect.bound)) for e in effects
        ]
        fits = [expect.bound - abs(e.mean) for e in effects]
        enough = 0.0
    else:
        sign = 1 if expect.sign == ">" else -1
        turned = [e if sign > 0 else e.flipped() for e in effects]
        bound = sign * expect.bound
        tests = [(e.above(bound), e.flipped().above(-bound - expect.least)) for e in turned]
        fits = [e.mean - bound for e in turned]
        few = points and min(e.n for e in effects) < FEW
        enough = max(expect.least, LARGE) if few else expect.least
    support = min(1.0, (cases - k + 1) * sorted(p for p, _ in tests)[k - 1])
    reject = min(1.0, k * sorted(q for _, q in tests)[cases - k])
    order = sorted(range(cases), key=lambda i: -fits[i])
    fit = fits[order[k - 1]]
    large = fit > enough or (fit == enough and enough == expect.least and fit > 0)
    against = sorted(range(cases), key=lambda i: tests[i][1])[cases - k]
    return TestResult(support, reject, large, order[k - 1], against)


def _outside(effect: Effect, distance: float) -> float:
    return min(1.0, 2 * min(effect.above(distance), effect.flipped().above(distance)))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p values: below alpha with probability alpha at most if all hypotheses are true."""
    order, adjusted, last = sorted(range(len(values)), key=lambda i: values[i]), [0.0] * len(values), 0.0
    for place, i in enumerate(order):
        last = max(last, min(1.0, (len(values) - place) * values[i]))
        adjusted[i] = last
    return adjusted


def verdicts(judged: Sequence[TestResult]) -> list[str]:
    """``supported``, ``not supported`` or ``inconclusive`` for each claim of one paper, corrected for their number."""
    support, reject = holm([j.support for j in judged]), holm([j.reject for j in judged])
    return [
        "supported" if s < ALPHA and j.large else "not supported" if r < ALPHA else "inconclusive"
        for j, s, r in zip(judged, support, reject, strict=True)
    ]


def out_of_reach(expect: Expect, trials: Sequence[int]) -> list[str]:
    """Which of ``supported`` and ``not supported`` no effect leads to, however clear, of cases with so many trials each.

    One trial shows no spread over seeds, so its case can be counted neither for a claim nor against it.
    """
    clear = [1e9, -1e9, 0.0]
    cases = [[Effect(mean, n, 0.0 if n > 1 else None) for n in trials] for mean in clear]
    reached = {verdicts([judge(effects, expect, points=True)])[0] for effects in cases}
    return [verdict for verdict in ("supported", "not supported") if verdict not in reached]


def few_trials(trials: Sequence[int]) -> str:
    single = sum(n == 1 for n in trials)
    return "one trial" if single == len(trials) else f"one trial in {single} of {len(trials)} cases"


def seeds_needed(effect: Effect, expect: Expect, points: bool, tests: int, cases: int = 1) -> int | None:
    """Seeds that would decide with a probability of 80 %, were effect and spread as seen; None if 100 would not.

    ``effect``: that of the case that decides, of ``cases``. ``tests``: claims tested together, each then at level
    alpha / tests (Bonferroni, so a little too many).
    """
    if effect.sd is None:
        return None
    sign, needed = -1 if expect.sign == "<" else 1, expect.needed(cases)
    gap = sign * (effect.mean - expect.bound)
    if expect.sign == "within":
        gap, few, fits = abs(expect.bound - abs(effect.mean)), False, abs(effect.mean) <= expect.bound
    else:
        fits = gap >= expect.least
        few = points and fits and gap <= LARGE
        gap = gap if fits else expect.least - gap
    tests *= cases - needed + 1 if fits else needed  # as in judge
    for n in range(max(2, effect.n + 1, FEW if few else 0), MOST_SEEDS + 1):
        if gap >= effect.half(ALPHA / tests, n) + effect.half(0.2, n):
            return n
    return None


def exact(values: Sequence[float], expect: Expect, tolerance: float) -> tuple[str, int]:
    """The verdict on numbers without seeds (arithmetic, measured times), and the place of the case that decides.

    ``tolerance``: share of the bound within which nothing is decided.
    """
    slack = abs(tolerance * expect.bound)
    if expect.sign == "within":
        fits = [expect.bound - abs(v) for v in values]
    else:
        fits = [(v - expect.bound) * (1 if expect.sign == ">" else -1) for v in values]
    order = sorted(range(len(values)), key=lambda i: -fits[i])
    place = order[expect.needed(len(values)) - 1]
    fit = fits[place]
    if fit > slack or (fit >= 0 and slack == 0 and expect.sign == "within"):
        return "supported", place
    return ("not supported" if fit < -slack or slack == 0 else "inconclusive"), place
