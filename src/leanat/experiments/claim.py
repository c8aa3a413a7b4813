"""What a paper's ``claims.py`` is written with: its claims, each with a test of it. Imports no torch, numpy or scipy.

A claim is arithmetic (``effect``) over named cells of tables and figures, for each of its ``cases``, and what it expects of them.
Unless it says otherwise, it expects that the first cell of every case is above the others:

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

docs/verdicts.md says how a verdict comes about.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leanat.core.errors import did_you_mean

# What a claim is about, and so what small stand-in data can say of it (the last lines of this file); with its usual unit.
KINDS = {"ordering": "points", "level": "points", "mechanism": "", "time": "×", "arithmetic": ""}
LEAST = 0.5  # points: a smaller difference does not matter, in an ordering
PAPER = "_paper"  # a name with this at its end is the number that the paper prints in the cell

Place = tuple[str, str, str]  # item, row, column, as the CSV of the item names them
Case = dict[str, Place]  # the cells that an effect is of, by name
Effect = Callable[..., float | tuple[float, ...]]


@dataclass(frozen=True)
class Expect:
    """What a claim says of its cases' effects; ``least``: how far beyond the bound an effect has to be to matter."""

    of: str  # every, most, several, some, mean
    sign: str  # >, <, within
    bound: float
    least: float = 0.0

    @property
    def enough(self) -> float:
        """The bound with what matters: support needs an estimate beyond it, and what surely is not beyond it is rejected."""
        return self.bound - self.least if self.sign == "<" else self.bound + self.least

    def needed(self, cases: int) -> int:
        """How many cases have to be as the claim says."""
        return {"every": cases, "most": cases // 2 + 1, "several": min(2, cases), "some": 1, "mean": 1}[self.of]


def _expect(of: str, **bound: float) -> Expect:
    """The cases are ``above=``, ``below=`` or ``within=`` a number, which is for ``within`` a distance from zero."""
    signs = {"above": ">", "below": "<", "within": "within"}
    if len(bound) != 1 or not set(bound) <= set(signs):
        raise ValueError(f"{of}({', '.join(bound)}): one bound is given, of above, below and within")
    ((name, number),) = bound.items()
    if name == "within" and number < 0:
        raise ValueError(f"{of}(within={number}): a distance is not negative")
    return Expect(of, signs[name], float(number))


every = functools.partial(_expect, "every")
most = functools.partial(_expect, "most")  # more than half of them
some = functools.partial(_expect, "some")  # one at least
several = functools.partial(_expect, "several")  # two at least
mean = functools.partial(_expect, "mean")  # their mean


def case(item: str, column: str, /, **rows: str) -> Case:
    """Cells in one column of an item, each with the row that it is in; ``case(...) | case(...)`` has cells of several columns."""
    return {name: (item, row, column) for name, row in rows.items()}


def above_all(ours: float, *others: float) -> tuple[float, ...]:
    """By how much ours is above each of the others, as parts of an effect."""
    return tuple(ours - other for other in others)


def average(*values: float) -> float:
    """The mean of several cells of one case."""
    return sum(values) / len(values)


@dataclass(frozen=True)
class Claim:
    """One claim of a paper; without ``expect`` it cannot be tested, and ``untestable`` says why.

    ``effect`` is a function whose arguments are named as the cells of each case; an argument ``ours_paper`` is the number
    that the paper prints in the cell ``ours``. A tuple of several numbers are parts that all have to be as expected: write
    ``lambda ours, a, b: (ours - a, ours - b)``, not ``ours - max(a, b)``. The largest of several noisy means is too large on
    average; of each part by itself the mean is right.
    """

    id: str  # that of published/claims.csv: the paper's name and a number
    says: str  # in our words
    source: str  # where the paper says it
    kind: str = ""  # one of KINDS
    cases: Sequence[Case] = ()
    effect: Effect | None = None
    expect: Expect | None = None
    unit: str | None = None  # of the effect; None: the usual one of the kind
    least: float | None = None  # how much matters, in that unit, at most what the paper prints; None: LEAST, or nothing
    scales: Sequence[str] = ()  # at which it is tested; empty: all
    why: str | None = None  # why at other scales not
    nested: bool = False  # the effect is a share of the examples: what a stronger attack on the same network takes away
    untestable: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, one line, for a test that is none."""
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
        """The numbers that the effect asks for."""
        return list(inspect.signature(self.effect).parameters) if self.effect else []

    def value(self, numbers: Mapping[str, float]) -> float:
        """The effect, of one part, nan where it would divide by zero. ``numbers``: by name, and others."""
        try:
            return self.effect(**{name: numbers[name] for name in self.names})
        except ZeroDivisionError:
            return math.nan

    def parts(self) -> list[Claim]:
        """The claim as claims of one part each, which all have to hold."""
        expect = replace(self.expect, of="every")
        claims = [replace(self, effect=_part(self.effect, k), expect=expect) for k in range(self._parts())]
        return claims or [self]

    def _parts(self) -> int:
        """The length of the tuple that the effect is; 0 for a number. Asked at numbers of which no difference is zero."""
        effect = self.effect(**{name: math.exp(k / 7) for k, name in enumerate(self.names)})
        return len(effect) if isinstance(effect, tuple) else 0


def _part(effect: Effect, place: int) -> Callable[..., float]:
    @functools.wraps(effect)  # with the same names
    def part(**numbers: float) -> float:
        return effect(**numbers)[place]

    return part


def _claim(
    kind: str, id: str, cases: Sequence[Case], effect: Effect | None = None, expect: Expect | None = None, **more: Any
) -> Claim:
    """A claim of that kind, by default that in every case the first cell is above the others, or the only one above 0."""
    if effect is None and cases:
        effect = _comparison(kind, cases[0])
    return Claim(id, kind=kind, cases=cases, effect=effect, expect=expect or every(above=0), **more)


def _comparison(kind: str, cells: Case) -> Effect:
    """The first cell less each other, of times the first over the second; the cell itself where there is one."""

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
level = functools.partial(_claim, "level")  # how good one is, or by how much: at the paper's own settings alone
mechanism = functools.partial(_claim, "mechanism")  # what happens inside
time = functools.partial(_claim, "time")  # ratios of measured times
arithmetic = functools.partial(_claim, "arithmetic")  # computed from settings, no run
