"""The data of a run for the pages: its settings and their origin, its results, its curves, the examples it trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leanat.plan.grid import Grid
from leanat.report import chosen, difference
from leanat.report.learning import OLD, PANELS
from leanat.report.run_files import CLEAN, LOSS, ROBUST, Selection, columns, curve, history, leaves, selection
from leanat.runs import identity
from leanat.site import charts
from leanat.site.pictures import Sheets, spread

SHOWN = 12  # maximum number of thumbnails of each kind
NEED = (*difference.NEED, "versions", "threads", "parameters", "wall_seconds", "peak_memory_mb")  # keys of the metrics


class Setting(NamedTuple):
    """A value of a spec; ``kind``: paper, assumed, scaled, ours."""

    path: str
    value: str
    kind: str
    note: str


class Thumbnail(NamedTuple):
    example: int
    label: int
    column: int
    row: int


@dataclass(frozen=True)
class Thumbnails:
    title: str
    sheet: str
    images: list[Thumbnail]
    of: int


@dataclass(frozen=True)
class Run:
    """A finished run."""

    id: str
    settings: list[Setting]
    facts: dict[str, str]
    attacks: list[tuple[str, str, str, str]]  # suite, attack, accuracy, file with the outcomes
    provenance: dict[str, str]
    files: dict[str, str]
    needs: list[str]
    changes: list[str]
    charts: list[tuple[str, str]]  # title and SVG
    no_accuracies: str
    selection: tuple[list[list[str]], list[str]] | None
    thumbnails: list[Thumbnails]
    rows: list[dict[str, float | None]]


def read(run: str, grid: Grid, results: Path, at_paper: Mapping[str, Any] | None, sheets: Sheets) -> Run:
    """Reads a run. Raises FileNotFoundError if it is not finished, and ValueError if a file is damaged."""
    folder, planned = results / "runs" / run, grid.runs[run]
    metrics, rows = identity.read_run(folder, *NEED), history(folder)
    suites = difference.summaries(folder)
    choices = selection(folder, metrics["spec"], metrics["examples"]["train"])
    facts = difference.facts(metrics, [])
    where = {k: facts.pop(k) for k in ("device", "revision", "date")}
    attacks = [(s, name, difference.accuracy(a), a.get("file", "")) for s, name, a in difference.attacked(suites)]
    return Run(
        run, settings(metrics["spec"], planned.assumed, at_paper), facts, attacks,
        where | _provenance(metrics), metrics.get("files", {}), list(planned.needs),
        [f"{method}: {field} = {value}" for _, method, field, value in planned.changes],
        _charts(rows), "" if CLEAN in columns(rows) else OLD,
        None if choices is None else chosen.table(choices, metrics["epochs"]),
        _thumbnails(choices, metrics["spec"], sheets), rows,
    )  # fmt: skip


def settings(
    spec: Mapping[str, Any], assumed: tuple[tuple[str, Any, str], ...], at_paper: Mapping[str, Any] | None
) -> list[Setting]:
    """Every value of a spec: assumed, with the reason; changed by the scale, with the paper's value; or the paper's own.

    A mark on a whole component applies to all values inside.
    """
    reasons = {what: reason for what, _, reason in assumed}
    printed = None if at_paper is None else dict(leaves(at_paper))
    marked_settings = []
    for path, value in leaves({k: v for k, v in spec.items() if k not in ("code", "seed")}):
        mark = next((what for what in reasons if f"{path}.".startswith(f"{what}.")), None)
        original = None if printed is None else printed.get(path, "not there")
        if original is not None and original != value and not value.startswith("run:"):
            note = f"the paper's: {original}" + (f"; assumed: {reasons[mark]}" if mark else "")
            marked_settings.append(Setting(path, value, "scaled", note))
        elif mark:
            marked_settings.append(Setting(path, value, "assumed", reasons[mark]))
        else:
            marked_settings.append(Setting(path, value, "paper" if printed is not None else "", ""))
    return marked_settings


def _provenance(metrics: Mapping[str, Any]) -> dict[str, str]:
    versions = ", ".join(f"{name} {version}" for name, version in metrics["versions"].items())
    hashes = {f"hash of {name}": value for name, value in metrics.get("made_from", {}).items()}
    pieces = len(metrics.get("pieces", []))
    facts = {"threads": str(metrics["threads"]), "versions": versions, "parameters": f"{metrics['parameters']:,}"}
    facts |= {
        "wall-clock seconds": f"{metrics['wall_seconds']:.1f}",
        "peak memory (MB)": f"{metrics['peak_memory_mb']:.0f}",
    }
    return facts | ({"trained in pieces": str(pieces)} if pieces > 1 else {}) | hashes


def _charts(rows: list[dict[str, float | None]]) -> list[tuple[str, str]]:
    panels = [("Training loss", [charts.Series("loss", curve(rows, LOSS))])]
    accuracies = [charts.Series(name, curve(rows, c)) for name, c in (("clean", CLEAN), ("under PGD", ROBUST))]
    panels.append(("Accuracy on 200 test images (%)", [s for s in accuracies if s.points]))
    return [(title, charts.lines(title, series)) for title, series in panels if any(s.points for s in series)]


def _thumbnails(choices: Selection | None, spec: Mapping[str, Any], sheets: Sheets) -> list[Thumbnails]:
    """Examples that the last selection leaves out, and, if weights differ, those with the greatest weights."""
    if choices is None or choices.labels is None:
        return []
    last = max((k for k in range(len(choices.index)) if len(choices.index[k])), default=None)
    if last is None:
        return []
    left_out, index, weight = choices.left_out(last), choices.index[last], choices.weight[last]
    thumbnails = []
    sheet = sheets.of(spec["data"]["name"], spec["data"].get("validation"))
    kinds = [("Left out at the end", spread(left_out, choices.labels, SHOWN), len(left_out))]
    if len(weight) and weight.min() != weight.max():
        heaviest = index[np.argsort(-weight, kind="stable")[: SHOWN // 2]].tolist()
        kinds.append(("Of greatest weight", list(dict.fromkeys(heaviest)), len(index)))
    for title, examples, of in kinds:
        images = [Thumbnail(e, int(choices.labels[e]), *sheet.place(e)) for e in examples]
        if images:
            thumbnails.append(Thumbnails(title, sheet.name, images, of))
    return thumbnails


def for_comparison(run: Run) -> dict[str, Any]:
    """The data of a run for the page that compares two runs."""
    names = [name for name in ("epoch", *PANELS) if name in columns(run.rows)]
    accuracies = {f"{suite}: {name} (%)": value for suite, name, value, _ in run.attacks}
    return {
        "id": run.id,
        "spec": {s.path: s.value for s in run.settings},
        "facts": run.facts | accuracies | {k: run.provenance[k] for k in ("device", "revision", "date")},
        "history": {
            name: [None if (value := row.get(name)) is None else float(f"{value:.5g}") for row in run.rows]
            for name in names
        },
    }
