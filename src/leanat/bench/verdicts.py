"""Each rule against a random subset of the same size, over paired seeds.

``compared`` is the one place where numbers become verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from leanat.plan.looks import LOOKS
from leanat.report.statistics import Interval, paired_difference
from leanat.report.verdict import Effect, TestResult, decide

Outcomes = Mapping[int, float]  # accuracy in % by seed


@dataclass(frozen=True)
class Verdict:
    """``verdict``: above chance, below chance, undecided. ``p``: two-sided, corrected for the number of comparisons."""

    row: str
    difference: Interval
    p: float
    verdict: str


def compared(rows: Mapping[str, Outcomes], random: Mapping[str, Outcomes]) -> list[Verdict]:
    """A verdict per row, against the random subsets of the same name; the level holds over all of them together (Holm).

    Tested at the planned looks of ``report.verdict``, so that seeds may be added until it is decided. Below the first look
    nothing is.
    """
    effects = {name: paired_difference(outcomes, random[name]) for name, outcomes in rows.items()}
    looks = [_looks({s: outcomes[s] - random[name][s] for s in outcomes}) for name, outcomes in rows.items()]
    verdicts = []
    for (name, effect), decision in zip(effects.items(), decide(looks), strict=True):
        side = "above chance" if effect.mean > 0 else "below chance"
        verdicts.append(
            Verdict(name, effect, decision.support, side if decision.verdict == "supported" else "undecided")
        )
    return verdicts


def _looks(differences: Outcomes) -> dict[int, TestResult]:
    """Of each look, Student's two-sided test that the mean difference is 0, by the first seeds."""
    values = [differences[seed] for seed in sorted(differences)]
    results = {}
    for look in (look for look in LOOKS if look <= len(values)):
        effect = Effect(abs(fmean(values[:look])), look, stdev(values[:look]))
        p = min(1.0, 2 * effect.above(0.0))
        results[look] = TestResult(p, 1.0, True, 0, 0)
    return results
