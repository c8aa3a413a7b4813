"""Reads ``config/`` and checks its structure: files, keys, names, numbers. Every problem at once, each one clear line.

What needs torch (the fields of components and their ranges) is checked by ``leanat check``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from leanat.experiments import plan, sense, shape
from leanat.experiments.grid import FACTS, Grid
from leanat.experiments.items import resolve
from leanat.experiments.resolve import Assumed, ConfigError, load_yaml, near, plain

SETTINGS = {
    "scale": str, "data_dir": (str, type(None)), "results": str, "seeds": (int, type(None)), "device": str,
    "gpus": int, "jobs_per_gpu": int, "max_hours": int, "other_counts": bool, "deterministic": bool,
}  # fmt: skip
MOST_SEEDS = 1000  # each is a training of every run
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
OPTIONAL = {"suites", "rules", "skip", "trials", "repeats", "assumed"}  # of a paper
KINDS = {"table", "figure", "formula"}


def load(folder: Path, overrides: Mapping[str, Any] | None = None, results: Path | None = None) -> Grid:
    """The grid of a ``config`` folder, with ``overrides`` (of the command line) over ``config.yaml``.

    ``results``: the folder below which the resolved grid is kept, so that another process need not resolve it again.
    Raises ConfigError with every problem of every file.
    """
    problems: list[str] = []
    if not (folder / "config.yaml").is_file():
        raise ConfigError(
            [f"{folder}/config.yaml: no such file; run in the checkout, or name its folder: --config-dir DIR"]
        )

    def read(path: Path, kinds: Any = None) -> dict[str, Any]:
        try:
            value = load_yaml(path)
        except ConfigError as error:
            problems.extend(error.problems)
            return {}
        if wrong := [] if kinds is None else list(shape.problems(value, kinds, str(path))):
            problems.extend(wrong)
            return {}
        return value

    own = read(folder / "config.yaml")
    settings = own | (overrides or {})
    for key in ("results", "data_dir"):
        if isinstance(value := settings.get(key), str) and value.startswith("~"):
            settings[key] = str(Path(value).expanduser())
    of_settings: list[str] = []
    _settings(settings, own, folder / "config.yaml", of_settings)
    datasets = read(folder / "datasets.yaml", shape.DATASETS)
    scale_path = folder / "scales" / f"{settings.get('scale')}.yaml"
    scale = read(scale_path, shape.SCALE)
    papers = {path.stem: read(path, shape.PAPER) for path in sorted((folder / "papers").glob("*.yaml"))}
    if problems:  # all that follows relies on the kinds of values
        raise ConfigError([*of_settings, *problems])
    problems.extend([*of_settings, *sense.dataset_problems(datasets, folder / "datasets.yaml")])
    if scale:
        problems.extend(sense.scale_problems(scale, scale_path))
        _scale(scale, scale_path, datasets, problems)
    for name, paper in papers.items():
        if paper:
            _paper(name, paper, folder / "papers" / f"{name}.yaml", datasets, problems)
    if problems:
        raise ConfigError(problems)
    grid = Grid(folder, settings, scale, datasets, papers)
    kept = None if results is None else plan.path_of(grid, results)
    if kept is not None and plan.read(grid, kept):
        return grid
    for name, paper in papers.items():
        for item in paper["items"]:
            grid.items[f"{name}/{item}"] = resolve(grid, name, item)
    if kept is not None:
        plan.write(grid, kept)
    return grid


def _unknown(keys: Iterable[str], known: Collection[str], where: str, problems: list[str]) -> None:
    problems.extend(f"{where}: unknown key {k!r}{near(k, known)}" for k in keys if k not in known)


def _missing(value: Mapping[str, Any], needed: Iterable[str], where: str, problems: list[str]) -> None:
    problems.extend(f"{where}: key {k!r} is missing" for k in needed if k not in value)


def _settings(settings: Mapping[str, Any], own: Mapping[str, Any], path: Path, problems: list[str]) -> None:
    """``own``: what the file itself says; another value came from the command line, and a problem names that."""

    def where(key: str) -> str:
        return (
            str(path)
            if key in own and (own[key] == settings[key] or str(own[key]).startswith("~"))
            else "command line (--config or --set)"
        )

    problems.extend(f"{where(k)}: unknown key {k!r}{near(k, SETTINGS)}" for k in settings if k not in SETTINGS)
    _missing(settings, SETTINGS.keys() - {"other_counts", "deterministic"}, str(path), problems)
    for key, kind in SETTINGS.items():
        if key not in settings:
            continue
        value, kinds = settings[key], kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            shown = " or ".join(k.__name__.replace("NoneType", "null") for k in kinds)
            problems.append(f"{where(key)}: {key}: {value!r} is not allowed; expected {shown}")
    if isinstance(seeds := settings.get("seeds"), int) and seeds < 1:
        problems.append(
            f"{where('seeds')}: seeds: {seeds} is not allowed; at least 1, or null for as many as the scale says"
        )
    elif isinstance(seeds, int) and seeds > MOST_SEEDS:
        problems.append(f"{where('seeds')}: seeds: {seeds} is not allowed; at most {MOST_SEEDS}, each trains every run")
    for key in ("gpus", "jobs_per_gpu", "max_hours"):
        if isinstance(value := settings.get(key), int) and value < 1:
            problems.append(f"{where(key)}: {key}: {value} is not allowed; at least 1")
    if "scale" in settings:
        _files([settings["scale"]], f"{where('scale')}: scale", problems)
    if isinstance(device := settings.get("device"), str) and not DEVICE.fullmatch(device):
        problems.append(f"{where('device')}: device: {device!r} is not allowed; allowed: auto, cpu, cuda, cuda:N")


def _files(names: Iterable[Any], where: str, problems: list[str]) -> None:
    """Names that become names of files: they cannot lead out of their folder, and need no quotes."""
    problems.extend(
        f"{where}: {name!r} is not allowed as a name; letters, digits, space and _ . + - after a letter or digit"
        for name in names
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.+-]*", str(name))
    )


def _rules(
    rules: Any, where: str, names: Mapping[str, Any], problems: list[str], then: str = "set", *more: str
) -> None:
    """A list of {when, <then>, <more>}, all of them needed but ``when``."""
    if not isinstance(rules, list):
        problems.append(f"{where}: a list of {{{', '.join(('when', *more, then))}}} is expected")
        return
    for i, rule in enumerate(rules):
        at = f"{where}[{i}]"
        if not isinstance(rule, dict) or then not in rule:
            problems.append(f"{at}: a mapping with 'when' and {then!r} is expected")
            continue
        _unknown(rule, {"when", then, *more}, at, problems)
        _missing(rule, more, at, problems)
        for key, value in rule.get("when", {}).items():
            _unknown([key], FACTS, f"{at}.when", problems)
            for v in value if isinstance(value, list) else [value]:
                if key in names and v not in names[key]:
                    problems.append(f"{at}.when.{key}: no such name {v!r}{near(v, names[key])}")


def _scale(scale: Mapping[str, Any], path: Path, datasets: Mapping[str, Any], problems: list[str]) -> None:
    _unknown(scale, shape.SCALE.keys(), str(path), problems)
    _missing(scale, ("scale", "title", "shard", "factors"), str(path), problems)
    names = {"data": set(datasets), "paper_data": set(datasets)}
    for i, rule in enumerate(scale.get("data", [])):
        if rule.get("use") not in datasets:
            problems.append(f"{path}: data[{i}].use: no data set {rule.get('use')!r}{near(rule.get('use'), datasets)}")
    _rules(scale.get("rules", []), f"{path}: rules", names, problems)
    _rules(scale.get("skip", []), f"{path}: skip", names, problems, then="reason")
    labels = [rule["set"].get("label") for rule in scale.get("attacks", []) if isinstance(rule.get("set"), dict)]
    _files([label for label in labels if label is not None], f"{path}: attacks", problems)
    for i, rule in enumerate(scale.get("fields", [])):
        _unknown(rule, {"when", "times", "set"}, f"{path}: fields[{i}]", problems)
        _unknown(rule.get("when", {}), FACTS, f"{path}: fields[{i}].when", problems)
    for paper, notes in {"": scale.get("factors", []), **scale.get("notes", {})}.items():
        at = f"{path}: " + (f"notes.{paper}" if paper else "factors")
        _rules([n if isinstance(n, dict) else {"note": n} for n in notes], at, names, problems, then="note")
    shard = scale.get("shard", 1)
    if not isinstance(shard, int) or shard < 1:
        problems.append(f"{path}: shard: {shard!r} is not allowed; a whole number from 1")


def _paper(name: str, paper: Mapping[str, Any], path: Path, datasets: Mapping[str, Any], problems: list[str]) -> None:
    _unknown(paper, shape.PAPER.keys(), str(path), problems)
    _missing(paper, shape.PAPER.keys() - OPTIONAL, str(path), problems)
    if paper.get("paper") != name:
        problems.append(f"{path}: paper: {paper.get('paper')!r} does not match the file's name")
    methods, suites = paper.get("methods") or {}, paper.get("suites") or {}
    _files([name, *(paper.get("items") or {}), *suites], str(path), problems)
    for suite, attacks in suites.items():
        entries = [entry for entry in (attacks or {}).values() if isinstance(entry, dict)]
        labels = [entry["label"] for entry in entries if entry.get("label") is not None]
        _files([*(attacks or {}), *labels], f"{path}: suites.{suite}", problems)
    names = {"data": set(datasets), "method": set(methods), "item": set(paper.get("items") or {})}
    _rules(paper.get("rules", []), f"{path}: rules", names, problems)
    _rules(paper.get("skip", []), f"{path}: skip", names, problems, then="reason")
    _rules(paper.get("trials", []), f"{path}: trials", names, problems, then="seeds")
    _rules(paper.get("assumed", []), f"{path}: assumed", names, problems, "assumption", "what", "value")
    _unknown(set(paper.get("base") or {}), shape.SPEC.keys(), f"{path}: base", problems)
    for method, value in methods.items():
        _unknown(set(value), shape.SPEC.keys() | {"extends"}, f"{path}: methods.{method}", problems)
        below = value.get("extends")
        if below is not None and below not in methods:
            problems.append(f"{path}: methods.{method}.extends: no method {below!r}{near(below, methods)}")
    for item, value in (paper.get("items") or {}).items():
        at = f"{path}: items.{item}"
        _unknown(value, shape.ITEM.keys(), at, problems)
        _missing(value, ("kind", "title", "rows", "columns"), at, problems)
        if value.get("kind") not in KINDS:
            problems.append(f"{at}.kind: {value.get('kind')!r} is not allowed{near(value.get('kind'), KINDS)}")
        base = plain(value.get("base") or {})
        for key in ("data", "method"):
            if key in base and base[key] not in names[key]:
                problems.append(f"{at}.base.{key}: no such name {base[key]!r}{near(base[key], names[key])}")
        if (suite := plain(value.get("suite"))) is not None and suite not in suites:
            problems.append(f"{at}.suite: no suite {suite!r}{near(suite, suites)}")
        for axis in ("rows", "columns"):
            parts = value.get(axis, [])
            for part in parts if isinstance(parts, list) else [parts]:
                for key in ("data", "method", "suite"):
                    given = part.get(key, []) if isinstance(part, dict) else []
                    given = given.value if isinstance(given, Assumed) else given
                    for v in given if isinstance(given, list) else [given]:
                        if v not in (names | {"suite": set(suites)})[key]:
                            problems.append(f"{at}.{axis}.{key}: no such name {v!r}{near(v, names[key])}")
    if "seeds" in paper and (not isinstance(plain(paper["seeds"]), int) or plain(paper["seeds"]) < 1):
        problems.append(f"{path}: seeds: {plain(paper['seeds'])!r} is not allowed; a whole number from 1")
