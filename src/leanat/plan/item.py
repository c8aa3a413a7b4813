"""A table or figure: as planned (``Item``), and with its numbers (``Filled``); both can be converted to and from JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")
# metrics that are composed of measured times, or of measured memory
TIMED = {
    "minutes", "minutes_per_epoch", "seconds_per_epoch", "speedup", "speedup_per_epoch", "reference_minutes", "saved",
    "removed", "printed_over_removed", "time_share", "memory", "memory_share", "decoding_minutes",
    "reference_decoding_minutes",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A row or a column. ``entry``: the facts that it represents, such as {data: cifar10, method: sat, share: 10}."""

    group: str
    label: str
    entry: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name in the CSV, which claims and replications also use."""
        return " | ".join(filter(None, (self.group, self.label)))

    @property
    def words(self) -> str:
        """The name in a sentence; a label at the end of the group's name is not repeated."""
        parts = self.group.split(" | ")
        return self.group if parts[-1] == self.label else " ".join(filter(None, (self.group, self.label)))


@dataclass(frozen=True)
class Row(Line):
    """A row. ``ours``: the paper has no such row. ``note``: a footnote, set when the item is filled, or "ours" for the paper's
    own method.
    """

    ours: bool = False
    note: str | None = None


@dataclass(frozen=True)
class Column(Line):
    """A column. ``stand_in``: the data set and attack that replace the paper's at this scale. ``skipped``: why none of its cells
    is run. ``n_test``: number of test images of its data set, set when the item is filled.
    """

    unit: str | None = None
    digits: int = 2
    better: Literal["high", "low"] | None = None
    stand_in: str | None = None
    skipped: str | None = None
    n_test: int | None = None


@dataclass(frozen=True)
class Printed:
    """The place where the paper prints a number. With ``against``, another row, the value is by how many percent the number of
    ``row`` is below the number of ``against``.
    """

    item: str
    row: str
    column: str
    against: str | None = None


@dataclass(frozen=True)
class Timed:
    """A training whose cost is computed: it has the paper's own spec at every scale.

    ``examples``: size of its training set. ``shape``: the data set (classes, channels, size, train). ``step``: digest of all on
    which the time of an optimiser step depends. ``memory``: whether the memory of a step has to be measured.
    """

    spec: Mapping[str, Any]
    examples: int
    shape: Mapping[str, Any]
    step: str
    changes: tuple[tuple[str, str, str, Any], ...] = ()  # changes by the user
    memory: bool = False


@dataclass(frozen=True)
class Numbers:
    """The runs that numbers come from, and, if the metric belongs to a suite, their evaluations, one per run."""

    runs: tuple[str, ...] = ()
    evaluations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate(Numbers):
    """The runs with one ``value`` of a variable whose best value is chosen by a metric."""

    value: Any = None


@dataclass(frozen=True)
class Reference(Numbers):
    """The training that a cell is compared with: its runs, or the training whose time is computed."""

    timed: Timed | None = None


@dataclass(frozen=True)
class Anchor:
    """The row on the same data from whose printed time the number of Bullet-Train's attack steps is computed."""

    timed: Timed
    published: Printed


class StandIn(NamedTuple):
    """The data set that replaces a cell's at this scale; ``attack``: the name and the radius that replace those of its attack."""

    data: str | None = None
    attack: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*[self.data] * (self.data is not None), *self.attack)

    @staticmethod
    def of_several(stand_ins: Iterable[StandIn]) -> str | None:
        """The stand-ins in words, such as ``shapes10 and shapes12, aa-demo``; those with different attacks are separated by /."""
        by_attack: dict[tuple[str, ...], dict[str, None]] = {}
        for own in stand_ins:
            by_attack.setdefault(own.attack, {}).update({own.data: None} if own.data else {})
        texts = [", ".join(filter(None, (" and ".join(data), *attack))) for attack, data in by_attack.items()]
        return " / ".join(filter(None, texts)) or None


NONE_STANDS_IN = StandIn()


@dataclass(frozen=True)
class Cell(Numbers):
    """The parts of one number.

    ``also``: further trainings whose time is part of the number. ``difference``: the number minus the reference's, not the
    relative loss. ``candidates``: the best of these by the metric ``by`` is shown. ``computed``: the result of a formula.
    """

    metric: str = ""
    published: Printed | None = None
    missing: str | None = None
    timed: Timed | None = None
    also: tuple[Timed, ...] = ()
    against: Reference | None = None
    difference: bool = False
    anchor: Anchor | None = None
    candidates: tuple[Candidate, ...] = ()
    by: str | None = None
    computed: float | None = None
    stand_in: StandIn = NONE_STANDS_IN

    @property
    def measured(self) -> bool:
        """Whether the number comes only from runs: it is not a time and not a comparison."""
        return bool(self.runs) and self.timed is None and self.against is None


class _Table:
    """What ``Item`` and ``Filled`` share: a name, and a cell for each row and column."""

    @property
    def name(self) -> str:
        return f"{self.paper}/{self.item}"

    @property
    def by_row(self) -> list[tuple[Row, tuple[Any, ...]]]:
        """Every row with its cells."""
        return list(zip(self.rows, self.cells, strict=True))

    @property
    def flat(self) -> list[tuple[Row, Column, Any]]:
        """Every cell with its row and column, row by row."""
        return [(row, column, cell) for row, own in self.by_row for column, cell in zip(self.columns, own, strict=True)]


