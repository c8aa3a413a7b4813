"""Saves the resolved grid on disk, since resolving a thousand runs takes seconds and each process of the workflow needs them.

A plan is JSON and belongs to the content of the configuration, the settings and this package's code: if any of them
changes, another plan is made.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import leanat.papers
from leanat.core.files import atomic_write
from leanat.plan.grid import Evaluation, Grid, RunSpec, canonical
from leanat.plan.item import Item, from_json, to_json


@dataclass(frozen=True)
class CachedPlan:
    """The fields of a ``Grid`` that the file contains."""

    runs: dict[str, RunSpec]
    evaluations: dict[str, Evaluation]
    items: dict[str, Item]


MOST = 8  # number of plans that are kept; the oldest are removed


def path_of(grid: Grid, results: Path) -> Path:
    """The file of this grid's plan below ``results``."""
    content = hashlib.sha256(canonical(grid.settings).encode() + _code(*leanat.papers.__path__))
    for file in sorted(grid.folder.glob("*.yaml")):
        content.update(file.name.encode() + b"\0" + file.read_bytes())
    return results / ".plans" / f"{content.hexdigest()[:16]}.json"


@functools.cache  # a process of hours goes on with the code that it has loaded, whatever the files are by then
def _code(*papers: str) -> bytes:
    """A digest of this package and of the folders ``papers``, as they are when a process first asks."""
    content = hashlib.sha256()
    for folder in sorted({Path(__file__).parents[1], *map(Path, papers)}):
        for file in sorted(folder.rglob("*.py")):
            content.update(file.name.encode() + b"\0" + file.read_bytes())
    return content.digest()


def read(grid: Grid, path: Path) -> bool:
    """Fills ``grid`` from the file. Returns False, and changes nothing, if the file is missing or damaged."""
    try:
        kept = from_json(CachedPlan, json.loads(path.read_text()))
    except (OSError, ValueError):
        return False
    grid.runs, grid.evaluations, grid.items = kept.runs, kept.evaluations, kept.items
    return True


def write(grid: Grid, path: Path) -> None:
    """Saves the plan. If ``results`` does not exist yet or cannot be written, each process resolves the grid itself."""
    kept = to_json(CachedPlan(grid.runs, grid.evaluations, grid.items))
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as beside:
            beside.write_text(json.dumps(kept, separators=(",", ":")))
        for old in sorted(path.parent.glob("[0-9a-f]*.json"), key=lambda p: p.stat().st_mtime)[:-MOST]:
            old.unlink(missing_ok=True)
    except OSError:
        return
