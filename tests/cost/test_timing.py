"""What is measured is what a trained network costs: attacks that work, updates that are not done in every step."""

import json
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from grids import grid_of
from pretended_gpu import pretended
from toys import Small

from leanat.core.nouns import eval_without_param_grad
from leanat.cost import forecast, timing
from leanat.papers.saliency.discriminator import Discriminator
from leanat.plan.item import Timed
from leanat.selection.basic import Everything

SHAPE = {"classes": 10, "channels": 3, "size": 32, "train": 100}


@pytest.fixture(scope="module")
def grid():
    return grid_of()


def bench_of(grid, paper, method, data="cifar10", model="resnet18", device="cpu", kind=timing.Bench):
    facts = {"paper": paper, "item": "", "data": data, "model": model, "method": method}
    spec = grid.at_paper_scale().run(facts, 0).spec
    spec = {**spec, "model": {**spec["model"], "name": "resnet_tiny"}}
    return kind.of(spec, SHAPE, torch.device(device), 8, 2)


@dataclass
class Watch:
    """An attack that remembers which of its images the network had right."""

    attack: object

    def __post_init__(self):
        self.right, self.moved = [], []

    def __call__(self, net, step):
        with eval_without_param_grad(net), torch.no_grad():
            self.right.append(net(step.x).argmax(1) == step.y)
        x_adv = self.attack(net, step)
        self.moved.append((x_adv != step.x).flatten(1).any(1))
        return x_adv


def test_fast_lpa_attacks_all_images_of_an_untrained_network(grid):
    """In a training step it leaves misclassified images alone. With labels of their own 0 of 4 were attacked."""
    bench = bench_of(grid, "coreset", "pat_gradmatch", model="resnet50")
    watch = Watch(bench.run.method.attack)
    bench.run.method = replace(bench.run.method, attack=watch)
    bench.attacked()
    assert len(watch.right) == 3  # one and two repeats
    assert all(right.all() for right in watch.right)
    assert all(moved.all() for moved in watch.moved)


def test_labels_are_those_of_the_view_that_is_measured(grid):
    """Augmented as this epoch has it."""
    bench = bench_of(grid, "coreset", "trades")
    net = Small(channels=3, n_classes=10)
    bench.run.net = net
    bench.label(bench.data)
    step = bench._fresh(bench.data)
    assert step.y.equal(net.eval()(step.x).argmax(1))
    assert len(step.y) == 8


def test_the_update_of_a_discriminator_is_counted_once_in_so_many_steps(grid, monkeypatch):
    """A step of 1 s, 11 s with an update, and an update every 5: 3 s."""
    bench, updates = bench_of(grid, "saliency", "phase1", model="wrn32_10"), []
    monkeypatch.setattr(Discriminator, "update", lambda self, *words: updates.append(words))

    def median(work, data=None):
        before = len(updates)
        work()
        return 1.0 + 10 * (len(updates) - before)

    monkeypatch.setattr(bench, "_median", median)
    assert bench.run.method.objective.discriminator.every == 5
    assert bench.attacked() == pytest.approx(bench.factor * 3.0)


@pytest.mark.parametrize("kind", [timing.Bench, forecast._Quick])
@pytest.mark.parametrize(("method", "searched"), [("trades", True), ("trades_bullet", False)])
def test_a_gpu_is_in_the_mode_of_training(grid, monkeypatch, kind, method, searched):
    """No TF32; cuDNN searches for steps of whole batches, not for a budget's parts of them nor for looks and selections."""
    monkeypatch.setattr(forecast, "BUDGET", 0.0)
    with pretended():
        bench = bench_of(grid, "advprune", method, device="cuda", kind=kind)
        bench.run.net = Small(channels=3, n_classes=10).to("cuda")
        bench.run.__post_init__()
        seen = set()

        def see(layer, given):
            seen.add((torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark))

        bench.run.net.head.register_forward_pre_hook(see)
        found = []
        for work in (bench.attacked, bench.look, bench.memory):
            seen.clear()
            work()
            found.append(set(seen))
    step = {(False, False), (False, True)} if searched else {(False, False)}  # labels are looked at before it
    assert found == [step, {(False, False)}, {(False, searched)}]


def test_a_solver_on_a_gpu_is_measured_after_a_small_one(monkeypatch):
    counts = []
    monkeypatch.setattr(timing, "_solve_once", lambda selector, run, shape: counts.append(shape["train"]) or 1.0)
    for device, expected in (("cpu", [50_000]), ("cuda", [2560, 50_000])):
        counts.clear()
        run = SimpleNamespace(device=torch.device(device), recipe=SimpleNamespace(batch=128))
        assert timing._solve(None, run, SHAPE | {"train": 50_000}) == 1.0
        assert counts == expected


class Stopwatch:
    """A bench on which the n-th step takes n seconds; the third one ever is interrupted."""

    taken = 0

    def __init__(self):
        self.run = SimpleNamespace(method=SimpleNamespace(selector=Everything()))
        self.crop, self.spreads = None, []

    def step(self):
        Stopwatch.taken += 1
        if Stopwatch.taken == 3:
            raise KeyboardInterrupt
        self.spreads.append(Stopwatch.taken / 100)
        return {"step": float(Stopwatch.taken)}


def test_a_measurement_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    """With what it has measured in the same way; of another batch nothing is taken over."""
    monkeypatch.setattr(timing.Bench, "of", lambda *_: Stopwatch())
    monkeypatch.setattr(Stopwatch, "taken", 0)
    timed = {name: Timed({"model": {"name": "net"}}, 1, {}, f"step {name}") for name in "abc"}
    out = tmp_path / "timings" / "p.json"
    with pytest.raises(KeyboardInterrupt):
        timing.write(timed, out, "cpu", 4, None, 5)
    assert not out.exists()
    timing.write(timed, out, "cpu", 4, None, 5)
    made = json.loads(out.read_text())
    assert [made["primitives"][name]["step"] for name in "abc"] == [1, 2, 4]
    assert (made["spread"], made["batch"], made["repeats"]) == (0.02, 4, 3)
    assert list(out.parent.iterdir()) == [out]

    monkeypatch.setattr(Stopwatch, "taken", 0)
    with pytest.raises(KeyboardInterrupt):
        timing.write(timed, out, "cpu", 4, None, 5)
    timing.write(timed, out, "cpu", 8, None, 5)
    assert [json.loads(out.read_text())["primitives"][name]["step"] for name in "abc"] == [4, 5, 6]
