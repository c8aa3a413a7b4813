"""A small network adversarially trained on the digits, shared by the tests of attacks."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.nouns import Step
from leanat.core.rng import Draws
from leanat.evaluation.outcome import Outcome

EPS = 0.1


@dataclass(frozen=True)
class InMemory:
    x: Tensor
    labels: Tensor
    n_classes: int = 10

    def __len__(self):
        return len(self.labels)

    def batch(self, index, epoch, view=0):
        return self.x[index], self.labels[index]


def step_on(x, y, seed=0, **budget):
    index = torch.arange(len(x))
    return Step(0, index, x, y, torch.ones(len(x)), Draws(seed, 0, index), **budget)


@cache
def digits(n_classes=10):
    """Train and test set."""
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(y)
    x, y = x[y < n_classes], y[y < n_classes]
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    cut = len(y) * 4 // 5
    return InMemory(x[:cut], y[:cut], n_classes), InMemory(x[cut:], y[cut:], n_classes)


def network(n_classes=10, width=8):
    def block(i, o, stride):
        return [nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]

    layers = [*block(1, width, 1), *block(width, 2 * width, 2), *block(2 * width, 4 * width, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16 * width, n_classes))


@cache
def _trained(n_classes, steps, epochs):
    train, _ = digits(n_classes)
    attack = PGD(Linf(EPS), max(1, steps), EPS / 2, "uniform")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = network(n_classes)
        opt = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
        for epoch in range(epochs):
            opt.param_groups[0]["lr"] = 0.2 * min((epoch + 1) / 3, 1 - epoch / epochs)
            for index in torch.randperm(len(train)).split(64):
                x, y = train.batch(index, epoch)
                if steps:
                    x = attack(net, Step(epoch, index, x, y, torch.ones(len(x)), Draws(0, epoch, index)))
                net.train()
                opt.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                opt.step()
    opt.zero_grad()
    return net.eval()


def robust(n_classes=10):
    return _trained(n_classes, 3, 10)


def standard(n_classes=10):
    return _trained(n_classes, 0, 5)


def same(a: Outcome, b: Outcome, tolerance=1e-5):
    """Equal outcomes; sizes and losses up to the rounding of another batch size."""
    for name, value in vars(a).items():
        other = getattr(b, name)
        if name in ("loss", "linf", "l2"):
            np.testing.assert_allclose(value, other, rtol=tolerance, atol=tolerance, err_msg=name)
        else:
            assert np.array_equal(value, other), name
