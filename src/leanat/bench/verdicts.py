"""Each rule against a random subset of the same size, over paired seeds.

``compared`` is the one place where numbers become verdicts.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from leanat.plan.looks import LOOKS
from leanat.report.statistics import Interval, t_interval
from leanat.report.verdict import Decision, Effect, TestResult, decide, spread

Outcomes = Mapping[int, float]  # accuracy in % by seed


@dataclass(frozen=True)
class Verdict:
    """``verdict``: above chance, below chance, undecided. ``p``: two-sided, corrected for the number of comparisons."""

    row: Hashable
    difference: Interval
    p: float
    verdict: str


def compared(rows: Mapping[Hashable, Outcomes], random: Mapping[Hashable, Outcomes]) -> list[Verdict]:
    """A verdict per row, against the random subsets of the same name; the level holds over all of them together (Holm).

    Tested at the planned looks of ``report.verdict``, so that seeds may be added until it is decided. Below the first look
    nothing is.
    """
    values = {name: [own[seed] - random[name][seed] for seed in sorted(own)] for name, own in rows.items()}
    verdicts = []
    for (name, own), decision in zip(values.items(), decide([*map(_looks, values.values())]), strict=True):
        effect = t_interval(own)
        verdicts.append(Verdict(name, effect, decision.support, _side(own, decision, effect)))
    return verdicts


def _side(values: Sequence[float], decision: Decision, effect: Interval) -> str:
    """The side that the deciding look saw; undecided where the interval over all seeds does not lie on that side of 0."""
    if decision.look is None or effect.low is None or effect.high is None:
        return "undecided"
    above = fmean(values[: decision.look]) > 0
    if effect.low <= 0 if above else effect.high >= 0:
        return "undecided"
    return "above chance" if above else "below chance"


def _looks(values: Sequence[float]) -> dict[int, TestResult]:
    """Of each look, Student's two-sided test that the mean difference is 0, by the first seeds."""
    results = {}
    for look in (look for look in LOOKS if look <= len(values)):
        effect = Effect(abs(fmean(values[:look])), look, spread(values[:look]))
        p = min(1.0, 2 * effect.above(0.0))
        results[look] = TestResult(p, 1.0, True, 0, 0)
    return results
