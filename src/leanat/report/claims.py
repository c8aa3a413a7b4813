"""Tests the papers' claims (``papers/<paper>/claims.py``) on the numbers of finished items; see docs/verdicts.md."""

from __future__ import annotations

import importlib
import importlib.util
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from leanat.experiments.claim import PAPER, Claim, Expect
from leanat.plan.looks import LOOKS
from leanat.report import examples, variance
from leanat.report.cells import NOT_MADE, Cell, Items
from leanat.report.variance import NO_PRIOR, NO_PRIORS, Prior, Priors
from leanat.report.verdict import (
    ALPHA,
    HOPE,
    TIMES,
    Decision,
    Effect,
    TestResult,
    decide,
    exact,
    few_trials,
    gap,
    judge,
    out_of_reach,
    outlook,
    reached,
    spread,
)
from leanat.runs import records

FULL = "paper"  # the scale of the papers' own settings
FAR = 5.0  # a seed is outlying if it is further from its cell's median than so many usual standard deviations of the paper
FAR_POINTS = 5.0  # and further than so many points


@dataclass(frozen=True)
class CaseResult:
    """A case of a claim, or a part of a case: its cells by name, and the effect of each seed and over the seeds.

    ``acting``: the cells that the effect depends on.
    """

    cells: Mapping[str, Cell]
    places: Mapping[str, tuple[str, str, str]]
    by_seed: Mapping[int, float]
    effect: Effect
    acting: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of the ledger: a claim, its verdict at a scale, and the effect of the case that decides the verdict."""

    claim: Claim
    scale: str
    verdict: str
    reason: str = ""
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    used: int = 0  # cases that have numbers
    more: str = ""  # what would decide the claim
    origin: str = "this run"
    looks: tuple[int, ...] = ()  # the looks at which the claim was tested
    decision: Decision | None = None
    signs: tuple[int, int] | None = None  # number of seeds on the claim's side of its bound, and on either side
    outlying: str = ""  # seeds far from the others of their cell
    shown: str = ""  # the cells from which the effect is computed, if there are several cases or parts
    chances: Mapping[int, float] = field(default_factory=dict)  # the probability that each later look decides the claim
    cases: tuple[CaseResult, ...] = ()
    by_mean: bool = False  # whether the mean of the cases rejected the claim; the effect is then this mean
    examples: float = 0.0  # the effect's standard error over test images; 0: its interval is over seeds only
    prior: Prior = NO_PRIOR  # the prior from which the variance of the effect borrows; for a mean, that of its cases
    priors: Priors = NO_PRIORS  # the priors of the cases
    family: int = 0  # number of hypotheses in the correction for multiple testing

    @property
    def partial(self) -> bool:
        """Whether the verdict rests on only some of the claim's cases."""
        return 0 < self.used < len(self.claim.cases)


def load(paper: str) -> list[Claim]:
    """The claims that a paper's ``claims.py`` lists; an empty list if there is no such file. Raises ValueError."""
    name = f"leanat.papers.{paper}.claims"
    if importlib.util.find_spec(name) is None:
        return []
    claims: list[Claim] = importlib.import_module(name).CLAIMS
    if strange := [claim.id for claim in claims if claim.paper != paper]:
        raise ValueError(f"{name}: claims of {paper} are named {paper}-01 and so on, not {', '.join(strange)}")
    return claims


def ledger(claims: list[Claim], items: Items, planned: bool = False, beside: int = 0) -> list[Line]:
    """A line for each claim of one paper.

    Holm's correction counts the claims that have reached the first look. If seeds are ``planned``, by ``leanat decide``, which
    chooses claims by the results so far, it counts all claims that could have been chosen, also those whose items are not made
    yet. ``beside``: number of further claims of the paper that are tested elsewhere.
    """
    begun = [_line(claim, items) for claim in claims]
    absent = sum(over_seeds(line.claim, items.scale) and line.verdict == "not run yet" for line, _ in begun)
    with_cases = [(line.claim, cases) for line, cases in begun if cases]
    result = procedure(with_cases, planned, beside + absent * planned)
    planned_family = len(with_cases) + absent + beside  # the family for ``leanat decide``, which would add the seeds
    tests, origin, lines = iter(result.tests), "replicated" if items.real else "this run", []
    for line, cases in begun:
        if cases:
            line, one = replace(line, cases=cases, family=result.family), next(tests)
            levels = _levels(cases, line.claim, planned_family)
            line = _decided(line, one, levels, result.priors) if one else _waiting(line, levels, result.priors)
        lines.append(replace(line, origin=origin))
    return lines


