"""Finds values that are valid by themselves but make no sense together; ``leanat check`` calls this before any training.

A spec is checked against its data set and its number of epochs. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from leanat.experiments.spec import named_part, nodes
from leanat.plan.grid import Grid, code


def spec_problems(spec: Mapping[str, Any], dataset: Mapping[str, Any] | None) -> list[str]:
    """A line for each value of a run's spec that its data set or its number of epochs does not allow.

    ``dataset``: its numbers of images and so on from ``config/datasets.yaml``; None leaves out the checks that depend on them.
    """
    problems, epochs, name = [], spec["recipe"]["epochs"], spec["data"]["name"]
    if spec.get("code") != (now := code(spec)):
        problems.append(f"spec.code: {spec.get('code')}; allowed: {now}, the meaning that training has in this version")
    if isinstance(epochs, int):
        late = [n for n in spec.get("snapshots") or () if isinstance(n, int) and not 1 <= n <= epochs]
        problems += [f"spec.snapshots: {n}; allowed: 1 to recipe.epochs, which is {epochs}" for n in late]
    if dataset is None:
        return problems
    problems += attack_problems(spec, dataset, "spec")
    problems += augmentation_problems(spec["data"].get("augment") or [], dataset["size"], name)
    share = spec["data"].get("validation")
    problems += empty_part(share, dataset["train"], "spec.data.validation")
    problems += empty_part((spec.get("early_stop") or {}).get("share"), dataset["test"], "spec.early_stop.share")
    examples = dataset["train"] * (1 - (share or 0))
    for where, value in nodes(spec["method"].get("selector"), "spec.method.selector"):
        key = where.rpartition(".")[2]
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            continue
        if key in ("count", "gamma") and value >= examples:
            problems.append(
                f"{where}: {value:g} examples to leave out; allowed: below {examples:g}, as many as {name} trains on"
            )
        if key == "warmup" and isinstance(epochs, int) and value >= epochs:
            problems.append(
                f"{where}: {value:g}; allowed: below recipe.epochs, {epochs}: the selection would never come"
            )
    if isinstance(batch := spec["recipe"]["batch"], int) and batch > examples:
        problems.append(f"spec.recipe.batch: {batch}; allowed: up to {examples:g}, the examples of {name}")
    return problems


def empty_part(share: Any, n: int, where: str) -> Iterator[str]:
    """Yields a line if ``share`` of n examples is none or all of them. ``components`` checks the types of shares."""
    if isinstance(share, float) and not 0 < round(share * n) < n:
        yield f"{where}: {share:g} of {n} examples leaves a part empty"


def augmentation_problems(augment: list[Any], size: int, name: str) -> Iterator[str]:
    """Yields a line for crops whose padding is not smaller than an image, for squares that are larger than an image, and for
    steps that are given twice: both would draw the same numbers, so that two flips undo each other.
    """
    names = [named_part(part)[0] for part in augment]
    for kind in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"spec.data.augment: {kind} is given {names.count(kind)} times; allowed: once"
    for k, part in enumerate(augment):
        for kind, fields in part.items() if isinstance(part, dict) else ():
            if kind == "crop" and fields["pad"] >= size:
                yield f"spec.data.augment[{k}].crop.pad: {fields['pad']}; allowed: below {size}, the pixels of {name}"
            if kind == "cutout" and fields["size"] > size:
                yield f"spec.data.augment[{k}].cutout.size: {fields['size']}; allowed: up to {size}, the pixels of {name}"


def attack_problems(value: Any, dataset: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yields a line for radii and steps of any attack that are larger than images in [0, 1] of this size allow, and for parts
    of the test images that are none or all of them.
    """
    longest = math.sqrt(dataset["channels"]) * dataset["size"]  # from all black to all white
    for at, part in nodes(value, where):
        if not isinstance(part, dict):
            continue
        yield from empty_part(part.get("holdout"), dataset["test"], f"{at}.holdout")
        if isinstance(part.get("threat"), dict) and part["threat"]:
            norm, ball = named_part(part["threat"])
            most = {"linf": 1.0, "l2": longest}.get(norm)
            numbers = {f"threat.{norm}.eps": (ball or {}).get("eps"), "step_size": part.get("step_size")}
            for key, number in numbers.items():
                if most is not None and isinstance(number, (int, float)) and number > most:
                    allowed = f"0 to {most:.4g}, pixels are in [0, 1] (8 levels of 255 are 8/255)"
                    yield f"{at}.{key}: {number:g}; allowed: {allowed}"


def beyond_end(spec: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The checks and removals of a spec that would come after its last epoch: (field, epoch) of each."""
    epochs = spec["recipe"]["epochs"]
    late = [("early_stop.checks", at) for at in (spec.get("early_stop") or {}).get("checks", []) if at > epochs]
    starts = (at for where, at in nodes(spec["method"]["selector"]) if where.endswith(".once.tau"))
    return late + [("tau", at) for at in starts if at >= epochs]


def beyond(grid: Grid) -> list[str]:
    """A line for each check, drop and removal that would come after a run's last epoch; snapshots and warm-ups are in
    ``spec_problems``.
    """
    first_runs = {}
    for run in grid.runs.values():
        epochs, late = run.spec["recipe"]["epochs"], beyond_end(run.spec)
        if grid.scale.name != "paper":  # Q-TART prints a drop at 260 of 200 epochs
            late += [("drops", at) for at in _drops(run.spec["recipe"]["lr"]) if at >= epochs]
        for key, at in late:
            first_runs.setdefault((run.id.rpartition("-s")[0], key, at, epochs), run.id)
    return [f"{run}: {key} {at} never acts in {epochs} epochs" for (_, key, at, epochs), run in first_runs.items()]


def _drops(rate: Any) -> list[int]:
    return rate.get("steps", {}).get("drops", []) if isinstance(rate, dict) else []
