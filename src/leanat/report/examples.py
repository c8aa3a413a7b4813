"""The error of an effect that comes from the choice of test examples, computed from the outcome of each example if known.

Beside the CSV of a finished item there is an npz file. For every accuracy it lists the tested examples and what each adds to
the cell's number: the share of the cell's runs that classify the example correctly.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leanat.core.files import read_json
from leanat.evaluation import outcome
from leanat.experiments.claim import PAPER, Claim
from leanat.plan import item as planned
from leanat.report import measures
from leanat.report.sources import outcome_of
from leanat.runs import records

if TYPE_CHECKING:
    from leanat.report.cells import Cell

# By row and column an array [2, examples]: positions, and what each example adds; the cell's number is 100 times its mean.
Outcomes = dict[tuple[str, str], np.ndarray]


def of_item(item: planned.Item, results: Path) -> Outcomes:
    """The outcomes of every cell for which the runs or suites have saved them."""
    folder = results / "runs"
    suites = {e.partition("/")[0]: folder / f"{e}.json" for e in item.evaluations}
    shares_by_cell = {(row.name, column.name): _shares(cell, suites, folder) for row, column, cell in item.flat}
    return {name: shares for name, shares in shares_by_cell.items() if shares is not None}


def write(outcomes: Outcomes, path: Path) -> None:
    """Writes one array per cell, and the names of rows and columns."""
    names = np.array(list(outcomes), dtype=np.str_).reshape(-1, 2)
    cells = {f"cell{k}": shares for k, shares in enumerate(outcomes.values())}
    records.save_arrays(path, {"names": names, **cells})


def _shares(cell: planned.Cell, suites: Mapping[str, Path], folder: Path) -> np.ndarray | None:
    """The positions of the tested examples and the share of runs (and of the metric's attacks) that are correct on each; None
    if unknown.

    For a cell that is compared with another training, the second row is what each example adds to the difference, or, to first
    order, to the relative loss of accuracy; for a number on a part of the examples, what each adds to that number. In each
    case the mean over the examples, times 100, is the cell's number.
    """
    attacks = cell.metric.split("+")
    if not cell.runs or cell.timed or cell.candidates or any("-" in name or name.endswith("@sd") for name in attacks):
        return None
    own, other = (_right(part, attacks, suites, folder, cell.runs) for part in (cell, cell.against or cell))
    if own is None or other is None or not np.array_equal(own[0], other[0]):
        return None
    shares = own[1]
    if cell.against and cell.difference:
        shares = own[1] - other[1]
    elif cell.against:
        mine, theirs = (right.mean(1, keepdims=True) for _, right in (own, other))
        if not theirs.all():
            return None
        shares = 1 - own[1] / theirs + mine * (other[1] - theirs) / theirs**2
    return np.stack([own[0], shares.mean(0)]).astype(np.float32)


def _right(
    part: planned.Numbers, attacks: Sequence[str], suites: Mapping[str, Path], folder: Path, attacked: Sequence[str]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions [examples], and for each run and example the share of attacks with a correct prediction [runs, examples].

    ``attacked``: for each run, the run whose classes are A. Raises ValueError for a file whose counts are not the recorded ones.
    """
    evaluations = [folder / f"{e}.json" for e in part.evaluations] or [suites.get(run) for run in part.runs]
    positions, rows = [], []
    for run, path, by in zip(part.runs, evaluations, attacked, strict=True):
        answers = []
        for metric in attacks:
            name, _, of = metric.partition("@")
            source = _file(name, folder / run, path)
            if source is None:
                return None
            file, recorded = source
            loaded = outcome_of(file)
            positions.append(loaded.index)
            right = loaded.clean_correct if name == "clean" else loaded.correct
            counts = int(right.sum()), len(right)
            if "correct" in recorded and counts != (recorded["correct"], recorded["n"]):
                was = "{} of {}".format(recorded["correct"], recorded["n"])
                raise ValueError(
                    f"{file}: other images' outcomes than the numbers are from: {counts[0]} of {counts[1]} right, {was} recorded"
                )
            inside = _inside(of, loaded, folder / by)
            if not inside.any():
                return None
            answers.append(_of_part(right, inside))
        if len({len(right) for right in answers}) > 1:
            return None
        rows.append(np.mean(answers, axis=0))
    if not all(np.array_equal(positions[0], index) for index in positions):
        return None
    return positions[0], np.stack(rows)


def _file(name: str, run: Path, suite: Path | None) -> tuple[Path, dict[str, Any]] | None:
    """The file with the outcome of every example, and the recorded numbers of examples and correct predictions; None if it was
    not saved.
    """
    if name == "clean" and (run / outcome.PLAIN).is_file():
        return run / outcome.PLAIN, read_json(run / "metrics.json", "the metrics of a run").get("clean", {})
    if suite is None:
        return None
    summary = read_json(suite, "the summary of a suite of attacks")
    kept = _clean(summary) if name == "clean" else summary["attacks"].get(name, {})
    if "file" not in kept:
        return None
    return run / kept["file"], kept.get("clean", {}) if name == "clean" else kept


def _inside(part: str, loaded: outcome.Outcome, run: Path) -> np.ndarray:
    """Whether each example belongs to the part that a metric names, bool [examples]; all do if it names none."""
    if not part:
        return np.ones(len(loaded), dtype=bool)
    if part.startswith(measures.FIRST):
        return np.arange(len(loaded)) < round(measures.share_of(part) * len(loaded))
    metrics = read_json(run / "metrics.json", "the metrics of a run")
    return np.isin(loaded.label, measures.classes_of(part, metrics, np.unique(loaded.label).tolist()))


def _of_part(right: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """What each of n examples adds to the share of correct predictions among those ``inside``. The mean of the result is this
    share, and its spread gives the share's error as a ratio, to first order, since the number inside is random too.
    """
    share = right[inside].mean()
    return share + np.where(inside, (right - share) * (len(right) / inside.sum()), 0.0)


def _clean(summary: dict[str, Any]) -> dict[str, Any]:
    """An attack whose outcome has the predictions for all clean test examples; empty if there is none."""
    whole = max((shown["n"] for shown in summary["attacks"].values() if "n" in shown), default=0)
    usual = [s for s in summary["attacks"].values() if s.get("n") == whole and s["spec"]["statistics"] == "running"]
    return usual[0] if usual and not usual[0]["spec"]["holdout"] else {}


def read(path: Path) -> Outcomes:
    """Reads the file of ``write``; empty if there is no file."""
    if not path.is_file():
        return {}
    kept = records.arrays(path, "names")
    cells = [f"cell{k}" for k in range(len(kept["names"]))]
    if absent := [name for name in cells if name not in kept]:
        raise ValueError(f"{path}: damaged: no {absent[0]}; {records.AGAIN}")
    return {(str(row), str(column)): kept[name] for name, (row, column) in zip(cells, kept["names"], strict=True)}


def error(claim: Claim, cases: Sequence[Mapping[str, Cell]]) -> float:
    """Standard error of the mean effect of the cases over draws of test examples; 0 for numbers that are no accuracies.

    The effect is linearised in the cells' numbers. If all outcomes are known, the error comes from the spread over examples,
    which accounts for cells that fail on the same examples. Otherwise it is binomial in each cell, as if the cells were
    independent, which is too large for a difference. For cases on different examples it is the mean of their errors, as if
    the examples were the same.
    """
    by_case = [slopes(claim, case) for case in cases]
    together = _paired(cases, by_case)
    if together is not None:
        return together
    errors = []
    for case, part in zip(cases, by_case, strict=True):
        paired = _paired([case], [part])
        errors.append(_binomial(claim, case, part) if paired is None else paired)
    return statistics.fmean(errors)


def _paired(cases: Sequence[Mapping[str, Cell]], by_case: Sequence[Mapping[str, float]]) -> float | None:
    """The error from the spread over the examples that all cells have in common. It is 0 if no number is an accuracy, and None
    if outcomes are missing or belong to different examples.
    """
    accuracies = [
        (case[name], slope)
        for case, part in zip(cases, by_case, strict=True)
        for name, slope in part.items()
        if case[name].tested or case[name].right is not None
    ]
    if not accuracies:
        return 0.0
    rights = [cell.right for cell, _ in accuracies]
    if not all(r is not None and np.array_equal(r[0], rights[0][0]) for r in rights):
        return None
    effects = sum(slope * 100.0 * cell.right[1].astype(float) for cell, slope in accuracies) / len(cases)
    most = 50.0 * sum(abs(slope) / (cell.tested or len(effects)) for cell, slope in accuracies) / len(cases)
    return spread(effects, most)


def spread(effects: np.ndarray, most: float | None = None) -> float:
    """Standard error of the mean of ``effects`` [images], in points, over draws of the images.

    Networks that agree on all these images may differ on others. The error is therefore at least that of one image on either
    side with the opposite outcome, which changes the mean by ``most`` points. None: the change by one of these images in a
    number that grows by one point for each point of accuracy.
    """
    least = math.sqrt(2) * (50.0 / len(effects) if most is None else most)
    return max(float(np.std(effects, ddof=1)) / math.sqrt(len(effects)), least)


def slopes(claim: Claim, case: Mapping[str, Cell]) -> dict[str, float]:
    """The derivative of the effect with respect to each cell."""
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
        return math.sqrt(_variance(here, min(tested.values()))) if tested and here <= 100 else 0.0
    total = sum(slopes[n] ** 2 * _variance(means[n], k) for n, k in tested.items() if 0 <= means[n] <= 100)
    differences = {n: 100.0 * cell.right[1] for n, cell in case.items() if cell.right is not None and not cell.tested}
    total += sum(slopes[n] ** 2 * float(np.var(each, ddof=1)) / len(each) for n, each in differences.items())
    return math.sqrt(total) if math.isfinite(total) else 0.0


def _variance(percent: float, images: int) -> float:
    """The variance of an accuracy over ``images``; if all or none are correct, as if one image had the other outcome."""
    share = min(max(percent / 100, 1 / images), 1 - 1 / images) if images > 1 else 0.5
    return 1e4 * share * (1 - share) / images
