"""How fast the training loop is, beside a plain PyTorch loop over a DataLoader, on the same network and data.

    OMP_NUM_THREADS=1 python benchmarks/training.py             # about eight minutes of one core
    OMP_NUM_THREADS=1 python benchmarks/training.py --quick     # three
    python benchmarks/training.py --device cuda --batch 128 --steps 50
    OMP_NUM_THREADS=1 python benchmarks/training.py --only digits

"DataLoader": PIL images, RandomCrop and RandomHorizontalFlip from torchvision (none for the digits, where we do not augment
either), float32, and PGD that calls ``loss.backward()`` in training mode, as much research code has it: gradients of the
parameters are computed too, and thrown away. workers=0 and 1.
"leanat": ``core.train_epoch`` with the images on the device, in float32 and in bfloat16. Both take the same number of
optimiser steps of SGD on as many examples, and the same number of attack steps of the same size.

Everything runs in one process, the rivals in turn; a table gives medians over rounds with minimum and maximum. Time is that
of the wall, because a worker's time counts; a loaded machine shows in the spread. ``CPU`` is the time of this process and
its children, in the same ratio: on a shared machine trust that.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core.loop import train_epoch
from leanat.core.nouns import Method, Recipe, Run, Split
from leanat.core.rng import Draws
from leanat.data import Augmentation, Crop, Flip, TensorData, load
from leanat.models import build
from leanat.selection.basic import Everything
from leanat.training.objectives import CrossEntropy
from leanat.training.schedules import Constant

LR, MOMENTUM, DECAY, PGD_STEPS = 0.01, 0.9, 5e-4, 10
SEED = 0


@dataclass(frozen=True)
class Case:
    """A network on a data set, in mini-batches, under an attack of radius ``eps``."""

    name: str
    data: TensorData
    model: str
    batch: int
    eps: float
    pad: int

    def net(self, device: torch.device) -> nn.Module:
        d = self.data
        return build(self.model, d.n_classes, d.image_size, d.channels, SEED, d.mean, d.std).to(device)


def cifar_like(n: int) -> TensorData:
    """Noise of CIFAR-10's shape: speed does not depend on what the pixels show."""
    index = torch.arange(n)
    images = Draws(SEED, 0, index).integers("image", 256, 3, 32, 32).to(torch.uint8)
    names = tuple(map(str, range(10)))
    known = {"name": "noise", "image_size": 32, "channels": 3, "mean": (0.5,) * 3, "std": (0.25,) * 3}
    return TensorData(**known, class_names=names, images=images, labels=index % 10, numbers=index)


def cases(resnet_steps: int, resnet_batch: int) -> list[Case]:
    digits = load("digits", "train")
    return [
        Case("digits", digits, "resnet_78k", 128, 0.15, 0),
        Case("digits", digits, "vgg16_small", 32, 0.15, 0),
        Case("CIFAR-size", cifar_like(resnet_steps * resnet_batch), "resnet18", resnet_batch, 8 / 255, 4),
    ]


def leanat(case: Case, adversarial: bool, device: torch.device, precision: str) -> Callable[[], None]:
    attack = PGD(Linf(case.eps), PGD_STEPS, case.eps / 4, "uniform") if adversarial else Clean()
    recipe = Recipe(1, case.batch, Constant(LR), MOMENTUM, True, DECAY, drop_last=True, precision=precision)
    run = Run(case.net(device), Method(CrossEntropy(), attack, Everything()), recipe, SEED)
    augment = Augmentation((Crop(case.pad), Flip()) if case.pad else ())
    split = Split(TensorData(**(vars(case.data.to(device)) | {"augment": augment})), None)
    return partial(train_epoch, run, split)


class Pictures(torch.utils.data.Dataset):
    """As torchvision's CIFAR10 keeps and hands out its images: an array, a PIL image an item, transforms."""

    def __init__(self, data: TensorData, pad: int):
        from torchvision import transforms

        self.images, self.targets = data.images.permute(0, 2, 3, 1).numpy(), data.labels.tolist()
        moves = [transforms.RandomCrop(data.image_size, padding=pad), transforms.RandomHorizontalFlip()] if pad else []
        self.transform = transforms.Compose([*moves, transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[i].squeeze())), self.targets[i]


