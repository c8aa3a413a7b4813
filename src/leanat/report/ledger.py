"""The ledger of claims: its lines, as CSV and JSON, and as PDF and PNG."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from leanat import options
from leanat.core.files import write_csv, write_text
from leanat.experiments.claim import Claim
from leanat.plan import looks
from leanat.plan.grid import Grid
from leanat.plan.item import Item
from leanat.plan.looks import LOOKS
from leanat.report import typeset
from leanat.report.cells import Items
from leanat.report.claims import CaseResult, Line, errata, ledger, load
from leanat.report.ledger_text import MARKS, expected, measured, named, notes, of_cases, sign_test, summary, text, why
from leanat.report.variance import Prior
from leanat.report.verdict import ALPHA, FEW, LARGE, SHARES
from leanat.runs import records

COLUMNS = (
    "paper", "claim", "verdict", "effect", "low", "high", "unit", "expected", "seeds", "cases", "cases_in_all", "scale",
    "origin", "kind", "reason", "says", "source", "look", "p_support", "p_reject", "seeds_for", "seeds_not_equal", "minutes",
    "effect_of",
)  # fmt: skip
# Verdicts in the order of the table of counts.
ELSEWHERE = "not tested at this scale"
COUNTED = ("supported", "not supported", "inconclusive", "not decidable", "not run yet", ELSEWHERE, "not testable")
PPI = 110


def make(grid: Grid, only: Sequence[str], results: Path, root: Path, out: Path | None) -> str:
    """The ledger as text for this terminal, for the papers in ``only`` or, if it is empty, for all in the grid.

    ``out``: also writes it as PDF, with PNG, CSV and JSON beside it. Raises ValueError for a paper that does not exist.
    """
    titles = {paper: part.title for paper, part in grid.papers.items()}
    for paper in only:
        options.paper(grid, paper, "claims")
    lines_by_paper = of_grid(grid, only or titles, results, root)
    if out is not None:
        minutes = price(lines_by_paper, results)
        write_rows(rows(lines_by_paper, minutes), out.with_suffix(".csv"))
        write_json(lines_by_paper, minutes, out.with_suffix(".json"))
        write_pdf(lines_by_paper, titles, root / "published", out.with_suffix(""))
    return text(lines_by_paper, titles, max(40, shutil.get_terminal_size((100, 24)).columns))


def of_grid(grid: Grid, papers: Iterable[str], results: Path, root: Path) -> dict[str, list[Line]]:
    """The ``lines`` of all claims of these papers, with the scale and the items of the settings."""
    own, more = {paper: load(paper) for paper in papers}, bool(grid.settings.get("more_seeds"))
    return lines(own, results, root / "replicated", grid.scale.name, grid.items, more)


def lines(
    claims: Mapping[str, list[Claim]],
    results: Path,
    real: Path,
    scale: str,
    asked: Mapping[str, Item] | None = None,
    more_seeds: bool = False,
) -> dict[str, list[Line]]:
    """Lines by paper: one per claim at ``scale``, and one more for each claim that committed replications can test.

    ``asked``: the items by name, as the settings have them; without it all files of items count, whatever their settings.
    ``more_seeds``: whether the settings give single items more seeds, as ``leanat decide`` does with its file in the results.
    """
    lines_by_paper, planned = {}, more_seeds or bool(looks.read(results, scale))
    for paper, own in claims.items():
        lines_by_paper[paper] = ledger(own, Items(results, scale, asked=asked), planned)
        # the same runs are not counted twice
        here = {(scale, line.claim.id) for line in lines_by_paper[paper] if line.used}
        files = (records.rows(path, "scale", again=records.COMMITTED) for path in (real / paper).glob("*.csv"))
        for other in sorted({row["scale"] for rows in files for row in rows}):
            kept = ledger(own, Items(real, other, real=True))
            lines_by_paper[paper] += [line for line in kept if line.used and (other, line.claim.id) not in here]
    return lines_by_paper


def price(lines_by_paper: Mapping[str, list[Line]], results: Path) -> dict[str, float]:
    """Core minutes of the runs and attacks behind each claim of this run, by its id; a run counts for each claim that uses it."""
    seconds: dict[str, float] = {}
    minutes = {}
    for line in (line for part in lines_by_paper.values() for line in part if line.origin == "this run"):
        runs = {run for case in line.cases for cell in case.cells.values() for run in cell.runs}
        if runs:
            minutes[line.claim.id] = sum(_seconds(run, results, seconds) for run in runs) / 60
    return minutes


def _seconds(run: str, results: Path, seconds_by_run: dict[str, float]) -> float:
    """Core seconds of a training and all attacks on it; missing or damaged records count as 0."""
    if run not in seconds_by_run:
        folder, seconds_by_run[run] = results / "runs" / run, 0.0
        with suppress(FileNotFoundError, ValueError):
            record = records.metrics(folder / "metrics.json")
            seconds_by_run[run] += record.get("wall_seconds", 0) * record.get("threads", 1)
        for path in sorted((folder / "suites").glob("*.json")):
            with suppress(FileNotFoundError, ValueError):
                seconds_by_run[run] += records.seconds_of(records.suite(path))
    return seconds_by_run[run]


def write_rows(rows: Sequence[Sequence[object]], path: Path) -> None:
    """Writes the heads COLUMNS and these rows, either completely or not at all."""
    write_csv(path, [COLUMNS, *rows])


def rows(lines_by_paper: Mapping[str, list[Line]], minutes: Mapping[str, float]) -> list[tuple[object, ...]]:
    """A row of the values of COLUMNS for each line."""
    found_rows = []
    for line in (line for part in lines_by_paper.values() for line in part):
        c, decision = line.claim, line.decision
        numbers = [_number(x) for x in (line.effect, line.low, line.high)]
        cases = (line.used or "", len(c.cases) or "")
        where = (line.scale, line.origin, c.kind, why(line), c.says, c.source)
        tests = (decision.look or "", _number(decision.support), _number(decision.reject)) if decision else ("", "", "")
        cost = _number(minutes.get(c.id)) if line.origin == "this run" else ""
        says = (c.paper, c.id, line.verdict, *numbers, c.unit, expected(c), line.n or "", *cases, *where, *tests)
        of = of_cases(line) if line.effect is not None and len(c.cases) > 1 else ""
        found_rows.append((*says, *(line.signs or ("", "")), cost, of))
    return found_rows


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def write_json(lines_by_paper: Mapping[str, list[Line]], minutes: Mapping[str, float], path: Path) -> None:
    """Writes the record, either completely or not at all."""
    write_text(path, json.dumps(record(lines_by_paper, minutes), indent=1) + "\n")


def record(lines_by_paper: Mapping[str, list[Line]], minutes: Mapping[str, float]) -> dict[str, Any]:
    """Everything behind the verdicts: the design of the tests, and for each claim its cases with effects by seed and runs."""
    return {
        "design": {
            "level": ALPHA,
            "looks": list(LOOKS),
            "shares_of_the_level": [SHARES[look] for look in LOOKS],
            "few_seeds": FEW,
            "points_that_few_seeds_need": LARGE,
            "method": "docs/verdicts.md",
        },
        "claims": [_line_record(line, minutes) for part in lines_by_paper.values() for line in part],
    }


def _line_record(line: Line, minutes: Mapping[str, float]) -> dict[str, Any]:
    claim, decision = line.claim, line.decision
    return {
        "id": claim.id,
        "paper": claim.paper,
        "says": claim.says,
        "source": claim.source,
        "kind": claim.kind,
        "unit": claim.unit,
        "expected": expected(claim),
        "scale": line.scale,
        "origin": line.origin,
        "verdict": line.verdict,
        "partial": line.partial,
        "reason": why(line),
        "effect": line.effect,
        "interval": None if line.low is None else [line.low, line.high],
        "seeds": line.n,
        "cases_used": line.used,
        "cases_in_all": len(claim.cases),
        "look": decision and decision.look,
        "looks": list(line.looks),
        "p_support": decision and decision.support,
        "p_reject": decision and decision.reject,
        "claims_corrected_for": line.family or None,
        "borrowed": None if line.by_mean else _borrowed(line.prior),
        "seeds_for_the_claim": line.signs and {"for": line.signs[0], "of": line.signs[1], "p": sign_test(*line.signs)},
        "outlying_seeds": line.outlying or None,
        "chance_of_later_looks": {str(look): chance for look, chance in line.chances.items()},
        "core_minutes": minutes.get(claim.id) if line.origin == "this run" else None,
        "by_mean": line.by_mean,
        "cases": [_case_record(case, line) for case in line.cases],
    }


def _borrowed(prior: Prior) -> dict[str, float] | None:
    return {"degrees_of_freedom": prior.df, "sd": math.sqrt(prior.variance)} if prior.df else None


def _case_record(case: CaseResult, line: Line) -> dict[str, Any]:
    prior = line.priors.of(case.effect.examples)
    effect = case.effect.moderated(prior)
    return {
        "effect": effect.mean,
        "interval": effect.interval(),
        "sd": case.effect.sd,
        "borrowed": _borrowed(prior) if effect.borrowed else None,
        "error_of_the_examples": effect.examples,
        "by_seed": {str(seed): value for seed, value in case.by_seed.items()},
        "cells": {
            name: {
                "item": case.places[name][0],
                "row": case.places[name][1],
                "column": case.places[name][2],
                "by_seed": {str(seed): value for seed, value in cell.values.items()},
                "examples": cell.tested,
                "runs": list(cell.runs),
            }
            for name, cell in case.cells.items()
        },
    }


def write_pdf(lines_by_paper: Mapping[str, list[Line]], titles: Mapping[str, str], papers: Path, stem: Path) -> None:
    """Writes ``stem``.pdf and .png, with a section per paper; the same lines give the same bytes."""
    data = {
        "notes": notes(lines_by_paper),
        "heads": [*COUNTED, "in all"],
        "counts": [[paper, *_counts(lines)] for paper, lines in lines_by_paper.items()],
        "papers": [_section(p, ls, titles[p], papers) for p, ls in lines_by_paper.items()],
    }
    typeset.write(*typeset.render(data, page="ledger.typ", ppi=PPI), stem)


def _counts(lines: Sequence[Line]) -> list[str]:
    """The number of claims of this run with each verdict, in the order of ``COUNTED``, and the number of all."""
    own = Counter(
        ELSEWHERE if line.verdict.startswith("not tested at") else line.verdict
        for line in lines
        if line.origin == "this run"
    )
    part = sum(line.partial and line.verdict == "supported" for line in lines if line.origin == "this run")
    counts = [f"{own[verdict]}" for verdict in COUNTED]
    counts[0] += f" ({part} in part)" if part else ""
    return [*counts, str(own.total())]


def _plot(line: Line) -> dict[str, float] | None:
    """Positions between 0 and 1 on a row's own axis: the effect, its interval, and the bound that the effect has to exceed (for
    "within": the bounds on both sides).
    """
    if line.effect is None or line.claim.expect is None or not math.isfinite(line.effect):
        return None
    expect = line.claim.expect
    bounds = [-expect.enough, expect.enough] if expect.sign == "within" else [expect.enough]
    low, high = (line.effect, line.effect) if line.low is None or line.high is None else (line.low, line.high)
    ends = [low, high, *bounds]
    width = max(ends) - min(ends) or 1.0
    start = min(ends) - 0.06 * width
    place = {"mean": line.effect, "low": low, "high": high, "bound": bounds[0], "other": bounds[-1]}
    return {name: (value - start) / (1.12 * width) for name, value in place.items()}


def _section(paper: str, lines: Sequence[Line], title: str, papers: Path) -> dict[str, Any]:
    return {
        "paper": paper,
        "title": title,
        "count": summary(lines),
        "rows": [
            {
                "id": line.claim.id,
                "says": line.claim.says,
                "source": line.claim.source,
                "mark": MARKS.get(line.verdict, "–"),
                "verdict": named(line),
                "kind": line.verdict,
                "plot": _plot(line),
                "effect": measured(line),
                "expected": expected(line.claim),
                "why": why(line),
                "seeds": "" if line.n is None else str(line.n),
                "scale": line.scale if line.origin == "this run" else f"{line.scale}, replicated",
                "quiet": line.verdict not in MARKS,
            }
            for line in lines
        ],
        "errata": [{"id": name, "says": says} for name, says in errata(papers, paper)],
    }
