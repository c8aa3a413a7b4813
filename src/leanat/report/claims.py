"""The papers' claims (``papers/<paper>/claims.py``) against the numbers of finished items: docs/verdicts.md."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from leanat.experiments.claim import PAPER, Claim
from leanat.report import examples
from leanat.report.cells import Cell, Items
from leanat.report.verdict import (
    TIMES,
    Effect,
    TestResult,
    exact,
    few_trials,
    judge,
    out_of_reach,
    seeds_needed,
    verdicts,
)

FULL = "paper"  # the scale of the papers' own settings


@dataclass(frozen=True)
class Line:
    """A line of the ledger: a claim, its verdict at a scale, and the effect of the case that decides."""

    claim: Claim
    scale: str
    verdict: str
    reason: str = ""
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    used: int = 0  # cases that have numbers
    more: str = ""  # what would decide it
    origin: str = "this run"


def load(paper: str) -> list[Claim]:
    """The claims that a paper's ``claims.py`` lists; none where it has no such file. Raises ValueError."""
    name = f"leanat.papers.{paper}.claims"
    if importlib.util.find_spec(name) is None:
        return []
    found: list[Claim] = importlib.import_module(name).CLAIMS
    if strange := [claim.id for claim in found if claim.paper != paper]:
        raise ValueError(f"{name}: claims of {paper} are named {paper}-01 and so on, not {', '.join(strange)}")
    return found


def ledger(claims: list[Claim], items: Items) -> list[Line]:
    """A line for each claim of one paper: Holm's correction is over those that their trials can decide."""
    lines: dict[str, Line] = {}
    tested: list[tuple[Claim, list[Effect], TestResult]] = []
    for claim in claims:
        if reason := not_tested_at(claim, items.scale):
            verdict = "not testable" if claim.untestable else f"not tested at {items.scale}"
            lines[claim.id] = Line(claim, items.scale, verdict, reason)
            continue
        cases, reasons = _cases(claim, items)
        if not cases:
            verdict = (
                "not run yet" if any(r.startswith("not made yet") for r in reasons) else f"not tested at {items.scale}"
            )
            lines[claim.id] = Line(claim, items.scale, verdict, "; ".join(sorted(reasons)[:2]))
        elif claim.kind in ("time", "arithmetic"):
            lines[claim.id] = _exact(claim, cases, items.scale)
        else:
            apart = [cases] if claim.expect.of == "mean" else [[case] for case in cases]
            pieces = claim.parts()
            effects = [_effect(piece, some) for some in apart for piece in pieces]
            lines[claim.id] = Line(claim, items.scale, "", _not_finite(cases), used=len(cases))
            if len(out_of_reach(pieces[0].expect, [effect.n for effect in effects])) == 2:
                lines[claim.id] = _undecidable(lines[claim.id], effects)
            else:
                tested.append((pieces[0], effects, judge(effects, pieces[0].expect, claim.unit == "points")))
    for (claim, effects, judged), verdict in zip(tested, verdicts([j for *_, j in tested]), strict=True):
        effect = effects[judged.against if verdict == "not supported" else judged.shown]
        low, high = effect.interval() or (None, None)
        more = _more(claim, effect, len(tested), len(effects)) if verdict == "inconclusive" else ""
        more = "; ".join(filter(None, (more, lines[claim.id].reason)))
        shown = {"verdict": verdict, "effect": effect.mean, "low": low, "high": high, "n": effect.n, "more": more}
        lines[claim.id] = replace(lines[claim.id], **shown)
    origin = "replicated" if items.real else "this run"
    return [replace(lines[claim.id], origin=origin) for claim in claims]


def _undecidable(line: Line, effects: list[Effect]) -> Line:
    """No effect could decide the claim with the trials that its cases have, so it is none of those that Holm corrects for."""
    fewest = min(effects, key=lambda effect: effect.n)
    return replace(
        line, verdict="not decidable", reason=few_trials([e.n for e in effects]), effect=fewest.mean, n=fewest.n
    )


def not_tested_at(claim: Claim, scale: str) -> str | None:
    """Why a claim is not tested at this scale, whatever was run there; None where it is."""
    if claim.untestable:
        return claim.untestable
    if claim.kind == "level" and scale != FULL:
        return f"an accuracy, or a difference of so many points: only scale {FULL} can support one"
    if claim.scales and scale not in claim.scales:
        return claim.why or f"tested at {', '.join(claim.scales)}"
    return None


def _cases(claim: Claim, items: Items) -> tuple[list[dict[str, Cell]], set[str]]:
    """The cases that have all their numbers, and why the others have not."""
    whole, reasons = [], set()
    for names in claim.cases:
        case = {name: items.cell(claim.paper, *where) for name, where in names.items()}
        lacking = {cell.missing or "no number" for cell in case.values() if not cell.values}
        if not lacking and not all(_series(part, case) for part in claim.parts()):
            lacking = {"no seed in common, or no finite number"}
        reasons |= lacking
        if not lacking:
            whole.append(case)
    return whole, reasons


def _not_finite(cases: list[dict[str, Cell]]) -> str:
    count = sum(cell.not_finite > 0 for case in cases for cell in case.values())
    return f"images with logits that are not finite count as wrong, in {count} of its cells" if count else ""


def _series(claim: Claim, case: Mapping[str, Cell]) -> dict[int, float]:
    """The effect by seed, over the seeds that all cells of the case have: their runs are paired."""
    seeds = set.intersection(*(set(cell.values) for cell in case.values()))
    printed = {name + PAPER: cell.published for name, cell in case.items()}
    found = {}
    for seed in sorted(seeds):
        values = printed | {name: cell.values[seed] for name, cell in case.items()}
        if None not in (values[n] for n in claim.names):
            found[seed] = claim.value(values)
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def _effect(claim: Claim, cases: list[dict[str, Cell]]) -> Effect:
    """The mean effect of the cases with its uncertainty."""
    series = [_series(claim, case) for case in cases]
    common = sorted(set.intersection(*map(set, series))) or sorted(series[0])
    values = [statistics.fmean(s[seed] for s in series if seed in s) for seed in common]
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Effect(statistics.fmean(values), len(values), sd, examples.error(claim, cases))


def _exact(claim: Claim, cases: list[dict[str, Cell]], scale: str) -> Line:
    values = [statistics.fmean(_series(claim, case).values()) for case in cases]
    values = [statistics.fmean(values)] if claim.expect.of == "mean" else values
    verdict, place = exact(values, claim.expect, TIMES if claim.kind == "time" else 0.0)
    more = "within 5 % of the bound, which a measured time does not resolve" if verdict == "inconclusive" else ""
    return Line(claim, scale, verdict, effect=values[place], used=len(cases), more=more)


def _more(claim: Claim, effect: Effect, tests: int, cases: int) -> str:
    if effect.sd is None:
        return "one trial shows no spread: 3 or more"
    needed = seeds_needed(effect, claim.expect, claim.unit == "points", tests, cases)
    if needed:
        return f"{needed} seeds would decide"
    return "more than 100 seeds, or more test examples" if effect.examples else "more than 100 seeds"


def errata(folder: Path, paper: str) -> list[tuple[str, str]]:
    """Contradictions inside a paper: id, and what contradicts what (checked by tests/report/test_errata.py)."""
    with (folder / "claims.csv").open(newline="", encoding="utf-8") as file:
        return [
            (r["id"], r["claim"]) for r in csv.DictReader(file) if r["paper"] == paper and r["id"].startswith("erratum")
        ]
