"""Measures how long the pieces of a training take on this device, each by itself, on random images of the paper's shape.

No training is needed, since the time of a step does not depend on what a network has learnt, with two exceptions. First, some
attacks skip misclassified images; here the images get the labels that the network predicts, so that such attacks work on all
of them, as on the correctly classified images of a trained network. Second, the attack budgets of Bullet-Train:
``cost.predict`` computes its time from the shares of its groups. Decoding is measured separately (``decode``) and is not part
of a step. No other job of the workflow runs at the same time as ``leanat time``.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from leanat import models
from leanat.attacks.lpips import Lpips
from leanat.attacks.perceptual import Perceptual
from leanat.attacks.pgd import Clean
from leanat.core.files import read_json, write_json
from leanat.core.loop import make_step, one_step
from leanat.core.nouns import Attack, Hook, Method, Run, Split, Step, eval_without_param_grad
from leanat.core.planned import innermost
from leanat.core.precision import exact_fp32
from leanat.cost import decoding
from leanat.cost.held import most_bytes
from leanat.data import Augmentation, TensorData
from leanat.data.augment import RandomResizedCrop
from leanat.models import io
from leanat.papers.saliency.method import Saliency
from leanat.plan import components
from leanat.plan.item import Timed
from leanat.runs import experiment
from leanat.selection import glister, last_layer, subsets
from leanat.selection.basic import Everything, everyone, unweighted
from leanat.selection.outer_products import Gradients
from leanat.selection.taylor import Validation

log = logging.getLogger("leanat")


def write(timed: dict[str, Timed], out: Path, device: str, batch: int | None, repeats: int | None, usual: int) -> None:
    """Measures every spec (see ``measure_all``) and writes the primitives, with the device and so on of the measurement.

    Until all are measured, measurements are saved in ``<out>.part``, from which the same command continues if device, threads,
    versions, batch and repeats are the same. ``usual``: repeats on a GPU if ``repeats`` is None.
    """
    where = experiment.device_of(device)
    cpu = where.type == "cpu"
    setup = {"batch": batch or (4 if cpu else None), "repeats": repeats or (3 if cpu else usual)}
    setup |= experiment.provenance(where)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.part")
    same = {key: value for key, value in setup.items() if key != "date"}
    by_kind, spreads = _begun(part, same)
    if by_kind:
        log.info("goes on from %s, of %s", part, len(by_kind))

    def keep() -> None:
        write_json(part, same | {"known": by_kind, "spreads": spreads})

    primitives = measure_all(timed, where, setup["batch"], setup["repeats"], log.info, by_kind, spreads, keep)
    spread = statistics.median(spreads) if spreads else 0.0
    write_json(
        out, {"primitives": primitives, "spread": spread} | setup | {"date": experiment.provenance(where)["date"]}
    )
    part.unlink(missing_ok=True)


def _begun(part: Path, same: dict[str, Any]) -> tuple[dict[str, dict[str, float]], list[float]]:
    """The measurements of a command that was stopped, and their spreads; empty if they were made with another setup."""
    try:
        kept = read_json(part, "measurements")
        if {key: kept[key] for key in same} == same:
            return dict(kept["known"]), list(kept["spreads"])
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is damaged
        pass
    return {}, []


def measure_all(
    timed: dict[str, Timed],
    device: torch.device,
    batch: int | None,
    repeats: int,
    say: Callable[[str], None],
    by_kind: dict[str, dict[str, float]],
    spreads: list[float],
    keep: Callable[[], None],
) -> dict[str, dict[str, float]]:
    """The primitives (see ``cost.predict``) of every spec, by the spec's digest; equal steps are measured once.

    ``timed``: the trainings to measure, by digest of the spec. ``by_kind``: earlier measurements, by kind. ``spreads``: for each
    measurement, half the range of its repeats over their median. After each spec both are extended and ``keep`` is called.
    """
    primitives = {}
    for number, (key, entry) in enumerate(timed.items(), 1):
        bench = Bench.of(entry.spec, entry.shape, device, batch, repeats)
        selector = gradient_based(bench.run.method.selector)
        work = {entry.step: bench.step}
        if bench.crop is not None:
            work[f"decode {bench.crop}"] = bench.decode
        if entry.memory:
            work[f"{entry.step} memory"] = bench.memory
        if selector is not None:
            kind = f"{entry.step} {selector.adversarial} {selector.features}"
            work |= {kind: bench.select, f"{selector} {entry.shape}": bench.solve}
        new = [name for name in work if name not in by_kind]
        by_kind |= {name: work[name]() for name in new}
        primitives[key] = {k: v for name in work for k, v in by_kind[name].items()}
        if new:
            spreads += bench.spreads
            keep()
        times = ", ".join(f"{name} {seconds:.3g} s" for name, seconds in primitives[key].items())
        say(f"[{number}/{len(timed)}] {entry.spec['model']['name']}: {times}")
    return primitives


@dataclass
class Bench:
    """A spec's network on random images of its data set's shape, ready to be measured."""

    run: Run
    data: TensorData
    shape: dict[str, int]
    size: int  # number of images in a measured step; seconds are scaled to the spec's batch
    factor: float
    repeats: int
    crop: RandomResizedCrop | None = None  # for images that are streamed from files, of which a training sees a box
    spreads: list[float] = field(default_factory=list, init=False)  # see ``measure_all``

    @classmethod
    def of(
        cls,
        spec: dict[str, Any],
        shape: dict[str, int],
        device: torch.device,
        batch: int | None,
        repeats: int,
        whole: bool = False,
    ) -> Bench:
        """The bench of a spec, with only those hooks that are its objective or attack.

        ``whole``: the step is exactly that of a run, whose upstream networks exist; of a frozen network only the head is trained.
        """
        parts = components.read(spec)
        size = parts.recipe.batch if batch is None else min(batch, parts.recipe.batch)
        # cropping a box of each image belongs to decoding
        pieces = tuple(p for p in parts.data.augment if not isinstance(p, RandomResizedCrop))
        data = images(shape, max(2 * size, 64), device, pieces)
        net = io.build(parts.model.name, parts.model.standardise, io.describe(data), parts.seed).to(device)
        if whole and parts.init is not None and parts.init.frozen:
            net = models.transfer_head(net, parts.init.hidden, shape["classes"], parts.seed).to(device)
        attack = parts.method.attack
        # the time does not depend on the weights of the network for the distance
        if isinstance(attack, Perceptual) and not whole:
            lpips = Lpips(io.build("alexnet_cifar", "channel", io.describe(data), 0).to(device).eval())
            attack = _With(lpips, attack.attack)
        objective = parts.method.objective
        if isinstance(objective, Saliency):  # nor on those of the discriminator
            objective = replace(objective, first_phase=None)
        with TemporaryDirectory() as folder:
            if isinstance(objective, Saliency) and not whole:  # nor on those of the teacher
                about = {"model": spec["model"], "data": io.describe(data)}
                io.save(Path(folder) / "model.safetensors", net, about)
                objective = replace(objective, teacher=Path(folder))
            # Only the state that a step itself needs.
            selector = Everything() if isinstance(parts.method.selector, Hook) else parts.method.selector
            changed = {"objective": objective, "attack": attack, "selector": selector}
            budget = _none if parts.method.budget else None
            method = replace(parts.method, **changed, budget=budget, extras=())
            run = Run(net, method, parts.recipe, parts.seed, epoch=parts.recipe.epochs // 2 if whole else 0)
            for hook in method.hooks:
                run.memory[hook.name] = hook.start(run, Split(data, None))
                hook.on_epoch(run, Split(data, None))
        crop = next((p for p in parts.data.augment if isinstance(p, RandomResizedCrop)), None)
        return cls(run, data, shape, size, parts.recipe.batch / size, repeats, crop)

    def step(self) -> dict[str, float]:
        """Seconds of an optimiser step with its attack, without it, and of a clean forward pass."""
        primitives = {"step": self.attacked(), "look": self.look()}
        # Not defined for Free-AT, and not needed without a budget.
        return primitives if self.run.method.hooks else primitives | {"bare": self.bare()}

    def decode(self) -> dict[str, float]:
        """Core seconds to decode one image."""
        return {"decode": decoding.seconds(self.crop, self.shape["size"], self.repeats)}

    def memory(self) -> dict[str, float]:
        """The memory in MB (2^20 bytes) that a step with its attack needs for each additional image of the batch.

        Weights, gradients and momentum are not included, since they do not depend on the batch; so batch sizes do not matter.
        """
        few, held = self.size // 2, {}
        if not few:
            raise ValueError("memory is measured on two batches: at least 2 images")
        for size in (self.size, few):

            def work(size: int = size) -> None:
                one_step(self.run, make_step(self.run, self.data, unweighted(everyone(self.data)), slice(0, size)))

            with exact_fp32():
                work()  # creates momentum and whatever else only the first step makes
                held[size] = most_bytes(work, self.run.device)
        return {"memory": (held[self.size] - held[few]) / (self.size - few) / 2**20}

    def attacked(self) -> float:
        """Seconds of a step, with a share of the work that is not done in every step: the update of Saliency's discriminators."""
        method, seconds = self.run.method, self._optimise(self.run.method)
        objective = method.objective
        if not (isinstance(objective, Saliency) and objective.beta):
            return seconds
        return seconds + (self._optimise(method, updates=True) - seconds) / objective.discriminator.every

    def bare(self) -> float:
        method = self.run.method
        return self._optimise(replace(method, attack=Clean()))

    def look(self) -> float:
        run = self.run

        def work() -> None:
            with eval_without_param_grad(run.net), torch.no_grad(), run.autocast():
                run.net(self._fresh(self.data).x)

        return self.factor * self._median(work)

    def _optimise(self, method: Method, updates: bool = False) -> float:
        run, own = self.run, self.run.method

        def work() -> None:
            run.opt.param_groups[0]["lr"] = 1e-4
            if (memory := run.memory.get(Saliency.name)) is not None:
                memory["steps"] = 0 if updates else 1  # a discriminator is updated at 0, every, 2 every, ...
            one_step(run, self._fresh(self.data))

        run.method = method
        seconds = self.factor * self._median(work)
        run.method = own
        return seconds

    def _fresh(self, data: TensorData) -> Step:
        return make_step(self.run, data, unweighted(everyone(data)), slice(0, self.size))

    def label(self, data: TensorData) -> None:
        """Sets the labels of a step's images, with this epoch's augmentation, to the network's current predictions."""
        run, step = self.run, self._fresh(data)
        with eval_without_param_grad(run.net), torch.no_grad(), run.autocast():
            data.labels[step.index] = run.net(step.x).argmax(1)

    def select(self) -> dict[str, float]:
        """Seconds of the attack and the last-layer gradients of a batch."""
        selector, recipe = gradient_based(self.run.method.selector), self.run.recipe
        few = self.data.take(torch.arange(self.size, device=self.run.device))
        self.run.recipe = replace(recipe, batch=self.size)
        one = self._median(lambda: last_layer.gradients(self.run, few, selector.adversarial, selector.features), few)
        self.run.recipe = recipe
        return {"select": self.factor * one}

    def solve(self) -> dict[str, float]:
        """Seconds of one run of the solver, on random gradients of a whole training set, of which a tenth is held out."""
        return {"solve": _solve(gradient_based(self.run.method.selector), self.run, self.shape)}

    def _median(self, work: Callable[[], Any], data: TensorData | None = None) -> float:
        """Median seconds of ``repeats`` calls after one warm-up call; before each, ``data`` are relabelled by ``label``."""
        seconds = []
        with exact_fp32():  # as in training
            for _ in range(1 + self.repeats):
                self.label(self.data if data is None else data)
                seconds.append(clocked(work, self.run.device))
        middle = statistics.median(seconds[1:])
        self.spreads.append((max(seconds[1:]) - min(seconds[1:])) / 2 / middle)
        return middle


