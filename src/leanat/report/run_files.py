"""Reads a run's folder: its history, the values of its spec, the examples it trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leanat.core.errors import ConfigError
from leanat.experiments.spec import COMPONENTS
from leanat.runs import records

if TYPE_CHECKING:
    from leanat.data import TensorData

# columns of a history; runs/curves writes the accuracies
LOSS, CLEAN, ROBUST = "loss", "test_clean", "test_robust"
COUNTS = ("epoch", "kept", "forward", "backward")  # columns of whole numbers


def folder_of(run: str, results: Path) -> Path:
    """The folder of a finished run, given by its path, its name, or a beginning of its name that is unique."""
    if (Path(run) / "metrics.json").is_file():
        return Path(run) if Path(run).name not in ("", "..") else Path(run).resolve()  # its name is the run's
    runs = results / "runs"
    if (runs / run / "metrics.json").is_file():
        return runs / run
    run_ids = sorted(path.parent.name for path in runs.glob("*/metrics.json") if path.parent.name.startswith(run))
    if len(run_ids) == 1:
        return runs / run_ids[0]
    several = f"{len(run_ids)} finished runs begin with {run!r}: {', '.join(run_ids[:3])}"
    which = several if run_ids else f"no finished run {run!r}"
    raise ConfigError([f"{which}, in {runs}"])


def epochs(folder: Path) -> list[dict[str, str]]:
    """The rows of a finished run's ``history.csv`` as text, one for each epoch that ``metrics.json`` counts.

    Raises FileNotFoundError, and ValueError if the last row differs from the last epoch in ``metrics.json``, since the history
    then belongs to another run.
    """
    path, again = folder / "history.csv", f"remove {folder}, and it is trained anew"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; it is to hold the history of a run")
    rows, metrics = records.rows(path, "epoch", again=again), records.metrics(folder / "metrics.json")
    trained = metrics.get("epochs")
    if trained not in (None, len(rows)):  # fewer than the recipe's if a hook ended it; None in old files
        raise ValueError(f"{path}: damaged: {len(rows)} of {trained} epochs; {again}")
    for name, kept in metrics.get("history", {}).items():
        if (last := _number(rows[-1].get(name, ""))) != kept:
            raise ValueError(f"{path}: damaged: {name} ends with {last}, with {kept} in metrics.json; {again}")
    return rows


def _number(text: str) -> float | None:
    """A cell of a history as in ``metrics.json``: None if it is empty, not finite, or not a number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def history(folder: Path) -> list[dict[str, float | None]]:
    """The rows of ``epochs`` as numbers, None for empty cells. Raises FileNotFoundError or ValueError."""
    path, again = folder / "history.csv", f"remove {folder}, and it is trained anew"
    text_rows = epochs(folder)
    try:
        rows = [{k: float(v) if v else None for k, v in row.items()} for row in text_rows]
    except ValueError as error:
        raise ValueError(f"{path}: damaged: {error}; {again}") from None
    if any(row[name] is not None and not math.isfinite(row[name]) for row in rows for name in COUNTS if name in row):
        raise ValueError(f"{path}: damaged: a count that is no number; {again}")
    return rows


def columns(rows: list[dict[str, float | None]]) -> list[str]:
    """The columns in which at least one row has a number, in order."""
    return [name for name in (rows[0] if rows else {}) if any(row[name] is not None for row in rows)]


def curve(rows: list[dict[str, float | None]], column: str) -> list[tuple[float, float]]:
    """(epoch, number) for each epoch that has a number in a column."""
    return [(row["epoch"], row[column]) for row in rows if row.get(column) is not None]


def leaves(spec: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, value as text) of every value in a spec. Paths include components' names: method.selector.once.tau."""
    for key, value in spec.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{before}{key}.")
        elif isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
            names = [part if isinstance(part, str) else next(iter(part), "") for part in value]
            yield f"{before}{key}", ", ".join(map(str, names))
            for part in value:
                if isinstance(part, Mapping):
                    yield from leaves(part, f"{before}{key}.")
        elif isinstance(value, Mapping):  # a component without fields
            yield f"{before}{key}", "" if key not in COMPONENTS else "as it is"
        else:
            yield f"{before}{key}", text(value)


def text(value: Any) -> str:
    """A value of a spec as text for readers."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(text, value)) if isinstance(value, list) else str(value)


@dataclass(frozen=True)
class Selection:
    """The examples that a run trained on: from each of ``epochs`` on, the examples ``index`` with the weights ``weight``.

    ``labels`` int64 [N]: the classes of all training examples, None if the data are not available.
    """

    epochs: list[int]
    index: list[np.ndarray]
    weight: list[np.ndarray]
    total: int
    labels: np.ndarray | None

    @property
    def classes(self) -> int:
        return 0 if self.labels is None else int(self.labels.max()) + 1

    def by_class(self, entry: int) -> list[int]:
        """The number of examples of each class in a selection; ``entry``: its position in ``epochs``."""
        return np.bincount(self.labels[self.index[entry]], minlength=self.classes).tolist()

    def all_by_class(self) -> list[int]:
        return np.bincount(self.labels, minlength=self.classes).tolist()

    def left_out(self, entry: int) -> np.ndarray:
        """The examples that are not in the selection at position ``entry``."""
        return np.setdiff1d(np.arange(self.total), self.index[entry])


def selection(folder: Path, spec: Mapping[str, Any], total: int) -> Selection | None:
    """The selections of the run among ``total`` examples; None if it has no record of them."""
    path = folder / "selection.npz"
    if not path.is_file():
        return None
    again = f"remove {folder}, and it is trained anew"
    kept = records.arrays(path, "epochs", "sizes", "index", "weight", again=again)
    examples, selections = {len(kept["index"]), len(kept["weight"])}, {len(kept["sizes"]), len(kept["epochs"])}
    if examples != {kept["sizes"].sum()} or len(selections) > 1:
        raise ValueError(f"{path}: damaged: arrays of different lengths; {again}")
    ends, epochs = np.cumsum(kept["sizes"])[:-1], kept["epochs"].tolist()
    index, weight = np.split(kept["index"], ends), np.split(kept["weight"], ends)
    data = training_data(spec["data"]["name"], spec["data"].get("validation"))
    labels = None if data is None else data.labels.numpy()
    count = total if labels is None else min(total, len(labels))
    if len(kept["index"]) and not 0 <= kept["index"].min() <= kept["index"].max() < count:
        at = next(i for i in kept["index"].tolist() if not 0 <= i < count)
        raise ValueError(f"{path}: damaged: example {at} of {count} (0 to {count - 1}); {again}")
    return Selection(epochs, index, weight, total, labels)


@cache
def training_data(name: str, validation: float | None) -> TensorData | None:
    """The training images of a data set that comes with the package, without augmentation; None for other data sets."""
    from leanat import data

    if not data.is_embedded(name):
        return None
    everyone = data.load(name, "train")
    return everyone if validation is None else data.split(everyone, validation, seed=0).train
