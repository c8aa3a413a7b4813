"""Options that verbs of the command line share, and the grid that they ask for."""

from __future__ import annotations

import argparse
import difflib
import json
import os
from pathlib import Path
from typing import Any

import yaml

from leanat import structure
from leanat.files import read_json
from leanat.grid import Grid
from leanat.resolve import ConfigError


def default(name: str, fallback: str) -> str:
    """The workflow hands places and settings to its jobs through the environment."""
    return os.environ.get(f"LEANAT_{name}", fallback)


def config_options(sub: argparse.ArgumentParser) -> None:
    folder, pairs = Path(default("CONFIG_DIR", "config")), json.loads(default("SET", "[]"))
    sub.add_argument("--config-dir", type=Path, default=folder, help="folder of the configuration (default: config)")
    sub.add_argument("--set", nargs="*", default=pairs, metavar="KEY=VALUE", help="settings over those of config.yaml")


def results_option(sub: argparse.ArgumentParser) -> None:
    folder = Path(default("RESULTS", "results"))
    sub.add_argument("--results", type=Path, default=folder, help="where runs are kept (default: results)")


def item_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--out", type=Path, help="the PDF; CSV and PNG are written beside it")
    sub.add_argument("--keep", type=Path, help="a second place for the CSV")
    sub.add_argument("--replicate", action="store_true", help="keep the numbers in replicated/<paper>/<item>.csv")


def run_options(sub: argparse.ArgumentParser) -> None:
    results_option(sub)
    sub.add_argument("--data-dir", default=default("DATA_DIR", ""), help="folder of the real data sets")
    sub.add_argument("--device", default=default("DEVICE", "auto"), help="auto, cpu, cuda or cuda:N (default: auto)")
    shared = int(default("JOBS_PER_GPU", "1"))
    sub.add_argument("--jobs-per-gpu", type=int, default=shared, metavar="N", help="jobs that share a GPU (default: 1)")


def grid(arguments: argparse.Namespace) -> Grid:
    """Raises ConfigError with every problem of the configuration, and for a setting that is not KEY=VALUE."""
    overrides = {}
    for pair in arguments.set:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError([f"--set {pair}: written KEY=VALUE"])
        try:
            overrides[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError([f"--set {pair}: {value!r} is not a YAML value"]) from None
    return structure.load(arguments.config_dir, overrides)


def specs(arguments: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """The runs that are named, with the specs of the configuration or of their folders. Raises ConfigError."""
    known, found = None, []
    for run in arguments.runs:
        if (Path(run) / "spec.json").is_file():
            found.append((Path(run).name, read_json(Path(run) / "spec.json", "the spec of a run")))
            continue
        known = known or grid(arguments)
        if run not in known.runs:
            names = difflib.get_close_matches(run, known.runs, 3, 0) or list(known.runs)[:3]
            raise ConfigError(
                [
                    f"train: no run {run!r} at scale {known.scale['scale']}; the nearest of {len(known.runs)}: {', '.join(names)}"
                ]
            )
        found.append((run, known.runs[run].spec))
    return found