def _none(run: Run, step: Step) -> None:
    """Replaces a budget: the attack makes all its steps, but batches count as having varying sizes, as with a budget."""


@dataclass(frozen=True)
class _With:
    """A perceptual attack with a given network for the distance."""

    lpips: Lpips
    attack: Attack

    @property
    def shrinks(self) -> bool:
        return getattr(self.attack, "shrinks", False)

    def __call__(self, net: torch.nn.Module, step: Step) -> torch.Tensor:
        step.aux["lpips"] = self.lpips
        return self.attack(net, step)


def images(shape: dict[str, int], n: int, device: torch.device, augment: tuple) -> TensorData:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, shape["channels"], shape["size"], shape["size"]), generator=generator)
    labels = torch.arange(n) % shape["classes"]
    channels = shape["channels"]
    return TensorData(
        name="random images",
        class_names=tuple(map(str, range(shape["classes"]))),
        image_size=shape["size"],
        channels=channels,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        images=pixels.to(torch.uint8),
        labels=labels,
        numbers=torch.arange(n),
        augment=Augmentation(augment),
        seed=0,
    ).to(device)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clocked(work: Callable[[], Any], device: torch.device, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call, until the device has finished it."""
    wait(device)
    started = clock()
    work()
    wait(device)
    return clock() - started


def gradient_based(selector: Any) -> Any:
    """The gradient-based selector inside warm starts and periods; None if there is none."""
    inner = innermost(selector)
    return inner if hasattr(inner, "solve") else None


def _solve(selector: Any, run: Run, shape: dict[str, int]) -> float:
    """Seconds of one run of the solver, on random gradients and features of a training set, of which a tenth is held out.

    On a GPU a run on a few batches comes first, since the first use of the GPU loads libraries.
    """
    few = min(shape["train"], 20 * max(shape["classes"], run.recipe.batch))
    if run.device.type == "cuda":
        _solve_once(selector, run, shape | {"train": few})
    return _solve_once(selector, run, shape)


def _solve_once(selector: Any, run: Run, shape: dict[str, int]) -> float:
    n, classes, device = round(shape["train"] * 0.9), shape["classes"], run.device
    data = images(shape | {"channels": 1, "size": 1}, n, device, ())
    width = run.net.head.in_features

    def rows(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(count, classes, generator=generator).softmax(1)
        return z.to(device), torch.rand(count, width, generator=generator).to(device)

    a, phi = rows(n, 0)
    gradients = Gradients(((a, phi if selector.features else None),))
    solve = selector.solve
    if isinstance(selector, glister.Glister):
        z, psi = rows(shape["train"] - n, 1)
        labels = torch.arange(len(z), device=device) % classes
        validation = Validation(z, psi if selector.features else None, labels)

        def solve(rows: Any, budget: int, label: int | None) -> Any:
            return selector.solve(run, validation, rows, budget, label)

    return clocked(lambda: subsets.choose(run, data, gradients, solve, selector.fraction, selector.granularity), device)
