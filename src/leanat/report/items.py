"""Fills an item of the grid with numbers: the paper's, replicated ones, and those of finished runs."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

from leanat.files import read_json
from leanat.report import published, replicated, table
from leanat.report.formulas import FORMULAS
from leanat.resolve import near


def make(item: dict[str, Any], results: Path, papers: Path, real: Path, out: Path, keep: Path | None) -> None:
    """Writes ``out`` (PDF) with PNG and CSV beside it, and the CSV once more at ``keep``.

    Raises FileNotFoundError for a run that is not finished, ValueError for a damaged file, each naming the file.
    """
    filled = fill(item, results, papers, real)
    stem = out.with_suffix("")
    table.write_table(filled, stem)
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stem.with_suffix(".csv"), keep)


def fill(item: dict[str, Any], results: Path, papers: Path, real: Path) -> dict[str, Any]:
    """The item in the form that ``table`` reads."""

    @cache
    def metrics(run: str) -> dict[str, Any]:
        return read_json(results / "runs" / run / "metrics.json", "the metrics of a finished run")

    @cache
    def suite(evaluation: str) -> dict[str, Any]:
        return read_json(results / "runs" / f"{evaluation}.json", "the summary of a suite of attacks")

    found = replicated.load(item["paper"], item["item"], real)
    cells = [
        [
            _cell(item, row, column, cell, (metrics, suite), found, papers)
            for column, cell in zip(item["columns"], cells, strict=True)
        ]
        for row, cells in zip(item["rows"], item["cells"], strict=True)
    ]
    columns = [c | {"n_test": _n_test(cells, k, item, metrics)} for k, c in enumerate(item["columns"])]
    rows = [row | {"note": "not in the paper: our own reference" if row["ours"] else None} for row in item["rows"]]
    filled = {k: item[k] for k in ("paper", "item", "title", "caption", "scale")}
    return filled | {"rows": rows, "columns": columns, "cells": cells, "provenance": _provenance(item, metrics)}


def _cell(item, row, column, cell, sources, found, papers) -> dict[str, Any]:
    where = cell["published"]
    paper = (
        published.lookup(item["paper"], where["item"], where["row"], where["column"], papers).value if where else None
    )
    name = (
        " | ".join(filter(None, (row["group"], row["label"]))),
        " | ".join(filter(None, (column["group"], column["label"]))),
    )
    match = found.get((*name, cell["metric"]))
    metrics, suite = sources
    missing, summaries = cell["missing"], cell["evaluations"] or [None] * len(cell["runs"])
    values = [
        measure(cell["metric"], metrics(run), suite(e) if e else None)
        for run, e in zip(cell["runs"], summaries, strict=True)
    ]
    if "inputs" in cell and missing is None:
        values = [FORMULAS[item["options"]["formula"]](cell["inputs"])]
    return {
        "published": paper,
        "replicated": match.summary() if match else None,
        "values": values,
        "n": len(values),
        "missing": missing,
    }


def measure(metric: str, metrics: dict[str, Any], suite: dict[str, Any] | None) -> float:
    """A number of one run, in the unit of the papers: accuracies in percent.

    ``clean``; ``<attack>``, a name of the suite; ``<attack>@<class>`` or ``<attack>@A`` and ``@B``: on one class, on the
    classes that were attacked in training, on the others; ``masking``: signs of gradient masking that were found;
    ``history.<column>``: the last epoch's. Raises ValueError for anything else.
    """
    name, _, part = metric.partition("@")
    if name.startswith("history."):
        return float(metrics["history"][name.removeprefix("history.")])
    if suite is None:
        if name != "clean":
            raise ValueError(f"metric {metric!r}: no suite is named; allowed without one: clean, history.<column>")
        return 100 * _share(metrics["clean"], metrics, part)
    if name == "masking":
        return float(sum(map(len, suite["masking"].values())))
    if name == "worst":
        return 100 * suite["worst"]["accuracy"]
    if name not in suite["attacks"]:
        raise ValueError(
            f"metric {metric!r}: suite {suite['suite']} has no attack {name!r}{near(name, suite['attacks'])}"
        )
    return 100 * _share(suite["attacks"][name], metrics, part)


def _share(shown: dict[str, Any], metrics: dict[str, Any], part: str) -> float:
    if not part:
        return shown["accuracy"]
    right, n = shown["per_class"]["correct"], shown["per_class"]["n"]
    inside = metrics.get("classes_attacked", []) if part in "AB" else [int(part)]
    chosen = [c for c in range(len(n)) if (c in inside) != (part == "B")]
    return sum(right[c] for c in chosen) / max(1, sum(n[c] for c in chosen))


def _n_test(cells: list[list[dict]], k: int, item: dict[str, Any], metrics) -> int | None:
    runs = [run for row in item["cells"] for run in row[k]["runs"]]
    return metrics(runs[0])["examples"]["test"] if runs else None


def _provenance(item: dict[str, Any], metrics) -> dict[str, Any]:
    runs = [metrics(run) for run in item["runs"]]
    shown = {"seeds": item["seeds"], "factors": item["factors"]}
    for key in ("device", "revision"):
        shown[key] = ", ".join(sorted({str(r[key] or "unknown") for r in runs}))
    shown["date"] = max((r["date"][:10] for r in runs), default="")
    return shown | {"assumptions": item["assumptions"]}
