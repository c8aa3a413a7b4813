"""How near ``leanat cost`` comes: forecasts of trainings, attacks and measuring jobs beside what finished ones took.

    python benchmarks/forecast.py --results results             # the whole demo; some ten minutes of a core
    python benchmarks/forecast.py --results results sat qtart   # two papers

The forecast counts processor seconds of one core; the truth is the clock of the jobs, so compare with results that were made
with nothing else on the machine and one thread per job, as Snakemake starts them. Seconds by the clock of what ran beside
other work are longer. A line per paper and kind has the sums, their ratio, the median ratio of its jobs, and how many lie
within 25 %; start-up of processes is on neither side.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch

from leanat.cost.forecast import RUN, Forecast
from leanat.plan import structure
from leanat.plan.grid import Grid
from leanat.plan.walk import by_paper
from leanat.runs import records

ROOT = Path(__file__).parents[1]
NEAR = 1.25


def trainings(grid: Grid, forecast: Forecast, results: Path) -> dict[str, tuple[float, float]]:
    """Forecast and truth in seconds of every finished training, by run."""
    found = {}
    for run in grid.runs:
        path = results / "runs" / run / "metrics.json"
        if path.exists():
            found[run] = forecast.train(run), records.metrics(path, "wall_seconds")["wall_seconds"] + RUN
    return found


def attacks(grid: Grid, forecast: Forecast, results: Path) -> dict[str, tuple[float, float]]:
    """Forecast and truth in seconds of every finished suite, by evaluation; images of other networks are shared by them."""
    found = {}
    for name, evaluation in grid.evaluations.items():
        path = results / "runs" / f"{name}.json"
        if path.exists():
            together = max(1, len(evaluation.sources))
            found[name] = forecast.attack(name, together), records.seconds_of(records.suite(path)) + RUN
    return found


def line(name: str, pairs: list[tuple[float, float]]) -> str:
    """The sums of forecasts and truths, their ratio, the median ratio, and how many are near."""
    ratios = [told / took for told, took in pairs]
    told, took = (sum(column) for column in zip(*pairs, strict=True))
    near = sum(1 / NEAR <= ratio <= NEAR for ratio in ratios)
    return (
        f"{name:24s} {told:8.0f} s {took:8.0f} s {told / took:6.2f} {statistics.median(ratios):8.2f} "
        f"{near:5d} of {len(ratios)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", nargs="*")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--scale", default="demo")
    parser.add_argument("--worst", type=int, default=10, help="how many jobs that are far off to print")
    options = parser.parse_args()
    torch.set_num_threads(1)
    papers = {"papers": options.papers} if options.papers else {}
    grid = structure.load(ROOT / "config", {"scale": options.scale, **papers})
    with Forecast.on(grid, torch.device("cpu"), lambda text: None) as forecast:
        kinds = {
            "training": trainings(grid, forecast, options.results),
            "attacks": attacks(grid, forecast, options.results),
        }
        start = forecast.start
    print(f"{torch.backends.cpu.get_cpu_capability()}; a process takes {start:.1f} s to start")
    print(f"{'':24s} {'forecast':>10s} {'truth':>10s} {'ratio':>6s} {'median':>8s} within 25 %")
    for kind, names in zip(kinds, by_paper(grid), strict=True):
        for paper in grid.papers:
            if mine := [kinds[kind][name] for name in names[paper] if name in kinds[kind]]:
                print(line(f"{paper}, {kind}", mine))
    for kind, pairs in kinds.items():
        if pairs:
            print(line(f"all, {kind}", list(pairs.values())))
    jobs = [(abs(told - took), told, took, name) for pairs in kinds.values() for name, (told, took) in pairs.items()]
    for _, told, took, name in sorted(jobs, reverse=True)[: options.worst]:
        print(f"{told:7.1f} s {took:7.1f} s {told / took:5.2f}  {name}")


if __name__ == "__main__":
    main()