def backward_pgd(net: nn.Module, x: Tensor, y: Tensor, eps: float) -> Tensor:
    z = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(PGD_STEPS):
        z.requires_grad_()
        F.cross_entropy(net(z), y).backward()
        z = (z.detach() + eps / 4 * z.grad.sign()).clamp(x - eps, x + eps).clamp(0, 1)
    return z


def plain(case: Case, adversarial: bool, device: torch.device, workers: int) -> Callable[[], None]:
    net = case.net(device)
    opt = torch.optim.SGD(net.parameters(), LR, MOMENTUM, nesterov=True, weight_decay=DECAY)
    cuda = device.type == "cuda"
    loader = torch.utils.data.DataLoader(
        Pictures(case.data, case.pad), case.batch, True, num_workers=workers, drop_last=True, pin_memory=cuda
    )

    def epoch() -> None:
        net.train()
        for x, y in loader:
            x, y = x.to(device, non_blocking=cuda), y.to(device, non_blocking=cuda)
            if adversarial:
                x = backward_pgd(net, x, y, case.eps)
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            loss.item()  # the running loss of a progress bar

    return epoch


RIVALS: dict[str, Callable[[Case, bool, torch.device], Callable[[], None]]] = {
    "DataLoader, workers=0": partial(plain, workers=0),
    "DataLoader, workers=1": partial(plain, workers=1),
    "leanat, fp32": partial(leanat, precision="fp32"),
    "leanat, bf16": partial(leanat, precision="bf16"),
}
BASE = "DataLoader, workers=0"


def cpu_seconds() -> float:
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def seconds(epoch: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Wall and CPU time of one epoch; a worker that has ended counts as a child."""
    synchronise = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    synchronise()
    wall, cpu = time.perf_counter(), cpu_seconds()
    epoch()
    synchronise()
    return time.perf_counter() - wall, cpu_seconds() - cpu


@contextmanager
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        yield


def measure(case: Case, adversarial: bool, device: torch.device, rounds: int) -> dict[str, list[tuple[float, float]]]:
    epochs = {name: make(case, adversarial, device) for name, make in RIVALS.items()}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in epochs}
    with seeded():
        for number in range(rounds + 1):
            for name, epoch in epochs.items():
                now = seconds(epoch, device)
                if number:  # the first round warms up
                    took[name].append(now)
    return took


def show(case: Case, adversarial: bool, took: dict[str, list[tuple[float, float]]]) -> None:
    steps = len(case.data) // case.batch
    images = steps * case.batch
    what = f"PGD-{PGD_STEPS} adversarial training" if adversarial else "standard training"
    print(f"\n{case.name}, {case.model}, batch {case.batch}, {what}: {steps} steps a round, {len(took[BASE])} rounds")
    print(f"{'':24}{'images/s':>10}{'min':>10}{'max':>10}{'ratio':>8}{'min':>7}{'max':>7}{'CPU':>7}")
    base = statistics.median(wall for wall, _ in took[BASE])
    base_cpu = statistics.median(cpu for _, cpu in took[BASE])
    for name, times in took.items():
        walls, cpus = zip(*times, strict=True)
        # Within a round, so that what slows a whole round down cancels.
        ratios = [b / w for (b, _), w in zip(took[BASE], walls, strict=True)]
        middle = statistics.median(walls)
        speeds = "".join(f"{images / t:10.1f}" for t in (middle, max(walls), min(walls)))
        print(
            f"{name:24}{speeds}{base / middle:8.2f}{min(ratios):7.2f}{max(ratios):7.2f}"
            f"{base_cpu / statistics.median(cpus):7.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of each rival (after one that warms up)")
    parser.add_argument("--steps", type=int, default=1, help="optimiser steps a round of ResNet-18")
    parser.add_argument("--batch", type=int, default=64, help="batch of ResNet-18")
    parser.add_argument("--only", default="", help="cases whose name or network holds this word")
    parser.add_argument("--quick", action="store_true", help="3 rounds, ResNet-18 in one step of batch 32")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.steps, args.batch = 3, 1, 32
    device = torch.device(args.device)
    threads = f"{torch.get_num_threads()} thread(s)"
    print(
        torch.cuda.get_device_name(device) if device.type == "cuda" else threads, f"torch {torch.__version__}", sep=", "
    )
    for case in cases(args.steps, args.batch):
        if args.only in f"{case.name} {case.model}":
            for adversarial in (False, True):
                show(case, adversarial, measure(case, adversarial, device, args.rounds))


if __name__ == "__main__":
    main()
