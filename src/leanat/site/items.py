"""The data of tables and figures for the pages. Only this file of the site depends on the form of items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from leanat.plan import item as planned
from leanat.plan.grid import Grid
from leanat.plan.items import cell_facts
from leanat.report import counts, formats, plots
from leanat.report import items as filling


@dataclass(frozen=True)
class Origin:
    """A run behind a number, with its own value if each run has one."""

    run: str
    seed: str
    value: str = ""


class Cell(NamedTuple):
    """A cell of a table: ``piece``, from the layout, and its origin; ``value``: the number for sorting."""

    piece: Mapping[str, Any]
    value: float | None
    kind: str  # paper, replicated, this run
    metric: str
    origins: tuple[Origin, ...]
    against: tuple[Origin, ...] = ()  # the runs that it is compared with
    composed: bool = False  # whether it is computed from measured times


class Row(NamedTuple):
    group: str
    label: str
    name: str  # the name in the CSV and in claims
    cells: list[Cell]


@dataclass(frozen=True)
class Item:
    """A filled table or figure. ``plan``: the planned item; ``columns``: the names of its columns, in the order of the cells of a
    row; ``heads``: the rows of its head, which are headings of the layout.
    """

    plan: planned.Item
    caption: str
    heads: Sequence[Sequence[Mapping[str, Any]]] = ()
    rows: Sequence[Row] = ()
    columns: Sequence[str] = ()
    layout: Mapping[str, Any] = field(default_factory=dict)


def fill(grid: Grid, results: Path, root: Path) -> tuple[dict[str, Item], dict[str, str]]:
    """The items whose runs are finished, and the reasons why the others are missing."""
    finished_items, missing = {}, {}
    for name, item in grid.items.items():
        try:
            counts.check(item, grid, results)
            finished_items[name] = _filled(item, filling.fill(item, results, root / "published", root / "replicated"))
        except (FileNotFoundError, ValueError) as error:
            missing[name] = str(error).splitlines()[0].replace(f"{results}/", "")
    return finished_items, missing


def _filled(item: planned.Item, filled: planned.Filled) -> Item:
    if item.options.get("plot") in plots.CELLS or not filled.rows:  # pictures have no cells
        return Item(item, filled.caption)
    drawn = formats.drawn(filled)
    spans = [(r["start"], r["end"]) for r in drawn["rules"] if r["y"] == drawn["depth"] - 1]
    column_of = [c for c, (start, end) in enumerate(spans) for _ in range(end - start)]
    kinds = [h["text"] for h in sorted(drawn["header"], key=lambda h: h["x"]) if h["small"]]
    lines = [line for block in drawn["blocks"] for line in block["rows"]]
    rows = []
    for r, (row, line) in enumerate(zip(filled.rows, lines, strict=True)):
        cells = [
            _cell(piece, kind, item.cells[r][c], filled.cells[r][c])
            for piece, kind, c in zip(line["cells"], kinds, column_of, strict=True)
        ]
        rows.append(Row(row.group, line["label"], row.name, cells))
    columns = [filled.columns[c].name for c in column_of]
    return Item(item, filled.caption, _heads(drawn), rows, columns, drawn)


def _heads(drawn: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """The rows of the head, without the columns of row labels, which the page adds."""
    heads, nothing = [], {"text": "", "span": 1, "sub": "", "small": False}
    for y in range(drawn["depth"]):
        cells = {h["x"]: h for h in drawn["header"] if h["y"] == y}
        x, row = drawn["stubs"], []
        while x < drawn["stubs"] + len(drawn["columns"]):
            row.append(cells.get(x, nothing))
            x += row[-1]["span"]
        heads.append(row)
    return heads


def _cell(piece: Mapping[str, Any], kind: str, planned_cell: planned.Cell, filled: planned.Value) -> Cell:
    real, values, runs = filled.replicated, filled.values, filled.runs
    if kind != "this run":
        value = {"paper": filled.published, "replicated": real and real.mean}.get(kind)
        kept = real.by_run if kind == "replicated" and real else ()
        return Cell(piece, value, kind, planned_cell.metric, tuple(origin(run, v) for run, v in kept))
    each = values if len(values) == len(runs) else [None] * len(runs)
    origins = tuple(origin(run, v) for run, v in zip(runs, each, strict=True))
    others = planned_cell.against.runs if planned_cell.against and values else ()
    against = tuple(origin(run, None) for run in others)
    composed = planned_cell.timed is not None and bool(values)
    return Cell(piece, filled.mean if values else None, kind, planned_cell.metric, origins, against, composed)


def origin(run: str, value: float | None) -> Origin:
    return Origin(run, str(planned.seed_of(run)), "" if value is None else f"{value:.4g}")


def papers_of(grid: Grid) -> dict[str, list[str]]:
    """The papers of each run behind an item, including runs that other runs read, which come before their readers."""
    papers_by_run: dict[str, dict[str, None]] = {}
    for item in grid.items.values():
        for run in item.all_runs:
            papers_by_run.setdefault(run, {})[item.paper] = None
    return {run: list(papers) for run, papers in papers_by_run.items()}


def cells_of(finished_items: Mapping[str, Item]) -> dict[str, list[tuple[str, int, int]]]:
    """The cells with each run's numbers: (item, row, cell)."""
    where: dict[str, list[tuple[str, int, int]]] = {}
    for name, item in finished_items.items():
        for r, row in enumerate(item.rows):
            for c, cell in enumerate(row.cells):
                for part in dict.fromkeys((*cell.origins, *cell.against)):
                    where.setdefault(part.run, []).append((name, r, c))
    return {run: list(dict.fromkeys(places)) for run, places in where.items()}


def paper_specs(grid: Grid) -> dict[str, dict[str, Any]]:
    """The spec at the paper's own scale for the cells of each run; runs that are only read by other runs are left out."""
    whole, spec_by_run = grid.at_paper_scale(), {}
    for item in grid.items.values():
        own = grid.papers[item.paper].items[item.item].plain()
        base = {"paper": item.paper, "item": item.item} | dict(own.base)
        for row, column, cell in item.flat:
            facts = {**base, **cell_facts(row.entry, column.entry)}
            new = [run for run in cell.runs if run not in spec_by_run]
            if new and not cell.candidates and {"data", "model", "method"} <= set(facts):
                spec = whole.run(facts, 0, facts.get("settings")).spec
                spec_by_run |= dict.fromkeys(new, spec)
    return spec_by_run


def differs(grid: Grid, paper: str) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """The differences from the paper, from the marks of the settings: each line once, with the items that it affects."""
    heads = {"Assumed, where the paper leaves it open": "assumptions", "Changed by this scale": "factors"}
    sections = []
    for head, key in heads.items():
        lines: dict[str, list[str]] = {}
        for item in grid.items.values():
            for line in dict.fromkeys(getattr(item, key) if item.paper == paper else ()):
                lines.setdefault(line, []).append(item.item)
        sections.append((head, list(lines.items())))
    return sections
