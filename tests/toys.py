"""Small things that several tests train on."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from leanat.core.nouns import Hook, Method, Recipe, Run, Split
from leanat.core.rng import Draws
from leanat.plan.grid import digest
from leanat.selection.basic import Everything
from leanat.training.objectives import CrossEntropy
from leanat.training.schedules import Constant


@dataclass(frozen=True)
class Toy:
    """Images float32 [N, C, H, W]; augmentation moves an image by up to one pixel."""

    images: Tensor
    labels: Tensor
    n_classes: int
    seed: int = 0
    augmented: bool = True

    def __len__(self):
        return len(self.labels)

    def batch(self, index, epoch, view=0):
        x = self.images[index]
        if self.augmented:
            shift = Draws(self.seed, epoch, index, view).integers("crop", 3) - 1
            x = torch.stack([image.roll(int(s), -1) for image, s in zip(x, shift, strict=True)])
        return x, self.labels[index]

    def prefetch(self, index, epoch, view=0):
        pass

    def plain(self):
        return replace(self, augmented=False)


def toy(n=24, size=6, channels=1, n_classes=3, seed=0):
    """Noise under rows, columns or a uniform brightness, by class."""
    draws = Draws(seed, 0, torch.arange(n))
    images, labels = draws.uniform("image", channels, size, size) * 0.5, torch.arange(n) % n_classes
    for i, label in enumerate(labels):
        where = ((slice(None, None, 2), slice(None)), (slice(None), slice(None, None, 2)), (slice(None),) * 2)
        images[i, :, *where[int(label) % 3]] += 0.5
    return Toy(images, labels, n_classes)


def clean(net, step):
    return step.x


class Small(nn.Module):
    """A convolutional classifier with the parts every network here has."""

    def __init__(self, channels=1, n_classes=3, norm=True, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.normalise = nn.Identity()
            norms = [nn.BatchNorm2d(4), nn.BatchNorm2d(5)] if norm else [nn.Identity(), nn.Identity()]
            self.body = nn.Sequential(
                *(nn.Conv2d(channels, 4, 3, padding=1), norms[0], nn.ReLU()),
                *(nn.Conv2d(4, 5, 3, padding=1, stride=2), norms[1], nn.ReLU()),
                *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            )
            self.head = nn.Linear(5, n_classes)

    def forward(self, x):
        return self.head(self.body(self.normalise(x)))


def make_run(net, selector=None, *, epochs=2, batch=8, seed=0, lr=0.1, drop_last=False, momentum=0.9, **method):
    method = {"objective": CrossEntropy(), "attack": clean, **method}
    schedule = lr if callable(lr) else Constant(lr)
    recipe = Recipe(epochs, batch, schedule, momentum, momentum > 0, 5e-4, drop_last=drop_last)
    return Run(net, Method(selector=selector or Everything(), **method), recipe, seed)


def split(data):
    return Split(data, None)


def weights(net):
    return {k: v.detach().clone() for k, v in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def record(spec, **metrics):
    """The metrics of a finished run, as far as a test needs them."""
    usual = {"clean": {"accuracy": 0.5}, "examples": {"train": 100, "test": 100}, "device": "CPU", "date": "2026-11-28"}
    return {"spec": spec, "spec_hash": digest(spec)} | usual | metrics


class Losses(Hook):
    """The losses of every example at the steps that trained on it: the last, the sum, and how many."""

    name = "losses"

    def start(self, run, split):
        return {key: torch.zeros(len(split.train)) for key in ("last", "total", "visits")}

    def after_step(self, run, step):
        memory, value = run.memory[self.name], step.losses.detach().float()
        memory["last"][step.index] = value
        memory["total"][step.index] += value
        memory["visits"][step.index] += 1


def convolutions(net, x):
    """The shape that each Conv2d of the network gives for ``x``, by module name in forward order."""
    shapes = {}
    named = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    hooks = [m.register_forward_hook(lambda m, i, o, name=name: shapes.update({name: o.shape})) for name, m in named]
    with torch.no_grad():
        net.eval()(x)
    for hook in hooks:
        hook.remove()
    return shapes
