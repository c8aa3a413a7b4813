"""The bill of a target: what is shared is paid once, what is finished is free; and, measured, near to what it takes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from grids import grid_of

from leanat.cost import costing, forecast, timing
from leanat.cost.costing import Bill
from leanat.cost.forecast import ITEM, Forecast
from leanat.data import streamed
from leanat.plan import structure, walk

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def grid():
    return grid_of()


class Flat:
    """A forecast without measurements: 10 s a run, 3 s a suite, 1 s a timing, 2 s to start."""

    start = 2.0

    def train(self, run):
        return 10.0

    def attack(self, evaluation, together=1):
        return 3.0

    def time(self, paper):
        return 1.0

    def disk(self, run):
        return 5.0

    def memory(self, run):
        return 7.0


def test_a_bill_is_the_sum_of_its_jobs(grid, tmp_path):
    jobs = walk.Walk(grid).behind(["coreset/table3"])
    (bill,) = costing.bills(grid, ["coreset/table3"], tmp_path, Flat())
    runs, suites = sum(map(len, jobs.train)), sum(map(len, jobs.attack))
    assert (bill.jobs, bill.runs, bill.disk, bill.memory) == (len(jobs), runs, 5 * runs, 7)
    assert bill.seconds == runs * 10 + suites * 3 + 1 + 2 * (len(jobs) - 1) + ITEM


def test_what_items_share_is_paid_once(grid, tmp_path):
    """In whatever order they come, all items together take what the whole target takes."""
    items = list(grid.items)
    there = costing.bills(grid, items, tmp_path, Flat())
    back = costing.bills(grid, items[::-1], tmp_path, Flat())
    jobs = walk.Walk(grid).behind(items)
    assert sum(b.runs for b in there) == sum(b.runs for b in back) == sum(map(len, jobs.train))
    assert sum(b.jobs for b in there) == len(jobs)
    assert sum(b.seconds for b in there) == pytest.approx(sum(b.seconds for b in back))


def test_what_is_finished_is_free(grid, tmp_path):
    jobs = walk.Walk(grid).behind(["coreset/table3"])
    first, *others = jobs.train[0]
    for run in others:
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "metrics.json").write_text("{}")
    (before,) = costing.bills(grid, ["coreset/table3"], tmp_path / "none", Flat())
    (after,) = costing.bills(grid, ["coreset/table3"], tmp_path, Flat())
    assert before.runs - after.runs == len(others)
    assert before.jobs == after.jobs  # one run of the shard is left
    (tmp_path / "runs" / first).mkdir()
    (tmp_path / "runs" / first / "metrics.json").write_text("{}")
    (last,) = costing.bills(grid, ["coreset/table3"], tmp_path, Flat())
    assert (before.jobs - last.jobs, before.runs - last.runs) == (1, len(jobs.train[0]))


def test_a_deadline_allows_the_cheapest_first():
    found = [Bill("a", seconds=50), Bill("b", seconds=10), Bill("c", seconds=30)]
    assert [b.item for b in costing.within(found, 41)] == ["b", "c"]
    assert [b.item for b in costing.within(found, 5)] == []


@pytest.mark.slow
def test_every_kind_of_step_can_be_measured(grid, monkeypatch, tmp_path):
    """Of every run at demo scale: objectives with extras of their own, upstream networks, new heads."""
    monkeypatch.setattr(forecast, "BUDGET", 0.0)
    torch.set_num_threads(1)
    found = Forecast(grid, torch.device("cpu"), print, 0.0, tmp_path)
    assert all(found.train(run) > 0 and found.disk(run) > 0 and found.memory(run) > 0 for run in grid.runs)
    assert all(found.attack(evaluation) > 0 for evaluation in grid.evaluations)


def test_what_timings_take_needs_no_runs(grid, monkeypatch, tmp_path):
    """Their specs are the papers' own, whose upstream runs are not of this scale: nothing is looked up among them."""
    pieces = {"step": 2.0, "bare": 1.0, "look": 0.5, "memory": 1.0}
    monkeypatch.setattr(Forecast, "_bench", lambda self, *words: None)
    monkeypatch.setattr(Forecast, "_step", lambda self, *words: dict(pieces))
    monkeypatch.setattr(Forecast, "_network", lambda self, *words: {"keep": 0.0})
    monkeypatch.setattr(timing, "gradient_based", lambda selector: None)
    found = Forecast(grid, torch.device("cpu"), lambda line: None, 0.0, tmp_path)
    for paper in {item.paper for item in grid.items.values() if item.timed}:
        batches = {entry.step: entry.spec["recipe"]["batch"] for entry in grid.timed(paper).values()}
        # One core's seconds, undivided: the bill divides by the cores.
        assert found.time(paper) == pytest.approx(sum(forecast.FEW / b * 4 * 5.5 for b in batches.values()))


def test_a_training_on_files_takes_no_less_than_to_decode_them(monkeypatch, tmp_path):
    """On a CPU both are work of its cores; beside a GPU other cores decode ahead."""
    files = SimpleNamespace(crop=(0.08, 1.0), decode=lambda: {"decode": 2e-3}, solve=lambda: {"solve": 0.0})
    monkeypatch.setattr(Forecast, "_bench", lambda self, *words: files)
    monkeypatch.setattr(Forecast, "_step", lambda self, *words: dict.fromkeys(("step", "bare", "look", "memory"), 1e-9))
    monkeypatch.setattr(
        Forecast, "_network", lambda self, *words: dict.fromkeys(("keep", "forward", "ascend", "size"), 0.0)
    )
    planned = structure.load(ROOT / "config", {"scale": "paper", "papers": ["qtart"]})
    name, run = next((n, r) for n, r in planned.runs.items() if n.startswith("mini_imagenet") and "sgd" in n)
    reading = planned.datasets["mini-imagenet"]["train"] * run.spec["recipe"]["epochs"] * 2e-3
    for device, share in (("cpu", 1.0), ("cuda", 1 / streamed.usable_cores())):
        found = Forecast(planned, torch.device(device), lambda line: None, 0.0, tmp_path).train(name)
        assert found == pytest.approx(forecast.RUN + share * reading, rel=0.02)


