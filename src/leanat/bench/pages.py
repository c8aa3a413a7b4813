"""What a trial leaves: table and figure of each data set, verdicts, and the full settings of every row."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leanat.bench import verdicts
from leanat.bench.experiments import ATTACK
from leanat.bench.settings import chance
from leanat.bench.trials import settings_of
from leanat.bench.verdicts import Outcomes, Verdict
from leanat.core.files import atomic_write, write_json
from leanat.plan.grid import Grid
from leanat.plan.item import Column, Filled, Item, Row, Value
from leanat.report import items, plots, table
from leanat.report.items import Sources
from leanat.report.layout import number
from leanat.report.measures import measure

log = logging.getLogger("leanat")
Rule = tuple[str, str]  # training, method
JUDGED = {"standard": "clean"}  # what a training is judged by; all others by robust accuracy


def write(grid: Grid, results: Path, out: Path) -> list[str]:
    """Writes all of it into ``out`` and returns the lines for the terminal. Raises what ``report.items.fill`` raises."""
    out.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for name, item in grid.items.items():
        stem = out / name.removeprefix("bench/")
        filled = replace(items.fill(item, results, results, results / "bench"), of_a_paper=False)
        if item.kind == "figure":
            plots.write_figure(filled, stem)
            continue
        sources = Sources(item, results, results, results / "bench")
        outcomes = _outcomes(item, sources)
        judged = _judged(outcomes)
        filled = _with_notes(_with_columns(filled, item, outcomes, sources), judged)
        table.write_table(filled, stem)
        _write_verdicts(judged, stem.with_name(f"{stem.name}-verdicts.csv"))
        lines += [item.title, *_lines(filled, judged), ""]
    write_json(out / "settings.json", settings_of(grid))
    return lines


def _rule(row: Row) -> Rule:
    return row.entry["training"], row.entry["method"]


def _outcomes(item: Item, sources: Sources) -> dict[Rule, Outcomes]:
    """Of each row the accuracy in % that it is judged by, by seed."""
    found = {}
    for row, cells in zip(item.rows, item.cells, strict=True):
        clean = JUDGED.get(_rule(row)[0]) == "clean"
        cell, metric = (cells[0], "clean") if clean else (cells[1], ATTACK)
        suites = cell.evaluations or [None] * len(cell.runs)
        values = [measure(metric, run, suite, sources) for run, suite in zip(cell.runs, suites, strict=True)]
        found[_rule(row)] = dict(zip(item.seeds, values, strict=True))
    return found


def _judged(outcomes: dict[Rule, Outcomes]) -> dict[Rule, Verdict]:
    names = {" | ".join(rule): rule for rule in outcomes if chance(rule[1]) is not None}
    judged = verdicts.compared(
        {name: outcomes[rule] for name, rule in names.items()},
        {name: outcomes[training, str(chance(method))] for name, (training, method) in names.items()},
    )
    return {names[v.row]: v for v in judged}


def _with_columns(filled: Filled, item: Item, outcomes: dict[Rule, Outcomes], sources: Sources) -> Filled:
    """Three more columns: above the random subsets in points; passes, in % of a training on all data or else of the
    random one's; and seconds, choices included."""
    passes = {
        _rule(row): [_passes(sources, run) for run in cells[0].runs]
        for row, cells in zip(item.rows, item.cells, strict=True)
    }
    base = "full" if any(method == "full" for _, method in passes) else "random"
    columns = (
        Column("above random", "points", digits=1),
        Column("cost", f"passes, {'all data' if base == 'full' else 'random'} = 100", digits=0),
        Column("cost", "seconds", digits=1),
    )
    cells = []
    for row, own, known in zip(filled.rows, item.cells, filled.cells, strict=True):
        (training, method), runs = _rule(row), own[0].runs
        reference = chance(method)
        above = []
        if reference is not None:
            above = [value - outcomes[training, reference][seed] for seed, value in outcomes[training, method].items()]
        shares = [100 * a / b for a, b in zip(passes[training, method], passes[training, base], strict=True)]
        seconds = [float(sources.metrics(run)["seconds"]) for run in runs]
        cells.append((*known, *(_value(values, runs) for values in (above, shares, seconds))))
    return replace(filled, columns=(*filled.columns, *columns), cells=tuple(cells))


def _passes(sources: Sources, run: str) -> int:
    examples = sources.metrics(run)["examples"]
    return int(examples["forward"]) + int(examples["backward"])


def _value(values: Sequence[float], runs: tuple[str, ...]) -> Value:
    return Value(
        values=tuple(values), missing=None if values else "not compared with chance", runs=runs if values else ()
    )


def _with_notes(filled: Filled, judged: dict[Rule, Verdict]) -> Filled:
    """The foot says which rows are decided."""
    rows = []
    for row in filled.rows:
        verdict = judged.get(_rule(row))
        decided = verdict is not None and verdict.verdict != "undecided"
        note = (
            f"{verdict.verdict}, corrected for {len(judged)} comparisons" if verdict is not None and decided else None
        )
        rows.append(replace(row, note=note))
    return replace(filled, rows=tuple(rows))


def _write_verdicts(judged: dict[Rule, Verdict], path: Path) -> None:
    with atomic_write(path) as beside, open(beside, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["training", "method", "judged_by", "above_random", "low", "high", "seeds", "p_holm", "verdict"]
        )
        for (training, method), v in judged.items():
            writer.writerow([training, method, JUDGED.get(training, "robust"), *v.difference, v.p, v.verdict])


def _lines(filled: Filled, judged: dict[Rule, Verdict]) -> list[str]:
    """The table for a terminal: accuracies, cost, the difference to random that is judged."""
    out = [f"{'':<56}{'clean':>6}{'robust':>7}{'passes':>7}{'':>9}  above random, 95 %"]
    for row, cells in zip(filled.rows, filled.cells, strict=True):
        means = [sum(cell.values) / cell.n for cell in (*cells[:2], *cells[-2:])]
        above = ""
        if (v := judged.get(_rule(row))) is not None:
            mean, low, high, _ = v.difference
            spread = "" if low is None or high is None else f" [{number(low, 1)}, {number(high, 1)}]"
            above = f"{'+' * (mean > 0)}{number(mean, 1)}{spread}  {v.verdict}"
        name = f"{row.group}: {row.label}"
        out.append(f"{name:<56}{means[0]:6.1f}{means[1]:7.1f}{means[2]:7.0f}{means[3]:7.1f} s  {above}")
    return out
