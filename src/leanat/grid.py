"""Papers x scale -> runs and items: what the workflow makes. Pure Python: the Snakefile imports it at every start.

A run is the answer to five keys (paper, data, model, method, seed). Its spec is layered: the paper's ``base``, the
paper's ``rules`` that match, its method, the cell's own changes, then the scale. Its id is readable and unique, so that
scales never overwrite each other and papers that share a run share it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from leanat import scale as scaling
from leanat.resolve import ConfigError, assumptions, layered, load_yaml, matches, merge, near, plain, substitute

CODE = 1  # the meaning of the training code; bumped by hand when the same spec gives another result
SPEC_KEYS = {"data", "model", "method", "recipe", "init", "snapshots"}


def canonical(value: Any) -> str:
    """One JSON text for one value: Snakemake compares params as text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class RunSpec:
    """A resolved run: ``id`` names its folder, ``spec`` is what training reads, ``assumed`` what the paper leaves open."""

    id: str
    spec: dict[str, Any] = field(hash=False)
    assumed: tuple[tuple[str, Any, str], ...] = field(hash=False, compare=False)


@dataclass
class Grid:
    """All runs and items of the papers at one scale. Raises ConfigError, every problem at once, from ``load``."""

    folder: Path
    settings: dict[str, Any]
    scale: dict[str, Any]
    datasets: dict[str, Any]
    papers: dict[str, dict[str, Any]]

    # -- runs

    def run(self, facts: Mapping[str, str], seed: int, change: Mapping[str, Any] | None = None) -> RunSpec:
        """The run that ``facts`` (paper, item, data, model, method) stand for; ``change`` is laid over the method."""
        paper, problems = self.papers[facts["paper"]], []
        where = f"{self.folder}/papers/{facts['paper']}.yaml: methods.{facts['method']}"
        spec = layered(paper.get("rules", []), facts, dict(paper["base"]))
        spec = merge(spec, _extended(paper["methods"], facts["method"], where))
        spec = merge(spec, dict(change or {}))
        spec = substitute(spec, spec.pop("vars", {}), where, problems)
        if problems:
            raise ConfigError(problems)
        spec = self._shrunk(spec, facts)
        stand_in, named = self.stand_in(facts), plain(spec.get("model", {})).get("name", facts["model"])
        model = self.scale.get("models", {}).get(facts["model"], named)
        spec = merge(spec, {"data": {"name": stand_in}, "model": {"name": model}})
        if unknown := set(spec) - SPEC_KEYS:
            raise ConfigError([f"{where}: unknown key {k!r}{near(k, SPEC_KEYS)}" for k in sorted(unknown)])
        bare = {"code": CODE, "seed": seed} | plain(spec)
        name = "-".join(re.sub(r"[^a-z0-9]+", "_", v.lower()) for v in (stand_in, model, facts["method"]))
        return RunSpec(f"{name}-s{seed}-{digest(bare)}", bare, tuple(assumptions(spec)))

    def stand_in(self, facts: Mapping[str, str]) -> str:
        for rule in self.scale.get("data", []):
            if matches(rule.get("when", {}), facts):
                return rule["use"]
        return facts["data"]

    def _shrunk(self, spec: dict, facts: Mapping[str, str]) -> dict:
        scale, stand_in = self.scale, self.stand_in(facts)
        if "epochs" in scale:
            spec = scaling.shrink_epochs(spec, scale["epochs"])
        if "counts" in scale:
            sizes = self.datasets[stand_in]["train"], self.datasets[facts["data"]]["train"]
            spec = scaling.shrink_counts(spec, scale["counts"], *sizes)
        spec = scaling.shrink_radii(spec, scale.get("radii", []), {**facts, "data": stand_in})
        return layered(scale.get("rules", []), {**facts, "data": stand_in, "paper_data": facts["data"]}, spec)

    def skipped(self, facts: Mapping[str, str]) -> str | None:
        """Why these runs are not made, in the paper or at this scale, or None."""
        rules = [*self.papers[facts["paper"]].get("skip", []), *self.scale.get("skip", [])]
        return next((r["reason"] for r in rules if matches(r.get("when", {}), facts)), None)

    # -- items

    @cached_property
    def items(self) -> dict[str, dict[str, Any]]:
        """``paper/item`` -> the resolved item: title, rows, columns, and cells with their run ids."""
        return {f"{p}/{i}": self._item(p, i) for p, paper in self.papers.items() for i in paper["items"]}

    @cached_property
    def runs(self) -> dict[str, RunSpec]:
        """All runs of all items, by id, in the order in which items ask for them."""
        self.items
        return self._runs

    _runs: dict[str, RunSpec] = field(default_factory=dict, init=False)

    def seeds(self, paper: str, item: Mapping[str, Any]) -> list[int]:
        count = self.settings.get("seeds") or self.scale.get("seeds", {}).get(item["kind"]) or item.get("seeds")
        return list(range(count or plain(self.papers[paper]["seeds"])))

    def _item(self, paper: str, name: str) -> dict[str, Any]:
        item, labels = plain(self.papers[paper]["items"][name]), plain(self.papers[paper]["labels"])
        seeds, used = self.seeds(paper, item), {}
        rows, columns = list(_product(item["rows"])), list(_product(item["columns"]))
        cells = [[self._cell(paper, name, item, {**r, **c}, labels, seeds, used) for c in columns] for r in rows]
        runs = list(used.values())
        assumed = {a[0]: a for run in runs for a in run.assumed}
        self._runs |= used
        return {
            "paper": paper,
            "item": name,
            "kind": item["kind"],
            "title": item["title"],
            "caption": item.get("caption", ""),
            "scale": self.scale["scale"],
            "options": item.get("options", {}),
            "seeds": seeds if runs else [],
            "factors": plain(self.scale.get("factors", [])),
            "assumptions": [f"{k} = {v}: {reason}" for k, v, reason in assumed.values()],
            "rows": [_axis(r, item, labels) | {"ours": "ours" in item and matches(item["ours"], r)} for r in rows],
            "columns": [_axis(c, item, labels) | self._column(paper, name, c, item) for c in columns],
            "cells": cells,
            "runs": [run.id for run in runs],
        }

    def _column(self, paper: str, name: str, entry: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
        facts = {"paper": paper, "item": name} | {k: v for k, v in entry.items() if isinstance(v, str)}
        stand_in = self.stand_in(facts) if "data" in facts else None
        return {
            "unit": item.get("unit"),
            "digits": item.get("digits", 2),
            "better": item.get("better"),
            "stand_in": stand_in if stand_in != facts.get("data") else None,
            "skipped": self.skipped(facts),
        }

    def _cell(self, paper, name, item, entry, labels, seeds, used) -> dict[str, Any]:
        ours = "ours" in item and matches(item["ours"], entry)
        published = not ours and {
            k: v.format_map(_Labels({**labels, **item["published"].get("labels", {})}, entry))
            for k, v in item.get("published", {}).items()
            if k in ("row", "column", "item")
        }
        cell = {
            "published": published or None,
            "runs": [],
            "metric": entry.get("metric", item.get("metric")),
            "missing": None,
        }
        facts = {"paper": paper, "item": name} | {k: v for k, v in entry.items() if isinstance(v, str)}
        if item["kind"] == "formula":
            inputs = self._formula_inputs(facts, entry.get("vars", {}))
            return cell | {"inputs": inputs, "missing": self.skipped(facts)}
        if {"data", "model", "method"} <= set(facts):
            cell["missing"] = self.skipped(facts)
            if cell["missing"] is None:
                runs = [self.run(facts, seed, entry.get("change")) for seed in seeds]
                used |= {r.id: r for r in runs}
                cell["runs"] = [r.id for r in runs]
        return cell

    def _formula_inputs(self, facts: Mapping[str, str], aliases: Mapping[str, str]) -> dict[str, Any]:
        """The paper's own settings, whatever the scale: a formula needs no run."""
        paper = self.papers[facts["paper"]]
        spec = plain(layered(paper.get("rules", []), facts, dict(paper["base"])))
        variables = spec.get("vars", {})
        return {"vars": variables | {k: variables.get(v) for k, v in aliases.items()}, "recipe": spec.get("recipe", {})}

    def shards(self) -> list[list[str]]:
        """Run ids in the order of need, a shard a process: start-up costs seconds, a demo run not much more."""
        size, ids, seen = self.scale.get("shard", 1), [], set()
        for item in self.items.values():
            new = [i for i in item["runs"] if i not in seen]
            seen |= set(new)
            # Every k-th run, not k in a row: the runs of one network cost alike, and shards should end together.
            count = -(-len(new) // size)
            ids += [new[k::count] for k in range(count)]
        return ids


class _Labels(dict):
    """For ``format_map``: the label of an entry's value, or the value."""

    def __init__(self, labels: Mapping[str, str], entry: Mapping[str, Any]):
        super().__init__({k: labels.get(v, v) if isinstance(v, str) else v for k, v in entry.items()})


def _axis(entry: Mapping[str, Any], item: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    shown = [str(labels.get(v, v)) for v in entry.values() if isinstance(v, str)]
    return {"group": " | ".join(shown[:-1]), "label": shown[-1], "entry": entry}


def _product(axis: Any) -> Iterator[dict[str, Any]]:
    """``{model: [a, b], method: [c]}``, or a list of such, as entries {model: a, method: c}, {model: b, method: c}."""
    for part in axis if isinstance(axis, list) else [axis]:
        lists = [v if isinstance(v, list) else [v] for v in part.values()]
        for values in itertools.product(*lists):
            yield dict(zip(part, values, strict=True))


def _extended(methods: Mapping[str, Any], name: str, where: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """A method with the ones it ``extends`` below it."""
    if name not in methods:
        raise ConfigError([f"{where}: no method {name!r}{near(name, methods)}"])
    if name in seen:
        raise ConfigError([f"{where}: extends goes in a circle: {' -> '.join((*seen, name))}"])
    method = dict(methods[name])
    below = method.pop("extends", None)
    return merge(_extended(methods, below, where, (*seen, name)), method) if below else method
