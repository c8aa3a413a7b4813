"""AutoAttack (Croce and Hein 2020) and its parts, through the package ``pyautoattack``, without its side effects.

The package seeds the global generators, leaves gradients in parameters, and leaves evaluation mode to the caller. Here the
generators (also of GPUs in use), modes and gradients are as before after every call. The package draws random numbers per
batch, not per example. Outcomes therefore depend on the batch size (for one image in some hundreds); with the same batches
and seed they equal the package's.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import MinLen, Predicate
from pyautoattack import checks
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_pt import FABAttack_PT
from pyautoattack.square import SquareAttack
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from leanat.attacks.pgd import ascent, refuse_budget
from leanat.attacks.threat import L2, Linf, ThreatModel
from leanat.core.component import component, distinct
from leanat.core.nouns import Attack, Step, eval_without_param_grad
from leanat.core.precision import cast_once

NORMS = {Linf: "Linf", L2: "L2"}
Ball = Annotated[ThreatModel, Predicate(lambda threat: type(threat) in NORMS), Field(description="linf and l2")]
Parts = Annotated[
    tuple[Literal["apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square"], ...],
    MinLen(1),
    Predicate(distinct),
    Field(description="one or more, each once"),
]
_silent = logging.Logger("leanat.autoattack", logging.CRITICAL + 1)  # what it would say, ``sanity`` says


@contextmanager
def _fenced(net: nn.Module, seed: int) -> Iterator[None]:
    # The package seeds the generators of all GPUs, whichever it works on. Before CUDA's first use none has a state to keep.
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with eval_without_param_grad(net), cast_once(net), torch.random.fork_rng(gpus), torch.no_grad():
        torch.manual_seed(seed)
        yield


def _run(
    attack: APGD | FAB | Square, net: nn.Module, step: Step, classes: int, perturb: Callable[..., Tensor]
) -> Tensor:
    """Calls ``perturb(x, logits, n_classes, **options)`` without side effects; ``classes``: how many classes the attack needs."""
    refuse_budget(attack, step)
    if not len(step.x):
        return step.x

    def logits(x: Tensor) -> Tensor:
        if x.requires_grad:  # the package takes views of the gradient, which the network may give in channels_last
            x = x.clone()
            x.register_hook(Tensor.contiguous)
        try:
            return net(x).float()
        except ValueError as error:
            if x.dtype == step.x.dtype:
                raise
            kind = str(step.x.dtype).removeprefix("torch.")  # the package has made float32 of it
            raise ValueError(
                f"APGD and FAB compute in float32 alone, x and the network are {kind}: net.float(), x.float()"
            ) from error

    with _fenced(net, step.draws.seed):
        n_classes = logits(step.x[:1].contiguous()).shape[1]
        if n_classes < classes:
            raise ValueError(f"this attack needs {classes} classes; the network has {n_classes}")
        threat = attack.threat
        common = {"norm": NORMS[type(threat)], "eps": threat.eps, "seed": step.draws.seed, "device": step.x.device}
        return perturb(step.x.contiguous(), logits, n_classes, **common).detach()


@component("apgd")
class APGD:
    """Auto-PGD on cross-entropy ("ce"), on the difference of logits ratio ("dlr", 3 classes or more), or targeted ("t", 4
    classes or more) at the ``targets`` likeliest wrong classes, or at all of them if there are fewer.

    Where it does not fool the network it returns the *clean* image. This suits accuracy, but neither training nor measuring
    perturbations. With ``highest`` every image gets its point of highest loss instead (not for "t"), for attacks that transfer.
    """

    threat: Ball
    loss: Literal["ce", "dlr", "t"]
    steps: PositiveInt = 100
    restarts: PositiveInt = 1
    targets: PositiveInt = 9
    highest: bool = False

    @property
    def shrinks(self) -> bool:
        """Whether examples leave the batch."""
        return not self.highest

    @property
    def classes_needed(self) -> int:
        """The smallest number of classes for which the attack's loss is defined."""
        return {"ce": 2, "dlr": 3, "t": 4}[self.loss]

    def __post_init__(self):
        if self.loss == "t" and self.highest:
            raise ValueError("highest with loss 't'; allowed: with ce and dlr")

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        def perturb(x, logits, n_classes, **common):
            common |= {"n_iter": self.steps, "n_restarts": self.restarts, "logger": _silent}
            if self.loss == "t":
                targets = min(self.targets, n_classes - 1)
                return APGDAttack_targeted(logits, n_target_classes=targets, **common).perturb(x, step.y)
            return APGDAttack(logits, loss=self.loss, **common).perturb(x, step.y, best_loss=self.highest)

        return _run(self, net, step, self.classes_needed, perturb)


@component("fab")
class FAB:
    """Fast adaptive boundary attack (Croce and Hein 2020): the nearest adversarial point, kept if inside the ball."""

    threat: Ball
    targeted: bool
    steps: PositiveInt = 100
    restarts: PositiveInt = 1
    targets: PositiveInt = 9
    shrinks: ClassVar[bool] = True  # examples that are fooled leave the batch

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        def perturb(x, logits, n_classes, **common):
            common |= {"n_iter": self.steps, "n_restarts": self.restarts, "targeted": self.targeted}
            return FABAttack_PT(logits, n_target_classes=min(self.targets, n_classes - 1), **common).perturb(x, step.y)

        return _run(self, net, step, 2, perturb)


