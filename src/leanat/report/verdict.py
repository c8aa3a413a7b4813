"""Computes a verdict from effects with their uncertainty; docs/verdicts.md explains the method.

A claim is about cases (for example pairs of network and data set), each with an effect. It says that ``every``, ``most`` or
``some`` of the effects, or their ``mean``, are above a bound, below it, or within a distance of zero. It is tested at looks
(numbers of seeds) that are fixed beforehand.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scipy.optimize import brentq
from scipy.special import ndtri, stdtr, stdtrit

from leanat.experiments.claim import Expect
from leanat.plan.looks import LOOKS
from leanat.report.variance import NO_PRIOR, Prior

# The probability of supporting a false claim, and that of rejecting a true one, over all claims of a paper and all looks.
ALPHA = 0.05
# The share of ALPHA for each look. The first look gets the largest, since small tails are far out with few degrees of freedom.
SHARES = dict(zip(LOOKS, (0.4, 0.25, 0.15, 0.1, 0.1), strict=True))
FEW, LARGE = 5, 2.0  # with fewer seeds than FEW, only effects over LARGE points support a claim
TIMES = 0.05  # a measured ratio of times closer to its bound than this share decides nothing
TINY = 1e-12  # smallest p value
ROUNDING = 1e-9  # a smaller spread, as a share of the values or of 1, counts as a rounding error
HOPE = 0.1  # if later looks decide a claim with a smaller probability, it is "past hope"
UNKNOWN = 0.5  # the probability that a look decides, if nothing is known about the spread
TYPICAL_SD = 2.0  # points: standard deviation of a difference over seeds, in papers with too few effects


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation; 0 if the values differ only by rounding, None for a single value."""
    if len(values) < 2:
        return None
    sd = statistics.stdev(values)
    return sd if sd > ROUNDING * max(1.0, *map(abs, values)) else 0.0


@dataclass(frozen=True)
class Effect:
    """A case: its mean over n seeds, the seeds' standard deviation and the error from the choice of test examples.

    ``borrowed``: degrees of freedom of the standard deviation beyond n - 1, from the other effects of the paper.
    """

    mean: float
    n: int
    sd: float | None = None  # None: one seed
    examples: float = 0.0
    borrowed: float = 0.0

    def moderated(self, prior: Prior) -> Effect:
        """The effect with its standard deviation moved towards the paper's usual one (Smyth 2004, the posterior variance)."""
        if self.sd is None:
            return self
        variance, borrowed = prior.posterior(self.sd**2, self.n - 1)
        return replace(self, sd=math.sqrt(variance), borrowed=borrowed)

    def half(self, tail: float, n: int | None = None) -> float:
        """Half-width of an interval over n seeds with probability ``tail`` on each side; nan for one seed.

        It is the root of the sum of squares of Student's half-width over seeds and the normal half-width over test examples. A
        single t interval with Welch's degrees of freedom would be too short at small tails: three seeds often agree by chance.
        """
        n = n or self.n
        if self.sd is None or n < 2:
            return math.nan
        seeds = -stdtrit(n - 1 + self.borrowed, tail) * self.sd / math.sqrt(n)
        return math.hypot(seeds, ndtri(tail) * self.examples)

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """The interval, not corrected for the number of claims; None for one seed."""
        if self.sd is None:
            return None
        half = self.half((1 - level) / 2)
        return self.mean - half, self.mean + half

    def above(self, bound: float) -> float:
        """One-sided p value of the hypothesis that the effect is at most ``bound``; 1 for one seed."""
        if self.sd is None:
            return 1.0
        gap = self.mean - bound
        if not self.sd and not self.examples:  # equal values only show that all seeds are on one side: sign test
            return 0.5**self.n if gap > 0 else 1.0
        p = self._tail(abs(gap))
        return p if gap > 0 else 1 - p

    def _tail(self, gap: float) -> float:
        """The tail probability for which the half-width is ``gap``."""
        if self.sd and not self.examples:
            return max(TINY, float(stdtr(self.n - 1 + self.borrowed, -gap * math.sqrt(self.n) / self.sd)))
        if self.half(TINY) <= gap:
            return TINY
        return math.exp(brentq(lambda x: self.half(math.exp(x)) - gap, math.log(TINY), math.log(0.5)))

    def flipped(self) -> Effect:
        return replace(self, mean=-self.mean)


