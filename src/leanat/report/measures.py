"""The number that a metric names, from the files of one run."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from leanat.core.errors import named
from leanat.plan.item import Cell
from leanat.report.sources import Sources

FIRST = "first "  # begins the name of a part of the tested images
OF_TRAINING = ("terms", "gradient_error", "planted")  # measures on the training images; their classes load torch


def measure(
    metric: str, run: str, evaluation: str | None, sources: Sources, attacked: str | None = None
) -> float | None:
    """A number of one run, in the unit of the papers: accuracies in percent. ``metric`` is one of

    ``clean``; ``validation``; ``<attack>``, a name of the suite; ``<attack>@<class>`` or ``@A`` and ``@B``: on one class,
    on the classes that were attacked in training, on the others (both empty if none was attacked); ``<attack>@first 8/9``: on
    that share of the tested images, in the order of their indices; ``a+b+c``: the mean of several; ``a-b``: a difference;
    ``<attack>@sd``: the standard deviation over the source networks; ``worst``; ``masking``: the number of signs of
    gradient masking; ``<measure>.<number>``: a number of a measure of the suite (None: not defined on these data);
    ``history.<column>@<share>``: a column of the history after a share of the epochs (without it: at the end);
    ``metrics.<key>``, ``metrics.<key>@<class>``. None if a column, a set of classes or a key of the metrics is empty.
    ``attacked``: another run whose attacked classes are A. Raises ValueError for anything else.
    """
    if "+" in metric:
        parts = [measure(part, run, evaluation, sources, attacked) for part in metric.split("+")]
        return None if None in parts else sum(parts) / len(parts)
    if "-" in metric:
        first, second = (measure(part, run, evaluation, sources, attacked) for part in metric.split("-"))
        return None if None in (first, second) else first - second
    name, _, part = metric.partition("@")
    if name.startswith("history."):
        rows = sources.history(run)
        at = max(1, round(float(part or 1) * len(rows)))
        value = rows[at - 1].get(name.removeprefix("history."))
        return None if value in (None, "", "nan") else float(value)
    metrics = sources.metrics(run)
    if name.startswith("metrics."):
        value = named(metrics, name.removeprefix("metrics."), f"metrics.json of {run}")
        value = value[int(part)] if value is not None and part else value
        return None if value is None else float(value)
    if name in ("clean", "validation"):
        return _share(named(metrics, name, f"metrics.json of {run}"), sources.metrics(attacked or run), part)
    if evaluation is None:
        raise ValueError(
            f"metric {metric!r}: no suite is named; allowed without one: clean, history.<column>, metrics.<key>"
        )
    suite = sources.suite(evaluation)
    if name == "masking":
        return float(sum(map(len, suite["masking"].values())))
    if "." in name:
        measured, _, number = name.partition(".")
        return named(named(suite.get("measures", {}), measured, metric)["numbers"], number, metric)
    if name == "worst":
        return _percent(suite["worst"]["accuracy"])
    record = named(suite["attacks"], name, f"{metric} of suite {suite['suite']}")
    if part.startswith(FIRST):
        if share_of(part) is None:
            raise ValueError(f"metric {metric!r}: {part!r} is no share of the images; one is 'first 8/9'")
        right = sources.outcome(run, record["file"]).correct
        return 100 * float(right[: round(share_of(part) * len(right))].mean())
    return _share(record, sources.metrics(attacked or run), part)


def tested(cell: Cell, sources: Sources) -> int | None:
    """The number of test examples behind an accuracy of this cell, the smallest of its parts; None for other numbers."""
    if cell.timed or cell.against or not cell.runs or "-" in cell.metric:
        return None
    counts = []
    for metric in cell.metric.split("+"):
        name, _, part = metric.partition("@")
        metrics, suite = sources.metrics(cell.runs[0]), cell.evaluations and sources.suite(cell.evaluations[0])
        record = metrics["clean"] if name == "clean" else (suite or {"attacks": {}})["attacks"].get(name)
        if name == "worst":
            record = suite["worst"]
        if record is None or "n" not in record or part == "sd":
            return None
        counts.append(sum(_counts(record, metrics, part)[1]) if part else record["n"])
    return min(counts)


def of_test(cell: Cell, sources: Sources) -> bool:
    """Whether a number is measured on test images, and not logged during training or measured on training images."""
    name = cell.metric.partition("@")[0]
    if cell.timed or name == "validation" or name.startswith(("history.", "metrics.")):
        return False
    measured = name.partition(".")[0]
    if measured == name or not cell.evaluations:
        return True
    spec = sources.suite(cell.evaluations[0])["measures"][measured]["spec"]
    return not set(spec["measure"]) & set(OF_TRAINING)


def not_finite(cell: Cell, sources: Sources) -> int:
    """The number of images with logits that are not finite, in the run of the cell that has most of them."""
    counts = [0]
    for k, run in enumerate(cell.runs):
        suite = sources.suite(cell.evaluations[k]) if cell.evaluations else {}
        for name in (metric.partition("@")[0] for part in cell.metric.split("+") for metric in part.split("-")):
            attacks = suite.get("attacks", {})
            records = [sources.metrics(run).get(name)] if name in ("clean", "validation") else [attacks.get(name)]
            records = list(attacks.values()) if name == "worst" else records
            counts += [part.get("not_finite", 0) for part in records if part]
    return max(counts)


def share_of(part: str) -> Fraction | None:
    """The fraction in a text such as ``first 8/9``; None if there is none."""
    try:
        return Fraction(part.removeprefix(FIRST))
    except (ValueError, ZeroDivisionError):
        return None


def _percent(share: float | None) -> float | None:
    """A share in percent; None for null in a file: the accuracy on no examples, the deviation over one source."""
    return None if share is None else 100 * share


def _share(record: dict[str, Any], metrics: dict[str, Any], part: str) -> float | None:
    if not part or part == "sd":
        return _percent(record[part or "accuracy"])
    right, n = _counts(record, metrics, part)
    return 100 * sum(right) / sum(n) if n else None


def _counts(record: dict[str, Any], metrics: dict[str, Any], part: str) -> tuple[list[int], list[int]]:
    """The numbers of correct predictions and of examples, for each class that ``part`` (a class, A or B) stands for."""
    right, n = record["per_class"]["correct"], record["per_class"]["n"]
    chosen = classes_of(part, metrics, range(len(n)))
    return [right[c] for c in chosen], [n[c] for c in chosen]


def classes_of(part: str, metrics: dict[str, Any], classes: Sequence[int]) -> list[int]:
    """Those of ``classes`` that ``part`` stands for; ``metrics`` are those of the run whose attacked classes are A."""
    if part not in "AB":
        inside: Sequence[int] = [int(part)]
    elif "classes_attacked" in metrics:
        inside = metrics["classes_attacked"]
    elif metrics["spec"]["method"]["attack"] == "clean":
        return []
    else:  # a training that attacks all examples
        inside = classes
    return [c for c in classes if (c in inside) != (part == "B")]
