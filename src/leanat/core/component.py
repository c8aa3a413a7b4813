"""Components: frozen dataclasses that check their fields by their annotations, and that a spec refers to by name.

    @component("focal")
    class Focal:
        gamma: NonNegativeFloat

    Focal(gamma=-1)  # ValueError: Focal: gamma -1; allowed: 0 or more
    from_json(Objective, {"focal": {"gamma": 2}}, "spec.method.objective", slots)  # Focal(gamma=2.0)

The annotations are those of pydantic and of annotated-types. Only two conversions are made: of whole numbers to float, and of
text to a path. ``__post_init__`` is free for conditions between several fields.
"""

from __future__ import annotations

import functools
import numbers
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, dataclass_transform

import pydantic
from annotated_types import Interval, Predicate
from pydantic import Field, PositiveInt, Strict

from leanat.core.errors import ConfigError, did_you_mean, nearest

T = TypeVar("T")

# Ranges that several components ask for.
Fraction = Annotated[float, Interval(gt=0, le=1)]
Probability = Annotated[float, Interval(ge=0, le=1)]
Decay = Annotated[float, Interval(ge=0, lt=1)]
File = Annotated[Path, Strict(False)]

# What may stand in a place of a spec: the noun for it, and the components by name.
Slots = Mapping[Any, tuple[str, Mapping[str, type]]]


def rising(values: tuple[float, ...]) -> bool:
    return list(values) == sorted(set(values))


def distinct(values: tuple[Any, ...]) -> bool:
    return len(set(values)) == len(values)


Epochs = Annotated[tuple[PositiveInt, ...], Predicate(rising), Field(description="epochs from 1 on, rising")]


_CONFIG = pydantic.ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


class FieldError(ValueError):
    """Some fields of a component are wrong; ``problems`` has a phrase for each, without the name of the component."""

    def __init__(self, name: str, problems: list[str]):
        self.problems = problems
        super().__init__("\n".join(f"{name}: {problem}" for problem in problems))


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def component(name: str | None = None) -> Callable[[type[T]], type[T]]:
    """A frozen dataclass that a spec writes as ``{name: {field: value}}``; without a name, as its fields alone.

    Its constructor raises FieldError, a line for each wrong field: the class, the field, its value, what is allowed.
    """

    def decorate(cls: type[T]) -> type[T]:
        cls = pydantic.dataclasses.dataclass(cls, frozen=True, config=_CONFIG)
        if not cls.__pydantic_complete__:
            raise TypeError(f"{cls.__name__}: a type in its annotations stands below it")
        cls.spec_name = name
        construct = cls.__init__

        @functools.wraps(construct)
        def __init__(self, *args, **kwargs):
            try:
                construct(self, *map(_plain, args), **{key: _plain(value) for key, value in kwargs.items()})
            except pydantic.ValidationError as error:
                raise FieldError(cls.__name__, list(_problems(cls, error))) from None

        cls.__init__ = __init__
        return cls

    return decorate


def _plain(value: Any) -> Any:
    """Converts numpy's integers to Python's int, the only type that the checks accept as a whole number."""
    return int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else value


def by_name(*kinds: type) -> dict[str, type]:
    return {kind.spec_name: kind for kind in kinds}


# -- JSON to objects


def from_json(hint: Any, value: Any, where: str, slots: Slots) -> Any:
    """Converts a JSON value to an object of type ``hint``. Raises ConfigError with every problem of the value.

    A component of ``slots`` is written ``{name: {field: value}}``, or as its name alone if it needs no field.
    """
    kind, _, optional = _split(hint)
    inner = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    if optional and value is None:
        return None
    if kind in slots:
        kind, value, where = _named(*slots[kind], value, where)
    if hasattr(kind, "spec_name"):
        if not isinstance(value, dict):
            raise ConfigError([f"{where}: a mapping of fields is expected, got {value!r}"])
        hints = _hints(kind)
        values, problems = _each({k: (hints.get(k), v, f"{where}.{k}", slots) for k, v in value.items()})
        try:
            result = kind(**values)
        except FieldError as error:
            problems += [f"{where}: {problem}" for problem in error.problems]
    elif inner in slots or hasattr(inner, "spec_name"):
        if not isinstance(value, list):
            raise ConfigError([f"{where}: a list is expected, got {value!r}"])
        values, problems = _each({i: (inner, v, f"{where}[{i}]", slots) for i, v in enumerate(value)})
        result = tuple(values.values())
    else:
        return tuple(value) if isinstance(value, list) else value
    if problems:
        raise ConfigError(problems)
    return result


