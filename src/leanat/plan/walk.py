"""The jobs that Snakemake would run for a target, computed from the grid without Snakemake."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from leanat.plan.grid import Grid
from leanat.plan.targets import OTHERS, PAGES, check_targets, first_tables


class Jobs(NamedTuple):
    """Shards of run ids and of evaluation ids, one process per shard; papers whose trainings are timed; items."""

    train: list[list[str]]
    attack: list[list[str]]
    time: list[str]
    items: list[str]

    def __len__(self) -> int:
        return sum(map(len, self))


def items_of(target: str, grid: Grid) -> list[str]:
    """The items that a target needs; none for the trial. Raises ConfigError, with the nearest names, for an unknown target."""
    check_targets([target], grid)
    name = re.sub(r"^figures/|(/claims|/runs|\.overview)?\.(pdf|png|csv|json)$", "", target)
    name = re.sub(r"^(site)/index\.html$|^leanat-.+\.zip$", lambda file: file[1] or "archive", name)
    if name == "table1":
        return first_tables(grid)
    return [item for item in grid.items if name in ("all", *PAGES, *OTHERS, item) or item.startswith(f"{name}/")]


class Walk:
    """The shards of a grid, computed once for many calls of ``behind``."""

    def __init__(self, grid: Grid):
        self.grid, self.train, self.attack = grid, grid.shards(), grid.evaluation_shards()
        self.by_run = {run: k for k, shard in enumerate(self.train) for run in shard}
        self.by_evaluation = {e: k for k, shard in enumerate(self.attack) for e in shard}

    def behind(self, items: Iterable[str]) -> Jobs:
        """The jobs behind these items, in whole shards: a job makes all runs of its shard, and needs all that these need."""
        grid, items, train = self.grid, list(items), set()
        attack = {self.by_evaluation[e] for item in items for e in grid.items[item].evaluations}

        def want(runs: Iterable[str]) -> None:
            for run in runs:
                if (shard := self.by_run[run]) not in train:
                    train.add(shard)
                    for other in self.train[shard]:
                        want(grid.runs[other].needs)

        want(run for item in items for run in grid.items[item].runs)
        attacked = [grid.evaluations[e] for k in attack for e in self.attack[k]]
        want(run for evaluation in attacked for run in (evaluation.run, *evaluation.sources))
        papers = dict.fromkeys(grid.items[item].paper for item in items if grid.items[item].timed)
        shards = [self.train[k] for k in sorted(train)], [self.attack[k] for k in sorted(attack)]
        return Jobs(*shards, list(papers), items)


def by_paper(grid: Grid) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The runs and the evaluations that the items of each paper need, by paper."""
    runs: dict[str, dict[str, None]] = {paper: {} for paper in grid.papers}
    evaluations: dict[str, dict[str, None]] = {paper: {} for paper in grid.papers}
    for item in grid.items.values():
        runs[item.paper] |= dict.fromkeys(item.all_runs)
        evaluations[item.paper] |= dict.fromkeys(item.evaluations)
    return {k: list(v) for k, v in runs.items()}, {k: list(v) for k, v in evaluations.items()}
