"""Fills an item of the grid with numbers: the paper's, replicated ones, and those of finished runs."""

from __future__ import annotations

import itertools
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leanat.core.files import atomic_write
from leanat.plan.item import Candidate, Cell, Column, Filled, Item, Numbers, Provenance, Row, Value
from leanat.report import examples, notes, page_claims, plots, published, table
from leanat.report.measures import measure, not_finite, of_test, tested
from leanat.report.notes import row_note
from leanat.report.pictures import pictured
from leanat.report.sources import Sources

log = logging.getLogger("leanat")

NO_SHARE = "the number of full training is 0 with some seed: no share of it can be lost"
COUNTED = ("removed", "printed_over_removed")  # metrics that are computed from a plan, without a measured time


def make(item: Item, results: Path, papers: Path, real: Path, out: Path, keep: Path | None) -> None:
    """Writes ``out`` (PDF) with PNG and CSV beside it, and at ``keep`` the CSV again and an npz with the outcomes per example.

    Raises FileNotFoundError for a run that is not finished and ValueError for a damaged file; both errors name the file.
    """
    filled = fill(item, results, papers, real)
    if note := notes.unrecorded(filled.provenance):
        log.warning("%s: %s", item.name, note)
    figure, stem = item.kind == "figure", out.with_suffix("")
    with TemporaryDirectory() as place:
        own = Path(place, "items", item.scale, item.paper, item.item)
        table.write_csv(plots.numbers(filled) if figure else table.frame(filled), own)
        examples.write(examples.of_item(_of_chosen(item, filled), results), own.with_suffix(".npz"))
        if item.timed:  # claims on times also need the spread of repeated measurements
            (timings := Path(place, "timings")).mkdir()
            shutil.copy(results / "timings" / f"{item.paper}.json", timings)
        claims = page_claims.lines(item, Path(place))
        (plots.write_figure if figure else table.write_table)(filled, stem, claims)
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
            for kind in ("csv", "npz"):
                with atomic_write(keep.with_suffix(f".{kind}")) as beside:  # a full disk keeps earlier files
                    shutil.copyfile(own.with_suffix(f".{kind}"), beside)


def _of_chosen(item: Item, filled: Filled) -> Item:
    """The item in which each cell with candidates has the runs of its best candidate."""
    evaluations = {part.runs: part.evaluations for _, _, cell in item.flat for part in cell.candidates}

    def one(cell: Cell, value: Value) -> Cell:
        if not cell.candidates or not value.runs:
            return cell
        return replace(cell, runs=value.runs, evaluations=evaluations[value.runs], candidates=())

    if not evaluations:
        return item
    cells = (tuple(map(one, *both)) for both in zip(item.cells, filled.cells, strict=True))
    return replace(item, cells=tuple(cells))


def fill(item: Item, results: Path, papers: Path, real: Path) -> Filled:
    """The item in the form that ``table`` and ``plots`` read."""
    sources = Sources(item, results, papers, real)
    plot, caption, rows, columns, cells, files = item.options.get("plot"), item.caption, (), (), (), {}
    if plot == "images":
        files, left_out = pictured(item, sources)
        caption = " ".join([caption, *(f"Not shown: {reason}." for reason in left_out if files)])
    if not files:
        values = iter([_value(row, column, cell, sources) for row, column, cell in item.flat])
        cells = tuple(tuple(itertools.islice(values, len(item.columns))) for _ in item.rows)
        columns = tuple(replace(c, n_test=_n_test(k, sources)) for k, c in enumerate(item.columns))
        both = list(zip(item.rows, cells, strict=True))
        rows = tuple(replace(row, note=row_note(item, row, own, both[:k])) for k, (row, own) in enumerate(both))
    if plot == "features":
        files = {
            row.label: sources.arrays(own[0].evaluations[0], own[0].metric.partition(".")[0])
            for row, own in item.by_row
            if own[0].evaluations
        }
    about = {
        name: getattr(item, name) for name in ("paper", "item", "title", "scale", "options", "one_block", "labels")
    }
    shown = {"rows": rows, "columns": columns, "cells": cells, "files": files}
    return Filled(**about, **shown, caption=caption, provenance=_provenance(sources))


