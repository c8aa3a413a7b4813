"""The checks of the workflow before its first job: command line, targets, and the values of every spec. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import leanat
from leanat.core.errors import ConfigError, did_you_mean
from leanat.plan.grid import Grid
from leanat.plan.item import Item

PAGES = ("table1", "overview", "claims")  # pages on all papers, figures/<page>.pdf
OTHERS = ("site", "archive")  # other targets that use all items


def check_profile(name: str | None, profiles: Path) -> None:
    """Raises ConfigError for a workflow profile that does not exist, which Snakemake would ignore and run everything here."""
    if name and name != "none" and not Path(name).is_dir() and not (profiles / name).is_dir():
        names = [p.name for p in profiles.iterdir() if p.is_dir()]
        raise ConfigError([f"--workflow-profile {name}: no such profile{did_you_mean(name, names)}"])


def check_targets(targets: Iterable[str], grid: Grid) -> None:
    """Raises ConfigError for targets that do not exist, with the nearest names of items and papers."""
    problems, rules = [], {"all", "bench", *PAGES, *OTHERS, *grid.papers}
    for target in targets:
        if re.fullmatch(r"figures/bench/[^/]+\.(pdf|csv)", target):  # the trial is not a paper
            continue
        match = re.fullmatch(r"figures/(?:([^/]+)/)?([^/]+?)(\.overview)?\.(pdf|png|csv|json)", target)
        if match is None:
            if re.fullmatch(r"leanat-[^/]+\.zip", target) and target != (own := f"leanat-{grid.scale.name}.zip"):
                problems.append(f"{target}: no such target; at this scale {own}")
            elif target.startswith("figures/"):
                problems.append(f"{target}: no such target; figures are made as .pdf, .png and .csv")
            elif "/" not in target and "." not in target and target not in rules and not target.startswith("train_"):
                problems.append(f"{target}: no such target{did_you_mean(target, rules)}")
            continue
        paper, item, beside, kind = match.groups()
        name = f"{paper}/{item}"
        if kind not in (kinds := _kinds(paper, item, beside)):
            problems.append(f"{target}: no such target; it is made as .{', .'.join(kinds)}")
        elif paper is None:
            if beside or item not in PAGES:
                problems.append(f"{target}: no such target{did_you_mean(item, PAGES)}")
            elif item == "table1" and not first_tables(grid):
                problems.append(f"{target}: none of these papers has a Table 1: {', '.join(grid.papers)}")
        elif paper not in grid.papers:
            problems.append(f"{target}: no paper {paper!r}{did_you_mean(paper, grid.papers)}")
        elif item in ("claims", "runs") and not beside:
            continue
        elif name not in grid.items:
            problems.append(f"{target}: {paper} has no item {item!r}{did_you_mean(item, grid.papers[paper].items)}")
        elif beside and grid.items[name].kind == "figure":
            problems.append(f"{target}: a figure draws the paper's values itself; ask for figures/{name}.pdf")
        elif (reasons := empty(grid.items[name])) and not _replicated(grid, name):
            problems.append(f"{target}: nothing of it is run at scale {grid.scale.name}: {'; '.join(reasons)}")
    if problems:
        raise ConfigError(problems)


def _kinds(paper: str | None, item: str, beside: str | None) -> tuple[str, ...]:
    """The kinds of files that the rules make of a page."""
    if item == "table1" and paper is None:
        return ("pdf",)
    if item == "runs" and paper is not None:
        return ("csv",)
    if item == "claims":
        return ("pdf", "png", "csv", "json")
    return ("pdf", "png") if beside else ("pdf", "png", "csv")


def first_tables(grid: Grid) -> list[str]:
    """Table 1 of every paper that has one, as items."""
    return [f"{paper}/table1" for paper in grid.papers if f"{paper}/table1" in grid.items]


def check_touch(targets: Iterable[str]) -> None:
    """Raises ConfigError if ``--touch``, which makes nothing, is used with a target that does not exist."""
    files = [t for t in targets if t.startswith("figures/")] or ["figures"]
    absent = [file for file in files if not Path(file).exists()]
    if absent:
        raise ConfigError([f"--touch: {absent[0]} is not there; --touch accepts what was made, and makes nothing"])


def empty(item: Item) -> list[str]:
    """The reasons why no cell of an item has a number of ours; empty if at least one cell has."""
    cells = [cell for _, _, cell in item.flat]
    if item.kind == "formula" or any(cell.runs or cell.timed for cell in cells):
        return []
    return list(dict.fromkeys(cell.missing for cell in cells if cell.missing))


def _replicated(grid: Grid, name: str) -> bool:
    """Whether the item has replicated numbers, so that there is something to draw."""
    return (grid.folder.parent / "replicated" / f"{name}.csv").is_file()


def overrides(settings: Mapping[str, Any]) -> list[str]:
    """The settings as KEY=VALUE for another process. Values are JSON, which is YAML and keeps text that looks like a number."""
    return [f"{k}={json.dumps(v)}" for k, v in settings.items()]


def for_snakemake(key: str, text: str) -> str:
    """KEY=VALUE for a text; in quotes if Snakemake would read another value, as for ``run #2``, ``2026``, ``1e5`` or ``a: b``.

    The spaces protect the quotes, which Snakemake removes if a value begins or ends with them.
    """
    words = ("true", "false", "nan", "inf", "infinity")
    plain = re.fullmatch(r"[A-Za-z_/~][\w./+~ -]*\b", text) and text.lower() not in words
    return f"{key}={text}" if plain else f"{key}= {json.dumps(text)} "


def check_values(root: Path, grid: Grid, results: Path) -> None:
    """Runs ``leanat check`` in a process of its own, since it imports torch. It runs once for each state of its inputs:
    configuration, code, the papers' numbers, the settings, and the versions of torch and torchvision.
    """
    kinds = {root / "config": "*.yaml", root / "published": "*.csv", Path(leanat.__file__).parent: "*.py"}
    files = [file for folder, kind in kinds.items() for file in sorted(folder.rglob(kind))]
    versions = [(d.name, d.version) for name in ("torch", "torchvision") for d in metadata.distributions(name=name)]
    content = hashlib.sha256(repr((sorted(grid.settings.items()), versions)).encode())
    for file in files:
        content.update(f"\0{file}\0".encode() + file.read_bytes())
    kept = results / ".checked" / content.hexdigest()[:16]
    if kept.exists():
        return
    command = [sys.executable, "-m", "leanat.cli", "check", "--config-dir", str(grid.folder)]
    command += ["--set", *overrides(grid.settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError((done.stderr.strip() or f"leanat check failed ({done.returncode})").splitlines())
    with suppress(OSError):  # in read-only results, as in a dry run, it is checked again next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch()
