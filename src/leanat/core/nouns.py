"""The nouns of adversarial training on chosen data.

The papers differ in four things: which examples are trained on (Selector), how strongly each is attacked (Budget), which loss
is minimised (Objective) and which state is kept between steps (Hook). A Method combines these with an Attack, a Recipe says how
to optimise, and a Run is one training with its state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from leanat.core.compiler import SGD
from leanat.core.component import Decay, component
from leanat.core.meter import Meter
from leanat.core.rng import Draws


class Data(Protocol):
    """A data set whose examples are accessed by index, on the device of the training."""

    @property
    def n_classes(self) -> int: ...

    @property
    def labels(self) -> Tensor:
        """int64 [N], on the device."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor, epoch: int, view: int = 0) -> tuple[Tensor, Tensor]:
        """x float32 [B, C, H, W] in [0, 1], with the augmentation of that epoch and view, and y int64 [B]."""

    def prefetch(self, index: Tensor, epoch: int, view: int = 0) -> None:
        """Announces the indices of the coming batches in order; a data set that is read from files starts decoding them."""

    def plain(self) -> Data:
        """The same examples without augmentation."""


def first_image(data: Data) -> Tensor:
    """x [1, C, H, W] of the first example, from which its shape and dtype are read."""
    return data.batch(torch.zeros(1, dtype=torch.int64, device=data.labels.device), 0)[0]


class Split(NamedTuple):
    """The training data, and a held-out part of them for selectors that need validation data, or None."""

    train: Data
    validation: Data | None


class Subset(NamedTuple):
    """Chosen examples: index int64 [n] and weight float32 [n], which is the paper's weight and never rescaled.

    ``shuffle=False``: every epoch takes its mini-batches from the examples in the given order.
    """

    index: Tensor
    weight: Tensor
    shuffle: bool = True


@dataclass(slots=True)
class Step:
    """One optimiser step, filled in from top to bottom. B is the batch size."""

    epoch: int
    index: Tensor  # int64 [B]
    x: Tensor  # [B, C, H, W] in [0, 1]
    y: Tensor  # int64 [B]
    weight: Tensor  # [B]
    draws: Draws  # the random numbers of these examples
    steps: Tensor | None = None  # int64 [B], attack steps of each example; None: the attack's own number
    step_size: Tensor | None = None  # [B]
    x_adv: Tensor | None = None
    z: Tensor | None = None  # logits [B, K] at x
    z_adv: Tensor | None = None  # logits [B, K] at x_adv
    losses: Tensor | None = None  # [B]; only the training loop averages them
    memory: dict[str, Any] = field(default_factory=dict)  # that of the run, for attacks and objectives that are hooks
    live: dict[str, Any] = field(default_factory=dict)  # that of the run
    aux: dict[str, Any] = field(default_factory=dict)

    def take(self, where: Tensor) -> Step:
        """The step of the examples at the positions ``where``, int64 [b]; it shares ``memory``, ``live`` and ``aux``."""
        own = {f.name: value[where] for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)}
        return replace(self, **own, draws=self.draws.of(own["index"]))


# Returns x_adv in [0, 1], and in the ball unless that is only a penalty (Fast-LPA). Follows the step's budget, or raises
# ValueError.
Attack = Callable[[nn.Module, Step], Tensor]


Schedule = Callable[[float, int], float]  # (fractional epoch, epochs) -> learning rate


@runtime_checkable
class Objective(Protocol):
    """The loss that is minimised, for each example."""

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        """Losses [B] with their graph; stores the logits that it computed in ``step``."""

    def of_logits(self, z: Tensor, z_adv: Tensor, y: Tensor) -> Tensor:
        """The losses [B] as a function of the logits, from which selections compute last-layer gradients."""


class Hook:
    """A part of a method that keeps state from step to step. The state is ``run.memory[name]``, and is saved in the checkpoint.

    By default every method here does nothing. An objective, attack, selector or budget may also be a Hook, and is then called
    as one without being listed among the extras (``Method.hooks``).
    """

    name: ClassVar[str]
    column_names: ClassVar[tuple[str, ...]] = ()  # the keys that ``columns`` may return
    report_names: ClassVar[tuple[str, ...]] = ()  # the keys that ``report`` returns

    def start(self, run: Run, split: Split) -> Any:
        """The state at the start of the training."""
        return {}

    def on_epoch(self, run: Run, split: Split) -> None:
        """Called before the selection of an epoch."""

    def resumed(self, run: Run, split: Split) -> None:
        """Called instead of ``on_epoch`` when an epoch is resumed midway."""

    def after_backward(self, run: Run, step: Step) -> None:
        """Called after the gradients are computed and before they are clipped."""

    def after_step(self, run: Run, step: Step) -> None:
        """Called after the optimiser has updated the weights."""

    def columns(self, run: Run) -> dict[str, float]:
        """Numbers for the epoch's row of the history."""
        return {}

    def ended(self, run: Run) -> bool:
        """Whether the training is to end before its last epoch."""
        return False

    def report(self, run: Run) -> dict[str, Any]:
        """Numbers for the run's metrics, after the training."""
        return {}

    def arrays(self, run: Run) -> dict[str, Any]:
        """Arrays that are saved as ``<name>.npz`` in the run's folder; without any, no file is written."""
        return {}

    def tensors(self, run: Run) -> dict[str, Tensor]:
        """Tensors that are saved as ``<name>.safetensors`` in the run's folder; without any, no file is written."""
        return {}


