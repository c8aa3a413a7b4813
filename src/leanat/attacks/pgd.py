"""White-box attacks: frozen hyper-parameters, called with a network and a step, returning adversarial images.

    pgd = PGD(Linf(8 / 255), steps=10, step_size=2 / 255, start="uniform")
    x_adv = pgd(net, step)  # [B, C, H, W] in [0, 1] and in the ball

FGSM is PGD of one step without a start, FGSM-RS (torchattacks: FFGSM) one step with a uniform start. Losses are summed
over the batch, never averaged: in float32 the mean underflows for saturated examples. Only the input's gradient is
computed, with the parameters frozen, under the caller's autocast; training modes, parameters, ``.grad`` and the global
random generator are left as they were.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from leanat.attacks.threat import ThreatModel, per_example
from leanat.core.component import component
from leanat.core.nouns import Attack, Step, eval_without_param_grad
from leanat.core.precision import cast_once


def cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    """Losses [B] of logits [B, K]."""
    return F.cross_entropy(single_precision(z), y, reduction="none")


def margin(z: Tensor, y: Tensor, confidence: float = 50.0) -> Tensor:
    """Carlini and Wagner's margin, the best wrong logit minus the right one, capped at ``confidence``: [B].

    50 is the confidence in the evaluation code of FAT and of Madry et al., who maximise -max(-margin + 50, 0), which is the same
    up to a constant. Such a large cap rarely has an effect. Adding a number to all logits changes nothing.
    """
    z = single_precision(z)
    wrong = z.scatter(1, y[:, None], -torch.inf).max(1).values
    return (wrong - z.gather(1, y[:, None]).squeeze(1)).clamp(max=confidence)


def divergence(z: Tensor, log_p: Tensor) -> Tensor:
    """KL(p || softmax z) [B] from log p [B, K]: a term of TRADES and MART, and, with log p held fixed, TRADES' inner loss."""
    return F.kl_div(F.log_softmax(single_precision(z), 1), log_p, log_target=True, reduction="none").sum(1)


def single_precision(z: Tensor) -> Tensor:
    """The logits in single precision at least, so that losses of bfloat16 logits are computed in float32."""
    return z.to(torch.promote_types(z.dtype, torch.float32))


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"ce": cross_entropy, "margin": margin, "kl": divergence}
EACH_ALONE = "each image alone"  # in ``Step.aux``: the network answers each image by itself, the same each time
# Examples whose iterates repeat leave the batch once they are one in so many of it: a new batch size costs new kernels.
SETTLED = 8
LONG = 40  # steps from which on looking for repeated iterates pays: of 20 the kernels for new sizes take what is saved


