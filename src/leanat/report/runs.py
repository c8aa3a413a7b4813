"""A table of the runs of a paper, one line each: their settings, where and when they were made, and their cost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from leanat.core.files import write_csv
from leanat.runs import identity, records

COLUMNS = [
    "run", "data", "network", "seed", "epochs", "examples forward", "examples backward", "training (s)", "attacks (s)",
    "memory (MB)", "device", "threads", "revision", "date", "torch", "spec",
]  # fmt: skip

NEED = (  # keys of the metrics
    "epochs", "examples.forward", "examples.backward", "wall_seconds", "peak_memory_mb", "device", "threads", "revision", "date",
    "versions.torch",
)  # fmt: skip


def lines(runs: Iterable[str], results: Path) -> list[list[Any]]:
    """A row of COLUMNS for each run. Raises FileNotFoundError if a run is not finished."""
    rows = []
    for run in runs:
        folder = results / "runs" / run
        metrics = identity.read_run(folder, *NEED)
        attacks = sum(records.seconds_of(records.suite(path)) for path in sorted((folder / "suites").glob("*.json")))
        examples, spec = metrics["examples"], metrics["spec"]
        rows.append([
            run, spec["data"]["name"], spec["model"]["name"], spec["seed"], metrics["epochs"], examples["forward"],
            examples["backward"], round(metrics["wall_seconds"], 1), round(attacks, 1), round(metrics["peak_memory_mb"]),
            metrics["device"], metrics["threads"], metrics["revision"], metrics["date"], metrics["versions"]["torch"],
            metrics["spec_hash"],
        ])  # fmt: skip
    return rows


def write(runs: Iterable[str], results: Path, out: Path) -> None:
    """The lines as a CSV."""
    write_csv(out, [COLUMNS, *lines(runs, results)])