@dataclass(frozen=True)
class Tested:
    """A claim that has reached the first look: the test at each look, the test with all seeds, and the decision."""

    looks: Mapping[int, TestResult]
    now: TestResult
    decision: Decision


@dataclass(frozen=True)
class PaperResult:
    """The tested claims of a paper, with None for a claim that no effect could decide yet.

    ``family``: number of hypotheses in the correction for multiple testing.
    """

    tests: tuple[Tested | None, ...]
    priors: Priors
    family: int


def procedure(
    claims: Sequence[tuple[Claim, tuple[CaseResult, ...]]], planned: bool = False, beside: int = 0
) -> PaperResult:
    """The whole procedure on the cases of a paper's claims; ``planned`` and ``beside`` as for ``ledger``."""
    priors = _priors(claims)
    results: list[tuple[dict[int, TestResult], TestResult] | None] = []
    for claim, cases in claims:
        trials = [case.effect.n for case in cases]
        if len(out_of_reach(claim.parts()[0].expect, trials)) == 2:
            results.append(None)
        else:
            looks = {look: _judge(claim, cases, priors, look) for look in reached(trials)}
            results.append((looks, _judge(claim, cases, priors)))
    tested = [looks for looks, _ in filter(None, results)]
    others = beside + (len(claims) - len(tested) if planned else 0)
    decisions = iter(decide(tested, others))
    tests = tuple(Tested(*one, _confirmed(next(decisions), one[1])) if one is not None else None for one in results)
    return PaperResult(tests, priors, len(tested) + others)


def _confirmed(decision: Decision, now: TestResult) -> Decision:
    """The decision, or "inconclusive" if a one-sided test on all seeds, later ones included, does not confirm it.

    That test has the level of one end of a 95 % interval, so for every verdict the interval that is shown excludes the bound.
    A claim that was supported at one look, and is not confirmed, may have been rejected at another look.
    """
    p = {"supported": now.support if now.large else 1.0, "not supported": now.reject}.get(decision.verdict, 0.0)
    if p < ALPHA / 2:
        return decision
    rejected = decision.verdict == "supported" and decision.reject < ALPHA and now.reject < ALPHA / 2
    return (
        replace(decision, verdict="not supported", look=None) if rejected else replace(decision, verdict="inconclusive")
    )


def _points(claim: Claim) -> bool:
    return claim.unit == "points"


def _line(claim: Claim, items: Items) -> tuple[Line, tuple[CaseResult, ...]]:
    """The line of a claim without a test, or a line and the cases to be tested, one for each case and part of the claim."""
    if reason := not_tested_at(claim, items.scale):
        verdict = "not testable" if claim.untestable else f"not tested at {items.scale}"
        return Line(claim, items.scale, verdict, reason), ()
    whole, reasons = _cases(claim, items)
    if not whole:
        absent = any(r.startswith(NOT_MADE) for r in reasons)
        verdict = "not run yet" if absent else f"not tested at {items.scale}"
        return Line(claim, items.scale, verdict, "; ".join(sorted(reasons)[:2])), ()
    cells = [own for _, own in whole]
    awaited = [] if items.real else sorted(reason for reason in reasons if reason.startswith(NOT_MADE))
    remarks = "; ".join(filter(None, (_not_finite(cells), *awaited)))
    if claim.kind in ("time", "arithmetic"):
        return _exact(claim, cells, items, remarks), ()
    apart = [range(len(whole))] if claim.expect.of == "mean" else [[k] for k in range(len(whole))]
    cases = [_case(piece, [whole[k] for k in some]) for some in apart for piece in claim.parts()]
    if not all(cases):
        return Line(claim, items.scale, f"not tested at {items.scale}", "its cases have no seed in common"), ()
    return Line(claim, items.scale, "", remarks, used=len(whole)), tuple(filter(None, cases))


