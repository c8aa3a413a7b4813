"""What the papers leave open, as an item's foot says it: each ``{value, assumption}`` and ``assumed`` it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from leanat.experiments.formulas import READS
from leanat.experiments.grid import Grid
from leanat.experiments.resolve import Assumed, assumptions, free_choices, layered, matches, plain

Mark = tuple[str, Any, str]  # what, value, reason


def of_item(grid: Grid, paper: str, name: str, entries: Iterable[tuple[int, int, Mapping[str, Any]]]) -> list[str]:
    """Lines ``what = value: reason`` of an item, in the order of its rows; the values are those of the paper's scale.

    ``entries``: (part of the rows, part of the columns, facts) of every cell that this scale has. Marks are collected from
    the runs and all that they read, the attacks that are shown and what they are made on, the item itself, and the seeds.
    """
    whole, config = grid.at_paper_scale(), grid.papers[paper]
    item, marked, parts = config["items"][name], [], set()
    axes = {axis: value if isinstance(value := item[axis], list) else [value] for axis in ("rows", "columns")}
    for row, column, facts in entries:
        for axis, k in (("rows", row), ("columns", column)):
            if (axis, k) not in parts:
                parts.add((axis, k))
                marked += _own(axes[axis][k])
        marked += _of_cell(whole, config, plain(item), facts)
    if parts:
        marked += _own({k: v for k, v in item.items() if k not in axes})
    if any("method" in facts for _, _, facts in entries) and item["kind"] != "formula":
        marked += assumptions({"seeds": config["seeds"]})
    return _lines(marked)


def _of_cell(
    whole: Grid, config: Mapping[str, Any], item: Mapping[str, Any], facts: Mapping[str, Any]
) -> Iterator[Mark]:
    """Of one cell: what its formula reads; or its run, those it is compared with or composed of, its trials, its attacks."""
    if item["kind"] == "formula":
        read = READS[item["options"]["formula"]]
        settings = layered(config.get("rules", []), facts, dict(config["base"]))
        yield from (mark for mark in assumptions(settings) if mark[0] in read)
        yield from free_choices((c for c in config.get("assumed", []) if "item" in c.get("when", {})), facts)
        return
    if not {"data", "model", "method"} <= set(facts):
        yield from free_choices(config.get("assumed", []), facts)
        return
    reference = {**item, **facts}.get("reference")
    reference = reference.get(facts["method"]) if isinstance(reference, dict) else reference
    others = [*str(facts.get("also", "")).split("+"), reference]
    yield from whole.run(facts, 0, facts.get("change")).assumed
    for method in filter(None, others):
        yield from whole.run({**facts, "method": method, "change": None}, 0).assumed
    for rule in config.get("trials", []):
        if matches(rule["when"], facts):
            yield from assumptions({"seeds": rule["seeds"]})
    suite, metric = facts.get("suite", item.get("suite")), str(facts.get("metric", item.get("metric")))
    facts = {**facts, "metric": metric, "suite": suite}
    yield from free_choices(config.get("assumed", []), facts)
    attacks, shown = config.get("suites", {}).get(suite, {}), set(re.split(r"[+@.-]", metric.format_map(facts)))
    for attack, entry in attacks.items():
        if attack in shown or (shown & {"worst", "masking"} and attack != "sources"):
            yield from assumptions(entry, attack)
            yield from free_choices(config.get("assumed", []), {**facts, "attack": attack})
            for other in _runs(entry):
                other, at = dict(other), other.get("seed", 0)
                other.pop("seed", None)
                yield from whole.run({**facts, **other}, at).assumed
    if shown & set(attacks):
        yield from assumptions(attacks.get("sources", {}), "sources")


def _runs(value: Any) -> Iterator[dict[str, Any]]:
    """The runs that an attack names, {run: {method: ...}}."""
    value = value.value if isinstance(value, Assumed) else value
    if isinstance(value, dict) and set(value) == {"run"} and isinstance(value["run"], dict):
        yield plain(value["run"])
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _runs(inner)


def _own(part: Any) -> Iterator[Mark]:
    """The marks of a row, a column or the rest of an item, by the names that a run's spec has."""
    for key, value, reason in assumptions(part):
        yield key.removeprefix("change.").removeprefix("vars."), value, reason


def _lines(marks: Iterable[Mark]) -> list[str]:
    """Each once. An extra has the fields of an objective or a budget once more, which are not printed twice."""
    different = dict.fromkeys(
        (k, f"{value:.4g}" if isinstance(value, float) else str(value), why) for k, value, why in marks
    )

    def tail(key: str) -> str:
        return key.split(".", 2)[-1]

    of_components = {(tail(key), value) for key, value, _ in different if not key.startswith("method.extras.")}
    return [
        f"{key} = {value}: {reason}"
        for key, value, reason in different
        if not (key.startswith("method.extras.") and (tail(key), value) in of_components)
    ]
