"""The error of an effect that comes from the choice of test examples: from the outcomes of each, where they are kept.

Beside the CSV of a finished item stands an npz: for every accuracy under attack (and clean accuracy of the same runs) which
examples were tested, and by what share of the cell's runs each was answered rightly.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanat.core.files import atomic_write, read_json
from leanat.evaluation import outcome
from leanat.experiments.claim import PAPER
from leanat.runs import records

if TYPE_CHECKING:
    import numpy

    from leanat.experiments.claim import Claim
    from leanat.plan import item as planned
    from leanat.report.cells import Cell


def write(item: planned.Item, results: Path, path: Path) -> None:
    """One [2, examples] array a cell, positions and shares, and the names of rows and columns."""
    import numpy as np

    folder = results / "runs"
    suites = {e.partition("/")[0]: folder / f"{e}.json" for e in item.evaluations}
    names, arrays = [], {}
    for row, column, cell in item.flat:
        found = _shares(cell, suites, folder)
        if found is not None:
            arrays[f"cell{len(names)}"] = found
            names.append([row.name, column.name])
    with atomic_write(path) as beside, open(beside, "wb") as file:
        np.savez_compressed(file, names=np.array(names, dtype=np.str_).reshape(-1, 2), **arrays)


def _shares(cell: planned.Cell, suites: Mapping[str, Path], folder: Path) -> numpy.ndarray | None:
    """Positions of the tested examples and the share of runs (and of the metric's attacks) that are right; None if unknown."""
    import numpy as np

    attacks = cell.metric.split("+")
    if not cell.measured or any("@" in name for name in attacks):
        return None
    evaluations = [folder / f"{e}.json" for e in cell.evaluations] or [suites.get(run) for run in cell.runs]
    found = []
    for run, path in zip(cell.runs, evaluations, strict=True):
        if path is None:
            return None
        summary = read_json(path, "the summary of a suite of attacks")
        for name in attacks:
            kept = _clean(summary) if name == "clean" else summary["attacks"].get(name, {})
            if "file" not in kept:
                return None
            loaded = outcome.load(folder / run / kept["file"])
            found.append((loaded.index, loaded.clean_correct if name == "clean" else loaded.correct))
    first = found[0][0]
    if not all(np.array_equal(first, index) for index, _ in found):
        return None
    return np.stack([first, np.mean([right for _, right in found], axis=0)]).astype(np.float32)


def _clean(summary: dict[str, Any]) -> dict[str, Any]:
    """An attack whose outcome tells the plain answers to all test examples."""
    whole = max((shown["n"] for shown in summary["attacks"].values() if "n" in shown), default=0)
    usual = [s for s in summary["attacks"].values() if s.get("n") == whole and s["spec"]["statistics"] == "running"]
    return usual[0] if usual and not usual[0]["spec"]["holdout"] else {}


def read(path: Path) -> dict[tuple[str, str], numpy.ndarray]:
    """What ``write`` wrote, by row and column; empty where there is none."""
    if not path.is_file():
        return {}
    kept = records.arrays(path, "names")
    cells = [f"cell{k}" for k in range(len(kept["names"]))]
    if absent := [name for name in cells if name not in kept]:
        raise ValueError(f"{path}: damaged: no {absent[0]}; {records.AGAIN}")
    return {(str(row), str(column)): kept[name] for name, (row, column) in zip(cells, kept["names"], strict=True)}


def error(claim: Claim, cases: Sequence[Mapping[str, Cell]]) -> float:
    """Standard error of the mean effect of the cases over draws of test examples; 0 for numbers that are no accuracies.

    Linear in the cells' accuracies. Where every outcome is known, by the spread over examples: cells that fail on the same
    ones are then no independent draws. Else binomial in each cell, as if they were, which for a difference is too much.
    """
    import numpy as np

    slopes = [_slopes(claim, case) for case in cases]
    known = [
        (case[name].right, slope)
        for case, part in zip(cases, slopes, strict=True)
        for name, slope in part.items()
        if case[name].tested
    ]
    if not known:
        return 0.0
    rights = [right for right, _ in known]
    if all(r is not None and np.array_equal(r[0], rights[0][0]) for r in rights):
        effects = sum(slope * 100.0 * right[1].astype(float) for right, slope in known) / len(cases)
        return float(np.std(effects, ddof=1)) / math.sqrt(len(effects))
    return statistics.fmean(_binomial(claim, case, part) for case, part in zip(cases, slopes, strict=True))


def _slopes(claim: Claim, case: Mapping[str, Cell]) -> dict[str, float]:
    """The derivative of the effect by each cell."""
    means = _means(case)
    here = claim.value(means)
    return {n: (claim.value(means | {n: means[n] + 1e-4}) - here) / 1e-4 for n in case}


def _means(case: Mapping[str, Cell]) -> dict[str, Any]:
    means: dict[str, Any] = {name: statistics.fmean(cell.values.values()) for name, cell in case.items()}
    return means | {name + PAPER: cell.published for name, cell in case.items()}


def _binomial(claim: Claim, case: Mapping[str, Cell], slopes: Mapping[str, float]) -> float:
    means, tested = _means(case), {name: cell.tested for name, cell in case.items() if cell.tested}
    if claim.nested:
        here = abs(claim.value(means))
        return math.sqrt(here * (100 - here) / min(tested.values())) if tested and here <= 100 else 0.0
    total = sum(slopes[n] ** 2 * means[n] * (100 - means[n]) / k for n, k in tested.items() if 0 <= means[n] <= 100)
    return math.sqrt(total) if math.isfinite(total) else 0.0
