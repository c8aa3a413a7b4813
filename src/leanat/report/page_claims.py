"""The claims that use an item's numbers, for the item's page: the verdicts from these numbers, without any other item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from leanat.experiments.claim import Claim
from leanat.plan.item import Item
from leanat.report.cells import Items
from leanat.report.claims import Line, ledger, load, over_seeds
from leanat.report.ledger_text import MARKS, measured, named


def lines(item: Item, folder: Path) -> list[dict[str, Any]]:
    """The data for page.typ: {mark, id, says, effect, quiet} for each claim with a case in this item.

    ``folder`` has ``items/<scale>/<paper>/<item>.csv`` and its npz, only those of this item, so that the page does not depend on
    which other items are finished. A claim that also reads other items is printed with their names, without a number. The
    correction for multiple testing counts all claims of the paper that this scale tests.
    """
    claims = load(item.paper)
    others = {claim.id: _others(claim, item) for claim in claims}
    alone = [claim for claim in claims if others[claim.id] == []]
    beside = sum(over_seeds(claim, item.scale) for claim in claims if others[claim.id] != [])
    line_by_claim = {
        line.claim.id: line for line in ledger(alone, Items(folder, item.scale), planned=True, beside=beside)
    }
    return [_line(c, line_by_claim.get(c.id), needs) for c in claims if (needs := others[c.id]) is not None]


def _others(claim: Claim, item: Item) -> list[str] | None:
    """The other items that a claim reads; None if it does not read this one."""
    read = dict.fromkeys(place[0] for case in claim.cases for place in case.values())
    return [name for name in read if name != item.item] if item.item in read else None


def _line(claim: Claim, line: Line | None, others: list[str]) -> dict[str, Any]:
    about = {"id": claim.id, "says": claim.says}
    if line is None:
        needs = ", ".join(f"figures/{claim.paper}/{other}" for other in others)
        return about | {"mark": "–", "effect": f"needs also {needs}", "quiet": True}
    few = f"{line.reason}: " if line.verdict == "not decidable" else ""
    effect = few + measured(line) if line.effect is not None else named(line)
    return about | {"mark": MARKS.get(line.verdict, "–"), "effect": effect, "quiet": line.verdict not in MARKS}
