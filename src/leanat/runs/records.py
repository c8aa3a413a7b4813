"""The files that runs and attacks write, JSON and arrays. A file of the wrong form is refused in one line that names it.

Keys that earlier versions did not write may be absent; a reader that needs one names it in ``need``, such as examples.test.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from leanat.core.files import atomic_write, read_json, write_csv

if TYPE_CHECKING:
    import numpy

AGAIN = "remove it, and it is made again"
COMMITTED = "it comes with the package or its checkout: take it from there again"
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)] | None
ROUNDING = 1e-9  # of an accuracy, against the quotient of its own counts


class _Record(BaseModel):
    """Fields that are named have these types; those with a default may be absent, and others may stand beside them."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Piece(_Record):
    """The provenance of a part of a result."""

    device: str
    date: Annotated[str, Field(min_length=10)]
    revision: str | None = None


class Made(Piece):
    """The provenance of a part of a result, with its seconds."""

    seconds: Annotated[float, Field(ge=0)]


class About(_Record):
    """The JSON beside the arrays of an attack's outcome: see ``runs.stored``."""

    spec: dict[str, Any]
    made_from: dict[str, str]
    pieces: Annotated[list[Made], Field(min_length=1)]


class AboutMeasure(About):
    numbers: dict[str, float | None]


class AboutAlarm(About):
    reasons: list[str]


class PerClass(_Record):
    correct: list[Count]
    n: list[Count]


class Accuracy(_Record):
    """A share of ``n`` images; null only if n is 0. If the correct ones are counted, it must be their share."""

    accuracy: Share
    n: Count = None
    correct: Count = None
    per_class: PerClass = None
    sd: Annotated[float, Field(ge=0)] | None = None
    not_finite: Count = 0
    low: Share = None
    high: Share = None

    @model_validator(mode="after")
    def of_its_counts(self) -> Accuracy:
        if self.accuracy is None and self.n != 0:
            raise ValueError(f"accuracy null of {self.n} images")
        counted = self.accuracy is not None and self.correct is not None and self.n is not None
        if counted and abs(self.accuracy * self.n - self.correct) > ROUNDING * max(1, self.n):
            raise ValueError(f"accuracy {self.accuracy:.6g} is not {self.correct} of {self.n}")
        return self


class Attacked(Accuracy):
    """One attack of a suite. ``spec``: the entry of the suite as it was run."""

    spec: dict[str, Any] = None
    file: str = None
    seconds: Annotated[float, Field(ge=0)] = None
    pieces: list[Piece] = []


class Measured(_Record):
    """One measure of a suite; null where a number is not to be had of these data."""

    numbers: dict[str, float | None]
    file: str
    spec: dict[str, Any] = None
    pieces: list[Piece] = []


class Suite(_Record):
    """The results of a suite of attacks: ``<run>/suites/<suite>.json``."""

    attacks: dict[str, Attacked]
    suite: str = None
    file: dict[str, str] = {}
    sources: dict[str, dict[str, str]] = {}
    made_from: dict[str, str] = {}
    worst: Accuracy | None = None
    measures: dict[str, Measured] = {}
    masking: dict[str, list[str]] = {}
    masking_spec: dict[str, dict[str, Any]] = {}


class Examples(_Record):
    train: Count = None
    test: Count = None
    forward: Count = None
    backward: Count = None


class Metrics(_Record):
    """The results of a training: ``metrics.json`` and ``finished.json``."""

    spec: dict[str, Any]
    spec_hash: str
    clean: Accuracy = None
    validation: Accuracy = None
    examples: Examples = None
    made_from: dict[str, str] = {}
    files: dict[str, str] = {}
    device: str = None
    date: Annotated[str, Field(min_length=10)] = None
    revision: str | None = None
    threads: Count = None
    versions: dict[str, str] = {}
    epochs: Count = None
    seconds: float = None
    wall_seconds: float = None
    peak_memory_mb: float = None
    parameters: Count = None
    history: dict[str, float | None] = {}
    pieces: list[Piece] = []


class Timings(Piece):
    """What ``leanat time`` measured: primitives by the digest of the spec."""

    primitives: dict[str, dict[str, float]]
    spread: float | None = None


class Named(_Record):
    name: str


class Recipe(_Record):
    epochs: Annotated[int, Field(ge=1)]


class Spec(_Record):
    """The part of a spec that is read before ``plan.components``, which reports everything else that is wrong."""

    data: Named
    recipe: Recipe


def metrics(path: Path, *need: str) -> dict[str, Any]:
    """The metrics of a finished run, with the keys ``need``. Raises FileNotFoundError, ValueError with the file."""
    return _read(path, "the metrics of a finished run", Metrics, need)


def suite(path: Path, *need: str) -> dict[str, Any]:
    """The summary of a suite of attacks. Raises FileNotFoundError, ValueError with the file."""
    return _read(path, "the summary of a suite of attacks", Suite, need)


def seconds_of(suite: dict[str, Any]) -> float:
    """Wall-clock seconds of all attacks and measures of a suite. If images are made on each of several networks and tested on all
    of them, each network's suite gets an equal part of the time.
    """
    entries = [*suite["attacks"].values(), *suite.get("measures", {}).values()]
    return sum(
        sum(piece.get("seconds", 0.0) for piece in entry.get("pieces") or [entry])
        / max(1, len(entry.get("sources", ())))
        for entry in entries
    )


