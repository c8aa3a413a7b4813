"""Every problem of a configuration that can be known before anything is trained: what ``leanat check`` says."""

from __future__ import annotations

from pathlib import Path

from leanat.core.errors import ConfigError
from leanat.plan import components, sense, settings
from leanat.plan.grid import Grid, canonical
from leanat.report import asked
from leanat.runs import assess


def problems(grid: Grid, published: Path) -> list[str]:
    """A line for each, with the file and the first run that has it. Builds the objects of every spec and suite."""
    where = {run: item for item in grid.items.values() for run in reversed(item.all_runs)}
    seen: dict[str, str] = {}  # each once, with the first run that has it
    hook_names: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}  # by run: columns and numbers of its hooks
    for run in grid.runs.values():
        try:
            hooks = components.read(run.spec).method.hooks
            columns = tuple(name for hook in hooks for name in hook.column_names)
            numbers = tuple(name for hook in hooks for name in hook.report_names)
            hook_names[run.id] = columns, numbers
            lines = sense.spec_problems(run.spec, grid.datasets[run.spec["data"]["name"]])
        except ConfigError as error:
            lines = error.problems
        for line in lines:
            seen.setdefault(line, run.id)
    measured: dict[str, dict] = {}  # by suite: its measures
    for evaluation in {canonical(e.attacks): e for e in grid.evaluations.values()}.values():
        try:
            _, _, measured[canonical(evaluation.attacks)] = assess.suite_parts(evaluation.attacks)
            dataset = grid.datasets[grid.runs[evaluation.run].spec["data"]["name"]]
            lines = list(
                sense.attack_problems(evaluation.attacks, dataset, f"suites.{evaluation.suite.partition('-')[2]}")
            )
        except ConfigError as error:
            lines = error.problems
        for line in lines:
            seen.setdefault(line, evaluation.run)
    measures = {id: measured[key] for id, e in grid.evaluations.items() if (key := canonical(e.attacks)) in measured}
    items = asked.item_problems(grid, published, hook_names, measures)
    acted = [] if seen else sense.beyond(grid)  # of specs that can be read
    problems = dict.fromkeys([*items, *acted])
    for line, first in seen.items():
        paper = where[first].paper if first in where else "*"
        changed = _changes(grid, first) if line.startswith("spec") else ""  # no change reaches a suite
        problems[f"leanat/papers/{paper}/experiments.py{changed}: run {first}: {line}"] = None
    return list(problems)


def _changes(grid: Grid, run: str) -> str:
    """The user's changes in a run and where they are written, for the place of its problems; empty if there are none."""
    changes = [f"{paper}.{method}: {name} {value}" for paper, method, name, value in grid.runs[run].changes]
    if not changes:
        return ""
    file = grid.folder / "config.yaml"
    source = settings.said_by("change", grid.settings["change"], settings.load_yaml(file), file)
    return f" with change {', '.join(changes)} of {source}"
