"""Classes and functions for a paper's ``claims.py``: claims, each with its test. Imports no torch, numpy or scipy.

A claim consists of an ``effect``, which is arithmetic over named cells of tables and figures, of ``cases``, and of the expected
effect. By default it expects that the first cell of every case is above the others:

    ordering(
        "qtart-03",
        says="Q-TART is more accurate than DIHCL on most pairs",
        source="section 4.2",
        cases=[
            case("table1", data, ours=f"{net} | Q-TART (Ours)", dihcl=f"{net} | DIHCL")
            for net in NETWORKS
            for data in DATA
        ],
        expect=most(above=0),
    )

docs/verdicts.md explains how a verdict is reached.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leanat.core.errors import did_you_mean

# The kinds of claims, with their usual units. On the kind depends what stand-in data can show (see the end of this file).
KINDS = {"ordering": "points", "level": "points", "mechanism": "", "time": "×", "arithmetic": ""}
LEAST = 0.5  # points: in an ordering, a smaller difference does not matter
PAPER = "_paper"  # a name with this suffix is the number that the paper prints in the cell

Place = tuple[str, str, str]  # item, row, column, as named in the item's CSV
Case = dict[str, Place]  # the cells of an effect, by name
Effect = Callable[..., float | tuple[float, ...]]


@dataclass(frozen=True)
class Expect:
    """The effects that a claim expects in its cases; ``least``: how far beyond the bound an effect must be to matter."""

    of: str  # every, most, several, some, mean
    sign: str  # >, <, within
    bound: float
    least: float = 0.0

    @property
    def enough(self) -> float:
        """The bound with ``least``: support needs an estimate beyond it; clear evidence that the effect is not is a rejection."""
        return self.bound - self.least if self.sign == "<" else self.bound + self.least

    def needed(self, cases: int) -> int:
        """The number of cases, of ``cases``, for which the claim must hold."""
        return {"every": cases, "most": cases // 2 + 1, "several": min(2, cases), "some": 1, "mean": 1}[self.of]


def _expect(of: str, **bound: float) -> Expect:
    """The effects are ``above=``, ``below=`` or ``within=`` a number; for ``within`` it is a distance from zero."""
    signs = {"above": ">", "below": "<", "within": "within"}
    if len(bound) != 1 or not set(bound) <= set(signs):
        raise ValueError(f"{of}({', '.join(bound)}): one bound is given, of above, below and within")
    ((name, number),) = bound.items()
    if name == "within" and number < 0:
        raise ValueError(f"{of}(within={number}): a distance is not negative")
    return Expect(of, signs[name], float(number))


every = functools.partial(_expect, "every")
most = functools.partial(_expect, "most")  # more than half of the cases
some = functools.partial(_expect, "some")  # at least one case
several = functools.partial(_expect, "several")  # at least two cases
mean = functools.partial(_expect, "mean")  # the mean of the cases


def case(item: str, column: str, /, **rows: str) -> Case:
    """Cells in one column of an item, by name, given by their rows; ``case(...) | case(...)`` has cells of several columns."""
    return {name: (item, row, column) for name, row in rows.items()}


def above_all(ours: float, *others: float) -> tuple[float, ...]:
    """The differences of ``ours`` to each of the others, as parts of an effect."""
    return tuple(ours - other for other in others)


def average(*values: float) -> float:
    """The mean of several cells of one case."""
    return sum(values) / len(values)


@dataclass(frozen=True)
class Claim:
    """One claim of a paper; without ``expect`` it cannot be tested, and ``untestable`` gives the reason.

    ``effect`` is a function whose arguments have the names of each case's cells; an argument ``ours_paper`` is the number
    that the paper prints in the cell ``ours``. If it returns a tuple of numbers, all of these parts must be as expected: write
    ``lambda ours, a, b: (ours - a, ours - b)``, not ``ours - max(a, b)``. The largest of several noisy means is too large on
    average, while the mean of each part is unbiased.
    """

    id: str  # the id in published/claims.csv: the paper's name and a number
    says: str  # the claim in our words
    source: str  # its place in the paper
    kind: str = ""  # one of KINDS
    cases: Sequence[Case] = ()
    effect: Effect | None = None
    expect: Expect | None = None
    unit: str | None = None  # unit of the effect; None: the usual one of the kind
    least: float | None = None  # how much matters, in this unit; not more than the paper prints; None: LEAST or 0
    scales: Sequence[str] = ()  # scales at which it is tested; empty: all
    why: str | None = None  # why it is not tested at other scales
    nested: bool = False  # the effect is the share of examples that only a stronger attack on the same network fools
    untestable: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, one line, for an incomplete or contradictory test."""
        if self.untestable:
            if self.kind or self.cases or self.effect or self.expect:
                raise ValueError(f"{self.id}: a test beside a reason why it is not tested")
            object.__setattr__(self, "unit", "")
            return
        if self.kind not in KINDS:
            raise ValueError(f"{self.id}: kind {self.kind!r}{did_you_mean(self.kind, KINDS)}")
        if not self.cases or self.effect is None or self.expect is None:
            raise ValueError(f"{self.id}: cases, effect and expect are all given, or untestable, the reason why not")
        unit = KINDS[self.kind] if self.unit is None else self.unit
        usual = LEAST if self.kind == "ordering" and unit == "points" else 0.0
        least = usual if self.least is None else self.least
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "least", least)
        object.__setattr__(self, "expect", replace(self.expect, least=0.0 if self.expect.sign == "within" else least))
        self._check_names()
        if self._parts() and (self.expect.of not in ("every", "mean") or self.kind in ("time", "arithmetic")):
            raise ValueError(f"{self.id}: several parts are for every case or their mean, and for effects with seeds")

    def _check_names(self) -> None:
        wanted = {name.removesuffix(PAPER) for name in self.names}
        for cells in self.cases:
            if wanted != set(cells):
                of, named = ", ".join(self.names), ", ".join(cells)
                raise ValueError(f"{self.id}: the effect is of {of}, its cells are {named}")

    @property
    def paper(self) -> str:
        return self.id.rpartition("-")[0]

    @property
    def names(self) -> list[str]:
        """The names of the numbers that the effect needs."""
        return list(inspect.signature(self.effect).parameters) if self.effect else []

    def value(self, numbers: Mapping[str, float]) -> float:
        """The effect of a claim with one part; nan for a division by zero. ``numbers``: by name; others are ignored."""
        try:
            return self.effect(**{name: numbers[name] for name in self.names})
        except ZeroDivisionError:
            return math.nan

    def parts(self) -> list[Claim]:
        """The claim as claims with one part each, which must all hold."""
        expect = replace(self.expect, of="every")
        claims = [replace(self, effect=_part(self.effect, k), expect=expect) for k in range(self._parts())]
        return claims or [self]

    def _parts(self) -> int:
        """The length of the tuple that the effect returns, 0 for a number; computed at numbers of which no two are equal."""
        effect = self.effect(**{name: math.exp(k / 7) for k, name in enumerate(self.names)})
        return len(effect) if isinstance(effect, tuple) else 0