def timings(path: Path) -> dict[str, Any]:
    """The measured primitives of a paper's trainings. Raises FileNotFoundError, ValueError with the file."""
    return _read(path, "the measured primitives of a paper's trainings", Timings, ())


def spec(value: Any, path: Path) -> dict[str, Any]:
    """The spec of a run, which somebody may have written by hand into ``path``. Raises ValueError with the file."""
    if lines := wrong(Spec, value):
        raise ValueError(f"{path}: not the spec of a run: {'; '.join(lines[:3])}")
    return value


def arrays(path: Path, *need: str, again: str = AGAIN) -> dict[str, numpy.ndarray]:
    """All arrays of an npz, ``need`` among them. Raises FileNotFoundError, or ValueError with the file where it is damaged.

    ``again``: what is to be done about it.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            file_arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except Exception as error:  # of zipfile, zlib, numpy and the operating system, each with errors of its own
        fault = "no npz file" if "pickle" in str(error) else str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path}: damaged: {fault}; {again}") from None
    if absent := [name for name in need if name not in file_arrays]:
        raise ValueError(f"{path}: damaged: no {', '.join(absent)}; {again}")
    return file_arrays


def save_arrays(path: Path, arrays: Mapping[str, numpy.ndarray]) -> None:
    """Writes what ``arrays`` reads, whole or not at all."""
    import numpy as np

    with atomic_write(path) as beside, open(beside, "wb") as file:
        np.savez_compressed(file, **arrays)


def write_history(path: Path, epochs: list[dict[str, float]]) -> None:
    """A row for each epoch, whole or not at all; columns that an epoch has not are empty."""
    names = list(dict.fromkeys(name for row in epochs for name in row))
    write_csv(path, [names, *([row.get(name) for name in names] for row in epochs)])


def rows(path: Path, *need: str, again: str = AGAIN) -> list[dict[str, str]]:
    """The rows of a CSV with a header, the columns ``need`` among others. Raises what ``arrays`` does.

    A file that was cut ends without a newline, or in the middle of a row.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = csv.reader(io.StringIO(text, newline=""), strict=text.endswith("\n"))
        lines = [row for row in table if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: damaged: {error}; {again}") from None
    head, *body = lines or [[]]
    absent = [name for name in need if name not in head]
    why = {
        "empty": not body,
        "it ends in the middle of a line": not text.endswith("\n"),
        f"no column {', '.join(absent[:3])}": absent,
        "rows of other lengths than the first": any(len(row) != len(head) for row in body),
    }
    if wrong := next((words for words, holds in why.items() if holds), None):
        raise ValueError(f"{path}: damaged: {wrong}; {again}")
    return [dict(zip(head, row, strict=True)) for row in body]


def committed_rows(path: Path, columns: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The number of its line and the fields of each row of a CSV that comes with the checkout, whose first line is ``columns``.

    Raises ValueError with the file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.reader(file, strict=True)
            if (head := next(table, [])) != columns:
                raise ValueError(f"{path}: the first line must be {','.join(columns)}, not {','.join(head)}")
            yield from ((table.line_num, fields) for fields in table if fields)
    except csv.Error as error:
        raise ValueError(f"{path}: damaged: {error}; {COMMITTED}") from None


def check_numbers(path: Path, rows: Iterable[Mapping[str, str]], names: Iterable[str], again: str = AGAIN) -> None:
    """Raises ValueError, one line, where a column of ``names`` that a row has is neither empty nor a finite number."""
    for line, row in enumerate(rows, 2):
        for name in names:
            try:
                right = not (text := row.get(name)) or math.isfinite(float(text))
            except ValueError:
                right = False
            if not right:
                raise ValueError(f"{path}: damaged: {name} of row {line}: {row[name]!r} is no number; {again}")


def wrong(kind: type[BaseModel], value: Any) -> list[str]:
    """What is missing in a value or has the wrong type, such as "clean.accuracy: Input should be ..."."""
    try:
        kind.model_validate(value)
    except ValidationError as error:
        return [_said(part) for part in error.errors(include_url=False, include_input=False)]
    return []


def _read(path: Path, what: str, kind: type[BaseModel], need: tuple[str, ...]) -> dict[str, Any]:
    try:
        value = read_json(path, what)
    except ValueError as error:
        raise ValueError(f"{error}; {AGAIN}") from None
    lines = wrong(kind, value)
    if not lines:
        lines = [f"{name} missing" for name in need if not _has(value, name.split("."))]
    if lines:
        raise ValueError(f"{path}: damaged: {'; '.join(lines[:3])}; {AGAIN}")
    return value


def _has(value: Any, path: list[str]) -> bool:
    return not path or (isinstance(value, dict) and path[0] in value and _has(value[path[0]], path[1:]))


def _said(part: Any) -> str:
    where = ".".join(str(key) for key in part["loc"])
    if part["type"] == "missing":
        return f"{where} missing"
    if part["type"] == "model_type":
        return f"{where or 'it'} is no mapping"
    words = part["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    return f"{where}: {words}" if where else words
