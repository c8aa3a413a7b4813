"""One table of one item: the paper's numbers, replicated ones and this run's, as CSV, PDF and PNG."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanat.core.files import write_text
from leanat.plan.item import Filled, seed_of
from leanat.report import typeset
from leanat.report.layout import layout
from leanat.report.notes import notes
from leanat.report.statistics import t_interval

if TYPE_CHECKING:
    import pandas


def check(item: Filled) -> None:
    """Raises ValueError, one line, if the parts of an item do not fit together."""
    name, shape = f"item {item.paper} {item.item}", [len(row) for row in item.cells]
    if not shape or shape != [len(item.columns)] * len(item.rows):
        raise ValueError(f"{name}: {len(item.rows)} rows x {len(item.columns)} columns, but cells {shape}")
    for kind in ("rows", "columns"):
        names = [(line.group, line.label) for line in getattr(item, kind)]
        twice = sorted({label for group, label in names if names.count((group, label)) > 1})
        if twice:
            raise ValueError(f"{name}: two {kind} of one group are called {twice[0]!r}")
    for row, column, cell in item.flat:
        where = f"{name}, row {row.label!r}, column {column.label!r}"
        if not all(math.isfinite(value) for value in cell.values):
            raise ValueError(f"{where}: values must be finite, not {list(cell.values)}")
        if not (cell.values or cell.missing or column.skipped):
            raise ValueError(f"{where}: neither values nor a reason why they are missing")
        if column.skipped and cell.values:
            raise ValueError(f"{where}: the column is skipped ({column.skipped}), but has values")


def frame(item: Filled) -> pandas.DataFrame:
    """The item as tidy rows, one per cell, in the table's order; for a figure over a key of its entries also with ``x``."""
    import pandas

    check(item)
    our_provenance, records = item.provenance, []
    key = item.options.get("x")
    numeric = any(key in line.entry for line in (*item.rows, *item.columns)) if key else False
    for row, column, cell in item.flat:
        ours = t_interval(cell.trials)._asdict() if cell.values else {}
        real = cell.replicated._asdict() if cell.replicated else {}
        records.append(
            {
                "paper": item.paper,
                "item": item.item,
                "row": row.name,
                "column": column.name,
                "metric": column.label,
                "published": cell.published,
                **{key: ours.get(key) for key in ("mean", "low", "high")},
                "n": cell.n,
                "values": json.dumps(cell.values),
                "tested": cell.tested,
                "not_finite": cell.not_finite,
                "missing": None if cell.values else cell.missing or column.skipped,
                "scale": item.scale,
                **{f"replicated_{key}": real.get(key) for key in ("mean", "low", "high", "n", "scale", "device")},
                "unit": column.unit,
                "digits": column.digits,
                "better": column.better,
                "stand_in": column.stand_in,
                "row_group": row.group,
                "row_label": row.label,
                "column_group": column.group,
                **({"x": {**row.entry, **column.entry}.get(key)} if numeric else {}),
                "note": row.note,
                "title": item.title,
                "seeds": str(list(our_provenance.seeds)),
                **{key: getattr(our_provenance, key) for key in ("device", "date", "revision", "attacks")},
                "runs": " ".join(cell.runs),
                "run_seeds": " ".join(str(seed_of(run)) for run in cell.runs),
                "spec_hashes": " ".join(cell.specs),
            }
        )
    whole = {"n": "Int64", "tested": "Int64", "not_finite": "Int64", "digits": "Int64", "replicated_n": "Int64"}
    return pandas.DataFrame.from_records(records).astype(whole)


def write_table(item: Filled, stem: Path | str, claims: Sequence[Mapping[str, Any]] = ()) -> None:
    """Writes ``stem``.csv, .pdf and .png (all pages, one below the other). Same item, same bytes."""
    write_csv(frame(item), stem)
    typeset.write(*render(item, claims), stem)


def write_csv(cells: pandas.DataFrame, stem: Path | str) -> None:
    """Writes ``stem``.csv, either completely or not at all."""
    write_text(Path(f"{stem}.csv"), cells.to_csv(index=False, lineterminator="\n"))


def render(item: Filled, claims: Sequence[Mapping[str, Any]] = ()) -> tuple[bytes, list[bytes]]:
    """The PDF and its pages as PNG."""
    return typeset.render(drawn(item, claims))


def drawn(item: Filled, claims: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The data of a page: the table, and the text around it."""
    return layout(item) | typeset.frame(item, notes(item), claims)
