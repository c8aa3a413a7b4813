"""What the public interface costs: `pgd()` beside the attack inside it, and a selection in somebody else's loop, with its memory.

    OMP_NUM_THREADS=1 python benchmarks/library.py           # about two minutes of one core

CPU time of the process, medians over rounds in which both take turns. Memory is the largest resident size of the process
above that before the call, so it counts passes as well as what a selection keeps.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from leanat import Reselect, indexed, pgd
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.nouns import Step
from leanat.core.rng import Draws

ROUNDS = 15


def small() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
    )


def cpu_seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def door(name: str, net: nn.Module, x: Tensor, y: Tensor, steps: int) -> None:
    net.eval()
    attack, index = PGD(threat=Linf(eps=8 / 255), steps=steps, step_size=2 / 255, start="uniform"), torch.arange(len(x))

    def inner() -> Tensor:
        return attack(net, Step(0, index, x, y, torch.ones(len(x)), Draws(0, 0, index)))

    def public() -> Tensor:
        return pgd(net, x, y, steps=steps, seed=0)

    assert torch.equal(inner(), public())
    times: dict[str, list[float]] = {"inner": [], "public": []}
    for _ in range(ROUNDS):
        times["inner"].append(cpu_seconds(inner))
        times["public"].append(cpu_seconds(public))
    own, outside = (statistics.median(t) for t in times.values())
    shape = "x".join(map(str, x.shape))
    print(
        f"pgd, {steps} steps, {name}, {shape}: inner {1e3 * own:.1f} ms, public {1e3 * outside:.1f} ms, ratio {outside / own:.3f}"
    )


def loop(n: int = 2000, epochs: int = 2) -> None:
    """A training by somebody's own loop on images of CIFAR-10's size, with and without a choice of a tenth by class."""
    torch.manual_seed(0)
    x, y = torch.rand(n, 3, 32, 32), torch.randint(10, (n,))
    net = torchvision.models.resnet18(num_classes=10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sampler = Reselect(net, (x, y), fraction=0.1, every=2)
    chosen = cpu_seconds(lambda: len(sampler))
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    optimiser, loader = (
        torch.optim.SGD(net.parameters(), 0.01),
        DataLoader(indexed(TensorDataset(x, y)), 128, sampler=sampler),
    )

    def train() -> None:
        for _ in range(epochs):
            for images, labels, i in loader:
                losses, w = nn.functional.cross_entropy(net(images), labels, reduction="none"), sampler.weight[i]
                optimiser.zero_grad()
                ((w * losses).sum() / w.sum()).backward()
                optimiser.step()

    trained = cpu_seconds(train)
    kept = 4 * n * (10 + 512) / 2**20
    print(
        f"Reselect, ResNet-18 of torchvision, {n} images of 32 x 32: a choice of a tenth {chosen:.1f} s, {epochs} epochs on it "
        f"{trained:.1f} s; {more:.0f} MB more at most, of which {kept:.1f} MB are logits and features"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    door("small network", small(), torch.rand(128, 1, 8, 8), torch.randint(10, (128,)), 10)
    door("small network", small(), torch.rand(8, 1, 8, 8), torch.randint(10, (8,)), 1)
    door(
        "ResNet-18", torchvision.models.resnet18(num_classes=10), torch.rand(16, 3, 32, 32), torch.randint(10, (16,)), 5
    )
    loop()