def _priors(tested: Sequence[tuple[Claim, tuple[CaseResult, ...]]]) -> Priors:
    """The priors of a paper's effects in points. They use the seeds of the first look only, so later seeds do not change them."""
    first = LOOKS[0]
    looked = [case for claim, cases in tested if _points(claim) for case in cases if case.effect.n >= first]
    kinds = ([case for case in looked if bool(case.effect.examples) is of_images] for of_images in (True, False))
    return Priors(*(variance.prior([_over(c.by_seed, 0.0, first).sd ** 2 for c in kind], first - 1) for kind in kinds))


def _over(by_seed: Mapping[int, float], error: float, most: int | None = None) -> Effect:
    values = [by_seed[seed] for seed in sorted(by_seed)][:most]
    return Effect(statistics.fmean(values), len(values), spread(values), error)


def _judge(claim: Claim, cases: Sequence[CaseResult], priors: Priors, look: int | None = None) -> TestResult:
    """The test with the seeds of a look, or without ``look`` with all seeds. Cases before their first look give no evidence."""
    expect, points = claim.parts()[0].expect, _points(claim)
    effects = [
        _over(c.by_seed, c.effect.examples, look) if c.effect.n >= LOOKS[0] else replace(c.effect, sd=None)
        for c in cases
    ]
    if points:
        effects = [effect.moderated(priors.of(effect.examples)) for effect in effects]
    overall = _overall(cases, look)
    return judge(effects, expect, points, overall and overall.effect)


def _overall(cases: Sequence[CaseResult], look: int | None) -> CaseResult | None:
    """The mean of the cases for each seed, without their cells; None if the cases have too few seeds in common.

    Its variance is at least the variance for independent cases: the means of three seeds can agree by chance although the cases
    do not, for example if there is a collapsed training in each seed.
    """
    common = sorted(set.intersection(*(set(case.by_seed) for case in cases)))[:look]
    if len(common) < max(LOOKS[0], look or 0) or len(cases) < 2:
        return None
    rows = [[case.by_seed[seed] for case in cases] for seed in common]
    alone = statistics.fmean((spread(values) or 0.0) ** 2 for values in zip(*rows, strict=True)) / len(cases)
    # The cases may have all test images in common. The error is therefore the mean of their errors, and not smaller.
    error = statistics.fmean(case.effect.examples for case in cases)
    by_seed = {seed: statistics.fmean(values) for seed, values in zip(common, rows, strict=True)}
    effect = _over(by_seed, error)
    return CaseResult({}, {}, by_seed, replace(effect, sd=max(effect.sd or 0.0, math.sqrt(alone))))


def _decided(line: Line, one: Tested, levels: tuple[float, float], priors: Priors) -> Line:
    claim, cases, expect = line.claim, line.cases, line.claim.parts()[0].expect
    refuted, undecided = one.decision.verdict == "not supported", one.decision.verdict == "inconclusive"
    shown_case = cases[one.now.against if refuted else one.now.shown]
    priors = priors if _points(claim) else NO_PRIORS
    own, other = (priors.of(case.effect.examples) for case in (shown_case, cases[one.now.against]))
    by_mean = refuted and one.now.by_mean
    overall = _overall(cases, None) if by_mean else None
    effect = overall.effect if overall else shown_case.effect.moderated(own)
    low, high = effect.interval() or (None, None)
    chances, more = {}, ""
    if undecided:
        against = cases[one.now.against].effect.moderated(other)
        chances = outlook(effect, against, expect, _points(claim), levels, max(one.looks), own)
        more = _more(chances)
        trials = [case.effect.n for case in cases]
        if never := out_of_reach(expect, trials):
            more = f"{few_trials(trials)}, so that it cannot become '{never[0]}'; {more}"
    if undecided and one.decision.look:
        more = f"decided at {one.decision.look} seeds, and not confirmed by all {effect.n}; {more}"
    return replace(
        line,
        verdict=one.decision.verdict,
        effect=effect.mean,
        low=low,
        high=high,
        n=effect.n,
        more="; ".join(filter(None, (more, line.reason))),
        looks=tuple(one.looks),
        decision=one.decision,
        by_mean=by_mean,
        examples=effect.examples,
        signs=_signs(overall or shown_case, expect),
        outlying=_outlying(shown_case, own),
        shown="" if by_mean or len(cases) == 1 else _cells(shown_case),
        chances=chances,
        prior=own if by_mean or effect.borrowed else NO_PRIOR,
        priors=priors,
    )


