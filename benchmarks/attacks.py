"""How fast the attacks are, beside public implementations, at equal strength.

    OMP_NUM_THREADS=1 python benchmarks/attacks.py           # about three minutes of one core
    python benchmarks/attacks.py cuda                        # the same on a GPU

The demo's network (ResNet 16-32-64) after a short adversarial training on the digits; 360 test images. Everything runs
in one process, the rivals in turn, and medians are given; on the CPU it is the CPU time of the process that counts.
"bare" is as many forward passes and input gradients and nothing else: what no implementation can do without.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from leanat.attacks.autoattack import AutoAttack
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.nouns import Step, eval_without_param_grad
from leanat.core.rng import Draws
from leanat.evaluation.evaluate import evaluate
from leanat.models import build

EPS, STEPS, SIZE, ROUNDS = 0.15, 20, 0.02, 5
SEED = 0


@dataclass(frozen=True)
class InMemory:
    x: Tensor
    labels: Tensor
    n_classes: int = 10

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor, epoch: int, view: int = 0) -> tuple[Tensor, Tensor]:
        return self.x[index], self.labels[index]


def step_of(x: Tensor, y: Tensor, epoch: int = 0, index: Tensor | None = None) -> Step:
    index = torch.arange(len(x), device=x.device) if index is None else index
    return Step(epoch, index, x, y, torch.ones_like(y, dtype=torch.float32), Draws(SEED, epoch, index))


def trained(device: str) -> tuple[nn.Module, Tensor, Tensor]:
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16, dtype=torch.float32, device=device).view(-1, 1, 8, 8)
    y = torch.tensor(y, device=device)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(SEED)).to(device)
    x, y = x[order], y[order]
    net = build("resnet_78k", 10, image_size=8, channels=1, mean=(0.3,), std=(0.4,), seed=SEED).to(device)
    net.to(memory_format=torch.channels_last)
    attack, epochs = PGD(Linf(EPS), 3, EPS / 2, "uniform"), 10
    opt = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
    for epoch in range(epochs):
        opt.param_groups[0]["lr"] = 0.1 * min((epoch + 1) / 3, 1 - epoch / epochs)
        for index in torch.randperm(1437).to(device).split(128):
            x_adv = attack(net, step_of(x[index], y[index], epoch, index))
            net.train()
            opt.zero_grad()
            F.cross_entropy(net(x_adv), y[index]).backward()
            opt.step()
    return net.eval().requires_grad_(False), x[1437:], y[1437:]


def seconds(work: Callable[[], object], device: str) -> tuple[float, object]:
    if device == "cpu":
        started, result = time.process_time(), work()
        return time.process_time() - started, result
    torch.cuda.synchronize()
    started, result = time.perf_counter(), work()
    torch.cuda.synchronize()
    return time.perf_counter() - started, result


def bare(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with eval_without_param_grad(net):
        for _ in range(STEPS):
            v = x.detach().requires_grad_()
            torch.autograd.grad(F.cross_entropy(net(v).float(), y, reduction="sum"), v)
    return x


def backward_pgd(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """As much research code has it: gradients of the parameters are computed too, and thrown away."""
    z = x.clone()
    for _ in range(STEPS):
        z.requires_grad_()
        F.cross_entropy(net(z), y).backward()
        z = (z.detach() + SIZE * z.grad.sign()).clamp(x - EPS, x + EPS).clamp(0, 1)
    return z


def foolbox_pgd(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # it asks for a git program otherwise
    import foolbox

    attack = foolbox.attacks.LinfPGD(steps=STEPS, abs_stepsize=SIZE, random_start=False)
    return attack(foolbox.PyTorchModel(net, (0, 1), device=x.device), x, y, epsilons=EPS)[1]


def torchattacks_pgd(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    import torchattacks

    return torchattacks.PGD(net, eps=EPS, alpha=SIZE, steps=STEPS, random_start=False)(x, y)


def pgd_table(net: nn.Module, x: Tensor, y: Tensor, device: str) -> None:
    ours = PGD(Linf(EPS), STEPS, SIZE, "none")

    def run(net, x, y):
        return ours(net, step_of(x, y))

    def stopping(net, x, y):
        return PGD(Linf(EPS), STEPS, SIZE, "none", only_correct=True)(net, step_of(x, y))

    def with_parameters(attack):  # as a user has them: nobody else freezes the network
        def work(net, x, y):
            net.requires_grad_(True)
            try:
                return attack(net, x, y)
            finally:
                net.zero_grad()
                net.requires_grad_(False)

        return work

    rivals = {
        "leanat": run,
        "leanat, only_correct": stopping,
        "torchattacks": with_parameters(torchattacks_pgd),
        "foolbox": with_parameters(foolbox_pgd),
        "loss.backward()": with_parameters(backward_pgd),
        "bare": bare,
    }
    cases = {}
    for precision in ("fp32", "bf16"):
        for name, work in rivals.items():
            cases[name, precision] = work
    took: dict[tuple[str, str], list[float]] = {case: [] for case in cases}
    right = {}
    for number in range(ROUNDS + 1):
        for (name, precision), work in list(cases.items()):
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                try:
                    took_now, x_adv = seconds(lambda work=work: work(net, x, y), device)
                except (ImportError, RuntimeError) as error:
                    print(f"{name}, {precision}: left out ({str(error).splitlines()[0]})")
                    del cases[name, precision], took[name, precision]
                    continue
                with torch.no_grad():
                    right[name, precision] = (net(x_adv).argmax(1) == y).float().mean().item()
            if number:  # the first round warms up
                took[name, precision].append(took_now)
    print(f"PGD-{STEPS}, {len(x)} images\n{'':24}{'':6}{'images/s':>10}{'ratio':>8}{'robust':>9}{'spread':>9}")
    base = statistics.median(took["leanat", "fp32"])
    for (name, precision), times in took.items():
        middle = statistics.median(times)
        robust = "" if name == "bare" else f"{right[name, precision]:.1%}"
        spread = (max(times) - min(times)) / middle
        print(f"{name:24}{precision:6}{len(x) / middle:10.0f}{base / middle:8.2f}{robust:>9}{spread:9.0%}")
    for precision in ("fp32", "bf16"):
        share = statistics.median(took["bare", precision]) / statistics.median(took["leanat", precision])
        print(f"forward and backward passes are {share:.0%} of leanat's time in {precision}")


def evaluation_table(net: nn.Module, x: Tensor, y: Tensor, device: str) -> None:
    """Robust accuracy as ``leanat attack`` finds it, and as a script around a library of attacks does: clean, attack, answers."""
    data, ours = InMemory(x, y), PGD(Linf(EPS), STEPS, SIZE, "none")

    def library() -> Tensor:
        net.requires_grad_(True)  # as a user has them: nobody else freezes the network
        try:
            with torch.no_grad():
                right = net(x).argmax(1) == y
            x_adv = torchattacks_pgd(net, x, y)
            with torch.no_grad():
                return right & (net(x_adv).argmax(1) == y)
        finally:
            net.requires_grad_(False)

    took: dict[str, list[float]] = {"library": [], "leanat": []}
    for number in range(ROUNDS + 1):
        theirs, right = seconds(library, device)
        own, outcome = seconds(lambda: evaluate(net, data, ours, seed=SEED), device)
        if number:  # the first round warms up
            took["library"].append(theirs)
            took["leanat"].append(own)
    equal = int((right.cpu().numpy() == outcome.correct).sum())
    library_s, own_s = (statistics.median(times) for times in took.values())
    print(
        f"Evaluation by PGD-{STEPS}, {len(x)} images, fp32: torchattacks {library_s:.2f} s, leanat {own_s:.2f} s, "
        f"ratio {library_s / own_s:.2f}; {equal} of {len(x)} outcomes equal"
    )


def autoattack_table(net: nn.Module, x: Tensor, y: Tensor, device: str, n: int = 32) -> None:
    from pyautoattack import AutoAttack as Package

    x, y = x[:n].contiguous(), y[:n]
    data = InMemory(x, y)
    logging.getLogger("auto-attack").setLevel(logging.ERROR)

    def package():
        attack = Package(net, norm="Linf", eps=EPS, seed=SEED, device=device)
        return attack.run_standard_evaluation(x, y, batch_size=n)[0]

    theirs, x_adv = seconds(package, device)
    ours, outcome = seconds(lambda: evaluate(net, data, AutoAttack(Linf(EPS)), seed=SEED, batch=n), device)
    right = net(x_adv).argmax(1) == y
    equal = int((right.cpu().numpy() == outcome.correct).sum())
    print(f"AutoAttack, {n} images: package {theirs:.1f} s, leanat {ours:.1f} s, ratio {theirs / ours:.2f}")
    robust = f"package {right.float().mean():.1%}, leanat {outcome.correct.mean():.1%}"
    print(f"robust: {robust}; {equal} of {n} outcomes equal")


if __name__ == "__main__":
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.manual_seed(SEED)
    if device == "cpu":
        torch.set_num_threads(1)
    net, x, y = trained(device)
    pgd_table(net, x, y, device)
    evaluation_table(net, x, y, device)
    autoattack_table(net, x, y, device)
