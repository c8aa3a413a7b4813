"""Classes and functions for the papers' settings: assumed values, components by name, other runs. Imports no torch.

A spec is the input of a run's training: nested mappings of plain values. While it is built, a value that the paper does not
give is ``assumed(value, reason)``, and another run is ``upstream(...)``; both are replaced before the run gets its id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Keys whose value is a named component, {name: {field: value}}: another name replaces it, the same name merges its fields.
COMPONENTS = {
    "objective", "attack", "selector", "budget", "lr", "threat", "inner", "before", "validation_attack", "members", "order",
}  # fmt: skip


@dataclass(frozen=True)
class Assumed:
    """A value of ours that the paper does not give, with the reason for it."""

    value: Any
    reason: str


def assumed(value: Any, reason: str) -> Assumed:
    """Marks ``value`` as ours; the foot of every item that it affects prints ``reason``."""
    return Assumed(value, reason)


def part(name: str, **fields: Any) -> dict[str, dict[str, Any]]:
    """A component, such as ``part("pgd", steps=10)``, with the name of a class's ``@component`` and fields of that class."""
    return {name: fields}


def named_part(value: str | Mapping[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    """Name and fields of a component in a plain spec, where a component without fields may be written as its name."""
    return (value, {}) if isinstance(value, str) else next(iter(value.items()))


def ball_of(attack: Any) -> tuple[str, float] | None:
    """Norm and radius of an attack in a plain spec; None if it has no ball."""
    threat = (named_part(attack)[1] or {}).get("threat") if attack else None
    if not threat:
        return None
    norm, ball = named_part(threat)
    return norm, ball["eps"]


@dataclass(frozen=True)
class Upstream:
    """Another run that a run reads: the facts of the cell that differ, the seed (None: the reader's), and settings."""

    cell: Mapping[str, Any]
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def upstream(
    method: str, *, seed: int | None = None, settings: Mapping[str, Any] | None = None, **cell: Any
) -> Upstream:
    """The run of ``method`` with the same data, network and seed, except for those given by ``cell`` and ``seed``."""
    return Upstream({"method": method} | cell, seed, settings or {})


PARTS = (dict, list, tuple, Assumed, Upstream)  # the types that contain other values; most values have none of them


def merge(below: Any, above: Any, name: str = "") -> Any:
    """``below`` updated by ``above``: mappings merge key by key, everything else is replaced. The parts are shared, not copied.

    A component, that is the value of a key in ``COMPONENTS``, is replaced as a whole if its name differs.
    """
    if isinstance(below, Assumed) and isinstance(above, dict):
        below = below.value
    if not (isinstance(below, dict) and isinstance(above, dict)) or (
        name in COMPONENTS and set(below) != set(above) and not isinstance(above, Assumed)
    ):
        return above
    result = dict(below)
    for key, value in above.items():
        result[key] = merge(below[key], value, key) if key in below else value
    return result


def plain(value: Any) -> Any:
    """The value without its assumption marks."""
    if isinstance(value, dict):
        return {k: plain(v) if isinstance(v, PARTS) else v for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return plain(value.value) if isinstance(value, Assumed) else value


def nodes(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of a plain value and of all values inside it, outer before inner; paths like ``spec.data.augment[0]``."""
    yield where, value
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from nodes(inner, f"{where}.{key}")
    for k, inner in enumerate(value) if isinstance(value, list) else ():
        yield from nodes(inner, f"{where}[{k}]")


def assumptions(value: Any, where: str = "") -> Iterator[tuple[str, Any, str]]:
    """(key, value, reason) of every assumption inside the value."""
    if isinstance(value, Assumed):
        yield where, plain(value.value), value.reason
        value = value.value
    if isinstance(value, Upstream):
        value = dict(value.settings)
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, PARTS):
                yield from assumptions(item, f"{where}.{key}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from assumptions(item, where)


def with_field(spec: Any, path: Sequence[str], value: Any) -> Any:
    """``spec`` with another value at ``path``, None if it has no such field.

    Paths omit the names of components: ["recipe", "lr", "lr"] is the field ``lr`` of the schedule ``recipe.lr``, whatever it is.
    """
    spec = spec.value if isinstance(spec, Assumed) else spec
    key, rest = path[0], path[1:]
    if not isinstance(spec, dict):
        return None
    if key not in spec and len(spec) == 1:
        (name, fields), rest = named_part(spec), path
        key, inner = name, fields
    elif key in spec:
        inner = spec[key]
    else:
        return None
    changed = with_field(inner, rest, value) if rest else value
    return None if changed is None and rest else spec | {key: changed}


def field_names(spec: Any, before: str = "") -> Iterator[str]:
    """The paths that ``with_field`` accepts, joined by dots."""
    for key, value in spec.items() if isinstance(spec, dict) else ():
        inner = (
            next(iter(value.values())) if key in COMPONENTS and isinstance(value, dict) and len(value) == 1 else value
        )
        if isinstance(inner, dict):
            yield from field_names(inner, f"{before}{key}.")
        else:
            yield f"{before}{key}"