@component("square")
class Square:
    """Square Attack (Andriushchenko et al. 2020): random search on the margin, without gradients."""

    threat: Ball
    queries: PositiveInt = 5000
    shrinks: ClassVar[bool] = True  # examples that are fooled leave the batch

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        def perturb(x, logits, n_classes, **common):
            square = SquareAttack(logits, n_queries=self.queries, resc_schedule=False, **common)
            return square.perturb(x, step.y)

        return _run(self, net, step, 2, perturb)


class InTurn:
    """Applies several attacks one after the other, each to the examples that are still classified correctly."""

    shrinks: ClassVar[bool] = True  # examples that are fooled leave the batch

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        if not len(step.x):
            return step.x
        x_adv = step.x.clone()
        with eval_without_param_grad(net), cast_once(net), torch.no_grad():
            z = net(step.x)
            right = z.argmax(1) == step.y
            for part in self.parts(z.shape[1]).values():
                where = right.nonzero().squeeze(1)
                if not len(where):
                    break
                few = step.take(where)
                candidates = part(net, few)
                fooled = net(candidates).argmax(1) != few.y
                x_adv[where[fooled]] = candidates[fooled]
                right[where[fooled]] = False
        return x_adv


@component("ensemble")
class Ensemble(InTurn):
    """Some of AutoAttack's parts, shortened; each attacks only the examples that the earlier ones did not fool.

    attacks: any of apgd-ce, apgd-dlr, apgd-t, fab, fab-t, square, in order of use. This is not AutoAttack and is never named so.
    """

    threat: Ball
    attacks: Parts
    steps: PositiveInt = 100
    targets: PositiveInt = 9
    queries: PositiveInt = 5000

    def parts(self, n_classes: int) -> dict[str, Attack]:
        steps, targets = self.steps, self.targets
        every = {
            "apgd-ce": APGD(self.threat, "ce", steps),
            "apgd-dlr": APGD(self.threat, "dlr", steps),
            "apgd-t": APGD(self.threat, "t", steps, targets=targets),
            "fab": FAB(self.threat, False, steps),
            "fab-t": FAB(self.threat, True, steps, targets=targets),
            "square": Square(self.threat, self.queries),
        }
        return {name: every[name] for name in self.attacks}


@component("autoattack")
class AutoAttack(InTurn):
    """The standard version, with all values fixed: apgd-ce, apgd-t, fab-t (9 targets, 100 steps), square (5,000 queries).

    With 4 to 9 classes the targets are all wrong classes. With fewer than 4 the targeted loss does not exist. Then apgd-ce, fab
    and square are run, which is not AutoAttack, and the notes of an evaluation say so.
    """

    threat: Ball

    def parts(self, n_classes: int) -> dict[str, Attack]:
        names = ("apgd-ce", "apgd-t", "fab-t", "square") if n_classes >= 4 else ("apgd-ce", "fab", "square")
        return Ensemble(self.threat, names).parts(n_classes)


def sanity(net: nn.Module, x: Tensor, y: Tensor) -> list[str]:
    """Reasons to doubt an evaluation of this network, as sentences; empty if there are none.

    These are AutoAttack's checks with its thresholds, on one batch x [B, C, H, W], y [B]: outputs that vary from call to call,
    outputs that are probabilities, and gradients taken inside the forward pass. We also look for input gradients that are
    exactly 0, and for logits and gradients that are not finite.
    """
    if not len(x):
        return []
    doubts = []
    with _fenced(net, 0):
        if _warns(checks.check_randomized, net, x, y):
            doubts.append("The outputs are random: they vary from call to call.")
        if _warns(checks.check_range_output, net, x):
            doubts.append("The outputs are probabilities, not logits.")
        if _warns(_check_dynamic, net, x):
            doubts.append("The forward pass takes gradients itself: the defence may adapt to its input.")
        gradient = ascent(net, x, y)[0].flatten(1)
        zero = (gradient.abs().amax(1) == 0).float().mean().item()
        lost = (~gradient.isfinite().all(1)).float().mean().item()
        bad = (~net(x).isfinite().all(1)).float().mean().item()
    if bad:
        doubts.append(f"The logits are not finite for {bad:.1%} of the images.")
    if lost:
        doubts.append(f"The input gradient is not finite for {lost:.1%} of the images.")
    if zero:
        doubts.append(f"The input gradient is exactly 0 for {zero:.1%} of the images.")
    return doubts


def _warns(check: Callable[..., None], *args) -> bool:
    records: list[logging.LogRecord] = []
    log = logging.Logger("leanat.check")
    log.addFilter(lambda record: records.append(record) is not None)
    check(*args, logger=log)
    return bool(records)


def _check_dynamic(net: nn.Module, x: Tensor, logger: logging.Logger) -> None:
    tracer = sys.gettrace()
    checks.funcs.update(dict.fromkeys(checks.funcs, 0))  # the package never resets its counters
    try:
        checks.check_dynamic(net, x, logger=logger)
    finally:
        sys.settrace(tracer)  # the package clears the tracer of coverage and debuggers
