"""Adds the numbers of finished runs to ``replicated/``, beside the seeds that were added before, here or on other machines."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from leanat.plan.item import Cell, Item, Numbers, seed_of
from leanat.report import examples, items, replicated
from leanat.report.measures import tested

N = TypeVar("N", bound=Numbers)
Seed = tuple[str, str, int]  # row, column, seed
Kept = dict[Seed, dict[str, str]]  # rows of a CSV
log = logging.getLogger("leanat")


def keep(item: Item, results: Path, real: Path) -> Path:
    """Writes ``<real>/<paper>/<item>.csv`` for ``replicated``: the value of each cell and finished run, and its origin.

    Seeds that are only in the file stay as they are; for seeds in both, the numbers of ``results`` replace those of the file.
    ``<item>.npz`` beside the CSV has the outcome of each image (``report.examples``), for the error over images in verdicts.

    Raises FileNotFoundError if no run is finished. Raises ValueError for cells over several random subsets, which have no seed
    of their own, for scales with stand-ins for the papers' data, and if the file has runs that are not in this plan or that
    were made on another device. Nothing is written in these cases.
    """
    if item.scale not in replicated.SCALES:
        raise ValueError(
            f"{item.name}: scale {item.scale} is not kept: its data are stand-ins; allowed: cpu, lite, paper"
        )
    if any(len(cell.runs) > len(item.seeds) for _, _, cell in item.flat):
        raise ValueError(f"{item.name}: cells over random subsets have no seed to be kept by")
    path = real / item.paper / f"{item.item}.csv"
    with _alone(path.parent):
        return _add(item, results, real, path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Within this context no other process adds to the files of ``folder``; waits until other processes have finished."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _add(item: Item, results: Path, real: Path, path: Path) -> Path:
    finished = at_hand(item, results)
    before, new = _before(item, path, real), _rows(finished, results, real)
    every, rows = before | new, []
    for row, column, _ in item.flat:
        own = sorted(seed for *name, seed in every if name == [row.name, column.name])
        all_seeds = {"n": str(len(own)), "seeds": " ".join(map(str, own))}
        rows += [every[row.name, column.name, seed] | all_seeds for seed in own]
    outcomes = _outcomes(before, new, examples.read(path.with_suffix(".npz")), examples.of_item(finished, results))
    replicated.save(rows, path)
    examples.write(outcomes, path.with_suffix(".npz"))
    if absent := set(item.runs) - {row["run"] for row in rows} - set(finished.runs):
        log.info("%s: of %d runs %d are not finished and were left out", path, len(item.runs), len(absent))
    return path


def at_hand(item: Item, results: Path) -> Item:
    """The item with only those seeds of each cell that are trained and attacked in ``results``.

    Raises FileNotFoundError if there are none.
    """
    folder = results / "runs"
    trained = {run for run in item.runs if (folder / run / "metrics.json").is_file()}
    attacked = {evaluation for evaluation in item.evaluations if (folder / f"{evaluation}.json").is_file()}
    cells = tuple(tuple(_of_seeds(cell, trained | attacked) for cell in line) for line in item.cells)
    runs = {run for line in cells for cell in line for part in _parts(cell) for run in part.runs}
    if not runs:
        raise FileNotFoundError(f"{item.name}: no run of it is finished below {folder}")
    return replace(
        item,
        cells=cells,
        seeds=tuple(sorted({seed_of(run) for run in runs})),
        runs=tuple(run for run in item.runs if run in runs),
        evaluations=tuple(e for e in item.evaluations if e in attacked and e.partition("/")[0] in runs),
    )


def _parts(cell: Cell) -> list[Numbers]:
    return [part for part in (cell, cell.against, *cell.candidates) if part and part.runs]


def _of_seeds(cell: Cell, finished: set[str]) -> Cell:
    """The cell with only the seeds for which all its parts are finished."""
    if not (parts := _parts(cell)):
        return cell
    seeds = set.intersection(*[_finished(part, finished) for part in parts])
    if not seeds:
        missing = "no run of it is finished"
        return Cell(metric=cell.metric, published=cell.published, missing=missing, stand_in=cell.stand_in)
    return replace(
        _only(cell, seeds),
        against=cell.against and _only(cell.against, seeds),
        candidates=tuple(_only(part, seeds) for part in cell.candidates),
    )


def _finished(part: Numbers, finished: set[str]) -> set[int]:
    files = zip(part.runs, part.evaluations or part.runs, strict=True)
    return {seed_of(run) for run, suite in files if {run, suite} <= finished}


def _only(part: N, seeds: Iterable[int]) -> N:
    at = [k for k, run in enumerate(part.runs) if seed_of(run) in seeds]
    evaluations = tuple(part.evaluations[k] for k in at if part.evaluations)
    return replace(part, runs=tuple(part.runs[k] for k in at), evaluations=evaluations)


def _before(item: Item, path: Path, real: Path) -> Kept:
    """The rows of the file. Raises ValueError if a row has another scale, or a run that is not in the item."""
    planned = {(row.name, column.name): cell.runs for row, column, cell in item.flat}
    rows: Kept = {}
    for row in replicated.rows(item.paper, item.item, real):
        if row["scale"] != item.scale:
            raise ValueError(
                f"{path}: is of scale {row['scale']}, and keeps one scale; remove it to keep scale {item.scale} in its place"
            )
        if row["run"] not in planned.get((row["row"], row["column"]), ()):
            advice = "ask for as many seeds, or remove the file to start anew"
            if int(row["seed"]) in item.seeds:
                advice = "it has other settings or is of an earlier version; remove its rows to train it anew"
            raise ValueError(
                f"{path}: {row['row']} | {row['column']}: run {row['run']} is not in this plan (scale {item.scale}, "
                f"{len(item.seeds)} seeds); {advice}"
            )
        rows[row["row"], row["column"], int(row["seed"])] = row
    return rows


def _rows(item: Item, results: Path, real: Path) -> Kept:
    """A row for each cell and run; cells without a number for each of their runs have no rows."""
    sources, rows = items.Sources(item, results, Path(), real), {}
    for row, column, cell in item.flat:
        if not cell.runs or cell.timed or (cell.against and not cell.difference):
            continue
        values = items.by_run(cell, cell, sources)
        if len(values) < len(cell.runs):
            continue
        cell_fields = {"row": row.name, "column": column.name, "metric": cell.metric, "scale": item.scale}
        cell_fields["tested"] = str(tested(cell, sources) or 0)
        for run, value in zip(cell.runs, values, strict=True):
            metrics = sources.metrics(run)
            own = {"seed": str(seed_of(run)), "value": repr(value), "run": run, "date": metrics["date"][:10]}
            origin = {name: metrics[name] or "unknown" for name in ("spec_hash", "device", "revision")}
            rows[row.name, column.name, seed_of(run)] = cell_fields | own | origin
    return rows


def _outcomes(before: Kept, new: Kept, old: examples.Outcomes, fresh: examples.Outcomes) -> examples.Outcomes:
    """For each cell, the share of all its runs that are correct on each image.

    A cell is left out if only part of its earlier runs were made again, since the outcomes of single runs are not known.
    """
    outcomes: dict[tuple[str, str], np.ndarray] = {}
    for name in dict.fromkeys((row, column) for row, column, _ in [*before, *new]):
        kept, new_seeds = ({seed for *cell, seed in rows if tuple(cell) == name} for rows in (before, new))
        first, second = old.get(name), fresh.get(name)
        if kept <= new_seeds:
            whole = second
        elif not new_seeds:
            whole = first
        elif kept & new_seeds or first is None or second is None or not np.array_equal(first[0], second[0]):
            whole = None
        else:
            shares = np.average([first[1], second[1]], axis=0, weights=[len(kept), len(new_seeds)])
            whole = np.stack([first[0], shares]).astype(np.float32)
        if whole is not None:
            outcomes[name] = whole
    return outcomes
