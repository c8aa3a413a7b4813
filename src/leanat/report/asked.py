"""Checks the metrics and cells that items ask for: each metric must exist in a run, each cell in the papers' numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanat.core.errors import did_you_mean
from leanat.plan.grid import Evaluation, Grid
from leanat.plan.item import TIMED, Cell, Item
from leanat.report.measures import FIRST, share_of
from leanat.report.published import printed

COLUMNS = ("epoch", "lr", "loss", "kept", "forward", "backward", "seconds")  # columns of every history
# keys of every run's metrics
NUMBERS = ("epochs", "epoch_kept", "seconds", "wall_seconds", "peak_memory_mb", "parameters", "threads")
BY_CLASS = ("planted_difficulty", "difficulty")  # keys of the metrics that hold one number per class
LISTS = ("classes_attacked",)  # keys of the metrics that hold a list, not a number


@dataclass(frozen=True)
class Offer:
    """What the runs of a cell can provide: columns of the history, numbers of the metrics, classes, a validation part.

    ``measures``: the numbers of each measure of the suite, or its pictures if the item shows pictures.
    """

    columns: tuple[str, ...]
    numbers: tuple[str, ...]
    classes: int
    test: int
    validation: bool
    evaluation: Evaluation | None = None
    measures: Mapping[str, tuple[str, ...]] | None = None

    @property
    def suite(self) -> Mapping[str, Any]:
        return self.evaluation.attacks if self.evaluation else {}

    @property
    def attacks(self) -> list[str]:
        return [name for name, entry in self.suite.items() if "attack" in entry]

    @property
    def summaries(self) -> list[str]:
        """The numbers over all attacks of a suite. "worst" needs an attack on every test image."""
        entries = [self.suite[name] for name in self.attacks]
        whole = any(e.get("holdout") is None and (e.get("examples") or self.test) >= self.test for e in entries)
        return ["masking"] * any("masking" in entry for entry in self.suite.values()) + ["worst"] * whole


def item_problems(
    grid: Grid,
    published: Path,
    hook_names: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]],
    measures: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """A line for each metric that no run of its item will have, and for each cell that the papers' numbers do not have.

    ``hook_names``: for each run, the columns and the numbers that its extras add to history and metrics. ``measures``: for each
    evaluation, its measures by name. Cells with other runs or evaluations are not checked.
    """
    problems: dict[str, None] = {}
    for item in grid.items.values():
        where = f"leanat/papers/{item.paper}/experiments.py: {item.item}"
        columns = tuple(dict.fromkeys(name for run in item.runs for name in hook_names.get(run, ((), ()))[0]))
        metrics = {cell.metric for _, _, cell in item.flat}
        for name in dict.fromkeys(name for pair in item.options.get("doubt", []) for name in pair):
            if name not in metrics:
                problems[f"{where}: options.doubt: no column of metric {name!r}{did_you_mean(name, metrics)}"] = None
        first: dict[str, str] = {}  # the place where each problem occurs first
        for row, column, cell in item.flat:
            at = f"{where}: row {row.label!r}, column {column.label!r}"
            if item.kind != "formula" and not cell.timed and set(cell.runs) <= hook_names.keys():
                for metric in filter(None, (cell.metric, cell.by)):
                    for text in metric_problems(metric, _offer(grid, item, cell, columns, hook_names, measures)):
                        first.setdefault(text, at)
            if cell.published:
                try:
                    printed(item.paper, cell.published, published)
                except ValueError as error:
                    if str(error).startswith(str(published)):  # faults of the file itself, with their lines
                        problems |= dict.fromkeys(str(error).splitlines())
                    else:
                        first.setdefault(f"published: {error}", at)
        problems |= dict.fromkeys(f"{at}: {text}" for text, at in first.items())
    return list(problems)


def _offer(grid: Grid, item: Item, cell: Cell, columns: Iterable[str], hook_names: Any, measures: Any) -> Offer | None:
    """The offer of a cell; None if it has no runs, or if its evaluation is not among ``measures``."""
    if not cell.runs or not set(cell.evaluations) <= measures.keys():
        return None
    data = grid.runs[cell.runs[0]].spec["data"]
    numbers = [hook_names[run][1] for run in cell.runs]
    own = tuple(name for name in numbers[0] if all(name in n for n in numbers) and name not in LISTS)
    kind = "picture_names" if item.options.get("plot") == "images" else "number_names"
    first = cell.evaluations[0] if cell.evaluations else None
    return Offer(
        (*COLUMNS, *columns),
        (*NUMBERS, BY_CLASS[0], *own),
        grid.datasets[data["name"]]["classes"],
        grid.datasets[data["name"]]["test"],
        data.get("validation") is not None,
        grid.evaluations[first] if first else None,
        {name: getattr(m, kind, ()) for name, m in measures[first].items()} if first else {},
    )


def metric_problems(metric: str, offer: Offer | None) -> Iterator[str]:
    """A line for each part of a metric (see ``measures.measure``) that these runs and their suite do not have."""
    if offer is None:
        return
    classes = set(map(str, range(offer.classes)))
    transferred = offer.evaluation is not None and bool(offer.evaluation.sources)
    if "+" not in metric and metric.count("-") > 1:
        yield f"metric {metric!r}: one difference, a-b, at most"
    for part in metric.replace("-", "+").split("+"):
        name, _, of = part.partition("@")
        kind, _, key = name.partition(".")
        if name in TIMED or name == "chosen":
            continue
        if kind == "history" and key:
            if key not in offer.columns:
                yield f"metric {part!r}: no column {key!r} of the history{did_you_mean(key, offer.columns)}"
            if of and not _share(of):
                yield f"metric {part!r}: after which share of the epochs? allowed: 0 to 1"
        elif kind == "metrics" and key:
            if key not in offer.numbers:
                yield f"metric {part!r}: no number {key!r} in the metrics{did_you_mean(key, offer.numbers)}"
            elif (key in BY_CLASS) != bool(of) or (of and of not in classes):
                allowed = f"{name}@0 to {name}@{offer.classes - 1}" if key in BY_CLASS else name
                yield f"metric {part!r}: allowed: {allowed}"
        elif name == "validation" and not offer.validation:
            yield f"metric {part!r}: no validation examples; set data.validation to the share held out"
        elif name in ("clean", "validation") or (name in offer.attacks and not transferred):
            first = name in offer.attacks and of.startswith(FIRST) and 0 < (share_of(of) or 0) < 1
            if of and not first and of not in classes | {"A", "B"}:
                yield f"metric {part!r}: no class {of!r}; allowed: 0 to {offer.classes - 1}, A, B, or a share: first 8/9"
        elif name in offer.attacks:
            if of not in ("", "sd"):
                yield f"metric {part!r}: allowed where attacks come from other networks: {name}, {name}@sd"
        elif kind in offer.measures and key not in offer.measures[kind]:
            yield f"metric {part!r}: no number {key!r} of measure {kind}{did_you_mean(key, offer.measures[kind])}"
        elif kind in offer.measures or name in offer.summaries:
            if of:
                yield f"metric {part!r}: has no part {of!r}; allowed: {name}"
        else:
            known = ["clean", "chosen", *["validation"] * offer.validation, *offer.attacks, *offer.summaries]
            known += [*(f"{name}.<number>" for name in offer.measures), "history.<column>", "metrics.<key>"]
            yield f"no metric {part!r}{'' if offer.suite else ' without a suite'}{did_you_mean(part, known)}"


def _share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
