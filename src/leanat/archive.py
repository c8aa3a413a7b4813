"""One zip to cite: what a reader needs to check the numbers, described by RO-Crate. Same results, same bytes."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from leanat.core.errors import ConfigError
from leanat.core.files import atomic_write, read_json
from leanat.evaluation.outcome import PLAIN
from leanat.plan.grid import Grid, digest
from leanat.plan.item import Item
from leanat.report import item_csv, run_files
from leanat.runs import identity, records, stored
from leanat.runs.experiment import revision

OF_A_RUN = ("spec.json", "metrics.json", "history.csv", "selection.npz")
NETWORKS = (".safetensors", ".pt")  # are not in the zip
OF_THE_CODE = (  # what the numbers were made by and compared with
    "README.md", "LICENSE", "CITATION.cff", "pyproject.toml", "constraints.txt", "environment.yml", "config", "published",
    "replicated",
    "docs/results.md", "docs/verdicts.md",
)  # fmt: skip
ABOUT = {  # how the crate describes what lies below a path
    "figures": "tables and figures as tidy CSV with the runs of each cell, and the ledger of claims",
    "results/runs": "runs: settings, metrics, history, what was trained on, and each test image's outcome, attacked or not",
    "results/items": "the CSV of each item by scale, with the outcomes of its test images",
    "results/timings": "measured pieces of the papers' trainings",
    "config": "the configuration",
    "published": "the papers' own numbers, each with where it stands",
    "replicated": "summaries of runs at real scale",
}
AGAIN = "make it anew, or remove it"
FIXED = (1980, 1, 1, 0, 0, 0)  # of every file in the zip: the first moment that the format has


def write(grid: Grid, results: Path, root: Path, figures: Path, out: Path) -> str:
    """Writes the zip and returns a line about it.

    Raises ConfigError where no run of the grid is finished, where files of one are missing, and for numbers of runs that are
    not in the zip; IdentityError and ValueError for a run whose files are not those of its training and its attacks.
    """
    runs = [run for run in grid.runs if (results / "runs" / run / "metrics.json").is_file()]
    if not runs:
        raise ConfigError([f"archive: no run of scale {grid.scale.name} is finished below {results}"])
    if absent := [str(path) for run in runs for path in lacking(results / "runs" / run)]:
        n, way = len(absent), "put them back, or remove the runs or summaries that name them, and make these anew"
        raise ConfigError([f"archive: {n} files that finished runs name are not there, such as {absent[0]}; {way}"])
    for run in runs:
        check(results / "runs" / run)
    every = sorted(contents(grid, runs, results, root, figures))
    files = {name: path for name, path in every if not path.name.startswith(".")}  # what a killed writer left, say
    if problems := [line for name, path in files.items() for line in _of_other_runs(name, path, grid, set(runs))]:
        raise ConfigError(problems)
    date = max(records.metrics(results / "runs" / run / "metrics.json", "date")["date"] for run in runs)
    files_of_text = {"environment.json": environment(runs, results), "SHA256SUMS": sums(files)}
    crate = describe(grid, {*files, *files_of_text}, date)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as beside, zipfile.ZipFile(beside, "w") as whole:
        for name, text in {"ro-crate-metadata.json": crate, **files_of_text}.items():
            add(whole, name, text.encode())
        for name, path in files.items():
            add(whole, name, path.read_bytes())
    size = out.stat().st_size / 2**20
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    return f"{out}: {len(files) + 3} files of {len(runs)} runs, {size:.1f} MB, sha256 {digest}"


def lacking(folder: Path) -> list[Path]:
    """What a finished run has or names and is not there, as after a copy that was cut short: records, and outcomes of images."""
    named = ["history.csv", *records.metrics(folder / "metrics.json").get("files", ()), *attacked(folder)]
    return [
        folder / name for name in dict.fromkeys(named) if not name.endswith(NETWORKS) and not (folder / name).is_file()
    ]


def attacked(folder: Path) -> Iterator[str]:
    """The files of outcomes that the summaries of a run's suites name."""
    for path in sorted((folder / "suites").glob("*.json")):
        summary = records.suite(path)
        made = [*summary["attacks"].values(), *summary.get("measures", {}).values()]
        yield from (entry["file"] for entry in made if "file" in entry)


def check(folder: Path) -> None:
    """Raises IdentityError or ValueError, one line, for a run whose spec, history, arrays or outcomes are not its own."""
    metrics = identity.read_run(folder)
    run_files.epochs(folder)
    kept = {name: sha for name, sha in metrics.get("files", {}).items() if not name.endswith(NETWORKS)}
    if (now := {name: identity.of_file(folder / name) for name in kept}) != kept:
        raise identity.IdentityError(
            f"{folder}: not the files that its training left: {identity.differences(kept, now)}"
        )
    for name in dict.fromkeys(attacked(folder)):
        made_from = stored.read_about(folder / name).get("made_from")
        if not Path(name).stem.endswith(f"-{digest(made_from)}"):
            raise identity.IdentityError(f"{folder / name}: made from something else than its name says; attack again")


def add(whole: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, FIXED)
    entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
    whole.writestr(entry, content)