def _levels(cases: Sequence[CaseResult], claim: Claim, family: int) -> tuple[float, float]:
    """The levels that a case for a claim, and one against it, must reach at a look with all of the error: Bonferroni over claims
    and cases. They are a little too strict, since the tests use Holm's correction.
    """
    expect, level = claim.parts()[0].expect, ALPHA / max(1, family)
    needed = expect.needed(len(cases))
    by_mean_too = expect.of == "every" and expect.sign != "within" and len(cases) > 1
    return level / (len(cases) - needed + 1), level / needed / (2 if by_mean_too else 1)


def _signs(case: CaseResult, expect: Expect) -> tuple[int, int] | None:
    """The number of seeds on the claim's side of the bound, and of all that do not equal it: for the sign test, which is robust
    against collapsed trainings. None for claims of the kind "within".
    """
    if expect.sign == "within":
        return None
    gaps = [gap(value, expect) for value in case.by_seed.values()]
    return sum(own > 0 for own in gaps), sum(own != 0 for own in gaps)


def _cells(case: CaseResult) -> str:
    """The places of the cells from which an effect is computed, column by column: ``table1, PGD-20: OURS, MART``."""
    rows: dict[tuple[str, str], list[str]] = {}
    for item, row, column in (case.places[name] for name in case.acting):
        rows.setdefault((item, column), []).append(row)
    return "; ".join(f"{item}, {column}: {', '.join(of)}" for (item, column), of in rows.items())


def _outlying(case: CaseResult, prior: Prior) -> str:
    """The cells with a seed far from the others, with all their values, since a mean and its interval hide a collapse."""
    far = max(FAR_POINTS, FAR * math.sqrt(prior.variance))
    outliers = []
    for name, cell in ((name, case.cells[name]) for name in case.acting):
        values = [cell.values[seed] for seed in sorted(cell.values)]
        middle = statistics.median(values)
        if len(values) > 2 and cell.tested and max(abs(value - middle) for value in values) > far:
            outliers.append(f"{name}: {', '.join(f'{value:.1f}' for value in values)}")
    return "; ".join(outliers)


def _more(chances: Mapping[int, float]) -> str:
    """The probability that later looks decide a claim, in words."""
    if not chances:
        return f"undecided at the last look, {LOOKS[-1]} seeds"
    best = max(chances.values())
    if best < HOPE:
        return f"past hope: no number of seeds up to {LOOKS[-1]} is likely to decide it"
    first, last = next(n for n in chances if chances[n] >= HOPE), max(chances)
    tail = f", {last} with {100 * chances[last]:.0f} %" if last != first else ""
    return f"{first} seeds would decide with a probability of {100 * chances[first]:.0f} %{tail} (leanat decide)"


def _waiting(line: Line, levels: tuple[float, float], priors: Priors) -> Line:
    """The line of a claim that no effect could decide with the seeds that its cases have."""
    expect = line.claim.parts()[0].expect
    now = judge([replace(c.effect, sd=None) for c in line.cases], expect, _points(line.claim))
    priors = priors if _points(line.claim) else NO_PRIORS
    effects = [line.cases[place].effect for place in (now.shown, now.against)]
    cases = [effect.moderated(priors.of(effect.examples)) for effect in effects]
    own = priors.of(cases[0].examples)
    return replace(
        line,
        verdict="not decidable",
        reason=few_trials([c.effect.n for c in line.cases]),
        effect=cases[0].mean,
        n=min(case.effect.n for case in line.cases),
        chances=outlook(*cases, expect, _points(line.claim), levels, prior=own),
        prior=own if cases[0].borrowed else NO_PRIOR,
        priors=priors,
    )


def not_tested_at(claim: Claim, scale: str) -> str | None:
    """The reason why a claim is not tested at this scale, whatever was run; None if it is tested."""
    if claim.untestable:
        return claim.untestable
    if claim.kind == "level" and scale != FULL:
        return f"an accuracy, or a difference of so many points: only scale {FULL} can support one"
    if claim.scales and scale not in claim.scales:
        return claim.why or f"tested at {', '.join(claim.scales)}"
    return None