@dataclass(frozen=True)
class Item(_Table):
    """A table or figure of the plan, its cells by row and column.

    ``draws``: whether cells are repeated with several random subsets. ``one_block``: whether all rows are compared with each
    other. ``options``: ``plot`` and its keyword arguments, and options of a table's foot. ``labels``: how the paper prints a
    value of an entry. ``timed``: the trainings that ``leanat time`` has to measure, by digest of the spec. ``all_runs``: the
    runs and all runs that they read. ``attacks``: the planned suite of each evaluation, with which its summary is compared.
    """

    paper: str
    item: str
    kind: str  # table, figure, formula
    title: str
    caption: str
    scale: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[Cell, ...], ...]
    draws: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    one_block: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    factors: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    evaluations: tuple[str, ...] = ()
    attacks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timed: Mapping[str, Timed] = field(default_factory=dict)
    all_runs: tuple[str, ...] = ()


class Replicated(NamedTuple):
    """A cell of a committed summary of runs at real scale. The interval from ``low`` to ``high`` is over seeds, or for a single
    seed over its test images (None if their outcomes are not saved).

    ``tested``: number of test examples behind an accuracy, 0 for other numbers. ``by_run``: each run with its value.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    scale: str
    device: str
    tested: int = 0
    by_run: tuple[tuple[str, float], ...] = ()
    metric: str = ""


@dataclass(frozen=True)
class Value:
    """A cell with its numbers: the paper's, replicated ones, and ours by run, or the reason why there are none.

    ``tested``: number of test examples behind an accuracy; ``not_finite``: how many of them have logits that are not finite, in
    the worst run (None: the number comes from no network). ``stand_in``: the stand-ins behind our numbers. ``composed``: whether
    the number is computed from measured steps, and so belongs to no seed.
    """

    published: float | None = None
    replicated: Replicated | None = None
    values: tuple[float, ...] = ()
    missing: str | None = None
    tested: int | None = None
    not_finite: int | None = None
    runs: tuple[str, ...] = ()
    stand_in: StandIn = NONE_STANDS_IN
    composed: bool = False

    @property
    def n(self) -> int:
        return len(self.trials)

    @property
    def mean(self) -> float:
        return sum(self.trials) / self.n

    @property
    def trials(self) -> tuple[float, ...]:
        """The values over which intervals are computed: one per seed, or all values if there is one seed or seeds are unknown."""
        own = tuple(self.by_seed.values())
        return own if len(own) > 1 else self.values

    @property
    def by_seed(self) -> dict[int, float]:
        """The mean of each seed's values, by the seeds in the runs' names; a seed has several values over random subsets.

        A single number from several runs (a time, or a choice by all of them) counts for seed 0. The result is empty if there are
        several values but more runs, since it is not known which of the runs have no value.
        """
        if self.runs and len(self.runs) != len(self.values) > 1:
            return {}
        if len(self.runs) != len(self.values):
            return dict(enumerate(self.values))
        values_by_seed: dict[int, list[float]] = {}
        for run, value in zip(self.runs, self.values, strict=True):
            values_by_seed.setdefault(seed_of(run), []).append(value)
        return {seed: sum(own) / len(own) for seed, own in values_by_seed.items()}

    @property
    def specs(self) -> tuple[str, ...]:
        """The digests of the runs' specs, the last part of their names; methods with the same settings have the same digests."""
        return tuple(run.rpartition("-")[2] for run in self.runs)

    def is_run_of(self, other: Value) -> bool:
        """Whether both are the same numbers from the same trainings, so that their difference would measure nothing."""
        return bool(self.runs) and (self.specs, self.values) == (other.specs, other.values)


@dataclass(frozen=True)
class Provenance:
    """Where the numbers of an item come from. ``unrecorded``: number of runs without a record of what they were made from, and
    number of all runs. ``attacks``: where and when the attacks ran, if it differs from the training. ``composed``: whether
    times are computed from measured steps.
    """

    seeds: tuple[int, ...] = ()
    draws: bool = False
    device: str = ""
    revision: str = ""
    date: str = ""
    attacks: str = ""
    factors: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    composed: bool = False
    unrecorded: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Filled(_Table):
    """A table or figure with its numbers; drawing it needs nothing else.

    ``files``: for plots of arrays (see report/plots/files.py) the arrays of each panel, by its title.
    ``of_a_paper``: False if the item belongs to no paper, so that the foot does not mention one.
    """

    paper: str
    item: str
    title: str
    caption: str
    scale: str
    provenance: Provenance
    rows: tuple[Row, ...] = ()
    columns: tuple[Column, ...] = ()
    cells: tuple[tuple[Value, ...], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    one_block: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    of_a_paper: bool = True

    @property
    def has_published(self) -> bool:
        """Whether at least one cell has a number of the paper."""
        return any(cell.published is not None for _, _, cell in self.flat)


def seed_of(run: str) -> int:
    """The seed in the name of a run, such as ``cifar10-resnet_half-fat-s3-7ac201fa``."""
    return int(run.rpartition("-s")[2].partition("-")[0])


def to_json(value: Any) -> Any:
    """The value in a form that ``json.dumps`` accepts; fields with their default are left out."""
    return _adapter(type(value)).dump_python(value, mode="json", exclude_defaults=True)


def from_json(kind: type[T], value: Any) -> T:
    """The inverse of ``to_json``. Raises ValueError if the value does not have this type."""
    return _adapter(kind).validate_python(value)


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)
