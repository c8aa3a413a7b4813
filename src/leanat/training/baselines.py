"""Cheaper or stronger adversarial training that the papers compare with: Free-AT, FAT, AWP; a watch over FGSM-RS.

free = Free(Linf(8 / 255), step_size=8 / 255)
Method(CrossEntropy(), free, Everything(), extras=(free,), replays=8)
Method(CrossEntropy(), FAT(Linf(8 / 255), 10, 2 / 255, patience=0, bounds=(50, 90)), Everything())
awp = AWP(CrossEntropy(), gamma=0.01)
Method(awp, PGD(Linf(8 / 255), 10, 2 / 255, "uniform"), Everything(), extras=(awp,))
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from leanat.attacks.pgd import ascent, check_steps
from leanat.attacks.threat import ThreatModel
from leanat.core.nouns import Attack, Hook, Objective, Run, Split, Step, eval_without_param_grad
from leanat.core.precision import cast_once
from leanat.selection.basic import everyone


def _no_budget(step: Step, name: str) -> None:
    if step.steps is not None or step.step_size is not None:
        raise ValueError(f"{name} sets its own steps; a budget cannot")


@dataclass(frozen=True)
class Free(Hook):
    """Free adversarial training (Shafahi et al. 2019): one backward pass moves the weights and the perturbation.

    Attack and Hook: the same in both places; ``Method.replays`` is their m. One delta of batch shape, 0 at the start,
    is carried from batch to batch and from epoch to epoch (``run.memory["free"]``), a smaller last batch using its
    first rows. After each backward pass delta <- clamp(delta + step_size sign(gradient)) to the ball and the image's
    range. The gradient is that of the training step, training mode and augmentation included. ``step_size`` is eps in
    the authors' code.
    """

    threat: ThreatModel
    step_size: float
    name: ClassVar[str] = "free"

    def __post_init__(self):
        check_steps(1, self.step_size)

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        """x_adv as a leaf, so that the training step's own backward pass leaves its gradient there."""
        if self.name not in step.memory:
            raise RuntimeError("free needs a training that it belongs to: its perturbation is the run's")
        _no_budget(step, self.name)
        delta = step.memory[self.name]["delta"][: len(step.x)]
        return self.threat.project(step.x + delta, step.x).detach().requires_grad_()

    def start(self, run: Run, split: Split) -> dict:
        x, _ = split.train.batch(torch.zeros(1, dtype=torch.int64, device=split.train.labels.device), 0)
        return {"delta": x.new_zeros(run.recipe.batch, *x.shape[1:])}

    def after_backward(self, run: Run, step: Step) -> None:
        delta = run.memory[self.name]["delta"][: len(step.x)]
        moved = step.x + delta + self.step_size * self.threat.ascend(step.x_adv.grad)
        delta.copy_(self.threat.project(moved, step.x) - step.x)


@dataclass(frozen=True)
class FAT:
    """Friendly adversarial training (Zhang et al. 2020, Algorithm 1): PGD that stops soon after the decision flips.

    Before each of at most ``steps`` steps, an example that is misclassified spends one of its tau; without any left it
    stays where it is. tau is ``patience`` at first and one more from each epoch in ``bounds`` on (in their code 0, 1, 2
    of 120 epochs, bounds 50 and 90). ``start``: "uniform" in the ball or "none". ``omega`` times N(0, 1) is added to
    each step (0.001 in their code). Evaluation mode; only examples under way are worked on.
    """

    threat: ThreatModel
    steps: int
    step_size: float
    patience: int
    bounds: tuple[int, ...] = ()
    start: str = "uniform"
    omega: float = 0.0
    shrinks: ClassVar[bool] = True  # examples leave the batch on the way

    def __post_init__(self):
        check_steps(self.steps, self.step_size)
        if self.patience < 0:
            raise ValueError(f"patience {self.patience}; allowed: 0 or more")
        if any(b < 1 for b in self.bounds) or list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError(f"bounds {self.bounds}; allowed: epochs from 1 on, rising")
        if self.start not in ("uniform", "none"):
            raise ValueError(f"start {self.start!r}; allowed: uniform, none")
        if not 0 <= self.omega < math.inf:
            raise ValueError(f"omega {self.omega}; allowed: a finite number, 0 or more")

    def tau(self, epoch: int) -> int:
        """Steps allowed after the decision has flipped."""
        return self.patience + sum(epoch >= b for b in self.bounds)

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        _no_budget(step, "fat")
        x, y = step.x, step.y
        z = x.clone() if self.start == "none" else self.threat.start(x, step.draws, "start/0")
        live = torch.arange(len(x), device=x.device)
        left = torch.full_like(live, self.tau(step.epoch))
        with eval_without_param_grad(net), cast_once(net):
            for t in range(self.steps):
                if not len(live):
                    break
                grad, _, logits = ascent(net, z[live], y[live])
                wrong = logits.argmax(1) != y[live]
                going = ~wrong | (left[live] > 0)
                left[live] -= wrong.long()
                kept = going.nonzero().squeeze(1)  # the step's only wait for the device
                live = live[kept]
                moved = z[live] + self.step_size * self.threat.ascend(grad[kept])
                if self.omega:
                    moved += self.omega * step.draws.normal(f"omega/{t}", *x.shape[1:])[live]
                z[live] = self.threat.project(moved, x[live])
        return z


