"""Makes the grid of a configuration from the settings and the papers' ``experiments.py``. Imports no torch."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import leanat.papers
from leanat.core.errors import ConfigError, did_you_mean
from leanat.experiments.paper import ItemSpec, Paper
from leanat.experiments.scales import SCALES
from leanat.experiments.spec import field_names, plain
from leanat.plan import cache, looks, settings
from leanat.plan.grid import Grid
from leanat.plan.items import resolve

KINDS = ("table", "figure", "formula")
FIXED = {  # fields of a spec that ``change`` cannot change, with the reason
    "data.name": "items name data sets, and a scale puts others in their place (docs/adding.md)",
    "model.name": "items name networks, and a scale puts others in their place (docs/adding.md)",
    "seed": "seeds, or more_seeds of an item, says how many there are",
    "code": "it is the meaning that training has in this version",
}
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]*")


def load(folder: Path, overrides: Mapping[str, Any] | None = None, results: Path | None = None) -> Grid:
    """The grid of a ``config`` folder; ``overrides``, from the command line, replace values of ``config.yaml``.

    ``results``: the folder below which the resolved grid is saved, so that other processes need not resolve it again.
    Raises ConfigError with every problem.
    """
    chosen, data_sets = settings.load(folder, overrides or {}), settings.data_sets(folder)
    given = dict(chosen)
    kept_seeds: dict[str, int] = {}
    if results is not None:
        asked_seeds = chosen.get("more_seeds") or {}
        kept_seeds = looks.read(results, chosen["scale"])
        chosen["more_seeds"] = {k: max(asked_seeds.get(k, 0), kept_seeds.get(k, 0)) for k in asked_seeds | kept_seeds}

    def said_by(key: str) -> str:
        file = folder / "config.yaml"
        return settings.said_by(key, given.get(key), settings.load_yaml(file), file)

    papers = all_papers(chosen.get("papers"), f"{said_by('papers')}: papers")
    grid = Grid(folder, chosen, SCALES[chosen["scale"]], data_sets, papers)
    file = None if results is None else cache.path_of(grid, results)
    if file is not None and cache.read(grid, file):
        return grid
    if problems := [line for name, paper in papers.items() for line in _problems(name, paper, data_sets)]:
        raise ConfigError(problems)
    for name, paper in papers.items():
        for item in paper.items:
            grid.items[f"{name}/{item}"] = resolve(grid, name, item)
    problems = [f"{said_by('change')}: {line}" for line in _of_changes(grid)]
    for line in _of_seeds(grid, results, kept_seeds):
        problems.append(f"{said_by('more_seeds')}: {line}" if line.startswith("more_seeds") else line)
    if problems:
        raise ConfigError(problems)
    if file is not None:
        cache.write(grid, file)
    return grid


def _of_changes(grid: Grid) -> Iterator[str]:
    """A line for each name in ``change`` that no run has; ``change: {qtart: {sgd: {recipe.lr.lr: 0.05}}}`` is an example."""
    acted = {change[:3] for run in grid.all_runs() for change in run.changes}
    for paper, methods in (grid.settings.get("change") or {}).items():
        if paper not in grid.papers:
            yield f"change: there is no paper {paper!r}{did_you_mean(paper, grid.papers)}"
            continue
        for method, values in (methods or {}).items():
            if method not in (method_names := ["all", *grid.papers[paper].methods]):
                yield f"change: {paper} has no method {method!r}{did_you_mean(method, method_names)}"
                continue
            own = {run for item in grid.items.values() if item.paper == paper for run in item.all_runs}
            specs = [grid.runs[run].spec for run in own if method == "all" or f"-{method}-s" in run]
            fields = {name for spec in specs for name in field_names(spec)} - FIXED.keys()
            for name in values or {}:
                if name in FIXED:
                    yield f"change: {paper}.{method}: {name} cannot be changed here: {FIXED[name]}"
                elif (paper, method, name) not in acted and name in fields:
                    yield f"change: {paper}.{method}: {name} stands in no run; another change replaces it in all of them"
                elif (paper, method, name) not in acted:
                    yield f"change: {paper}.{method}: no run has {name!r}{did_you_mean(name, fields)}"


def _of_seeds(grid: Grid, results: Path | None, kept_seeds: Mapping[str, int]) -> Iterator[str]:
    """A line for each item in ``more_seeds`` or in ``kept_seeds`` (saved below the results) that no paper has. Items of papers
    that the settings leave out are allowed.
    """
    for name in grid.settings.get("more_seeds") or {}:
        paper = name.partition("/")[0]
        if name not in grid.items and (paper in grid.papers or paper not in all_names()):
            source = looks.path_of(results, grid.scale.name) if results and name in kept_seeds else "more_seeds"
            yield f"{source}: there is no item {name!r}{did_you_mean(name, grid.items)}"


def all_names() -> list[str]:
    """The names of all papers: the folders in ``leanat.papers``."""
    return sorted({module.name for module in pkgutil.iter_modules(leanat.papers.__path__) if module.ispkg})


def all_papers(names: Iterable[str] | None = None, where: str = "papers") -> dict[str, Paper]:
    """The papers by name, from the folders in ``leanat.papers``: all of them, or only ``names``.

    Raises ConfigError for an unknown name; ``where``: the origin of ``names``, for the message.
    """
    paper_names = all_names()
    if unknown := [name for name in names or () if name not in paper_names]:
        raise ConfigError([f"{where}: there is no paper {name!r}{did_you_mean(name, paper_names)}" for name in unknown])
    return {name: importlib.import_module(f"leanat.papers.{name}.experiments").PAPER for name in names or paper_names}


def _problems(name: str, paper: Paper, data_sets: Mapping[str, Any]) -> Iterator[str]:
    """A line for each name in a paper's ``experiments.py`` that is unknown or that cannot be the name of a file."""
    file, methods = f"leanat/papers/{name}/experiments.py", tuple(paper.methods)
    labels = [e["label"] for s in paper.suites.values() for e in s.values() if plain(e).get("label") is not None]
    attacks = [attack for suite in paper.suites.values() for attack in suite]
    for part in (name, *paper.items, *paper.suites, *attacks, *labels):
        if not FILE_NAME.fullmatch(str(part)):
            allowed = "letters, digits, space and _ . + - after a letter or digit"
            yield f"{file}: {part!r} is not allowed as a name; {allowed}"
    if not isinstance(seeds := plain(paper.seeds), int) or seeds < 1:
        yield f"{file}: seeds: {seeds!r} is not allowed; a whole number from 1"
    names_by_key = {"data": data_sets, "method": methods, "suite": paper.suites}
    for title, item in paper.items.items():
        yield from _of_item(f"{file}: {title}", item, names_by_key)


def _of_item(where: str, item: ItemSpec, names_by_key: Mapping[str, Iterable[str]]) -> Iterator[str]:
    if item.kind not in KINDS:
        yield f"{where}.kind: {item.kind!r} is not allowed{did_you_mean(item.kind, KINDS)}"
    entries = [("", {**item.base, "suite": item.suite}), *(("rows.", e) for e in item.rows)]
    entries += [("columns.", e) for e in item.columns]
    lines = {}
    for axis, entry in entries:
        for key, names in names_by_key.items():
            value = plain(entry.get(key))
            if value is not None and value not in names:
                lines[f"{where}.{axis}{key}: there is no {key} {value!r}{did_you_mean(value, names)}"] = None
    yield from lines