def _value(row: Row, column: Column, cell: Cell, sources: Sources) -> Value:
    item, where = sources.item, cell.published
    paper = published.printed(item.paper, where, sources.papers) if where else None
    match = sources.found.get((row.name, column.name, cell.metric))
    runs = cell.runs
    if cell.timed:
        from leanat.report import composed  # loads torch

        values = [composed.number(cell, sources, paper)]
        paper = None if cell.metric == "printed_over_removed" else paper
    elif cell.computed is not None:
        values = [cell.computed]
    else:
        part = chosen(cell, sources) if cell.candidates else cell
        runs = part.runs
        values = [part.value] if cell.metric == "chosen" and cell.candidates else by_run(cell, part, sources)
    values = tuple(v for v in values if v is not None)
    return Value(
        published=paper,
        replicated=match.summary(cell.metric) if match else None,
        values=values,
        missing=None if values else cell.missing or (NO_SHARE if cell.against else "there is no such number"),
        tested=tested(cell, sources) if values else None,
        not_finite=not_finite(cell, sources) if values and cell.runs else 0,
        runs=runs if values else (),
        stand_in=cell.stand_in,
        composed=cell.timed is not None,
    )


def by_run(cell: Cell, part: Cell | Candidate, sources: Sources) -> list[float]:
    """The number of each run of ``part``, or its difference from the reference, in the number's unit or as a relative loss in
    percent.

    The reference is measured on the same classes: if only part of them was attacked, on those that the runs of ``part`` attacked.
    If a reference is 0, no share of it can be lost, and there are no numbers: those of the other seeds would not be for all.
    """
    values = _values(part, cell.metric, sources)
    if not cell.against:
        return values
    pairs = list(zip(values, _values(cell.against, cell.metric, sources, part.runs), strict=True))
    if cell.difference:
        return [v - f for v, f in pairs]
    return [100 * (f - v) / f for v, f in pairs] if all(f for _, f in pairs) else []


def chosen(cell: Cell, sources: Sources) -> Candidate:
    """The candidate with the best mean over seeds of the metric ``cell.by``; the first among equals."""

    def score(part: Candidate) -> float:
        values = _values(part, cell.by, sources)
        return sum(values) / len(values)

    return max(cell.candidates, key=score)


def _values(part: Numbers, metric: str, sources: Sources, attacked: Sequence[str] = ()) -> list[float]:
    """The numbers of the runs of ``part``. ``attacked``: for each run, the run whose attacked classes are A; default: itself."""
    suites = part.evaluations or [None] * len(part.runs)
    values = [
        measure(metric, run, suite, sources, by)
        for run, suite, by in zip(part.runs, suites, attacked or part.runs, strict=True)
    ]
    return [value for value in values if value is not None]


def _n_test(k: int, sources: Sources) -> int | None:
    runs = [run for row in sources.item.cells if of_test(row[k], sources) for run in row[k].runs]
    return sources.metrics(runs[0])["examples"]["test"] if runs else None


def _provenance(sources: Sources) -> Provenance:
    item = sources.item
    runs = [sources.metrics(run) for run in item.runs]
    parts = [piece for run in runs for piece in run.get("pieces", [run])]
    parts += [sources.timings()] if item.timed else []
    provenance = Provenance(
        seeds=item.seeds,
        draws=item.draws,
        device=_all(parts, "device"),
        revision=_all(parts, "revision"),
        date=max((part["date"][:10] for part in parts), default=""),
        factors=item.factors,
        assumptions=item.assumptions,
        composed=any(cell.timed and cell.metric not in COUNTED for _, _, cell in item.flat),
        unrecorded=(len(sources.unrecorded), len(runs)) if sources.unrecorded else (0, 0),
    )
    return replace(provenance, attacks=_attackers(sources, provenance))


def _all(parts: list[dict[str, Any]], key: str) -> str:
    return ", ".join(sorted({str(part.get(key) or "unknown") for part in parts}))


def _attackers(sources: Sources, trained: Provenance) -> str:
    """Where and when the networks were attacked, or an empty string if they were trained at the same place and time."""
    suites = [sources.suite(evaluation) for evaluation in sources.item.evaluations]
    entries = [e for s in suites for kind in ("attacks", "measures") for e in s.get(kind, {}).values()]
    pieces = [piece for entry in entries for piece in entry.get("pieces", [])]
    if not pieces:
        return ""
    device, revision, date = _all(pieces, "device"), _all(pieces, "revision"), max(p["date"][:10] for p in pieces)
    same = (device, revision, date) == (trained.device, trained.revision, trained.date)
    return "" if same else f"attacks: {device}, {date}, revision {revision}"