@dataclass(frozen=True)
class AWP(Hook):
    """Adversarial weight perturbation (Wu et al. 2020): ``objective`` at w + v, where v raises its loss on this batch.

    Objective and Hook: the same in both places. For every weight tensor with more than one dimension
    v = gamma ||w|| g / ||g||, g the gradient of the batch's mean loss in training mode. The authors find g by a step of
    a copy of the network; the copy's learning rate cancels. The weights come back bit for bit before the optimiser
    moves them, so weight decay acts on w, and on w + v in the authors' code. None before ``warmup_epochs``. BatchNorm
    records the statistics of the perturbed network alone.
    """

    objective: Objective
    gamma: float
    warmup_epochs: int = 0
    name: ClassVar[str] = "awp"

    def __post_init__(self):
        if not 0 <= self.gamma < math.inf:
            raise ValueError(f"gamma {self.gamma}; allowed: a finite number, 0 or more")
        if self.warmup_epochs < 0:
            raise ValueError(f"warmup_epochs {self.warmup_epochs}; allowed: 0 or more")

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        step.aux[self.name] = self._perturb(net, step) if self.gamma and step.epoch >= self.warmup_epochs else []
        return self.objective(net, step)

    def of_logits(self, z: Tensor, z_adv: Tensor, y: Tensor) -> Tensor:
        return self.objective.of_logits(z, z_adv, y)

    def _perturb(self, net: nn.Module, step: Step) -> list[tuple[Tensor, Tensor]]:
        """Moves the weights; returns each with its old value."""
        own = {k: p for k, p in net.named_parameters() if p.requires_grad and p.dim() > 1}
        copies = {k: p.detach().requires_grad_() for k, p in own.items()}
        buffers = {k: b.clone() for k, b in net.named_buffers()}  # this pass leaves no trace in BatchNorm
        losses = self.objective(lambda x: functional_call(net, {**copies, **buffers}, (x,)), step)
        grads = torch.autograd.grad((step.weight * losses).sum(), list(copies.values()))
        kept = [(p, p.detach().clone()) for p in own.values()]
        with torch.no_grad():
            for (p, _), g in zip(kept, grads, strict=True):
                p.add_(g * (self.gamma * p.norm() / (g.norm() + 1e-20)))
        torch.clear_autocast_cache()  # which may hold the weights as they were
        return kept

    def start(self, run: Run, split: Split) -> None:
        return None

    def on_epoch(self, run: Run, split: Split) -> None:
        if run.method.objective != self:
            raise ValueError("the awp among the extras is not the method's objective; both need the same fields")

    @torch.no_grad()
    def after_backward(self, run: Run, step: Step) -> None:
        for p, old in step.aux[self.name]:
            p.copy_(old)


@dataclass(frozen=True)
class OverfittingMonitor(Hook):
    """Hook: training accuracy under a ``single`` step and under a ``strong`` attack after each epoch, and their gap.

    Catastrophic overfitting of single-step training (Wong et al. 2020): the first stays high, the second falls to
    nothing. With ``drop``, training ends when the second falls by more than that from one epoch to the next, and the
    epoch before is kept: the early stop of their code (0.2, PGD-5, one mini-batch), where it is off by default. The first
    ``examples`` of the training set, un-augmented, evaluation mode. Its passes are not counted among the epoch's.
    """

    single: Attack
    strong: Attack
    examples: int
    drop: float | None = None
    name: ClassVar[str] = "watch"
    column_names: ClassVar = ("watch_single", "watch_strong")
    report_names: ClassVar = ("watch_gap", "watch_fall")

    def __post_init__(self):
        if self.examples < 1:
            raise ValueError(f"examples {self.examples}; allowed: 1 or more")
        if self.drop is not None and not 0 < self.drop < 1:
            raise ValueError(f"drop {self.drop}; allowed: above 0, below 1, or null")

    def start(self, run: Run, split: Split) -> dict[str, Any]:
        data = split.train.plain()
        index = everyone(data)[: self.examples]
        x, y = data.batch(index, 0)
        return {"index": index, "x": x, "y": y, "rows": [], "kept": {}, "ended": False}

    def columns(self, run: Run) -> dict[str, float]:
        """``watch_single`` and ``watch_strong``, shares of right answers; goes back an epoch where training has to end."""
        memory = run.memory[self.name]
        index, x, y = memory["index"], memory["x"], memory["y"]
        found = []
        for attack in (self.single, self.strong):
            step = Step(run.epoch, index, x, y, torch.ones_like(y, dtype=torch.float32), run.draws(index))
            with eval_without_param_grad(run.net), run.autocast():
                x_adv = attack(run.net, step)
                with torch.no_grad():
                    found.append(float((run.net(x_adv).argmax(1) == y).float().mean()))
        before = memory["rows"][-1][1] if memory["rows"] else 0.0
        memory["rows"].append(tuple(found))
        if self.drop is not None and before - found[1] > self.drop:
            run.net.load_state_dict(memory["kept"])
            memory["ended"] = True
        elif self.drop is not None:
            memory["kept"] = {k: v.detach().clone() for k, v in run.net.state_dict().items()}
        return {"watch_single": found[0], "watch_strong": found[1]}

    def ended(self, run: Run) -> bool:
        return run.memory[self.name]["ended"] if self.name in run.memory else False

    def report(self, run: Run) -> dict[str, float]:
        """In percentage points: the widest gap after any epoch, and the deepest fall of the stronger accuracy in one."""
        single, strong = zip(*run.memory[self.name]["rows"], strict=True)
        falls = [a - b for a, b in zip((0.0, *strong), strong, strict=False)]
        gaps = [a - b for a, b in zip(single, strong, strict=True)]
        return {"watch_gap": 100 * max(gaps), "watch_fall": 100 * max(0.0, *falls)}
