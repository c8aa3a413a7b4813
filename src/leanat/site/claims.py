"""The data of a claim for the pages: the ledger's record, as in figures/claims.json. Only this file of the site depends on the
form of that record.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanat.plan.grid import Grid
from leanat.report import ledger, ledger_text
from leanat.report.claims import Line
from leanat.site.items import Origin, origin


@dataclass(frozen=True)
class Place:
    """A cell from which an effect is computed."""

    name: str
    item: str
    row: str
    column: str
    by_seed: dict[str, float]
    runs: list[Origin]


@dataclass(frozen=True)
class Case:
    """One case of a claim, or a part of a case: its effect with the 95 % interval, and its effect for each seed."""

    label: str  # unique within a claim
    places: list[Place]
    effect: float
    low: float | None
    high: float | None
    by_seed: dict[str, float]


@dataclass(frozen=True)
class Claim:
    """A line of the ledger. ``record``: its entry in the JSON; ``bound``: includes the distance by which it must be exceeded."""

    record: dict[str, Any]
    sign: str  # >, <, within; empty for claims that cannot be tested
    bound: float
    measured: str
    items: list[str]  # <paper>/<item>, also of cases that this scale does not run
    cases: list[Case]

    def __getattr__(self, name: str) -> Any:
        """id, says, source, kind, verdict, reason and the other keys of the record."""
        try:
            return self.record[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Ledger:
    """The ledger. ``design``: the design of the tests; ``text``: the JSON; ``notes``: how to read it."""

    design: dict[str, Any]
    claims: dict[str, list[Claim]]  # by paper
    text: str
    notes: list[str]


def load(grid: Grid, results: Path, root: Path) -> Ledger:
    """The claims of each paper with their verdicts, at the grid's scale and at the scales of committed replications."""
    lines = ledger.of_grid(grid, grid.papers, results, root)
    whole = ledger.record(lines, ledger.price(lines, results))
    entries = iter(whole["claims"])
    claims = {paper: [_claim(line, next(entries)) for line in part] for paper, part in lines.items()}
    return Ledger(whole["design"], claims, json.dumps(whole, separators=(",", ":")), ledger_text.notes(lines))


def _claim(line: Line, record: dict[str, Any]) -> Claim:
    expect, claim = line.claim.expect, line.claim
    items = dict.fromkeys(f"{claim.paper}/{item}" for case in claim.cases for item, *_ in case.values())
    sign, bound = (expect.sign, expect.enough) if expect else ("", 0.0)
    return Claim(record, sign, bound, ledger_text.measured(line), list(items), _cases(record["cases"]))


def _cases(records: Sequence[Mapping[str, Any]]) -> list[Case]:
    places = [[_place(name, cell) for name, cell in record["cells"].items()] for record in records]
    intervals = (record["interval"] or (None, None) for record in records)
    effects = zip(_labels(places), places, records, intervals, strict=True)
    return [Case(label, own, r["effect"], *interval, r["by_seed"]) for label, own, r, interval in effects]


def _place(name: str, cell: Mapping[str, Any]) -> Place:
    runs = [origin(run, None) for run in cell["runs"]]
    return Place(name, cell["item"], cell["row"], cell["column"], cell["by_seed"], runs)


def _labels(cases: Sequence[Sequence[Place]]) -> list[str]:
    """A label for each case: the item, the common words of the rows of its cells, and the columns. If labels are equal, the
    words that distinguish the cases are added, and for parts of one case the number of the part.
    """
    named = [_label(places) for places in cases]
    words = [list(dict.fromkeys(part for place in places for part in place.row.split(" | "))) for places in cases]
    labels = []
    for name, own in zip(named, words, strict=True):
        alike = [other for label, other in zip(named, words, strict=True) if label == name]
        labels.append(", ".join([name, *(word for word in own if not all(word in other for other in alike))]))
    parts, so_far = Counter(labels), Counter[str]()
    for k, label in enumerate(labels):
        so_far[label] += 1
        if parts[label] > 1:
            labels[k] = f"{label}, part {so_far[label]} of {parts[label]}"
    return labels


def _label(places: Sequence[Place]) -> str:
    if not places:
        return "all cases"
    rows = [place.row.split(" | ") for place in places]
    common = [part for part in rows[0] if part and all(part in row for row in rows)]
    return ", ".join(dict.fromkeys([places[0].item, *common, *(place.column for place in places)]))
