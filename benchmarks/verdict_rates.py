"""How often verdicts err, and what they can see: the whole procedure, looks included, on papers whose truth is known.

    python benchmarks/verdict_rates.py            # all of docs/verdicts.md's tables, some 12 minutes of a core

Each simulated paper has claims with a case or several; an effect's seeds are normal about its true mean, collapse, or come
from two methods' answers to every image. Seeds are added until a claim is decided, up to the last look: the most looking that
``leanat decide`` ever does.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence

import numpy as np

from leanat.experiments.claim import Claim, every
from leanat.plan.looks import LOOKS
from leanat.report import examples
from leanat.report.claims import CaseResult, procedure
from leanat.report.verdict import Effect

CLAIM = Claim(
    "qtart-01", "a is above b", "", "ordering", [{"a": ("t", "r", "c")}], lambda a: a, every(above=0), "points", least=0
)
Draw = Callable[[np.random.Generator, float, int], np.ndarray]  # effects by seed [n], or by seed and image [n, images]
IMAGES = 600


def normal(rng: np.random.Generator, sd: float, n: int) -> np.ndarray:
    return rng.normal(0, sd, n)


def collapsing(rng: np.random.Generator, sd: float, n: int) -> np.ndarray:
    """Differences of two methods, each of which loses 30 points in a tenth of its seeds: zero on average, and not normal."""
    lost = -30.0 * (rng.random((2, n)) < 0.1)
    return rng.normal(0, sd, n) + lost[0] - lost[1]


def one_sided(rng: np.random.Generator, sd: float, n: int) -> np.ndarray:
    """Three points of gain, but for a tenth of the seeds, which lose 27: zero on average, and what no few seeds can show."""
    return np.where(rng.random(n) < 0.1, -27.0, 3.0) + rng.normal(0, sd, n)


def of_images(rng: np.random.Generator, sd: float, n: int) -> np.ndarray:
    """What two methods differ by on each image: images are hard or easy for both, as many as the data set has it; each
    training is a little better or worse than its method's others, by ``sd``, and its own on each image.
    """
    ease = rng.normal(rng.uniform(-1, 3), 2, IMAGES)
    level = 0.15 * sd * rng.normal(size=(2, n, 1))
    right = ease + level + rng.normal(size=(2, n, IMAGES)) > 0
    return 100.0 * (right[0].astype(float) - right[1])


def paper(rng: np.random.Generator, means: Sequence[float], draw: Draw, spread: float, last: int) -> list[str]:
    """The verdicts on a paper's claims, one for each mean, up to ``last`` seeds. ``spread``: of the log of their sd.

    Every other claim, from the first on, has one case, the others have six, as papers have. A claim keeps the verdict of the
    look that decided it: no seeds are added to it any more.
    """
    sizes = [6 if place % 2 else 1 for place in range(len(means))]
    values = [
        [mean + draw(rng, float(np.exp(rng.normal(0, spread))), last) for _ in range(size)]
        for mean, size in zip(means, sizes, strict=True)
    ]
    found = ["inconclusive"] * len(means)
    for look in (look for look in LOOKS if look <= last):
        claims = [(CLAIM, tuple(_case(v[:look]) for v in cases)) for cases in values]
        now = [one.decision.verdict for one in procedure(claims).tests if one is not None]
        found = [new if old == "inconclusive" else old for old, new in zip(found, now, strict=True)]
    return found


def _case(values: np.ndarray) -> CaseResult:
    of_images = values.ndim == 2
    by_seed = dict(enumerate((values.mean(1) if of_images else values).tolist()))
    error = examples.spread(values.mean(0), 100 / IMAGES) if of_images else 0.0
    effect = Effect(statistics.fmean(by_seed.values()), len(by_seed), statistics.stdev(by_seed.values()), error)
    return CaseResult({}, {}, by_seed, effect)


def error(rng: np.random.Generator, papers: int, claims: int, draw: Draw, spread: float) -> tuple[float, float]:
    """Shares of papers with a claim that is wrongly supported, and wrongly rejected; each claim is on its bound."""
    found = [paper(rng, [0.0] * claims, draw, spread, LOOKS[-1]) for _ in range(papers)]
    return tuple(sum(verdict in one for one in found) / papers for verdict in ("supported", "not supported"))


def power(rng: np.random.Generator, papers: int, claims: int, mean: float, last: int, spread: float = 0.3) -> float:
    """How often the first of some claims, whose true effect is ``mean`` sd, is supported with ``last`` seeds."""
    return (
        sum(paper(rng, [mean] + [0.0] * (claims - 1), normal, spread, last)[0] == "supported" for _ in range(papers))
        / papers
    )


SCENES: dict[str, tuple[Draw, float]] = {
    "equal variances": (normal, 0.0),
    "unequal variances (sd of log sd .6)": (normal, 0.6),
    "both methods collapse in 10 % of seeds": (collapsing, 0.3),
    "accuracies, by their answers to each image": (of_images, 0.8),
    "one method collapses, its gain hides it": (one_sided, 0.3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--papers", type=int, default=500, help="simulated for each error")
    parser.add_argument("--power", type=int, default=160, help="simulated for each power")
    asked, rng = parser.parse_args(), np.random.default_rng(0)
    print("| all claims on their bound, all looks | 1 claim | 8 claims | 15 claims |\n|---|---|---|---|")
    for name, (draw, spread) in SCENES.items():
        shares = [error(rng, asked.papers, claims, draw, spread) for claims in (1, 8, 15)]
        print(f"| {name} | " + " | ".join(f"{100 * s:.1f} / {100 * r:.1f} %" for s, r in shares) + " |")
    print(f"\n| true effect | {' | '.join(f'{n} seeds, {c} claims' for c in (8, 15) for n in LOOKS)} |")
    print("|---|" + "---|" * 2 * len(LOOKS))
    for mean in (1, 2, 3, 5):
        found = [power(rng, asked.power, claims, mean, last) for claims in (8, 15) for last in LOOKS]
        print(f"| {mean} sd | " + " | ".join(f"{100 * p:.0f} %" for p in found) + " |")


if __name__ == "__main__":
    main()