def test_in_whatever_order_runs_are_asked_each_finds_its_pieces(monkeypatch, tmp_path):
    """An item that begins with training on everything had no bill: SAT's runs at scale cpu share its attack."""
    measured = {
        "_step": {"step": 2.0, "bare": 1.0, "look": 0.5, "memory": 1.0},
        "_network": {"keep": 0.1, "forward": 0.01, "ascend": 0.01, "size": 0.1, "decode": 0.1},
        "_few": {"few": 0.1},
    }
    monkeypatch.setattr(Forecast, "_bench", lambda self, *words: None)
    monkeypatch.setattr(Forecast, "_upstream", lambda self, *words: None)
    for name, pieces in measured.items():
        monkeypatch.setattr(Forecast, name, lambda self, *words, pieces=pieces: dict(pieces))
    monkeypatch.setattr(timing, "gradient_based", lambda selector: None)
    planned = grid_of("cpu")
    for order in (1, -1):
        found = Forecast(planned, torch.device("cpu"), lambda line: None, 0.0, tmp_path)
        assert all(found.train(run) > 0 for run in list(planned.runs)[::order])


class Linear:
    """A bench whose step takes a moment for each operator and little for each image."""

    def __init__(self, size, batch, moment, image):
        self.size, self.factor, self.raw = size, batch / size, moment + image * size

    def bare(self):
        return self.factor * self.raw

    look = attacked = bare


@pytest.mark.parametrize(("moment", "image"), [(0.05, 1e-4), (0.005, 1e-3), (0.2, 0.05)])
def test_a_small_network_is_measured_on_enough_images(grid, monkeypatch, tmp_path, moment, image):
    """On 4 images the moment counts for the whole: 64 images seemed to take 0.8 s that take 0.056 s."""
    spec = {"method": {"attack": {"pgd": {"steps": 1}}}, "recipe": {"batch": 64}}
    made = []

    def bench(self, spec, shape, whole, size, steps=None):
        made.append(Linear(size or 64, 64, moment, image))
        return made[-1]

    monkeypatch.setattr(Forecast, "_bench", bench)
    found = Forecast(grid, torch.device("cpu"), print, 0.0, tmp_path)
    taken = found._step(spec, {}, True, bench(None, spec, {}, True, forecast.FEW))["step"]
    assert taken == pytest.approx(moment + 64 * image, rel=0.5) or made[-1].raw * forecast.MORE >= forecast.LARGE
    assert all(b.raw < 2 * forecast.LARGE for b in made)


def test_the_first_call_on_a_gpu_is_not_what_a_step_takes(monkeypatch):
    """It loads kernels and searches algorithms for 0.6 s; each further one takes 5 ms."""
    now, calls = [0.0], []

    def work():
        calls.append(now[0])
        now[0] += 0.6 if len(calls) == 1 else 0.005

    monkeypatch.setattr(forecast.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(forecast.timing, "wait", lambda device: None)
    assert forecast.median(work, torch.device("cuda")) == pytest.approx(0.005)
    assert len(calls) == pytest.approx(1 + forecast.BUDGET / 0.005, abs=1)


def test_to_start_on_a_gpu_takes_what_its_context_takes(monkeypatch, grid):
    """Seconds of the wall, of a process that has a tensor there."""
    now, codes = [5.0], []

    def run(command, **_):
        codes.append(command[-1])
        now[0] += 3.0

    monkeypatch.setattr(forecast.cache, "write", lambda *_: None)
    monkeypatch.setattr(forecast.subprocess, "run", run)
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: now[0])
    with Forecast.on(grid, torch.device("cuda:1"), print) as made:
        assert made.start == 3.0
    assert "device='cuda:1'" in codes[0]


def test_two_thousand_jobs_are_walked_in_a_moment(grid, tmp_path):
    import time

    whole = grid_of("paper")
    started = time.process_time()
    assert len(walk.Walk(whole).behind(whole.items)) > 2000
    assert costing.bills(whole, list(whole.items), tmp_path, Flat())
    assert time.process_time() - started < 10


@pytest.mark.slow
def test_the_forecast_is_near_to_what_an_item_takes(grid, tmp_path):
    """Processor seconds of all training and attack jobs of coreset's Table 3, start-up included: within 25 %."""
    jobs = walk.Walk(grid).behind(["coreset/table3"])
    torch.set_num_threads(1)
    with Forecast.on(grid, torch.device("cpu"), print) as made:
        expected = sum(made.start + sum(map(made.train, shard)) for shard in jobs.train)
        expected += sum(made.start + sum(made.attack(e, len(s)) for e in s) for s in jobs.attack)
    before = os.times()
    for shard in jobs.train:
        _leanat("train", *shard, results=tmp_path)
    for shard in jobs.attack:
        suite = grid.evaluations[shard[0]].suite.replace("-", "/", 1)
        _leanat("attack", *(grid.evaluations[e].run for e in shard), "--suite", suite, results=tmp_path)
    after = os.times()
    taken = after.children_user + after.children_system - before.children_user - before.children_system
    print(json.dumps({"forecast": expected, "taken": taken}))
    assert 0.75 < expected / taken < 1.25


def _leanat(*words, results):
    command = [sys.executable, "-m", "leanat.cli", *words, "--results", str(results), "--device", "cpu"]
    subprocess.run([*command, "--config-dir", str(ROOT / "config")], check=True, capture_output=True)
