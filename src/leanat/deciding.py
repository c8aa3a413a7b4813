"""Adds seeds where they decide most claims per minute, at looks that are fixed beforehand: ``leanat decide``.

What it has chosen is kept below the results (``plan.looks``), so an interrupted run goes on where it was, and every later call
of the workflow shows the same numbers. Whether a verdict holds does not hang on what is chosen here: docs/verdicts.md.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanat.core.errors import ConfigError
from leanat.experiments.claim import Claim
from leanat.plan import looks, targets
from leanat.plan.grid import UPSTREAM, Grid, canonical, digest
from leanat.plan.looks import LOOKS
from leanat.report import claims, item_csv, ledger
from leanat.report.claims import Line
from leanat.report.verdict import HOPE
from leanat.runs import records, signals

log = logging.getLogger("leanat")

SHARE_OF_A_ROUND = 0.25  # of what is left of the budget; after each round the claims are judged anew
SHORTEST_ROUND = 10.0  # minutes of one core, below which a round costs more starts than it saves
UNKNOWN = 30.0  # seconds of a run of which no seed has finished
RUN = re.compile(UPSTREAM + r"([\w-]+-s\d+-[0-9a-f]{8})")  # that a spec reads


@dataclass(frozen=True)
class Raise:
    """More seeds for the items of a claim: what they would decide, and what they cost."""

    items: tuple[str, ...]
    look: int
    claims: tuple[str, ...]
    decided: float  # what it is worth: claims per minute up to the best look of each, times its minutes
    minutes: float  # of one core

    def __str__(self) -> str:
        return (
            f"{', '.join(self.items)}: {self.look} seeds, {self.minutes:.0f} core minutes, for {', '.join(self.claims)}"
        )


class Prices:
    """Seconds of one core that one more seed of an item takes, from the finished runs of its other seeds."""

    def __init__(self, grid: Grid, results: Path):
        measured: dict[str, list[float]] = {}  # of runs and evaluations, by their spec without the seed
        keys: dict[str, str] = {}
        for run in grid.runs:
            _seedless(run, grid, keys)
        for run, key in [*keys.items()]:
            measured.setdefault(key, []).extend(_recorded(results / "runs" / run / "metrics.json", _trained))
        for evaluation in grid.evaluations.values():
            keys[evaluation.id] = keys[evaluation.run] + evaluation.suite
            seconds = _recorded(results / "runs" / f"{evaluation.id}.json", records.seconds_of)
            measured.setdefault(keys[evaluation.id], []).extend(seconds)
        self.seconds = {key: sum(found) / len(found) if found else UNKNOWN for key, found in measured.items()}
        self.parts = {
            name: {keys[one] for one in [*item.all_runs, *item.evaluations]} for name, item in grid.items.items()
        }
        self.have = {key: len(found) for key, found in measured.items()}

    def minutes(self, items: Iterable[str], seeds: int) -> float:
        """Of all that these items lack up to so many seeds; what they share is counted once."""
        parts = {key for item in items for key in self.parts[item]}
        return sum(max(0, seeds - self.have[key]) * self.seconds[key] for key in parts) / 60


def _seedless(run: str, grid: Grid, keys: dict[str, str]) -> str:
    """What all seeds of a run have in common: its spec, and those of the runs that it reads, without their seeds."""
    if run not in keys:
        spec = canonical({**grid.runs[run].spec, "seed": 0})
        keys[run] = digest(RUN.sub(lambda name: _seedless(name[1], grid, keys), spec))
    return keys[run]


def _trained(metrics: Mapping[str, Any]) -> float:
    return float(metrics["wall_seconds"]) * metrics.get("threads", 1)


def _recorded(path: Path, seconds: Callable[[Any], float]) -> list[float]:
    """The seconds that a file tells of; none where it is not there, or is damaged."""
    try:
        return [seconds(json.loads(path.read_text()))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def candidates(lines: Sequence[Line], seeds: Mapping[str, int], prices: Prices) -> list[Raise]:
    """What could be done next, the most claims per minute first: to raise the items of a claim to their next look.

    ``seeds``: of each item now. A claim counts with the probability that its best later look decides it, per minute up to
    that look; those that no look is likely to decide are past hope and are not pursued.
    """
    unsure = (line for line in lines if line.verdict in ("inconclusive", "not decidable"))
    waiting = [(line, tuple(_items_of(line.claim))) for line in unsure]
    next_looks = {}
    for line, items in waiting:
        later = [look for look in LOOKS if look > min(seeds[item] for item in items)]
        if later and any(chance >= HOPE for chance in line.chances.values()):
            next_looks[items, later[0]] = None
    raises = []
    for items, look in next_looks:
        short = tuple(item for item in items if seeds[item] < look)
        served = [other for other, own in waiting if set(short) & set(own) and set(own) <= set(items)]
        gains = {other.claim.id: _rate(other, items, prices) for other in served}
        names = tuple(name for name, gain in gains.items() if gain > 0)
        minutes = max(prices.minutes(short, look), 0.1)
        if names:
            raises.append(Raise(short, look, names, minutes * sum(gains.values()), minutes))
    return sorted(raises, key=lambda r: -r.decided / r.minutes)


def _rate(line: Line, items: Sequence[str], prices: Prices) -> float:
    """Claims per minute: of the later looks, the best chance for its price."""
    return max(
        (chance / max(prices.minutes(items, look), 0.1) for look, chance in line.chances.items() if chance >= HOPE),
        default=0.0,
    )


def choose(raises: Sequence[Raise], minutes: float) -> list[Raise]:
    """The first of them, and as many of the next as a round of so many core minutes holds."""
    chosen, left = [], minutes
    for one in raises:
        if one.minutes <= left or not chosen:
            chosen.append(one)
            left -= one.minutes
    return chosen


def decide(
    load: Callable[[], Grid],
    papers: Sequence[str],
    results: Path,
    root: Path,
    hours: float,
    make: Callable[[Sequence[str]], None] | None,
    cores: int,
) -> None:
    """Rounds of the workflow until every claim is decided or past hope, or no further one fits into the hours.

    The items that claims are tested on are made first, whatever the hours; a round that has begun is finished.

    ``load``: the grid with what was chosen so far. ``make``: computes items; None: what would be done is said, and nothing
    done. Raises ConfigError where a round fails.
    """
    end = time.monotonic() + 3600 * hours
    grid = load()
    papers = papers or list(grid.papers)
    first, kept = _made(grid, _claimed(papers, grid.scale.name)), results / "items" / grid.scale.name
    if make is not None:
        make(first)
    elif lacking := [name for name in first if not item_csv.of_these_runs(kept / f"{name}.csv", grid.items[name])]:
        log.info("first of all, whatever the hours: %s", " ".join(lacking))
    while True:
        grid = load()
        lines = [line for part in _ledger(papers, grid, results, root) for line in part]
        seeds = {name: len(item.seeds) for name, item in grid.items.items()}
        raises = candidates(lines, seeds, Prices(grid, results))
        left = (end - time.monotonic()) / 60
        log.info("%s", progress(lines, raises, left))
        affordable = [one for one in raises if one.minutes / cores <= left]
        if make is None or not affordable:
            for one in raises if make is None else []:
                log.info("  %s", one)
            break
        chosen = choose(affordable, max(SHORTEST_ROUND, SHARE_OF_A_ROUND * left * cores))
        more = dict(looks.read(results, grid.scale.name))
        for one in chosen:
            log.info("  %s", one)
            more |= {item: max(one.look, more.get(item, 0)) for item in one.items}
        looks.write(results, grid.scale.name, more)
        make(_made(grid, sorted({item for one in chosen for item in one.items})))
    log.info("The ledger: leanat claims, or snakemake figures/claims.pdf")


def _claimed(papers: Iterable[str], scale: str) -> list[str]:
    """The items that claims are tested on at this scale."""
    tested = [claim for paper in papers for claim in claims.load(paper) if not claims.not_tested_at(claim, scale)]
    return list(dict.fromkeys(item for claim in tested for item in _items_of(claim)))


def _items_of(claim: Claim) -> list[str]:
    return sorted({f"{claim.paper}/{item}" for case in claim.cases for item, _, _ in case.values()})


def _ledger(papers: Iterable[str], grid: Grid, results: Path, root: Path) -> Iterable[list[Line]]:
    lines_by_paper = ledger.of_grid(grid, papers, results, root)
    return [[line for line in part if line.origin == "this run"] for part in lines_by_paper.values()]


def progress(lines: Sequence[Line], raises: Sequence[Raise], minutes: float) -> str:
    """One line: claims decided, those that more seeds may decide, those past hope, and the hours left."""
    testable = [
        line for line in lines if line.verdict in ("supported", "not supported", "inconclusive", "not decidable")
    ]
    decided = sum(line.verdict.endswith("supported") for line in testable)
    hopeful = {name for one in raises for name in one.claims}
    return (
        f"{decided} of {len(testable)} claims decided, {len(hopeful)} that more seeds may decide, "
        f"{len(testable) - decided - len(hopeful)} past hope; {max(0.0, minutes) / 60:.1f} hours left"
    )


def _made(grid: Grid, items: Iterable[str]) -> list[str]:
    """Those that have something to make at this scale."""
    return [item for item in items if item in grid.items and not targets.empty(grid.items[item])]


def workflow(items: Sequence[str], cores: int, settings: Sequence[str], profile: str | None) -> None:
    """Makes the pages of the items; asked to stop, stops Snakemake and its jobs first, which save what they have.

    ``settings``: KEY=VALUE, over config.yaml. Raises ConfigError where the workflow fails.
    """
    if not items:  # Snakemake without a target makes everything
        return
    pages = [f"figures/{item}.pdf" for item in items]
    where = ["--workflow-profile", profile, "--jobs", str(cores)] if profile else ["--cores", str(cores)]
    command = [sys.executable, "-m", "snakemake", *pages, *where, "--config", *settings]
    with signals.heard() as asked:
        env = os.environ | {signals.HANDED_ON: "1"}
        process = subprocess.Popen(command, start_new_session=True, env=env)
        # as Ctrl-C in a terminal, which the jobs hear too
        asked.wait_for([process], lambda child: os.killpg(child.pid, signal.SIGINT))
    if asked():
        sys.exit(asked.status)
    if status := process.returncode:
        raise ConfigError([f"decide: the workflow ended with status {status}; the same command goes on from there"])