def ascent(
    net: Callable[[Tensor], Tensor], x: Tensor, target: Tensor, loss: str = "ce"
) -> tuple[Tensor, Tensor, Tensor]:
    """Input gradient [B, ...] of the summed loss, losses [B] and logits [B, K], all detached.

    ``target`` is y for the losses "ce" and "margin", log p(x) for "kl". The network stays in its current mode.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        z = net(x)
        losses = LOSSES[loss](z, target)
        (grad,) = torch.autograd.grad(losses.sum(), x)
    return grad, losses.detach(), z.detach()


@component("clean")
class Clean:
    """No attack: x itself."""

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        return step.x


@component("pgd")
class PGD:
    """Projected gradient ascent (Madry et al. 2018), on any threat model.

    start           "none"; "uniform" in the ball; "gaussian": 0.001 N(0, 1) as in TRADES and MART, projected at once (in their
                    code only after the first step); "any_norm", for l2 only: the start of SAT's code, see ``L2.start_any_norm``
    loss            "ce"; "margin": see ``margin``; "kl": KL(p(x) || p(x')) with p(x) held fixed, the attack of TRADES
    restarts        number of independent runs; each example keeps the one with the highest loss
    only_correct    whether an example stops at its first misclassified iterate, as in fast_adversarial's PGD-50-10
    use_best        whether the iterate with the highest loss is returned, as in SAT's code. Losses are measured *before* each
                    step, so the result of the last step is never a candidate, and k steps act as k - 1
    training_mode   whether to attack in training mode, as in the code of FGSM-RS. BatchNorm then normalises by the statistics
                    of the batch, and dropout draws from the global generator. A training keeps the updated
                    running statistics; ``evaluate`` and ``leanat.perturb`` put them back

    ``step.steps`` and ``step.step_size`` ([B]) replace ``steps`` and ``step_size`` per example. Only examples with steps left
    are computed; an example without any steps is returned unchanged, without a random start.
    """

    threat: ThreatModel
    steps: PositiveInt
    step_size: NonNegativeFloat
    start: Literal["none", "uniform", "gaussian", "any_norm"]
    loss: Literal["ce", "margin", "kl"] = "ce"
    restarts: PositiveInt = 1
    only_correct: bool = False
    use_best: bool = False
    training_mode: bool = False

    def __post_init__(self):
        if self.start == "any_norm" and not hasattr(self.threat, "start_any_norm"):
            raise ValueError(f"start any_norm needs the threat model l2, not {self.threat}")
        if self.restarts > 1 and self.start == "none":
            raise ValueError(f"restarts {self.restarts}, start none; allowed: 1, or more with a random start")
        if self.loss == "kl" and self.start == "none":
            raise ValueError("loss kl needs a random start: its gradient at x is 0")
        if self.use_best and self.only_correct:
            raise ValueError("use_best and only_correct exclude each other")

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        if self.restarts == 1:
            return self.restart(net, step)
        with eval_without_param_grad(net, self.training_mode), cast_once(net), torch.no_grad():
            best = self.restart(net, step)
            target = self._target(net, step)
            highest = LOSSES[self.loss](net(best), target)
            for number in range(1, self.restarts):
                z = self.restart(net, step, number)
                losses = LOSSES[self.loss](net(z), target)
                better = losses > highest
                highest = torch.where(better, losses, highest)
                best = torch.where(per_example(better, z), z, best)
        return best

    def parts(self, n_classes: int) -> dict[str, Attack]:
        """The restarts as single attacks, so that an evaluation can run each on only the examples that are not fooled yet."""
        return {f"restart-{i}": partial(self.restart, number=i) for i in range(self.restarts)}

    def restart(self, net: nn.Module, step: Step, number: int = 0) -> Tensor:
        """One run from start number ``number``."""
        if not len(step.x):
            return step.x
        with eval_without_param_grad(net, self.training_mode), cast_once(net):
            order, sizes, step_size = self._schedule(step)
            x, target = step.x[order], self._target(net, step)[order]
            z = self._start(step, number)[order].clone()
            z[sizes[0] if sizes else 0 :] = x[sizes[0] if sizes else 0 :]
            plain = step.steps is None and not (self.only_correct or self.use_best or self.training_mode)
            if step.aux.get(EACH_ALONE) and plain and self.steps >= LONG:
                return self._until_settled(net, x, z, target, step_size)
            z = self._ascend(net, x, z, target, sizes, step_size)
        if step.steps is None:
            return z
        out = torch.empty_like(step.x)
        out[order] = z
        return out

    def _ascend(self, net: nn.Module, x: Tensor, z: Tensor, target: Tensor, sizes: list[int], step_size: Tensor):
        """Moves z; iteration t works on the first sizes[t] examples, or on those of them still classified correctly."""
        live = torch.arange(len(x), device=x.device) if self.only_correct else None
        if self.use_best:
            best, highest = z.clone(), x.new_full((len(x),), -torch.inf)
        for t, n in enumerate(sizes):
            if live is not None and n < (sizes[t - 1] if t else len(x)):
                live = live[live < n]
            where = slice(n) if live is None else live
            if self.use_best and t + 1 == len(sizes):  # nothing comes after this iterate: its loss is enough
                with torch.no_grad():
                    losses, grad = LOSSES[self.loss](net(z[where]), target[where]), None
            else:
                grad, losses, logits = ascent(net, z[where], target[where], self.loss)
            if self.use_best:
                better = losses > highest[where]
                highest[where] = torch.where(better, losses, highest[where])
                best[where] = torch.where(per_example(better, x), z[where], best[where])
            if live is not None:
                right = (logits.argmax(1) == self._labels(target, where)).nonzero().squeeze(1)  # waits for the device
                grad, where = grad[right], where[right]
                live = where
                if not len(live):
                    break
            if grad is not None:
                moved = z[where] + step_size[where] * self.threat.ascend(grad)
                z[where] = self.threat.project(moved, x[where])
        return best if self.use_best else z

    def _until_settled(self, net: nn.Module, x: Tensor, z: Tensor, target: Tensor, step_size: Tensor) -> Tensor:
        """The last iterates, as ``_ascend`` gives them; an example leaves the batch once its iterates repeat.

        The next iterate is a function of the last one. If an iterate comes back after two steps (pixels at the ball's edge stay
        there, others alternate), all later iterates alternate between the same two (Doldo et al. 2025, arXiv:2503.19347).
        """
        out, live, before = torch.empty_like(z), torch.arange(len(z), device=z.device), None
        for left in reversed(range(self.steps)):  # steps that come after this one
            grad = ascent(net, z, target, self.loss)[0]
            after = self.threat.project(z + step_size * self.threat.ascend(grad), x)
            if before is not None and left:
                back = (after == before).flatten(1).all(1)
                if int(back.sum()) * SETTLED >= len(live):  # waits for the device
                    out[live[back]] = (z if left % 2 else after)[back]
                    live, x, target, step_size, z, after = (v[~back] for v in (live, x, target, step_size, z, after))
            before, z = z, after
            if not len(live):
                return out
        out[live] = z
        return out

    def _labels(self, target: Tensor, where: slice | Tensor) -> Tensor:
        return target[where] if target.dim() == 1 else target[where].argmax(1)  # kl: away from the clean prediction

    def _target(self, net: nn.Module, step: Step) -> Tensor:
        if self.loss != "kl":
            return step.y
        with torch.no_grad():
            return F.log_softmax(single_precision(net(step.x)), 1)

    def _start(self, step: Step, number: int) -> Tensor:
        purpose = f"start/{number}"
        if self.start == "none":
            return step.x
        if self.start == "uniform":
            return self.threat.start(step.x, step.draws, purpose)
        if self.start == "any_norm":
            return self.threat.start_any_norm(step.x, step.draws, purpose)
        noise = step.draws.normal(purpose, *step.x.shape[1:]).to(step.x.dtype)
        return self.threat.project(step.x + 0.001 * noise, step.x)

    def _schedule(self, step: Step) -> tuple[slice | Tensor, list[int], Tensor]:
        """Order of the examples, how many of them are worked on at each iteration, and step sizes [B, 1, ...]."""
        step_size = step.x.new_full((len(step.x),), self.step_size)
        if step.step_size is not None:
            step_size = step.step_size.to(step.x.dtype)
        if step.steps is None:
            return slice(None), [len(step.x)] * self.steps, per_example(step_size, step.x)
        order = step.steps.argsort(descending=True, stable=True)
        budgets = sorted(step.steps.tolist())  # the only host synchronisation
        sizes = [len(budgets) - bisect_right(budgets, t) for t in range(max(budgets, default=0))]
        return order, sizes, per_example(step_size[order], step.x)


def refuse_budget(attack: Attack, step: Step) -> None:
    """Raises ValueError if a budget sets the steps of each example, for attacks that have their own schedule."""
    if step.steps is not None or step.step_size is not None:
        raise ValueError(f"{type(attack).__name__} takes no budget per example; use it without a budget")
