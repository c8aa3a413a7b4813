"""The output of a trial: table and figure of each data set, verdicts, and the full settings of every row."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from leanat.bench import verdicts
from leanat.bench.settings import PROFILES, chance
from leanat.bench.trials import settings_of
from leanat.bench.verdicts import Outcomes, Verdict
from leanat.core.files import atomic_write, write_json
from leanat.plan.grid import Grid
from leanat.plan.item import Column, Filled, Item, Row, Value
from leanat.report import items, plots, table
from leanat.report.items import Sources
from leanat.report.layout import number

log = logging.getLogger("leanat")
Rule = tuple[str, str]  # training, method
JUDGED = {"standard": "clean"}  # the accuracy by which a training is judged; all others by robust accuracy


def write(grid: Grid, results: Path, out: Path) -> list[str]:
    """Writes the output into ``out`` and returns the lines for the terminal. Raises the errors of ``report.items.fill``."""
    out.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    apart: dict[Rule, str] = {}
    for name, item in grid.items.items():
        stem = out / name.removeprefix("bench/")
        filled = replace(items.fill(item, results, results, results / "bench"), of_a_paper=False)
        if item.kind == "figure":  # comes after the table of its data set
            plots.write_figure(_without(filled, apart), stem)
            continue
        sources = Sources(item, results, results, results / "bench")
        outcomes = _outcomes(filled)
        apart = _keep_more(item, sources, grid.datasets[stem.name]["classes"], PROFILES[stem.name].batch)
        judged = _judged(outcomes, apart)
        filled = _with_notes(_with_columns(filled, item, outcomes, sources, apart), judged)
        table.write_table(filled, stem)
        _write_verdicts(judged, apart, stem.with_name(f"{stem.name}-verdicts.csv"))
        lines += [item.title, *_lines(filled, judged, apart), ""]
    write_json(out / "settings.json", settings_of(grid))
    return lines


def _rule(row: Row) -> Rule:
    return row.entry["training"], row.entry["method"]


def _outcomes(filled: Filled) -> dict[Rule, Outcomes]:
    """For each row, the accuracy in % by which it is judged, by seed."""
    outcomes = {}
    for row, (clean, robust, *_) in filled.by_row:
        outcomes[_rule(row)] = (clean if JUDGED.get(_rule(row)[0]) == "clean" else robust).by_seed
    return outcomes


def _keep_more(item: Item, sources: Sources, classes: int, batch: int) -> dict[Rule, str]:
    """The rules that keep more examples than their random subset, by more than one per class, or by more than a batch if batches
    are chosen. They could be above chance only because of that. Returns the text for each instead of a verdict.
    """
    kept = {  # images per epoch, averaged over epochs and runs
        _rule(row): fmean(fmean(float(epoch["kept"]) for epoch in sources.history(run)) for run in c[0].runs)
        for row, c in item.by_row
    }
    apart = {}
    for (training, method), own in kept.items():
        if (reference := chance(method)) is None:
            continue
        random = kept[training, reference]
        if own > random + (batch if reference == "random:batch" else classes):
            apart[training, method] = f"not comparable: keeps {own:.0f}, random {random:.0f}"
    return apart


def _without(filled: Filled, apart: dict[Rule, str]) -> Filled:
    """The figure with the reason instead of the numbers for rules that are not compared."""
    cells = [
        tuple(Value(missing=apart[_rule(row)]) for _ in own) if _rule(row) in apart else own
        for row, own in filled.by_row
    ]
    return replace(filled, cells=tuple(cells))


def _judged(outcomes: dict[Rule, Outcomes], apart: dict[Rule, str]) -> dict[Rule, Verdict]:
    rules = [rule for rule in outcomes if chance(rule[1]) is not None and rule not in apart]
    random = {(training, method): outcomes[training, chance(method)] for training, method in rules}
    return {v.row: v for v in verdicts.compared({rule: outcomes[rule] for rule in rules}, random)}


def _with_columns(
    filled: Filled, item: Item, outcomes: dict[Rule, Outcomes], sources: Sources, apart: dict[Rule, str]
) -> Filled:
    """Adds three columns: points above the random subset; passes, in % of a training on all data or else of the random
    training; and seconds, including choices.
    """
    passes = {_rule(row): [_passes(sources, run) for run in cells[0].runs] for row, cells in item.by_row}
    base = "full" if any(method == "full" for _, method in passes) else "random"
    columns = (
        Column("above random", "points", digits=1),
        Column("cost", f"passes, {'all data' if base == 'full' else 'random'} = 100", digits=0),
        Column("cost", "seconds", digits=1),
    )
    cells = []
    for row, own, filled_cells in zip(filled.rows, item.cells, filled.cells, strict=True):
        (training, method), runs = _rule(row), own[0].runs
        reference = chance(method)
        above, why = [], apart.get((training, method), "not compared with chance")
        if reference is not None and (training, method) not in apart:
            above = [value - outcomes[training, reference][seed] for seed, value in outcomes[training, method].items()]
        shares = [100 * a / b for a, b in zip(passes[training, method], passes[training, base], strict=True)]
        seconds = [float(sources.metrics(run)["seconds"]) for run in runs]
        cells.append((*filled_cells, *(_value(values, runs, why) for values in (above, shares, seconds))))
    return replace(filled, columns=(*filled.columns, *columns), cells=tuple(cells))


def _passes(sources: Sources, run: str) -> int:
    examples = sources.metrics(run)["examples"]
    return int(examples["forward"]) + int(examples["backward"])


def _value(values: Sequence[float], runs: tuple[str, ...], why: str) -> Value:
    return Value(values=tuple(values), missing=None if values else why, runs=runs if values else ())


def _with_notes(filled: Filled, judged: dict[Rule, Verdict]) -> Filled:
    """Adds notes for the foot that say which rows are decided."""
    notes = {
        rule: f"{v.verdict}, corrected for {len(judged)} comparisons"
        for rule, v in judged.items()
        if v.verdict != "undecided"
    }
    return replace(filled, rows=tuple(replace(row, note=notes.get(_rule(row))) for row in filled.rows))


def _write_verdicts(judged: dict[Rule, Verdict], apart: dict[Rule, str], path: Path) -> None:
    with atomic_write(path) as beside, open(beside, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["training", "method", "judged_by", "above_random", "low", "high", "seeds", "p_holm", "verdict"]
        )
        for (training, method), v in judged.items():
            writer.writerow([training, method, JUDGED.get(training, "robust"), *v.difference, v.p, v.verdict])
        for (training, method), why in apart.items():
            writer.writerow([training, method, JUDGED.get(training, "robust"), *[""] * 5, why])


def _lines(filled: Filled, judged: dict[Rule, Verdict], apart: dict[Rule, str]) -> list[str]:
    """The table for a terminal: accuracies, cost, and the difference to random with its verdict."""
    out = [f"{'':<56}{'clean':>6}{'robust':>7}{'passes':>7}{'':>9}  above random, 95 %"]
    for row, cells in filled.by_row:
        means = [cell.mean for cell in (*cells[:2], *cells[-2:])]
        above = apart.get(_rule(row), "")
        if (v := judged.get(_rule(row))) is not None:
            mean, low, high, _ = v.difference
            spread = "" if low is None or high is None else f" [{number(low, 1)}, {number(high, 1)}]"
            above = f"{'+' * (mean > 0)}{number(mean, 1)}{spread}  {v.verdict}"
        name = f"{row.group}: {row.label}"
        out.append(f"{name:<56}{means[0]:6.1f}{means[1]:7.1f}{means[2]:7.0f}{means[3]:7.1f} s  {above}")
    return out
