"""A table or figure: as the plan resolves it (``Item``), and with its numbers (``Filled``); both to and from JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """A row or a column. ``entry``: the facts that it stands for, such as {data: cifar10, method: sat, share: 10}."""

    group: str
    label: str
    entry: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the CSV calls it, and claims and replications by that."""
        return " | ".join(filter(None, (self.group, self.label)))

    @property
    def words(self) -> str:
        """The name in a sentence, in which a label that the group ends in does not stand twice."""
        parts = self.group.split(" | ")
        return self.group if parts[-1] == self.label else " ".join(filter(None, (self.group, self.label)))


@dataclass(frozen=True)
class Row(Line):
    """``ours``: the paper has no such row. ``note``: "ours" (the paper's own method), or a footnote, known when filled."""

    ours: bool = False
    note: str | None = None


@dataclass(frozen=True)
class Column(Line):
    """``stand_in``: data set and attack that this scale puts in place of the paper's. ``skipped``: why nothing of it is run.

    ``n_test``: test images of its data set, known when filled.
    """

    unit: str | None = None
    digits: int = 2
    better: Literal["high", "low"] | None = None
    stand_in: str | None = None
    skipped: str | None = None
    n_test: int | None = None


@dataclass(frozen=True)
class Printed:
    """Where the paper prints a number. ``against``: another row, below whose number this one is by so many percent."""

    item: str
    row: str
    column: str
    against: str | None = None


@dataclass(frozen=True)
class Timed:
    """What the cost of a training is composed of: the paper's own spec, whatever the scale.

    ``examples``: of its training set. ``shape``: the data set (classes, channels, size, train). ``step``: digest of what the
    time of an optimiser step depends on. ``memory``: whether the memory of a step is asked for.
    """

    spec: Mapping[str, Any]
    examples: int
    shape: Mapping[str, Any]
    step: str
    changes: tuple[tuple[str, str, str, Any], ...] = ()  # of the user
    memory: bool = False


@dataclass(frozen=True)
class Numbers:
    """The runs that numbers come from, and their evaluations by a suite, one per run, where the metric is a suite's."""

    runs: tuple[str, ...] = ()
    evaluations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate(Numbers):
    """The runs with one value of the variable that is chosen by a metric."""

    value: Any = None


@dataclass(frozen=True)
class Reference(Numbers):
    """The training that a cell is compared with: its runs, or what its time is composed of."""

    timed: Timed | None = None


@dataclass(frozen=True)
class Anchor:
    """The row of the same data whose printed time tells how many attack steps Bullet-Train takes."""

    timed: Timed
    published: Printed


class StandIn(NamedTuple):
    """What this scale puts in the place of a cell's data set; ``attack``: of its attack, by its own name, and of its radius."""

    data: str | None = None
    attack: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*[self.data] * (self.data is not None), *self.attack)

    @staticmethod
    def of_several(stand_ins: Iterable[StandIn]) -> str | None:
        """What stands in, as ``shapes10 and shapes12, aa-demo``; apart, by a slash, where the attacks differ."""
        by_attack: dict[tuple[str, ...], dict[str, None]] = {}
        for own in stand_ins:
            by_attack.setdefault(own.attack, {}).update({own.data: None} if own.data else {})
        texts = [", ".join(filter(None, (" and ".join(data), *attack))) for attack, data in by_attack.items()]
        return " / ".join(filter(None, texts)) or None


NONE_STANDS_IN = StandIn()


@dataclass(frozen=True)
class Cell(Numbers):
    """What one number is made of.

    ``also``: trainings whose time is part of this one's. ``difference``: the number less the reference's, not the share by
    which it is below. ``candidates``: of these the best by the metric ``by``. ``computed``: of a formula.
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
        """Whether the number is read from runs alone: no time, no comparison."""
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

    ``draws``: whether cells go over random subsets too. ``one_block``: whether all rows are compared with each other.
    ``options``: ``plot`` and its keyword arguments, and what a table's foot is asked to say. ``labels``: how the paper prints
    a value of an entry. ``timed``: by digest of the spec, what ``leanat time`` has to measure. ``all_runs``: with those they
    read. ``attacks``: of each evaluation the suite as it is planned, which its summary is compared with.
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
    """A cell of a committed summary of runs at real scale; ``low`` and ``high``: over seeds, or, of one seed, over its test
    images (None where they are not kept).

    ``tested``: test examples behind an accuracy, 0 for other numbers. ``by_run``: each run and its own value.
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
    """A cell with its numbers: the paper's, replicated ones, and ours by run, or why there are none.

    ``tested``: test examples behind an accuracy; ``not_finite``: of them, in the worst run, with logits that are not finite
    (None: of no network). ``stand_in``: of what its own numbers are.
    """

    published: float | None = None
    replicated: Replicated | None = None
    values: tuple[float, ...] = ()
    missing: str | None = None
    tested: int | None = None
    not_finite: int | None = None
    runs: tuple[str, ...] = ()
    stand_in: StandIn = NONE_STANDS_IN

    @property
    def n(self) -> int:
        return len(self.trials)

    @property
    def mean(self) -> float:
        return sum(self.trials) / self.n

    @property
    def trials(self) -> tuple[float, ...]:
        """What an interval is over: a value for each seed. Of one seed, and where it is not known whose they are, all values."""
        own = tuple(self.by_seed.values())
        return own if len(own) > 1 else self.values

    @property
    def by_seed(self) -> dict[int, float]:
        """The mean of each seed's values (over random subsets there are several), by the seeds in the runs' names.

        One number of several runs (a time, or what was chosen by all of them) is that of seed 0; none where several are those
        of more runs, of which it is not known which have none.
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
        """The digests of the runs' specs, the last part of their names: two methods whose settings are the same share them."""
        return tuple(run.rpartition("-")[2] for run in self.runs)

    def is_run_of(self, other: Value) -> bool:
        """Whether both are the same number of the very same trainings, so that a difference would measure nothing."""
        return bool(self.runs) and (self.specs, self.values) == (other.specs, other.values)


@dataclass(frozen=True)
class Provenance:
    """Where the numbers of an item come from. ``unrecorded``: runs that do not say what they were made from, of how many.

    ``attacks``: where and when the attacks ran, if elsewhere. ``composed``: whether times are composed of measured steps.
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
    """A table or figure with its numbers: what is drawn, and nothing else is read for it.

    ``files``: for plots of arrays (see report/plots/files.py) the arrays of each panel, by its title.
    ``of_a_paper``: False where there is no paper that the foot could speak of.
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
        """Whether a number of the paper stands in it."""
        return any(cell.published is not None for _, _, cell in self.flat)


def seed_of(run: str) -> int:
    """The seed in the name of a run, such as ``cifar10-resnet_half-fat-s3-7ac201fa``."""
    return int(run.rpartition("-s")[2].partition("-")[0])


def to_json(value: Any) -> Any:
    """What ``json.dumps`` takes; fields that have their default are left out."""
    return _adapter(type(value)).dump_python(value, mode="json", exclude_defaults=True)


def from_json(kind: type[T], value: Any) -> T:
    """The inverse. Raises ValueError for what is not of this kind."""
    return _adapter(kind).validate_python(value)


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)
