"""The lines in an item's foot on what the paper leaves open: each ``assumed`` value and each choice behind its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from leanat.experiments.paper import ItemSpec, Paper, compared_methods
from leanat.experiments.spec import Assumed, Upstream, assumptions, nodes, plain
from leanat.plan.grid import Grid
from leanat.plan.item import TIMED

Mark = tuple[str, Any, str]  # what, value, reason


def of_item(grid: Grid, paper: str, name: str, entries: Iterable[tuple[int, int, Mapping[str, Any]]]) -> list[str]:
    """Lines ``what = value: reason`` of an item, in the order of its rows; the values are those at the paper's scale.

    ``entries``: (number of the row, number of the column, facts) of every cell that this scale has. Marks are collected from
    the runs and all runs that they read, the attacks shown and their source networks, the item itself, and the seeds.
    """
    whole, config = grid.at_paper_scale(), grid.papers[paper]
    item, marked, parts = config.items[name], [], set()
    bare = item.plain()
    axes = {"rows": item.rows, "columns": item.columns}
    for row, column, facts in entries:
        for axis, k in (("rows", row), ("columns", column)):
            if (axis, k) not in parts:
                parts.add((axis, k))
                marked += _own(axes[axis][k])
        marked += _of_cell(whole, config, bare, facts)
    if parts:
        marked += _own({f.name: getattr(item, f.name) for f in fields(item) if f.name not in axes})
    if isinstance(item.seeds, Assumed):  # this item has its own number of trials
        marked = [(key, v["paper"] if key == "seeds" and isinstance(v, dict) else v, why) for key, v, why in marked]
    elif any("method" in facts for _, _, facts in entries) and item.kind != "formula":
        marked += assumptions({"seeds": config.seeds})
    return _lines(marked)


def _of_cell(whole: Grid, config: Paper, item: ItemSpec, facts: Mapping[str, Any]) -> Iterator[Mark]:
    """The marks of a cell: those of its formula's inputs, or of its run, the runs compared with, its trials and attacks."""
    if item.kind == "formula":
        yield from assumptions(item.inputs(facts))
        yield from config.choices({k: v for k, v in facts.items() if k in ("paper", "item")})
        return
    if not {"data", "model", "method"} <= set(facts):
        yield from config.choices(facts)
        return
    suite, metric = facts.get("suite", item.suite), str(facts.get("metric", item.metric))
    others, reference = compared_methods(facts)
    yield from whole.run(facts, 0, facts.get("settings")).assumed
    for method in filter(None, [*others, reference]):
        compared = whole.run({**facts, "method": method, "settings": None}, 0).assumed
        # a training of which only the time is compared is not shown, and its learning rate does not change its time
        yield from (mark for mark in compared if metric not in TIMED or not mark[0].startswith("recipe.lr"))
    yield from assumptions({"seeds": config.trials(facts)})
    facts = {**facts, "metric": metric, "suite": suite}
    yield from config.choices(facts)
    attacks, names = config.suites.get(suite, {}), set(re.split(r"[+@.-]", metric.format_map(facts)))
    for attack, entry in attacks.items():
        if attack in names or (names & {"worst", "masking"} and attack != "sources"):
            yield from assumptions(entry, attack)
            yield from config.choices({**facts, "attack": attack})
            for other in (inner for _, inner in nodes(plain(entry)) if isinstance(inner, Upstream)):
                yield from whole.run({**facts, **other.cell}, other.seed or 0, other.settings or None).assumed
    if names & set(attacks):
        yield from assumptions(attacks.get("sources", {}), "sources")


def _own(part: Any) -> Iterator[Mark]:
    """The marks of a row, a column or the rest of an item, except those of ``settings``, which come with the runs."""
    yield from assumptions({k: v for k, v in part.items() if k != "settings"})


def _lines(marks: Iterable[Mark]) -> list[str]:
    """The lines of the marks, each once."""
    rows = ((key, worded(value) or "none", reason) for key, value, reason in marks)
    return [f"{key} = {value}: {reason}" for key, value, reason in dict.fromkeys(rows)]


def worded(value: Any) -> str:
    """A value of a setting without braces, such as ``linear (lr 0.1, lr_end 0.001)``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_within(v)}".strip() for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_within(v) if isinstance(v, Mapping) and len(v) > 1 else worded(v) for v in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _within(value: Any) -> str:
    """The value in words, in brackets if it has parts; empty for a component without fields."""
    text = worded(value)
    return f"({text})" if text and isinstance(value, (Mapping, list, tuple)) else text
