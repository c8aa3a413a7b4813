"""The papers' claims (``published/claims.yaml``) against the numbers of finished items: docs/verdicts.md.

A claim is arithmetic (``effect``) over named cells of items, for each of its cases (``for``), and what it expects of them:

    qtart-01:
      says: ...                    our words; source: where the paper says it
      kind: ordering               or level, mechanism, time, arithmetic: see KINDS
      item: table1                 of the same paper; rows and columns as its CSV names them
      for: {net: [VGG16, DenseNet], data: [CIFAR-10]}
      cells: {ours: ["{net} | Q-TART (Ours)", "{data}"], sgd: ["{net} | Baseline", "{data}"]}
      effect: ours - sgd           a name with _paper at its end is what the paper prints in the cell
      expect: every > 0            every, most, some of the cases, or their mean; >, <, within
"""

from __future__ import annotations

import csv
import itertools
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leanat.core.errors import did_you_mean
from leanat.plan.settings import load_yaml
from leanat.report import examples, expression
from leanat.report.cells import Cell, Items
from leanat.report.examples import PAPER
from leanat.report.verdict import (
    LEAST,
    TIMES,
    Effect,
    Expect,
    TestResult,
    exact,
    expectation,
    few_trials,
    judge,
    out_of_reach,
    seeds_needed,
    verdicts,
)

KINDS = {  # what a claim is about, and so what small stand-in data can say of it
    "ordering": "points",  # which of two is better
    "level": "points",  # how good one is, or by how much: at the paper's own settings alone
    "mechanism": "",  # what happens inside
    "time": "×",  # ratios of measured times
    "arithmetic": "",  # computed from settings, no run
}
FULL = "paper"  # the scale of the papers' own settings
KEYS = {
    "says",
    "source",
    "kind",
    "item",
    "for",
    "cells",
    "effect",
    "expect",
    "least",
    "unit",
    "scales",
    "why",
    "nested",
}
ONLY = {"says", "source", "quotes", "untestable"}


@dataclass(frozen=True)
class Claim:
    """One claim of a paper; without ``expect`` it cannot be tested, and ``untestable`` says why."""

    id: str
    paper: str
    says: str
    source: str
    kind: str = ""
    unit: str = ""
    cases: tuple[dict[str, tuple[str, str, str]], ...] = ()  # name -> item, row, column
    effect: str = ""
    expect: Expect | None = None
    scales: tuple[str, ...] = ()  # empty: all
    why: str | None = None  # why at other scales not
    nested: bool = False  # the effect is a share of the examples: what a stronger attack on the same network takes away
    untestable: str | None = None
    quotes: tuple[tuple[str, str, str], ...] = ()  # the paper's numbers that it is about: item, row, column


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


def load(path: Path) -> dict[str, list[Claim]]:
    """Claims by paper; ValueError with every fault, a line each."""
    problems: list[str] = []
    found: dict[str, list[Claim]] = {}
    for paper, part in load_yaml(path).items():
        found[paper] = []
        for name, entry in part.get("claims", {}).items():
            try:
                found[paper].append(_claim(paper, name, entry))
            except (ValueError, KeyError, TypeError) as error:
                problems.append(f"{path}: {name}: {error if isinstance(error, ValueError) else repr(error)}")
    if problems:
        raise ValueError("\n".join(problems))
    return found


def _claim(paper: str, name: str, entry: Mapping[str, Any]) -> Claim:
    for key in entry:
        if key not in KEYS | ONLY:
            raise ValueError(f"unknown key {key!r}{did_you_mean(key, KEYS | ONLY)}")
    quotes = tuple((q[0], q[1], q[2]) for q in entry.get("quotes", []))
    bare = Claim(name, paper, entry["says"], entry["source"], quotes=quotes)
    if "untestable" in entry:
        if wrong := sorted(set(entry) - ONLY):
            raise ValueError(f"{wrong[0]} beside a reason why it is not tested")
        return replace(bare, untestable=entry["untestable"])
    if entry["kind"] not in KINDS:
        raise ValueError(f"kind {entry['kind']!r}{did_you_mean(entry['kind'], KINDS)}")
    cases = tuple(_cells(entry, values) for values in _product(entry.get("for", {})))
    wanted = {n.removesuffix(PAPER) for n in expression.names(entry["effect"])}
    if wanted != set(entry["cells"]):
        raise ValueError(f"effect {entry['effect']!r} is not of the cells {', '.join(entry['cells'])}")
    unit = entry.get("unit", KINDS[entry["kind"]])
    least = entry.get("least", LEAST if unit == "points" and entry["kind"] == "ordering" else 0.0)
    rest = {
        "kind": entry["kind"],
        "unit": unit,
        "cases": cases,
        "effect": entry["effect"],
        "expect": expectation(entry["expect"], least),
        "scales": tuple(entry.get("scales", ())),
        "why": entry.get("why"),
        "nested": entry.get("nested", False),
    }
    return replace(bare, **rest)


def _product(axes: Any) -> list[dict[str, Any]]:
    """``{a: [1, 2], b: [3]}``, or a list of such, as {a: 1, b: 3}, {a: 2, b: 3}; what is no list is one value."""
    found = []
    for part in axes if isinstance(axes, list) else [axes]:
        lists = [v if isinstance(v, list) else [v] for v in part.values()]
        found += [dict(zip(part, values, strict=True)) for values in itertools.product(*lists)]
    return found


def _cells(entry: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    found = {}
    for name, parts in entry["cells"].items():
        item, row, column = parts if len(parts) == 3 else (entry["item"], *parts)
        found[name] = tuple(str(text).format_map(values) for text in (item, row, column))
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
            pieces = parts(claim)
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


def parts(claim: Claim) -> list[Claim]:
    """A claim about the largest or smallest of several cells as claims that all have to hold, where it is that."""
    if claim.expect.of not in ("every", "mean") or claim.expect.sign == "within":
        return [claim]
    texts = expression.parts(claim.effect, above=claim.expect.sign == ">")
    expect = replace(claim.expect, of="every") if len(texts) > 1 else claim.expect
    return [replace(claim, effect=text, expect=expect) for text in texts]


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
        if not lacking and not _series(claim, case):
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
        if None not in (values[n] for n in expression.names(claim.effect)):
            found[seed] = expression.evaluate(claim.effect, values)
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
