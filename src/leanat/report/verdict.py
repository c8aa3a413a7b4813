"""From effects with their uncertainty to a verdict; docs/verdicts.md is the method in words.

A claim is about cases (pairs of network and data set, say), each with an effect: ``every``, ``most``, ``some`` of them, or
their ``mean``, are above a bound, below it, or within a distance of zero. It is tested at looks that are fixed beforehand.
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

ALPHA = 0.05  # of supporting a claim that is false, and of rejecting one that is true, over the claims of a paper and all looks
# The share of ALPHA that each look may spend. The first gets most: at few degrees of freedom a small tail lies far out.
SHARES = dict(zip(LOOKS, (0.4, 0.25, 0.15, 0.1, 0.1), strict=True))
FEW, LARGE = 5, 2.0  # below this many seeds, only effects over this many points support
TIMES = 0.05  # a measured time ratio this close to its bound decides nothing
TINY = 1e-12  # p values below are this
ROUNDING = 1e-9  # a smaller spread, as a share of the values or of 1, is what is left of sums that should be equal
HOPE = 0.1  # a claim that later looks decide with a smaller probability is past hope
UNKNOWN = 0.5  # chance of a look on what nothing is known of
TYPICAL_SD = 2.0  # points: of a difference over seeds, where a paper has too few to say


def spread(values: Sequence[float]) -> float | None:
    """The sample standard deviation; 0 where the values differ by rounding alone, None for one."""
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
        """With the standard deviation moved towards the paper's usual one (Smyth 2004, equation of the posterior variance)."""
        if self.sd is None:
            return self
        variance, borrowed = prior.posterior(self.sd**2, self.n - 1)
        return replace(self, sd=math.sqrt(variance), borrowed=borrowed)

    def half(self, tail: float, n: int | None = None) -> float:
        """Half-width of an interval that leaves ``tail`` on each side, of n seeds: nan for one seed.

        Student's of the seeds and the normal one of the examples, as the sides of a right angle. One t of Welch's degrees
        of freedom would be too short at small tails: three seeds often agree by chance.
        """
        n = n or self.n
        if self.sd is None or n < 2:
            return math.nan
        seeds = -stdtrit(n - 1 + self.borrowed, tail) * self.sd / math.sqrt(n)
        return math.hypot(seeds, ndtri(tail) * self.examples)

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
        if not self.sd and not self.examples:  # equal seeds say no more than that all are on one side: the sign test
            return 0.5**self.n if gap > 0 else 1.0
        p = self._tail(abs(gap))
        return p if gap > 0 else 1 - p

    def _tail(self, gap: float) -> float:
        """The tail whose half-width is ``gap``."""
        if self.sd and not self.examples:
            return max(TINY, float(stdtr(self.n - 1 + self.borrowed, -gap * math.sqrt(self.n) / self.sd)))
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
    large: bool  # whether as many estimates as needed say what the claim says, by as much as matters
    shown: int
    against: int
    by_mean: bool = False  # whether the mean of the cases is the clearer evidence against the claim


def judge(effects: Sequence[Effect], expect: Expect, points: bool, overall: Effect | None = None) -> TestResult:
    """Tests a claim on its cases; ``points``: accuracies, for which few seeds need large effects.

    ``k of K``: the partial conjunction test of Benjamini and Heller (2008), which for every is the largest p; a case whose own
    estimate is too small counts for nothing. Against ``every`` stand two tests, each at half of the level: that of the
    clearest case, corrected for their number, and that of ``overall``, the mean of the cases, which cannot be beyond the
    bound where every case is within it.
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
    """How far a value is on the claim's side of the bound; below 0 on the other side."""
    if expect.sign == "within":
        return expect.bound - abs(value)
    return value - expect.bound if expect.sign == ">" else expect.bound - value


def _large(fit: float, n: int, expect: Expect, points: bool) -> bool:
    """Whether an estimate is beyond the bound by as much as matters; of few seeds, by as much as few seeds have to show."""
    few = points and n < FEW and expect.sign != "within"
    enough = max(expect.least, LARGE) if few else expect.least
    return fit > enough or fit == enough == expect.least > 0