@dataclass(frozen=True)
class TestResult:
    """The p values for and against a claim, and the positions ``shown`` and ``against`` of the cases that decide them."""

    support: float
    reject: float
    large: bool  # whether enough estimates agree with the claim by as much as matters
    shown: int
    against: int
    by_mean: bool = False  # whether the mean of the cases is the clearer evidence against the claim


def judge(effects: Sequence[Effect], expect: Expect, points: bool, overall: Effect | None = None) -> TestResult:
    """Tests a claim on its cases; ``points``: whether the effects are accuracies, for which few seeds need large effects.

    For k of K cases this is the partial conjunction test of Benjamini and Heller (2008), which for ``every`` is the largest p
    value; a case whose own estimate is too small counts as p = 1. Against ``every`` there are two tests, each at half of the
    level: the clearest case, corrected for the number of cases, and ``overall``, the mean of the cases. If every case is on
    the claim's side of the bound, their mean is too.
    """
    k, cases = expect.needed(len(effects)), len(effects)
    if expect.sign == "within":
        tests = [
            (max(e.above(-expect.bound), e.flipped().above(-expect.bound)), _outside(e, expect.bound)) for e in effects
        ]
    else:
        sign = 1 if expect.sign == ">" else -1
        turned = [e if sign > 0 else e.flipped() for e in effects]
        bound = sign * expect.bound
        tests = [(e.above(bound), e.flipped().above(-bound - expect.least)) for e in turned]
    fits = [gap(e.mean, expect) for e in effects]
    large = [_large(fit, e.n, expect, points) for fit, e in zip(fits, effects, strict=True)]
    fitting = [p if big else 1.0 for (p, _), big in zip(tests, large, strict=True)]
    order = sorted(range(cases), key=lambda i: (fitting[i], -fits[i]))
    support = min(1.0, (cases - k + 1) * fitting[order[k - 1]])
    against = sorted(range(cases), key=lambda i: (tests[i][1], fits[i]))[cases - k]
    reject, by_mean = min(1.0, k * tests[against][1]), False
    if overall is not None and expect.of == "every" and expect.sign != "within" and cases > 1:
        mean = (overall if expect.sign == ">" else overall.flipped()).flipped().above(-bound - expect.least)
        reject, by_mean = min(1.0, 2 * min(reject, mean)), mean < reject
    return TestResult(support, reject, sum(large) >= k, order[k - 1], against, by_mean)


def gap(value: float, expect: Expect) -> float:
    """The distance of a value from the bound on the claim's side; negative on the other side."""
    if expect.sign == "within":
        return expect.bound - abs(value)
    return value - expect.bound if expect.sign == ">" else expect.bound - value


def _large(fit: float, n: int, expect: Expect, points: bool) -> bool:
    """Whether an estimate exceeds the bound by as much as matters, or, with few seeds, by the larger amount that these need."""
    few = points and n < FEW and expect.sign != "within"
    enough = max(expect.least, LARGE) if few else expect.least
    return fit > enough or fit == enough == expect.least > 0