def over_seeds(claim: Claim, scale: str) -> bool:
    """Whether a claim is tested over seeds at this scale, and so counts in the correction for multiple testing."""
    return claim.kind not in ("time", "arithmetic") and not not_tested_at(claim, scale)


Whole = tuple[Mapping[str, tuple[str, str, str]], dict[str, Cell]]  # the places of a case's cells, and the cells


def _cases(claim: Claim, items: Items) -> tuple[list[Whole], set[str]]:
    """The cases that have all their numbers, and the reasons why the others lack some."""
    whole, reasons = [], set()
    for names in claim.cases:
        case = {name: items.cell(claim.paper, *where) for name, where in names.items()}
        lacking = {cell.missing or "no number" for cell in case.values() if not cell.values}
        if not lacking and not all(_series(part, case) for part in claim.parts()):
            lacking = {"no seed in common, or no finite number"}
        reasons |= lacking
        if not lacking:
            whole.append((names, case))
    return whole, reasons


def _not_finite(cases: Sequence[Mapping[str, Cell]]) -> str:
    count = sum(cell.not_finite > 0 for case in cases for cell in case.values())
    return f"images with logits that are not finite count as wrong, in {count} of its cells" if count else ""


def _series(claim: Claim, case: Mapping[str, Cell]) -> dict[int, float]:
    """The effect of each seed that all cells of the case have; the runs are paired by seed."""
    seeds = set.intersection(*(set(cell.values) for cell in case.values()))
    printed = {name + PAPER: cell.published for name, cell in case.items()}
    effects = {}
    for seed in sorted(seeds):
        values = printed | {name: cell.values[seed] for name, cell in case.items()}
        if None not in (values[n] for n in claim.names):
            effects[seed] = claim.value(values)
    return {seed: value for seed, value in effects.items() if math.isfinite(value)}


def _case(claim: Claim, whole: Sequence[Whole]) -> CaseResult | None:
    """The mean effect of the cases for each seed, with its uncertainty; the names of the cells of several cases are numbered.

    Only seeds that all cases have are used; None if there is no such seed.
    """
    cases = [cells for _, cells in whole]
    series = [_series(claim, case) for case in cases]
    common = sorted(set.intersection(*map(set, series)))
    if not common:
        return None
    cells, places, acting = {}, {}, []
    for k, (where, case) in enumerate(whole, 1):
        for name, slope in examples.slopes(claim, case).items():
            numbered = name if len(whole) == 1 else f"{name} {k}"
            cells[numbered], places[numbered] = case[name], where[name]
            acting += [numbered] if slope else []
    by_seed = {seed: statistics.fmean(s[seed] for s in series) for seed in common}
    return CaseResult(cells, places, by_seed, _over(by_seed, examples.error(claim, cases)), tuple(acting))


def _exact(claim: Claim, cases: list[dict[str, Cell]], items: Items, remarks: str) -> Line:
    values = [statistics.fmean(_series(claim, case).values()) for case in cases]
    values = [statistics.fmean(values)] if claim.expect.of == "mean" else values
    # The ratio of two times has the measurement error of both.
    spread = items.time_spread(claim.paper) if claim.kind == "time" else None
    tolerance = max(TIMES, 2 * (spread or 0.0)) if claim.kind == "time" else 0.0
    verdict, place = exact(values, claim.expect, tolerance)
    near = f"within {100 * tolerance:.0f} % of the bound, which a measured time does not resolve"
    repeats = "" if spread is None else f"repeated measurements differ by ±{100 * spread:.1f} %"
    more = "; ".join(filter(None, (near if verdict == "inconclusive" else "", repeats, remarks)))
    return Line(claim, items.scale, verdict, more, effect=values[place], used=len(cases), more=more)


def errata(folder: Path, paper: str) -> list[tuple[str, str]]:
    """Contradictions inside a paper: the id and a description of each (checked by tests/report/test_errata.py)."""
    rows = records.rows(folder / "claims.csv", "id", "paper", "claim", again=records.COMMITTED)
    return [(r["id"], r["claim"]) for r in rows if r["paper"] == paper and r["id"].startswith("erratum")]
