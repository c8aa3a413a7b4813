"""The jobs of the workflow behind a target, by the grid alone: what Snakemake would run, before it is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from leanat.grid import Grid
from leanat.targets import check_targets


class Jobs(NamedTuple):
    """Shards of run ids and of evaluation ids, a process each; papers whose trainings are timed; items."""

    train: list[list[str]]
    attack: list[list[str]]
    time: list[str]
    items: list[str]

    def __len__(self) -> int:
        return sum(map(len, self))


def items_of(target: str, grid: Grid) -> list[str]:
    """The items that a target is made of. Raises ConfigError, with the nearest names, where there is no such target."""
    check_targets([target], grid)
    name = re.sub(r"^figures/|(/claims|\.overview)?\.(pdf|png|csv)$", "", target)
    if name == "table1":
        return [item for item in grid.items if item.endswith("/table1")]
    return [item for item in grid.items if name in ("all", "overview", "claims", item) or item.startswith(f"{name}/")]


def behind(items: Iterable[str], grid: Grid) -> Jobs:
    """Whole shards: a job that makes one run of a shard makes all of them, and what they need."""
    items = list(items)
    by_run = {run: shard for shard in grid.shards() for run in shard}
    wanted: dict[str, None] = {}

    def want(runs: Iterable[str]) -> None:
        for run in runs:
            if run not in wanted:
                wanted.update(dict.fromkeys(by_run[run]))
                for other in by_run[run]:
                    want(grid.runs[other].needs)

    asked = {evaluation for item in items for evaluation in grid.items[item]["evaluations"]}
    attack = [shard for shard in grid.evaluation_shards() if not asked.isdisjoint(shard)]
    want(run for item in items for run in grid.items[item]["runs"])
    attacked = [grid.evaluations[e] for shard in attack for e in shard]
    want(run for evaluation in attacked for run in (evaluation.run, *evaluation.sources))
    train = [shard for shard in grid.shards() if not wanted.keys().isdisjoint(shard)]
    papers = dict.fromkeys(grid.items[item]["paper"] for item in items if grid.items[item]["timed"])
    return Jobs(train, attack, list(papers), items)


def by_paper(grid: Grid) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The runs, and the evaluations, that the items of each paper need."""
    runs: dict[str, dict[str, None]] = {paper: {} for paper in grid.papers}
    evaluations: dict[str, dict[str, None]] = {paper: {} for paper in grid.papers}
    for item in grid.items.values():
        runs[item["paper"]] |= dict.fromkeys(item["all_runs"])
        evaluations[item["paper"]] |= dict.fromkeys(item["evaluations"])
    return {k: list(v) for k, v in runs.items()}, {k: list(v) for k, v in evaluations.items()}
