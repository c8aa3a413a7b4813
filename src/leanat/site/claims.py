"""What the pages show of a claim: the ledger's own record of it, as figures/claims.json has it. The only file here that
knows how that looks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanat.plan.grid import Grid
from leanat.report import claims, ledger
from leanat.site.items import Origin, origin


@dataclass(frozen=True)
class Place:
    """A cell that an effect is of."""

    name: str
    item: str
    row: str
    column: str
    by_seed: dict[str, float]
    runs: list[Origin]


@dataclass(frozen=True)
class Case:
    """One case of a claim, or a part of one: its effect with the 95 % interval, and by seed."""

    places: list[Place]
    effect: float
    low: float | None
    high: float | None
    by_seed: dict[str, float]

    @property
    def label(self) -> str:
        """The item, what the rows of its cells have in common, and the column."""
        if not self.places:
            return "all cases"
        rows = [place.row.split(" | ") for place in self.places]
        common = [part for part in rows[0] if all(part in row for row in rows)]
        columns = dict.fromkeys(place.column for place in self.places)
        return ", ".join(dict.fromkeys([self.places[0].item, *common, *columns]))


@dataclass(frozen=True)
class Claim:
    """A line of the ledger. ``record``: all of it, as the JSON has it; ``sign`` and ``bound``: what is expected."""

    record: dict[str, Any]
    sign: str  # >, <, within; nothing for what cannot be tested
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
    """``design``: of the tests of all claims; ``text``: the JSON itself; ``notes``: how to read it."""

    design: dict[str, Any]
    claims: dict[str, list[Claim]]  # by paper
    text: str
    notes: list[str]


def load(grid: Grid, results: Path, root: Path) -> Ledger:
    """The claims of each paper with their verdicts at the grid's scale, and at those of committed replications."""
    own = {paper: claims.load(paper) for paper in grid.papers}
    lines = ledger.lines(own, results, root / "replicated", grid.scale.name, grid.items)
    whole = ledger.record(lines, ledger.price(lines, results))
    made = iter(whole["claims"])
    found = {paper: [_claim(line, next(made)) for line in part] for paper, part in lines.items()}
    return Ledger(whole["design"], found, json.dumps(whole, separators=(",", ":")), ledger.notes(lines))


def _claim(line: claims.Line, record: dict[str, Any]) -> Claim:
    expect, claim = line.claim.expect, line.claim
    items = dict.fromkeys(f"{claim.paper}/{item}" for case in claim.cases for item, *_ in case.values())
    sign, bound = (expect.sign, expect.bound) if expect else ("", 0.0)
    return Claim(record, sign, bound, ledger.measured(line), list(items), [_case(case) for case in record["cases"]])


def _case(record: Mapping[str, Any]) -> Case:
    places = [
        Place(name, c["item"], c["row"], c["column"], c["by_seed"], [origin(run, None) for run in c["runs"]])
        for name, c in record["cells"].items()
    ]
    low, high = record["interval"] or (None, None)
    return Case(places, record["effect"], low, high, record["by_seed"])