_UNREAD = object()  # in the place of a value whose problems are listed already


def _each(arguments: Mapping[Any, tuple[Any, Any, str, Slots]]) -> tuple[dict[Any, Any], list[str]]:
    """Applies ``from_json`` to each; returns the objects and all problems."""
    values, problems = {}, []
    for key, own in arguments.items():
        try:
            values[key] = from_json(*own)
        except ConfigError as error:
            values[key] = _UNREAD
            problems += error.problems
    return values, problems


def _named(noun: str, kinds: Mapping[str, type], value: Any, where: str) -> tuple[type, Any, str]:
    """The class of that name, its fields, and their place in the spec."""
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, dict) or len(value) != 1:
        form = f"{where}: {noun} is written as {{name: {{field: value}}}}, got {value!r}"
        raise ConfigError([form + did_you_mean("", kinds)])
    ((name, values),) = value.items()
    if name not in kinds:
        raise ConfigError([f"{where}: no {noun} {name!r}{did_you_mean(name, kinds)}"])
    return kinds[name], {} if values is None else values, f"{where}.{name}"


# -- errors in words


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _split(hint: Any) -> tuple[Any, list[Any], bool]:
    """The type alone, the metadata of its annotation, and whether None is allowed too."""
    optional = type(None) in typing.get_args(hint)
    if optional:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is not Annotated:
        return hint, [], optional
    kind, *metadata = typing.get_args(hint)
    return kind, metadata, optional


def _problems(kind: type, error: pydantic.ValidationError) -> Iterator[str]:
    """A phrase for each wrong field, with its value and what is allowed."""
    names = [f.name for f in fields(kind) if f.init]
    for problem in error.errors(include_url=False):
        cause, value = problem["type"], problem["input"]
        name, *indices = problem["loc"] or ("",)
        if cause == "value_error":
            yield str(problem["ctx"]["error"])
        elif cause == "unexpected_positional_argument":
            yield f"takes {len(names)} fields: {', '.join(names)}"
        elif cause == "unexpected_keyword_argument":
            yield f"unknown key {name!r}{did_you_mean(name, names)}"
        elif cause == "missing":
            yield f"key {name!r} is missing"
        elif value is not _UNREAD:
            name = names[name] if isinstance(name, int) else name
            hint = _hints(kind)[name]
            for index in indices:
                hint, name = _element(hint, index), f"{name}[{index}]"
            out_of_range = cause.startswith(("greater_than", "less_than"))
            yield f"{name} {value!r}; allowed: {allowed(hint, out_of_range)}{nearest(value, _choices(hint))}"


def _element(hint: Any, index: int) -> Any:
    arguments = typing.get_args(_split(hint)[0])
    return arguments[0] if Ellipsis in arguments else arguments[index]


def _choices(hint: Any) -> tuple[Any, ...]:
    kind = _split(hint)[0]
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()


_WORDS = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false", Path: "a path"}


def allowed(hint: Any, bounds_alone: bool = False) -> str:
    """Says which values a field may have. ``bounds_alone`` leaves out the type, for values that have the right type."""
    kind, metadata, optional = _split(hint)
    descriptions = [m.description for m in metadata if isinstance(m, pydantic.fields.FieldInfo)]
    limits = _limits(kind, metadata)
    if descriptions:
        words = descriptions[-1]
    elif choices := _choices(hint):
        words = ", ".join(map(str, choices))
    elif typing.get_origin(kind) is tuple:
        words = f"a list, each {allowed(_element(hint, 0))}"
    elif limits and bounds_alone:
        words = limits
    else:
        words = _WORDS.get(kind, getattr(kind, "__name__", str(kind))) + (f", {limits}" if limits else "")
    return words + ", or null" * optional


def _limits(kind: type, metadata: list[Any]) -> str:
    """The bounds of a number in words: "1 or more", "above 0, at most 1"."""
    names = ("gt", "ge", "lt", "le")
    bounds = {n: bound for m in metadata for n in names if (bound := getattr(m, n, None)) is not None}
    if kind is int and "gt" in bounds:
        bounds["ge"] = bounds.pop("gt") + 1
    if bounds.keys() == {"ge"}:
        return f"{bounds['ge']} or more"
    if bounds.keys() == {"ge", "le"}:
        return f"from {bounds['ge']} to {bounds['le']}"
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "at most"}
    return ", ".join(f"{words[name]} {bound}" for name, bound in bounds.items())