def contents(grid: Grid, runs: list[str], results: Path, root: Path, figures: Path) -> Iterator[tuple[str, Path]]:
    """(name in the zip, file) of everything but networks and checkpoints."""
    for run in runs:
        folder = results / "runs" / run
        for path in sorted(folder.rglob("*")):
            kept = path.name in (*OF_A_RUN, PLAIN) if path.parent == folder else path.suffix in (".json", ".npz")
            if path.is_file() and kept:
                yield f"results/runs/{run}/{path.relative_to(folder)}", path
    places = [("figures", figures, "*.csv"), ("figures", figures, "*.json")]
    for paper in grid.papers:
        places += [(f"figures/{paper}", figures / paper, "*.csv"), (f"figures/{paper}", figures / paper, "*.json")]
        items = f"items/{grid.scale.name}/{paper}"
        places += [(f"results/{items}", results / items, "*.*")]
        places += [("results/timings", results / "timings", f"{paper}.json")]
    for name, folder, pattern in places:
        yield from ((f"{name}/{path.name}", path) for path in folder.glob(pattern))
    for name in OF_THE_CODE:
        path = root / name
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from ((str(p.relative_to(root)), p) for p in inside if p.is_file() and "__pycache__" not in p.parts)


def _of_other_runs(name: str, path: Path, grid: Grid, runs: set[str]) -> Iterator[str]:
    """What is wrong with a file of numbers that are not of the runs in the zip, or of fewer or more of them than the settings
    have for an item: made with other settings, or before a change of them.
    """
    if not name.startswith(("figures/", "results/items/")):
        return
    if path.name == "claims.json":
        yield from _of_a_ledger(path, grid)
    elif path.suffix == ".csv":
        yield from _of_a_csv(path, grid.items.get("/".join(Path(name).with_suffix("").parts[-2:])), runs)


def _of_a_csv(path: Path, item: Item | None, runs: set[str]) -> Iterator[str]:
    """``item``: of whose cells the file is; None where it is of others, such as a list of runs."""
    if item is not None and not item_csv.of_these_runs(path, item):
        yield f"archive: {path}: its numbers of {item.name} are not of the runs of these settings; {AGAIN}"
        return
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        yield f"archive: {path}: no CSV in UTF-8 that can be read ({error}); {AGAIN}"
        return
    named = {run for row in rows for key in ("run", "runs") for run in (row.get(key) or "").split()}
    if absent := sorted(named - runs):
        text = f"{len(absent)} of its runs are not among those of these settings that are finished"
        yield f"archive: {path}: {text}, such as {absent[0]}; {AGAIN}"


def _of_a_ledger(path: Path, grid: Grid) -> Iterator[str]:
    """Each item whose cells a ledger of claims has from other runs than the settings have for them."""
    try:
        every = read_json(path, "a ledger of claims").get("claims", [])
        own = [claim for claim in every if claim["origin"] == "this run"]
        cells = [(c["paper"], cell) for c in own for case in c["cases"] for cell in case["cells"].values()]
        rows = [
            (f"{paper}/{c['item']}", {"row": c["row"], "column": c["column"], "runs": " ".join(c["runs"])})
            for paper, c in cells
        ]
    except (AttributeError, KeyError, TypeError):
        yield f"archive: {path}: this is no ledger of claims; {AGAIN}"
        return
    named = [(name, row) for name, row in rows if row["runs"]]
    for item in dict.fromkeys(
        name for name, row in named if name not in grid.items or item_csv.of_other_runs([row], grid.items[name])
    ):
        yield f"archive: {path}: its numbers of {item} are not of the runs of these settings; {AGAIN}"


def environment(runs: list[str], results: Path) -> str:
    """Devices, versions and revisions by which the runs were made, each with the number of runs; the revision of this code."""
    counts: dict[str, Counter[str]] = {"device": Counter(), "revision": Counter(), "versions": Counter()}
    for run in runs:
        metrics = records.metrics(results / "runs" / run / "metrics.json")
        for key, tally in counts.items():
            value = metrics.get(key)
            tally[", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)] += 1
    ordered = {key: dict(sorted(tally.items())) for key, tally in counts.items()}
    return json.dumps({"runs_made_by": ordered, "archived_by_revision": revision()}, indent=1) + "\n"


def sums(files: dict[str, Path]) -> str:
    """As ``sha256sum --check`` reads it."""
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n" for name, path in files.items())


def describe(grid: Grid, names: set[str], date: str) -> str:
    """``ro-crate-metadata.json``; its date is that of the latest run, and nothing in it is drawn at random."""
    from rocrate.model.dataset import Dataset
    from rocrate.model.file import File
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    crate.name = f"leanat: five papers on cheap adversarial training, replicated at scale {grid.scale.name}"
    crate.description = (
        "Settings, outcomes, numbers and verdicts of every run, without networks; SHA256SUMS checks the files."
    )
    crate.license = "https://spdx.org/licenses/MIT"
    crate.datePublished = datetime.fromisoformat(date)
    crate.root_dataset["isBasedOn"] = [paper.source for paper in grid.papers.values()]
    for folder, about in ABOUT.items():
        if any(name.startswith(f"{folder}/") for name in names):
            crate.add(Dataset(crate, dest_path=f"{folder}/", properties={"name": folder, "description": about}))
    kinds = {".csv": "text/csv", ".json": "application/json", ".npz": "application/zip", ".md": "text/markdown"}
    for name in sorted(n for n in names if not n.startswith("results/runs/")):  # of runs their folder speaks
        kind = kinds.get(Path(name).suffix)
        crate.add(File(crate, dest_path=name, properties={"name": name} | ({"encodingFormat": kind} if kind else {})))
    return json.dumps(crate.metadata.generate(), indent=1, sort_keys=True) + "\n"
