"""Each rule against a random subset of the same size, over paired seeds.

``compared`` is the one place where numbers become verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leanat.report.statistics import Interval, paired_difference
from leanat.report.verdict import ALPHA, Effect, holm

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

    With a single seed nothing is decided.
    """
    effects = {name: paired_difference(outcomes, random[name]) for name, outcomes in rows.items()}
    ps = [_p([outcomes[s] - random[name][s] for s in outcomes]) for name, outcomes in rows.items()]
    return [
        Verdict(name, effect, p, "undecided" if p >= ALPHA else f"{'above' if effect.mean > 0 else 'below'} chance")
        for (name, effect), p in zip(effects.items(), holm(ps), strict=True)
    ]


def _p(differences: Sequence[float]) -> float:
    """Two-sided, of Student's test that the mean difference is 0; 1 for a single seed."""
    n = len(differences)
    if n < 2:
        return 1.0
    mean = sum(differences) / n
    sd = (sum((d - mean) ** 2 for d in differences) / (n - 1)) ** 0.5
    effect = Effect(abs(mean), n, sd)
    return min(1.0, 2 * effect.above(0.0))
