"""One table of one item: the paper's numbers, replicated ones and this run's, as CSV, PDF and PNG.

An item is a JSON object, made from the configuration and the runs:

    paper, item, title, caption, scale
    provenance  {seeds, device, date, revision, factors: [str], assumptions: [str]}
    rows        [{group, label, note: null | "ours" (the paper's own method) | other text, a footnote}]
    columns     [{group, label, unit, digits, better: "high" | "low" | null, stand_in, skipped, n_test (optional)}]
    cells       [row][column] {published, replicated: {mean, low, high, n, scale, device} | null, values, n, missing,
                          tested (optional: test examples behind an accuracy), not_finite (optional: images
                          with logits that are not finite), runs (optional: their names, which end in the hash of a spec)}
"""

from __future__ import annotations

import io
import json
import math
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanat.core.files import atomic_write
from leanat.report.layout import layout
from leanat.report.statistics import t_interval

if TYPE_CHECKING:
    import pandas

PPI = 160
SEED, HASH = re.compile(r"-s(\d+)-[0-9a-f]{8}$"), re.compile(r"-([0-9a-f]{8})$")  # in the name of a run


def check(item: dict[str, Any]) -> None:
    """ValueError, one line, if the item is not of the form above."""
    name = f"{item.get('paper')} {item.get('item')}"
    for key in ("paper", "item", "title", "caption", "scale", "provenance", "rows", "columns", "cells"):
        if key not in item:
            raise ValueError(f"item {name}: {key} missing")
    shape = [len(row) for row in item["cells"]]
    if not shape or shape != [len(item["columns"])] * len(item["rows"]):
        raise ValueError(f"item {name}: {len(item['rows'])} rows x {len(item['columns'])} columns, but cells {shape}")
    for column in item["columns"]:
        if column["better"] not in ("high", "low", None):
            where = f"item {name}, column {column['label']!r}"
            raise ValueError(f"{where}: better must be high, low or null, not {column['better']!r}")
    for kind in ("rows", "columns"):
        names = [(line["group"], line["label"]) for line in item[kind]]
        twice = sorted({label for group, label in names if names.count((group, label)) > 1})
        if twice:
            raise ValueError(f"item {name}: two {kind} of one group are called {twice[0]!r}")
    for row, cells in zip(item["rows"], item["cells"], strict=True):
        for column, cell in zip(item["columns"], cells, strict=True):
            where = f"item {name}, row {row['label']!r}, column {column['label']!r}"
            if cell["n"] != len(cell["values"]):
                raise ValueError(f"{where}: n = {cell['n']}, but {len(cell['values'])} values")
            if not all(math.isfinite(value) for value in cell["values"]):
                raise ValueError(f"{where}: values must be finite, not {cell['values']}")
            if not (cell["values"] or cell["missing"] or column["skipped"]):
                raise ValueError(f"{where}: neither values nor a reason why they are missing")
            if column["skipped"] and cell["values"]:
                raise ValueError(f"{where}: the column is skipped ({column['skipped']}), but has values")


def frame(item: dict[str, Any]) -> pandas.DataFrame:
    """The item as tidy rows, a cell each, in the table's order; of a figure over a key of its entries also ``x``."""
    import pandas

    check(item)
    provenance, records = item["provenance"], []
    key = item.get("options", {}).get("x")
    numeric = any(key in line.get("entry", {}) for line in (*item["rows"], *item["columns"])) if key else False
    for row, cells in zip(item["rows"], item["cells"], strict=True):
        for column, cell in zip(item["columns"], cells, strict=True):
            ours = t_interval(cell["values"])._asdict() if cell["values"] else {}
            real = cell["replicated"] or {}
            records.append(
                {
                    "paper": item["paper"],
                    "item": item["item"],
                    "row": " | ".join(filter(None, (row["group"], row["label"]))),
                    "column": " | ".join(filter(None, (column["group"], column["label"]))),
                    "metric": column["label"],
                    "published": cell["published"],
                    **{key: ours.get(key) for key in ("mean", "low", "high")},
                    "n": cell["n"],
                    "values": json.dumps(cell["values"]),
                    "tested": cell.get("tested"),
                    "not_finite": cell.get("not_finite"),
                    "missing": None if cell["values"] else cell["missing"] or column["skipped"],
                    "scale": item["scale"],
                    **{f"replicated_{key}": real.get(key) for key in ("mean", "low", "high", "n", "scale", "device")},
                    "unit": column["unit"],
                    "digits": column["digits"],
                    "better": column["better"],
                    "stand_in": column["stand_in"],
                    "row_group": row["group"],
                    "row_label": row["label"],
                    "column_group": column["group"],
                    **({"x": {**row.get("entry", {}), **column.get("entry", {})}.get(key)} if numeric else {}),
                    "note": row["note"],
                    "title": item["title"],
                    **{key: str(provenance.get(key, "")) for key in ("seeds", "device", "date", "revision", "attacks")},
                    "runs": " ".join(cell.get("runs", [])),
                    "run_seeds": _parts(cell, SEED),
                    "spec_hashes": _parts(cell, HASH),
                }
            )
    whole = {"n": "Int64", "tested": "Int64", "not_finite": "Int64", "digits": "Int64", "replicated_n": "Int64"}
    return pandas.DataFrame.from_records(records).astype(whole)


def _parts(cell: dict[str, Any], part: re.Pattern[str]) -> str:
    """What the names of the cell's runs say, in their order."""
    return " ".join(match[1] for run in cell.get("runs", []) if (match := part.search(run)))


def write_table(item: dict[str, Any], stem: Path | str) -> None:
    """Write ``stem``.csv, .pdf and .png (all pages, one below the other). Same item, same bytes."""
    csv = frame(item).to_csv(index=False, lineterminator="\n")
    pdf, pages = render(item)
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    for kind, data in (("csv", csv.encode()), ("png", stack(pages)), ("pdf", pdf)):
        with atomic_write(Path(f"{stem}.{kind}")) as file:
            file.write_bytes(data)


def render(item: dict[str, Any]) -> tuple[bytes, list[bytes]]:
    """The PDF and its pages as PNG."""
    import typst

    check(item)
    source = resources.files("leanat.report").joinpath("table.typ").read_bytes()
    compiler = typst.Compiler(sys_inputs={"data": json.dumps(layout(item))}, ignore_system_fonts=True)
    pages = compiler.compile(source, format="png", ppi=PPI)
    return compiler.compile(source, format="pdf"), [pages] if isinstance(pages, bytes) else pages


def stack(pages: list[bytes]) -> bytes:
    if len(pages) == 1:
        return pages[0]
    from PIL import Image

    images = [Image.open(io.BytesIO(page)).convert("RGB") for page in pages]
    whole = Image.new("RGB", (max(image.width for image in images), sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    file = io.BytesIO()
    whole.save(file, "PNG", optimize=False)
    return file.getvalue()
