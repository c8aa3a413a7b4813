"""What the pages show of a claim. The only file here that knows how the ledger's lines look."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leanat.experiments.claim import PAPER
from leanat.report import claims, ledger
from leanat.report.cells import Items
from leanat.report.statistics import t_interval


@dataclass(frozen=True)
class Place:
    """A cell that an effect is of, with the values by seed that it has."""

    name: str
    item: str
    row: str
    column: str
    values: dict[int, float]
    missing: str


@dataclass(frozen=True)
class Case:
    """One case of a claim: its effect over seeds, with the 95 % t interval of the seeds, where all cells have numbers."""

    places: list[Place]
    effect: float | None
    low: float | None
    high: float | None
    seeds: dict[int, float]

    @property
    def label(self) -> str:
        """What its cells have in common, and where that is little, their rows."""
        first = self.places[0]
        rows = [place.row.split(" | ") for place in self.places]
        common = [part for part in rows[0] if all(part in row for row in rows)]
        return ", ".join(dict.fromkeys([first.item, *common, first.column]))


@dataclass(frozen=True)
class Claim:
    """A line of the ledger, and its cases."""

    id: str
    paper: str
    says: str
    source: str
    kind: str
    verdict: str
    why: str
    measured: str
    expected: str
    seeds: int | None
    unit: str
    sign: str  # >, <, within
    bound: float
    scale: str
    origin: str
    effect: float | None
    low: float | None
    high: float | None
    cases: list[Case]

    @property
    def items(self) -> list[str]:
        return list(dict.fromkeys(f"{self.paper}/{p.item}" for case in self.cases for p in case.places))


def load(papers: list[str], results: Path, root: Path, scale: str) -> dict[str, list[Claim]]:
    """The claims of each paper with their verdicts at a scale, and at those of committed replications."""
    own = {paper: claims.load(paper) for paper in papers}
    lines = ledger.lines(own, results, root / "replicated", scale)
    return {paper: [_claim(line, results, root / "replicated") for line in part] for paper, part in lines.items()}


def errata(root: Path, paper: str) -> list[tuple[str, str]]:
    """Contradictions inside the paper: name, and what contradicts what."""
    return claims.errata(root / "published", paper)


def _claim(line: claims.Line, results: Path, real: Path) -> Claim:
    claim, expect = line.claim, line.claim.expect
    kept = Items(real, line.scale, real=True) if line.origin == "replicated" else Items(results, line.scale)
    return Claim(
        claim.id, claim.paper, claim.says, claim.source, claim.kind, line.verdict,
        line.more if line.verdict == "inconclusive" else line.reason or line.more,
        ledger.measured(line), ledger.expected(claim), line.n, claim.unit or "",
        expect.sign if expect else "", expect.bound if expect else 0.0, line.scale, line.origin,
        line.effect, line.low, line.high, [_case(claim, case, kept) for case in claim.cases],
    )  # fmt: skip


def _case(claim: claims.Claim, places: Mapping[str, tuple[str, str, str]], kept: Items) -> Case:
    cells = {name: kept.cell(claim.paper, *where) for name, where in places.items()}
    shown = [Place(name, *where, cells[name].values, cells[name].missing or "") for name, where in places.items()]
    series = _weakest(claim, cells)
    if not series:
        return Case(shown, None, None, None, {})
    found = t_interval(list(series.values()))
    low, high = (found.low, found.high) if len(series) > 1 else (None, None)
    return Case(shown, statistics.fmean(series.values()), low, high, series)


def _weakest(claim: claims.Claim, cells: Mapping[str, claims.Cell]) -> dict[int, float]:
    """The effect by seed; of a claim of several parts, that of the part that is least as it should be."""
    seeds = sorted(set.intersection(*(set(cell.values) for cell in cells.values())))
    printed = {name + PAPER: cell.published for name, cell in cells.items()}
    found = []
    for part in claim.parts() if claim.expect else []:
        series = {}
        for seed in seeds:
            numbers = printed | {name: cell.values[seed] for name, cell in cells.items()}
            if None not in (numbers[name] for name in part.names) and math.isfinite(value := part.value(numbers)):
                series[seed] = value
        if series:
            found.append(series)
    if not found:
        return {}
    sign = -1 if claim.expect.sign == "<" else 1
    key = abs if claim.expect.sign == "within" else (lambda value: -sign * value)
    return max(found, key=lambda series: key(statistics.fmean(series.values())))


