"""Compares each rule with a random subset of the same size, over paired seeds.

All verdicts of a trial come from ``compared``.
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
    """A verdict per row, compared with the random subsets of the same name; the level holds for all rows together (Holm).

    The tests are at the planned looks of ``report.verdict``, so that seeds may be added until a row is decided. Before the first
    look nothing is decided.
    """
    values = {name: [own[seed] - random[name][seed] for seed in sorted(own)] for name, own in rows.items()}
    verdicts = []
    for (name, own), decision in zip(values.items(), decide([*map(_looks, values.values())]), strict=True):
        effect = t_interval(own)
        verdicts.append(Verdict(name, effect, decision.support, _side(own, decision, effect)))
    return verdicts


def _side(values: Sequence[float], decision: Decision, effect: Interval) -> str:
    """The side of 0 at the look that decided; "undecided" if the interval over all seeds is not completely on that side."""
    if decision.look is None or effect.low is None or effect.high is None:
        return "undecided"
    above = fmean(values[: decision.look]) > 0
    if effect.low <= 0 if above else effect.high >= 0:
        return "undecided"
    return "above chance" if above else "below chance"


def _looks(values: Sequence[float]) -> dict[int, TestResult]:
    """For each look, Student's two-sided test that the mean difference is 0, on the first seeds."""
    results = {}
    for look in (look for look in LOOKS if look <= len(values)):
        effect = Effect(abs(fmean(values[:look])), look, spread(values[:look]))
        p = min(1.0, 2 * effect.above(0.0))
        results[look] = TestResult(p, 1.0, True, 0, 0)
    return results
