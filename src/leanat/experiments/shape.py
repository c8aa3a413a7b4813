"""Which keys the configuration's files have, and the kind of value at each: checked first, so that all else can rely on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leanat.experiments.resolve import Assumed

NAMES = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
NUMBER = (int, float)
PRINTED = ({"item": str, "row": str, "column": str, "labels": dict}, None)
NAME = (str, [str])
ENTRY = {
    "group": (str, int), "label": (str, int), "metric": str, "published": PRINTED, "change": (dict, None), "data": NAME,
    "model": NAME, "method": NAME, "suite": NAME,
}  # fmt: skip
ENTRIES = (ENTRY, [ENTRY])  # of an axis: the product of lists, or a list of entries

COMPONENT = (str, dict)
SPEC = {
    "data": {"augment": list}, "model": dict, "recipe": {"lr": COMPONENT}, "vars": dict, "snapshots": list,
    "init": (dict, None), "early_stop": (dict, None),
    "method": {
        "objective": COMPONENT, "attack": COMPONENT, "selector": COMPONENT, "budget": (*COMPONENT, None), "extras": list,
    },
}  # fmt: skip

# A mapping has the kind of each key, "*" that of all others; a list has one kind for its parts; a tuple, several to choose.
ITEM = {
    "kind": str, "title": str, "caption": str, "metric": str, "unit": (str, None), "digits": int, "better": (str, None),
    "rows": ENTRIES, "columns": ENTRIES, "published": PRINTED, "options": dict, "suite": str,
    "base": {"data": str, "model": str, "method": str},
    "reference": (str, dict), "one_block": bool, "ours": [dict], "seeds": {"*": int},
}  # fmt: skip
PAPER = {
    "paper": str, "title": str, "source": str, "seeds": int, "labels": {"*": str}, "base": SPEC,
    "methods": {"*": SPEC | {"extends": str}}, "rules": [{"when": dict, "set": SPEC}], "skip": [{"when": dict, "reason": str}],
    "items": {"*": ITEM},
    "suites": ({"*": {"*": dict}}, None), "trials": [{"when": dict}], "repeats": int,
    "assumed": [{"when": dict, "what": str, "assumption": str}],
}  # fmt: skip
SCALE = {
    "scale": str, "title": str, "seeds": {"*": int}, "epochs": [{"when": dict, "factor": NUMBER, "minimum": int}],
    "epoch_keys": [str], "counts": [{"when": dict, "times": NUMBER, "keys": [str]}], "radii": [{"when": dict}],
    "data": [{"when": dict, "use": str}], "models": {"*": str}, "rules": [{"when": dict, "set": SPEC}],
    "skip": [{"when": dict, "reason": str}], "factors": [(str, {"when": dict, "note": str})], "notes": {"*": list},
    "shard": int, "attacks": [{"when": dict, "set": dict}], "labels": {"*": {"*": str}},
    "fields": [{"when": dict, "times": dict, "set": dict}], "choices": [{"when": dict, "values": list}],
}  # fmt: skip
DATASETS = {"*": dict}


def problems(value: Any, shape: Any, file: str, at: str = "") -> Iterator[str]:
    """A line for each value that is of another kind than ``shape`` says. An assumption counts as its value."""
    value = value.value if isinstance(value, Assumed) else value
    kinds = shape if isinstance(shape, tuple) else (shape,)
    inner = next((kind for kind in kinds if _fits(value, kind)), object)
    if inner is object and object not in kinds:
        allowed = " or ".join(NAMES.get(_outer(kind), "null") for kind in kinds)
        yield f"{file}: {at}: {allowed} is expected, got {'null' if value is None else repr(value)[:60]}"
    elif isinstance(inner, dict):
        for key, part in value.items():
            if (kind := inner.get(key, inner.get("*"))) is not None:
                yield from problems(part, kind, file, f"{at}.{key}".lstrip("."))
    elif isinstance(inner, list):
        for i, part in enumerate(value):
            yield from problems(part, inner[0], file, f"{at}[{i}]")


def _outer(kind: Any) -> Any:
    return type(kind) if isinstance(kind, (dict, list)) else kind


def _fits(value: Any, kind: Any) -> bool:
    outer = _outer(kind)
    if outer is None:
        return value is None
    return isinstance(value, outer) and not (isinstance(value, bool) and outer in (int, float))
