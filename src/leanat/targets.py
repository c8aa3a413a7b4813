"""What the workflow checks before its first job: command line, targets, and the values of every spec. Imports no torch."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from leanat.grid import Grid
from leanat.resolve import ConfigError, near
from leanat.structure import SETTINGS


def check_command_line(argv: Sequence[str], profiles: Path) -> None:
    """Snakemake ignores a workflow profile that does not exist, and would then run everything here: refuse it."""
    for i, word in enumerate(argv):
        name = word.partition("=")[2] if word.startswith("--workflow-profile=") else None
        if word == "--workflow-profile" and i + 1 < len(argv):
            name = argv[i + 1]
        if name and not Path(name).is_dir() and not (profiles / name).is_dir():
            raise ConfigError(
                [
                    f"--workflow-profile {name}: no such profile{near(name, [p.name for p in profiles.iterdir() if p.is_dir()])}"
                ]
            )


def check_targets(argv: Sequence[str], grid: Grid) -> None:
    """Names the items, papers and settings that exist where a target or a ``--config`` key is not one of them."""
    problems, words = [], list(argv[1:])
    rules = {"all", *grid.papers}
    for word in words:
        if match := re.fullmatch(r"figures/(?:([^/]+)/)?([^/]+)\.(pdf|png|csv)", word):
            paper, item, _ = match.groups()
            if paper is None and item != "table1":
                problems.append(f"{word}: no such target{near(item, ['table1'])}")
            elif paper is not None and paper not in grid.papers:
                problems.append(f"{word}: no paper {paper!r}{near(paper, grid.papers)}")
            elif paper is not None and f"{paper}/{item}" not in grid.items:
                problems.append(f"{word}: {paper} has no item {item!r}{near(item, grid.papers[paper]['items'])}")
        elif match := re.fullmatch(r"([a-z_]+)=.*", word):
            if "--config" in words and match[1] not in SETTINGS:
                problems.append(f"--config {word}: unknown key {match[1]!r}{near(match[1], SETTINGS)}")
        elif word.startswith("figures/"):
            problems.append(f"{word}: no such target; figures are made as .pdf, .png and .csv")
    if len(words) and re.fullmatch(r"[a-z0-9]+", words[0]) and words[0] not in rules:
        problems.append(f"{words[0]}: no such target{near(words[0], rules)}")
    if problems:
        raise ConfigError(problems)


def check_values(root: Path, grid: Grid, results: Path) -> None:
    """Builds every spec with torch, in a process of its own, once for each content of ``config/`` and of the settings."""
    files = sorted((root / "config").rglob("*.yaml")) + sorted((root / "src").rglob("*.py"))
    content = hashlib.sha256(b"".join(f.read_bytes() for f in files) + repr(sorted(grid.settings.items())).encode())
    kept = results / ".checked" / content.hexdigest()[:16]
    if kept.exists() or "--mode" in sys.argv or "--lint" in sys.argv:
        return
    overrides = [f"{k}={'null' if v is None else v}" for k, v in grid.settings.items()]
    command = [sys.executable, "-m", "leanat.cli", "check", "--config-dir", str(grid.folder), "--set", *overrides]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError((done.stderr.strip() or f"leanat check failed ({done.returncode})").splitlines())
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.touch()
