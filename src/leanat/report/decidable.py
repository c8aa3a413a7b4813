"""Finds the claims that a scale can decide at all, from the configuration, before anything runs.

A claim is decidable if it would be ``supported`` for arbitrarily large and clear effects, and ``not supported`` for equally
clear effects in the other direction. A case with one seed shows no spread over seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from leanat.core.errors import nearest
from leanat.experiments.claim import Claim
from leanat.plan.item import Item
from leanat.report.claims import not_tested_at
from leanat.report.verdict import few_trials, out_of_reach


def undecidable(
    claims: Iterable[Claim], items: Mapping[str, Item], seeds: Mapping[str, int], scale: str
) -> Iterator[tuple[str, str]]:
    """The id of each claim with a fault, and the reason: it names a cell that does not exist, or ``scale`` tests it over seeds
    although no effect could decide it, or only in one direction.

    ``items``: the resolved items by ``<paper>/<item>``; ``seeds``: the seed of each run.
    """
    for claim in claims:
        for cell in dict.fromkeys(cell for case in claim.cases for cell in case.values()):
            if unknown := _unknown(claim.paper, *cell, items):
                yield claim.id, unknown
        if claim.kind in ("time", "arithmetic") or not_tested_at(claim, scale):
            continue
        trials = list(filter(None, (_trials(claim.paper, case, items, seeds) for case in claim.cases)))
        if not trials:  # the scale runs none of its cases
            continue
        pieces = claim.parts()
        together = [min(trials)] if claim.expect.of == "mean" else trials
        counts = [n for n in together for _ in pieces]
        never = out_of_reach(pieces[0].expect, counts)
        if never:
            what = "not decidable" if len(never) == 2 else f"cannot become '{never[0]}'"
            yield claim.id, f"{what} at scale {scale}, {few_trials(counts)}"


def _trials(
    paper: str, case: Mapping[str, tuple[str, str, str]], items: Mapping[str, Item], seeds: Mapping[str, int]
) -> int:
    """The number of seeds that all cells of the case have in common; 0 if one of the cells is not run at this scale."""
    own = [_seeds(items.get(f"{paper}/{item}"), row, column, seeds) for item, row, column in case.values()]
    return len(set.intersection(*own))


def _unknown(paper: str, item: str, row: str, column: str, items: Mapping[str, Item]) -> str:
    """The part of a cell's name that does not exist, with the nearest name that does."""
    planned_item = items.get(f"{paper}/{item}")
    if planned_item is None:
        return f"there is no item {paper}/{item}{nearest(f'{paper}/{item}', items)}"
    for kind, name, lines in (("row", row, planned_item.rows), ("column", column, planned_item.columns)):
        names = [line.name for line in lines]
        if name not in names:
            return f"{paper}/{item} has no {kind} {name!r}{nearest(name, names)}"
    return ""


def _seeds(item: Item | None, row: str, column: str, seeds: Mapping[str, int]) -> set[int]:
    cells = {(r.name, c.name): cell for r, c, cell in item.flat} if item else {}
    cell = cells.get((row, column))  # a user may ask for fewer rows than the paper has
    if cell is None or cell.missing:
        return set()
    return {seeds[run] for run in [*cell.runs, *(cell.against.runs if cell.against else ())]} or {0}
