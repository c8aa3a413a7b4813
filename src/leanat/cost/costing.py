"""The cost of a target, by paper and item, and the items that a deadline allows, for ``leanat cost``."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from leanat.core.errors import ConfigError
from leanat.cost.forecast import ITEM, WORKFLOW, Forecast
from leanat.plan.grid import Grid
from leanat.plan.walk import Walk, items_of
from leanat.runs import experiment

log = logging.getLogger("leanat")


@dataclass
class Bill:
    """The cost of an item, without runs that it shares with earlier items."""

    item: str
    jobs: int = 0
    runs: int = 0
    seconds: float = 0.0  # on one device
    disk: float = 0.0  # bytes
    memory: float = 0.0  # bytes of the largest job


def bills(grid: Grid, items: Sequence[str], results: Path, forecast: Forecast) -> list[Bill]:
    """The bill of each item, in order. Finished runs cost nothing, and neither do jobs whose files all exist."""
    done: set[str] = set()
    item_bills, walk = [], Walk(grid)
    for item in items:
        jobs, bill = walk.behind([item]), Bill(item)
        for shard in jobs.train:
            new = [r for r in shard if r not in done and not (results / "runs" / r / "metrics.json").exists()]
            _add(bill, done, shard, [forecast.train(r) for r in new], forecast.start)
            bill.runs += len(new)
            bill.disk += sum(map(forecast.disk, new))
            bill.memory = max([bill.memory, *map(forecast.memory, new)])
        for shard in jobs.attack:
            new = [e for e in shard if e not in done and not (results / "runs" / f"{e}.json").exists()]
            _add(bill, done, shard, [forecast.attack(e, len(new)) for e in new], forecast.start)
        for paper in jobs.time:
            new = [] if paper in done or (results / "timings" / f"{paper}.json").exists() else [paper]
            _add(bill, done, [paper], [forecast.time(p) for p in new], forecast.start)
        bill.jobs += 1
        bill.seconds += ITEM
        item_bills.append(bill)
    return item_bills


def _add(bill: Bill, done: set[str], shard: Iterable[str], seconds: list[float], start: float) -> None:
    done.update(shard)
    if seconds:
        bill.jobs += 1
        bill.seconds += start + sum(seconds)


def within(item_bills: Sequence[Bill], seconds: float) -> list[Bill]:
    """The items that fit into ``seconds`` on one device, beginning with the cheapest."""
    chosen = []
    for bill in sorted(item_bills, key=lambda b: b.seconds):
        if bill.seconds > seconds:
            break
        seconds -= bill.seconds
        chosen.append(bill)
    return chosen


def cost(grid: Grid, target: str, results: Path, device: torch.device, deadline: float | None, devices: int) -> None:
    """Logs the bill of a target. Raises ConfigError for a target that does not exist or has no items."""
    started, items = time.perf_counter(), items_of(target, grid)
    if not items:
        raise ConfigError([f"cost: {target}: no item of a paper, whose trainings a forecast is made of"])
    log.info("measures a few steps of each kind; of the papers' own networks each takes minutes on a CPU")
    with Forecast.on(grid, device, log.info) as forecast:
        item_bills = bills(grid, items, results, forecast)
        kinds = forecast.steps
    took = time.perf_counter() - started
    name = experiment.provenance(device)["device"]
    unit = "core" if device.type == "cpu" else "device"
    log.info("\n%s at scale %s on %s; kinds of step measured: %d, %.0f s", target, grid.scale.name, name, kinds, took)
    log.info("%-28s %5s %5s %12s %10s %10s", "", "jobs", "runs", f"{unit}-hours", "disk", "memory")
    for paper in dict.fromkeys(bill.item.split("/")[0] for bill in item_bills):
        mine = [bill for bill in item_bills if bill.item.startswith(f"{paper}/")]
        for bill in mine:
            _line("  " + bill.item, bill)
        if len(mine) > 1:
            _line(paper, _sum(paper, mine))
    total = _sum("total", item_bills)
    _line("total", total)
    log.info("Runs that items share are counted with the first. Memory: of the largest job, about.")
    wall = WORKFLOW + total.seconds / devices
    those = f"{devices} {unit}{'s' * (devices > 1)}"
    log.info("With %s: about %s.", those, _hours(wall))
    if deadline is not None:
        _deadline(item_bills, within(item_bills, deadline * 3600 * devices), f"{deadline:g} h with {those}")


def _deadline(item_bills: Sequence[Bill], chosen: Sequence[Bill], what: str) -> None:
    log.info("\n%s allow %d of %d items:", what, len(chosen), len(item_bills))
    log.info("  %s", " ".join(bill.item for bill in chosen) or "none")
    left = [bill for bill in item_bills if bill not in chosen]
    if left:
        log.info("not: %s", ", ".join(f"{bill.item} ({_hours(bill.seconds)})" for bill in left))
        log.info("To have more of them: fewer seeds (--set seeds=1), a smaller scale, or more devices (--devices).")


def _sum(name: str, item_bills: Sequence[Bill]) -> Bill:
    sums = [sum(getattr(b, k) for b in item_bills) for k in ("jobs", "runs", "seconds", "disk")]
    return Bill(name, *sums, max(b.memory for b in item_bills))


def _line(name: str, bill: Bill) -> None:
    sizes = _bytes(bill.disk), _bytes(bill.memory)
    log.info("%-28s %5d %5d %12.2f %10s %10s", name, bill.jobs, bill.runs, bill.seconds / 3600, *sizes)


def _bytes(n: float) -> str:
    return f"{n / 2**30:.1f} GB" if n >= 2**30 else f"{n / 2**20:.0f} MB"


def _hours(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.0f} days"