@dataclass
class Run:
    """One training and its state; a checkpoint holds the state except ``live``."""

    net: nn.Module
    method: Method
    recipe: Recipe
    seed: int
    epoch: int = 0  # epochs done
    subset: Subset | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)  # objects of hooks that checkpoints leave out: a teacher
    meter: Meter | None = None  # of an epoch that is not finished
    history: list[dict[str, float]] = field(default_factory=list)
    pieces: list[dict[str, Any]] = field(default_factory=list)  # where and when it was trained, an entry per process
    opt: torch.optim.SGD = field(init=False)

    def __post_init__(self):
        recipe = self.recipe
        free = [p for p in self.net.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": free}]
        if recipe.decays == "kernels":
            spared = [p for p in free if p.dim() < 2]
            groups = [{"params": [p for p in free if p.dim() > 1]}, {"params": spared, "weight_decay": 0.0}]
        self.opt = SGD(groups, 0.0, recipe.momentum, 0, recipe.weight_decay, recipe.nesterov, fused=True)
        self.net.to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device

    def draws(self, index: Tensor, view: int = 0, epoch: int | None = None) -> Draws:
        """The random numbers of the examples ``index`` [B] in ``epoch``, by default the current one."""
        return Draws(self.seed, self.epoch if epoch is None else epoch, index, view)

    def autocast(self) -> torch.autocast | nullcontext:
        if self.recipe.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


Selector = Callable[[Run, Split], Subset]


Budget = Callable[[Run, Step], tuple[Tensor, Tensor] | None]  # attack steps [B] and step sizes [B]


@component()
class Method:
    """How a run trains: its parts as defined above; ``extras`` are hooks that are none of the other parts."""

    objective: Objective
    attack: Attack
    selector: Selector
    budget: Budget | None = None
    extras: tuple[Hook, ...] = ()
    replays: PositiveInt = 1  # optimiser steps on each batch (Free-AT)

    def __post_init__(self):
        names = [hook.name for hook in self.hooks]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"{twice[0]}: two parts of the method share this state and must have equal fields")

    @property
    def hooks(self) -> tuple[Hook, ...]:
        """The extras in their order, then the other parts that are hooks, each once."""
        parts = (*self.extras, self.objective, self.attack, self.selector, self.budget)
        hooks: list[Hook] = []
        for part in parts:
            if isinstance(part, Hook) and part not in hooks:
                hooks.append(part)
        return tuple(hooks)

    @property
    def fixed_shapes(self) -> bool:
        """Whether every pass of a step takes the whole mini-batch: no budget and no early-stopping attack leaves examples out."""
        return self.budget is None and not getattr(self.attack, "shrinks", getattr(self.attack, "only_correct", False))

    @property
    def uneven(self) -> bool:
        """Whether the attack runs the network in training mode, with a number of passes that depends on its examples."""
        return attacks_in_training_mode(self.attack) and not self.fixed_shapes


@component()
class Recipe:
    """How a network is optimised. The learning rate is a function of the fractional epoch; each replay counts as a step of it.

    ``decays``: weight decay acts on "all" parameters, or only on the "kernels" of convolutions and linear layers (not on biases
    or BatchNorm).
    """

    epochs: PositiveInt
    batch: PositiveInt
    lr: Schedule
    momentum: Decay
    nesterov: bool
    weight_decay: NonNegativeFloat
    clip_value: PositiveFloat | None = None
    drop_last: bool = False
    precision: Literal["fp32", "bf16"] = "fp32"  # or bf16: autocast
    decays: Literal["all", "kernels"] = "all"

    def __post_init__(self):
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum above 0")


@contextmanager
def modes_restored(net: nn.Module) -> Iterator[None]:
    """At the end of this context each module is in its earlier mode, training or evaluation."""
    modes = [(m, m.training) for m in net.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def gradients_restored(net: nn.Module) -> Iterator[None]:
    """Within this context the parameters have no gradients at first; afterwards they have their earlier ones."""
    kept = [(p, p.grad) for p in net.parameters()]
    for p, _ in kept:
        p.grad = None
    try:
        yield
    finally:
        for p, gradient in kept:
            p.grad = gradient


@contextmanager
def in_mode(net: nn.Module, training: bool) -> Iterator[None]:
    """Within this context the whole network is in training or evaluation mode; afterwards each module is in its earlier mode."""
    with modes_restored(net):
        net.train(training)
        yield


@contextmanager
def eval_without_param_grad(net: nn.Module, training: bool = False) -> Iterator[None]:
    """Within this context the network is in evaluation (or training) mode and its parameters do not require gradients.

    Afterwards everything is as before, including the mode of each sub-module.
    """
    free = [p for p in net.parameters() if p.requires_grad]
    for p in free:
        p.requires_grad_(False)
    try:
        with in_mode(net, training):
            yield
    finally:
        for p in free:
            p.requires_grad_(True)


@contextmanager
def buffers_restored(net: nn.Module) -> Iterator[None]:
    """Restores all buffers at the end of this context, such as BatchNorm statistics that training mode has updated."""
    kept = [(b, b.clone()) for b in net.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.copy_(value)


@contextmanager
def state_restored(net: nn.Module) -> Iterator[None]:
    """Restores all parameters and buffers at the end of this context, such as weights that AWP has perturbed."""
    kept = [(p, p.detach().clone()) for p in net.parameters()]
    try:
        with buffers_restored(net):
            yield
    finally:
        with torch.no_grad():
            for p, value in kept:
                p.copy_(value)


def held_constant(attack: Attack, net: nn.Module, step: Step) -> Tensor:
    """Adversarial examples, [B, C, H, W], from an attack that leaves no trace in the network, even in training mode."""
    with buffers_restored(net):
        return attack(net, step)


def attacks_in_training_mode(attack: Attack) -> bool:
    """Whether the attack, or the one that it wraps, runs the network in training mode, which updates BatchNorm's statistics."""
    return getattr(getattr(attack, "attack", attack), "training_mode", False)
