"""What is measured is what a trained network costs: attacks that work, updates that are not done in every step."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from toys import Small

from leanat.core.nouns import eval_without_param_grad
from leanat.cost import timing
from leanat.papers.saliency.discriminator import Discriminator
from leanat.plan import structure

ROOT = Path(__file__).parents[2]
SHAPE = {"classes": 10, "channels": 3, "size": 32, "train": 100}


@pytest.fixture(scope="module")
def grid():
    return structure.load(ROOT / "config")


def bench_of(grid, paper, method, data="cifar10", model="resnet18"):
    facts = {"paper": paper, "item": "", "data": data, "model": model, "method": method}
    spec = grid.at_paper_scale().run(facts, 0).spec
    spec = {**spec, "model": {**spec["model"], "name": "resnet_tiny"}}
    return timing.Bench.of(spec, SHAPE, torch.device("cpu"), 8, 2)


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