def _outside(effect: Effect, distance: float) -> float:
    return min(1.0, 2 * min(effect.above(distance), effect.flipped().above(distance)))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p values: if all hypotheses are true, any is below alpha with probability at most alpha."""
    order, adjusted, last = sorted(range(len(values)), key=lambda i: values[i]), [0.0] * len(values), 0.0
    for place, i in enumerate(order):
        last = max(last, min(1.0, (len(values) - place) * values[i]))
        adjusted[i] = last
    return adjusted


@dataclass(frozen=True)
class Decision:
    """A verdict, the adjusted p values behind it, and the first look that reached it, None if no look did."""

    verdict: str
    support: float
    reject: float
    look: int | None


def decide(tested: Sequence[Mapping[int, TestResult]], others: int = 0) -> list[Decision]:
    """``supported``, ``not supported`` or ``inconclusive`` for each claim of one paper, from its results at each look.

    A claim's p value is the smallest over its looks, where each look's p value is divided by the look's share of the error.
    This is Bonferroni's correction over the looks; it is valid whatever the reason for which the looks ended. Holm's correction
    counts the claims and ``others``, the number of claims that could have been tested and were not.
    """
    support = [{n: r.support / SHARES[n] if r.large else 1.0 for n, r in looks.items()} for looks in tested]
    reject = [{n: r.reject / SHARES[n] for n, r in looks.items()} for looks in tested]
    return [
        _decision(s, r, p, q)
        for s, r, p, q in zip(support, reject, _adjusted(support, others), _adjusted(reject, others), strict=True)
    ]


def _adjusted(looks: Sequence[Mapping[int, float]], others: int) -> list[float]:
    return holm([min([1.0, *p.values()]) for p in looks] + [1.0] * others)[: len(looks)]


def _decision(support: Mapping[int, float], reject: Mapping[int, float], p: float, q: float) -> Decision:
    for verdict, adjusted, looks in (("supported", p, support), ("not supported", q, reject)):
        if adjusted < ALPHA:
            times = max(1.0, adjusted / max(min(looks.values()), TINY))  # Holm's factor
            reached_at = next((n for n in sorted(looks) if times * looks[n] < ALPHA), max(looks))
            return Decision(verdict, p, q, reached_at)
    return Decision("inconclusive", p, q, None)


def out_of_reach(expect: Expect, trials: Sequence[int]) -> list[str]:
    """Those of the verdicts ``supported`` and ``not supported`` that no effect can reach, however clear it is.

    ``trials``: the number of seeds of each case. A case that has not reached the first look counts neither for nor against.
    """
    looks = reached(trials)
    clear = [1e9, -1e9, 0.0]
    cases = [[Effect(mean, n, TINY if n >= LOOKS[0] else None) for n in trials] for mean in clear]
    attainable = {decide([dict.fromkeys(looks, judge(effects, expect, True))])[0].verdict for effects in cases if looks}
    return [verdict for verdict in ("supported", "not supported") if verdict not in attainable]


def reached(trials: Sequence[int]) -> list[int]:
    """The looks that all cases with these numbers of trials have reached, ignoring cases before their first look."""
    counted = [n for n in trials if n >= LOOKS[0]]
    return [look for look in LOOKS if counted and look <= min(counted)]


def few_trials(trials: Sequence[int]) -> str:
    few = [n for n in trials if n < LOOKS[0]]
    if not few:
        return "whatever the effects are"
    what = "one seed" if max(few) == 1 else f"fewer than {LOOKS[0]} seeds"
    return what if len(few) == len(trials) else f"{what} in {len(few)} of {len(trials)} cases"


def outlook(
    effect: Effect,
    against: Effect,
    expect: Expect,
    points: bool,
    levels: tuple[float, float],
    after: int = 0,
    prior: Prior = NO_PRIOR,
) -> dict[int, float]:
    """The probability that each look later than ``after`` decides a claim, from the estimate, its error and the spread so far.

    ``effect``, ``against``: the cases that decide for and against the claim, with all their seeds; the mean of the cases, which
    can also reject ``every``, is ignored. ``levels``: the levels that a case for the claim and one against it must reach at a
    look with all of the error. A single seed takes its variance from ``prior``. For a single seed of a number other than an
    accuracy the probability is UNKNOWN.
    """
    chances = {}
    for look in (look for look in LOOKS if look > after):
        chance = 0.0
        for one, support, level in ((effect, True, levels[0]), (against, False, levels[1])):
            if one.sd is None and not (points or prior.df):
                chance += UNKNOWN / 2
                continue
            spread = one.sd if one.sd is not None else math.sqrt(prior.variance) if prior.df else TYPICAL_SD
            case = replace(one, sd=spread, borrowed=one.borrowed if one.sd is not None else prior.df)
            way = gap(one.mean, expect) if support else expect.least - gap(one.mean, expect)
            wanted = case.half(level * SHARES[look], look)
            if support and expect.sign != "within":
                wanted = max(wanted, LARGE if points and look < FEW else expect.least)
            moves = spread * math.sqrt(max(0.0, 1 / case.n - 1 / look))
            chance += statistics.NormalDist().cdf((way - wanted) / moves) if moves else float(way > wanted)
        chances[look] = min(1.0, chance)
    return chances


def exact(values: Sequence[float], expect: Expect, tolerance: float) -> tuple[str, int]:
    """The verdict on numbers without seeds (arithmetic, measured times), and the position of the case that decides it.

    ``tolerance``: a number closer to the bound than this share of it decides nothing.
    """
    slack = abs(tolerance * expect.bound)
    fits = [gap(v, expect) for v in values]
    order = sorted(range(len(values)), key=lambda i: -fits[i])
    place = order[expect.needed(len(values)) - 1]
    fit = fits[place]
    if fit > slack or (fit >= 0 and slack == 0 and expect.sign == "within"):
        return "supported", place
    return ("not supported" if fit < -slack or slack == 0 else "inconclusive"), place