def _outside(effect: Effect, distance: float) -> float:
    return min(1.0, 2 * min(effect.above(distance), effect.flipped().above(distance)))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p values: below alpha with probability alpha at most if all hypotheses are true."""
    order, adjusted, last = sorted(range(len(values)), key=lambda i: values[i]), [0.0] * len(values), 0.0
    for place, i in enumerate(order):
        last = max(last, min(1.0, (len(values) - place) * values[i]))
        adjusted[i] = last
    return adjusted


@dataclass(frozen=True)
class Decision:
    """A verdict, the adjusted p values behind it, and the first look that reached it; None where none did."""

    verdict: str
    support: float
    reject: float
    look: int | None


def decide(tested: Sequence[Mapping[int, TestResult]], others: int = 0) -> list[Decision]:
    """``supported``, ``not supported`` or ``inconclusive`` for each claim of one paper, by its results at each look.

    A claim's p value is the smallest of its looks, each divided by its share of the error (Bonferroni over the looks: it
    holds whatever made the looks end where they did). Holm's correction is over the claims and ``others``, which could
    have been tested and were not.
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
    """Which of ``supported`` and ``not supported`` no effect leads to, however clear, of cases with so many trials each.

    A case that has not reached the first look can be counted neither for a claim nor against it.
    """
    looks = reached(trials)
    clear = [1e9, -1e9, 0.0]
    cases = [[Effect(mean, n, TINY if n >= LOOKS[0] else None) for n in trials] for mean in clear]
    attainable = {decide([dict.fromkeys(looks, judge(effects, expect, True))])[0].verdict for effects in cases if looks}
    return [verdict for verdict in ("supported", "not supported") if verdict not in attainable]


def reached(trials: Sequence[int]) -> list[int]:
    """The looks that all cases of these trials have reached, but for those that have not reached the first one."""
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
    """The probability that each look ``after`` one decides a claim, were the spread as seen: from the estimate and its own error.

    ``effect``, ``against``: the cases that decide for and against it, at all their seeds; the mean of the cases, which may
    reject ``every`` too, is left out. ``levels``: what a case for it and one against it need at a look that has all of the
    error. A single seed of a number that is no accuracy tells nothing: UNKNOWN.
    """
    chances = {}
    for look in (look for look in LOOKS if look > after):
        chance = 0.0
        for one, support, level in ((effect, True, levels[0]), (against, False, levels[1])):
            if one.sd is None and not (points or prior.df):
                chance += UNKNOWN / 2
                continue
            spread = one.sd if one.sd is not None else math.sqrt(prior.variance) if prior.df else TYPICAL_SD
            case = replace(one, sd=spread, n=max(one.n, 1))
            way = gap(one.mean, expect) if support else expect.least - gap(one.mean, expect)
            wanted = case.half(level * SHARES[look], look)
            if support and expect.sign != "within":
                wanted = max(wanted, LARGE if points and look < FEW else expect.least)
            moves = spread * math.sqrt(max(0.0, 1 / case.n - 1 / look))
            chance += statistics.NormalDist().cdf((way - wanted) / moves) if moves else float(way > wanted)
        chances[look] = min(1.0, chance)
    return chances


def exact(values: Sequence[float], expect: Expect, tolerance: float) -> tuple[str, int]:
    """The verdict on numbers without seeds (arithmetic, measured times), and the place of the case that decides.

    ``tolerance``: share of the bound within which nothing is decided.
    """
    slack = abs(tolerance * expect.bound)
    fits = [gap(v, expect) for v in values]
    order = sorted(range(len(values)), key=lambda i: -fits[i])
    place = order[expect.needed(len(values)) - 1]
    fit = fits[place]
    if fit > slack or (fit >= 0 and slack == 0 and expect.sign == "within"):
        return "supported", place
    return ("not supported" if fit < -slack or slack == 0 else "inconclusive"), place
