"""Values that are possible each by itself and mean nothing together: found by ``leanat check``, before anything is trained.

A spec against its data set and its length; data sets; factors of scales. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leanat.experiments.resolve import near, plain

COUNTS = {"train": 1, "test": 1, "classes": 2, "channels": 1, "size": 1}  # of a data set, and the least each may be


def spec_problems(spec: Mapping[str, Any], dataset: Mapping[str, Any]) -> list[str]:
    """What a run's spec asks of its data and of its epochs that they do not have."""
    found = [*attack_problems(spec, dataset, "spec")]
    epochs, name = spec["recipe"]["epochs"], spec["data"]["name"]
    examples = dataset["train"] * (1 - (spec["data"].get("validation") or 0))
    if isinstance(epochs, int):
        late = [n for n in spec.get("snapshots") or () if isinstance(n, int) and not 1 <= n <= epochs]
        found += [f"spec.snapshots: {n}; allowed: 1 to recipe.epochs, which is {epochs}" for n in late]
    for where, key, value in _numbers(spec["method"].get("selector"), "spec.method.selector"):
        if key in ("count", "gamma") and value >= examples:
            found.append(
                f"{where}: {value:g} examples to leave out; allowed: below {examples:g}, as many as {name} trains on"
            )
        if key == "warmup" and isinstance(epochs, int) and value >= epochs:
            found.append(f"{where}: {value:g}; allowed: below recipe.epochs, {epochs}: the selection would never come")
    if spec["recipe"].get("drop_last") and isinstance(batch := spec["recipe"]["batch"], int) and batch > examples:
        found.append(f"spec.recipe.batch: {batch}; allowed: up to {examples:g}, the examples of {name}")
    return found


def attack_problems(value: Any, dataset: Mapping[str, Any], where: str) -> Iterator[str]:
    """Radii and steps that no image in [0, 1] of this size can take, wherever a threat model stands."""
    if isinstance(value, list):
        for i, part in enumerate(value):
            yield from attack_problems(part, dataset, f"{where}[{i}]")
    if not isinstance(value, dict):
        return
    longest = math.sqrt(dataset["channels"]) * dataset["size"]  # from all black to all white
    if isinstance(value.get("threat"), dict) and value["threat"]:
        norm, ball = next(iter(value["threat"].items()))
        most = {"linf": 1.0, "l2": longest}.get(norm)
        numbers = {"threat": (ball or {}).get("eps"), "step_size": value.get("step_size")}
        for key, number in numbers.items():
            if most is not None and isinstance(number, (int, float)) and number > most:
                at = f"{where}.{key}" + f".{norm}.eps" * (key == "threat")
                yield f"{at}: {number:g}; allowed: 0 to {most:.4g}, pixels are in [0, 1] (8 levels of 255 are 8/255)"
    for key, part in value.items():
        yield from attack_problems(part, dataset, f"{where}.{key}")


def _numbers(value: Any, where: str) -> Iterator[tuple[str, str, float]]:
    if isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, (int, float)) and not isinstance(part, bool):
                yield f"{where}.{key}", key, part
            else:
                yield from _numbers(part, f"{where}.{key}")


def dataset_problems(datasets: Mapping[str, Any], path: Path) -> Iterator[str]:
    for name, facts in datasets.items():
        if not isinstance(facts, dict):
            yield f"{path}: {name}: a mapping is expected: {{{', '.join(COUNTS)}}}"
            continue
        yield from (
            f"{path}: {name}: unknown key {k!r}{near(k, [*COUNTS, 'about'])}"
            for k in facts
            if k not in (*COUNTS, "about")
        )
        for key, least in COUNTS.items():
            value = facts.get(key)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                yield f"{path}: {name}.{key}: {value!r} is not allowed; a whole number from {least}"


def scale_problems(scale: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Factors that are no factors: below 0, not finite, or 0 where nothing would be left."""
    for i, rule in enumerate(_rules(scale, "epochs")):
        yield from _factor(f"{path}: epochs[{i}].factor", rule.get("factor"), zero=True)
        least = rule.get("minimum")
        if not isinstance(least, int) or isinstance(least, bool) or least < 1:
            yield f"{path}: epochs[{i}].minimum: {least!r} is not allowed; a whole number from 1"
    for i, rule in enumerate(_rules(scale, "counts")):
        yield from _factor(f"{path}: counts[{i}].times", rule.get("times"))
    for i, rule in enumerate(_rules(scale, "radii")):
        for key in rule.keys() - {"when"}:
            if key not in ("linf", "l2"):
                yield f"{path}: radii[{i}]: unknown key {key!r}{near(key, ['when', 'linf', 'l2'])}"
                continue
            yield from _factor(f"{path}: radii[{i}].{key}", rule[key])
    for i, rule in enumerate(_rules(scale, "fields")):
        for key, value in (rule.get("times") or {}).items():
            yield from _factor(f"{path}: fields[{i}].times.{key}", value, zero=True)
    for kind, count in (scale.get("seeds") or {}).items():
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 1000:
            yield f"{path}: seeds.{kind}: {count!r} is not allowed; 1 to 1000"


def _rules(scale: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rules = scale.get(key) or []
    return [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []


def _factor(where: str, value: Any, zero: bool = False) -> Iterator[str]:
    value = plain(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (value == 0 and not zero):
        yield f"{where}: {value!r} is not allowed; a finite number, {'0 or more' if zero else 'above 0'}"