def _part(effect: Effect, place: int) -> Callable[..., float]:
    @functools.wraps(effect)  # keeps the names of the arguments
    def part(**numbers: float) -> float:
        return effect(**numbers)[place]

    return part


def _claim(
    kind: str, id: str, cases: Sequence[Case], effect: Effect | None = None, expect: Expect | None = None, **more: Any
) -> Claim:
    """A claim of that kind. By default in every case the first cell is above the others, or a single cell is above 0."""
    if effect is None and cases:
        effect = _comparison(kind, cases[0])
    return Claim(id, kind=kind, cases=cases, effect=effect, expect=expect or every(above=0), **more)


def _comparison(kind: str, cells: Case) -> Effect:
    """The first cell minus each other cell; for times, the first divided by the second; a single cell itself."""

    def effect(**numbers: float) -> float | tuple[float, ...]:
        first, *others = (numbers[name] for name in cells)
        if len(others) > 1:
            return above_all(first, *others)
        if not others:
            return first
        return first / others[0] if kind == "time" else first - others[0]

    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in cells]
    effect.__signature__ = inspect.Signature(parameters)
    return effect


# A claim of each kind.
ordering = functools.partial(_claim, "ordering")  # which of two is better
level = functools.partial(_claim, "level")  # how good one is, or how much better: only at the paper's own settings
mechanism = functools.partial(_claim, "mechanism")  # what happens inside a training or a network
time = functools.partial(_claim, "time")  # ratios of measured times
arithmetic = functools.partial(_claim, "arithmetic")  # computed from settings, without runs
