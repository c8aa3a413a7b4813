"""The contents of a paper's ``experiments.py``: its runs, attacks, tables and figures. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from leanat.experiments.spec import plain

if TYPE_CHECKING:
    from leanat.experiments.scales import Scale

# The facts of a cell: paper, item, data, model, method, and the other entries of its row and its column.
Cell = Mapping[str, Any]
Choice = tuple[str, Any, str]  # what, value, reason


@dataclass(frozen=True)
class ItemSpec:
    """A table or a figure: rows x columns, each an entry of facts. The facts of a cell are those of its row and its column.

    Keys of entries: ``data``, ``model``, ``method`` (the run), ``settings`` (keyword arguments of the paper's ``spec``),
    ``metric`` and ``suite`` (its number, see ``report.measures.measure``), ``published`` (item, row and column of the paper's
    number, None: the paper prints none), ``group`` and ``label``, ``unit``, ``digits``, ``better``, ``reference`` (the method
    compared with), ``ours`` (True: not in the paper), ``missing`` (why there is no run). Other keys are for labels or drawing.

    kind: "table", "figure", or "formula", which is arithmetic on the paper's settings. base: facts of every cell. metric ...
    published: defaults for entries without their own. seeds: trials by scale, if not the usual ones. inputs: maps a cell to the
    arguments of ``formula``, by name, with marks.
    """

    kind: str
    title: str
    rows: Sequence[Mapping[str, Any]]
    columns: Sequence[Mapping[str, Any]]
    caption: str = ""
    base: Mapping[str, Any] = field(default_factory=dict)
    suite: Any = None
    metric: str | None = None
    unit: str | None = None
    digits: int = 2
    better: str | None = None
    published: Mapping[str, Any] | None = None
    one_block: bool = False
    seeds: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: Callable[[Cell], Mapping[str, Any]] | None = None
    formula: Callable[..., float] | None = None

    def plain(self) -> ItemSpec:
        """The item without the marks of assumed values, except those in ``settings``, which the runs need."""
        entries = {axis: [_without_marks(entry) for entry in getattr(self, axis)] for axis in ("rows", "columns")}
        others = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in (*entries, "base", "inputs", "formula")
        }
        return replace(self, **entries, **plain(others), base=_without_marks(self.base))


def compared_methods(cell: Cell) -> tuple[list[str], str | None]:
    """The further methods whose trainings a cell includes, joined by "+" in ``also``; and the method it is compared with."""
    reference = cell.get("reference")
    if isinstance(reference, dict):
        reference = reference.get(cell.get("method"))
    return cell["also"].split("+") if "also" in cell else [], reference


def _without_marks(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v if k == "settings" else plain(v) for k, v in entry.items()}


@dataclass(frozen=True)
class Paper:
    """A paper as its ``experiments.py`` describes it.

    seeds: the paper's number of trials. labels: how it prints names. spec: maps a cell, and the keyword arguments in a row's
    ``settings``, to the spec of a run, without the names of data set and network. suites: attacks and measures by suite.
    skip: why a cell has no run in the paper. choices: what the paper leaves open, apart from values in specs. trials: number of
    seeds of a cell, if not ``seeds``. repeats: how often a time is measured. scales: what each scale changes for this paper.
    """

    title: str
    source: str
    seeds: Any
    labels: Mapping[str, str]
    spec: Callable[..., Mapping[str, Any]]
    suites: Mapping[str, Mapping[str, Any]]
    items: Mapping[str, ItemSpec]
    methods: Iterable[str]
    skip: Callable[[Cell], str | None] = lambda cell: None
    choices: Callable[[Cell], Iterable[Choice]] = lambda cell: ()
    trials: Callable[[Cell], Any] = lambda cell: None
    repeats: int = 5
    scales: Mapping[str, Scale] = field(default_factory=dict)


def product(**axes: Any) -> list[dict[str, Any]]:
    """``product(model=[a, b], method=[c])`` is [{model: a, method: c}, {model: b, method: c}]; the last axis varies fastest."""
    lists = [value if isinstance(value, (list, tuple, range)) else [value] for value in axes.values()]
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*lists)]
