"""DIHCL (Zhou, Wang and Bilmes, NeurIPS 2020), the curriculum that Q-TART is compared with: a bandit draws examples each epoch.

    episodes = Episodes((0, 5, 10, 15, 20, 30, 40, 60, 90, 140, 210, 300))
    bandit = Bandit(episodes, rule="exp3", feedback="loss")
    method = Method(Mixup(episodes), Clean(), bandit, extras=(Teacher(0.9),))    # Recipe(lr=episodes, ...)

Numbers and order of events are those of the authors' code, which refines the paper's Algorithm 1. The dropout,
rotation, AutoAugment and Cutout of their recipe belong to network and data. The teacher's forward pass on a second view is left
out: if the consistency and contrastive terms are 0, which is the default, only their logs use it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from contextlib import nullcontext
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.special import betaincinv
from torch import Tensor, nn

from leanat.core.component import Decay, Fraction, component, rising
from leanat.core.nouns import Hook, Run, Split, Step, Subset
from leanat.core.per_example_loss import per_example_loss
from leanat.core.planned import EVERYTHING, Planned
from leanat.core.rng import Draws
from leanat.selection.basic import everyone, unweighted
from leanat.training.teacher import teaching


@component("episodes")
class Episodes:
    """The quantities that change from episode to episode, in closed form; called as a Schedule it gives the learning rate.

    Episode e covers the epochs bounds[e] <= epoch < bounds[e + 1]; the last bound is the number of epochs. In episode 0 the
    rate rises linearly from ``lr_min`` to ``lr_max``; in every later episode it falls from lr_max to lr_min by half a cosine. At
    the start of each episode up to ``explore`` - 1, lr_max is divided by its decay; later both rates are multiplied by theirs.
    """

    bounds: tuple[NonNegativeInt, ...]
    lr_max: NonNegativeFloat = 0.1
    lr_min: NonNegativeFloat = 5e-4
    lr_max_decay: Fraction = 0.9
    lr_min_decay: Fraction = 0.8
    explore: PositiveInt = 5
    k: Fraction = 1.0
    dk: Decay = 0.1
    min_k: Fraction = 0.3
    temperature: Annotated[float, Ge(1)] = 20.0
    temperature_rate: Fraction = 0.8
    alpha: Fraction = 0.5
    alpha_rate: Annotated[float, Ge(1)] = 1.1

    def __post_init__(self):
        if len(self.bounds) < 2 or self.bounds[0] != 0 or not rising(self.bounds):
            raise ValueError(f"bounds {self.bounds}; allowed: two or more epochs, from 0, rising")
        if self.lr_min > self.lr_max:
            raise ValueError(f"lr_min {self.lr_min}; allowed: at most lr_max, {self.lr_max}")
        if self.min_k > self.k:
            raise ValueError(f"min_k {self.min_k}; allowed: at most k, {self.k}")

    def number(self, epoch: float) -> int:
        """The episode of an epoch."""
        return min(bisect_right(self.bounds, epoch), len(self.bounds) - 1) - 1

    def opens(self, epoch: int) -> bool:
        """Whether an episode after the first begins at this epoch."""
        return epoch in self.bounds[1:-1]

    def share(self, epoch: int) -> float:
        """k: the share of the examples that is drawn in each epoch."""
        return max(self.k * (1 - self.dk) ** self.number(epoch), self.min_k)

    def sharpness(self, epoch: int) -> float:
        """The factor of the utilities in the softmax: an inverse temperature (``tmpt`` in their code)."""
        return max(self.temperature * self.temperature_rate ** self.number(epoch), 1.0)

    def mixing(self, epoch: int) -> float:
        """alpha of mixup's Beta(alpha, alpha)."""
        return min(self.alpha * self.alpha_rate ** self.number(epoch), 1.0)

    def __call__(self, epoch: float, epochs: int) -> float:
        if epochs != self.bounds[-1]:
            raise ValueError(f"episodes end at epoch {self.bounds[-1]}, the training at {epochs}")
        e = self.number(epoch)
        t = (epoch - self.bounds[e]) / (self.bounds[e + 1] - self.bounds[e])
        if e == 0:
            return self.lr_min + (self.lr_max - self.lr_min) * t
        falls = max(e - self.explore + 1, 0)
        low = self.lr_min * self.lr_min_decay**falls
        high = self.lr_max * self.lr_max_decay ** (2 * falls - e)
        return low + (high - low) * (1 + math.cos(math.pi * t)) / 2


TRIES = 32  # attempts of a rejection sampling that fails with probability below one half


def symmetric_beta(draws: Draws, alpha: float) -> Tensor:
    """A number [B] from Beta(alpha, alpha), 0 < alpha <= 1, for each example, without leaving the device: Johnk's rejection
    (1964) in logarithms."""
    u = draws.uniform("mixup lambda", TRIES, 2).clamp_min(2.0**-25).log() / alpha
    first = (u.logsumexp(2) <= 0).int().argmax(1, keepdim=True)
    return (u[..., 0] - u[..., 1]).gather(1, first)[:, 0].sigmoid()


@component("mixup")
class Mixup:
    """Cross-entropy at lambda x_i + (1 - lambda) x_j, lambda ~ Beta(alpha, alpha) once per batch (Zhang et al. 2018).

    The loss of a mixed image is divided between its two examples, lambda CE(y_i) for i and (1 - lambda) CE(y_j) for j; the bandit
    gets these losses. Their batch mean equals that of mixup. The step's logits are those of the mixed images.
    """

    episodes: Episodes

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        share = symmetric_beta(step.draws.of(step.index[:1]), self.episodes.mixing(step.epoch))
        partner = step.draws.bits("mixup partner").argsort()
        step.z_adv = net(step.x_adv.lerp(step.x_adv[partner], (1 - share).to(step.x_adv.dtype)))
        own = F.cross_entropy(step.z_adv, step.y, reduction="none")
        other = F.cross_entropy(step.z_adv, step.y[partner], reduction="none")
        return share * own + (1 - share) * other[partner.argsort()]

    def of_logits(self, z: Tensor, z_adv: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(z_adv, y, reduction="none")


CAP = 10.0  # upper limit of a change of loss
TINY = 1e-8  # added to a probability before dividing by it


@component("bandit")
class Bandit(Hook):
    """Draws floor(k n) examples each epoch, without replacement, with probability softmax(temperature * utility).

    It is a selector and a hook. ``rule``: exp3, ucb or thompson. ``feedback``: the quantity that the utility sums, each example's
    loss or the change of its loss since it was last seen; Thompson sampling always uses the change of correctness. At the start
    of each episode all sums are multiplied by ``decay``, and the bandit gets the losses of a pass over the training set without
    augmentation, by the Teacher if the run has one. From the second episode on, the network restarts from the teacher, each
    weight times 1 + ``noise`` N(0, 1).
    """

    episodes: Episodes
    rule: Literal["exp3", "ucb", "thompson"]
    feedback: Literal["loss", "change"]
    decay: Fraction = 0.9
    noise: NonNegativeFloat = 0.01
    survey_scale: PositiveFloat = 0.4  # factor of the logits in that pass
    name: ClassVar[str] = "bandit"

    # Hook: gathers feedback. All tensors are float64 [N].

    def start(self, run: Run, split: Split) -> dict:
        zeros = torch.zeros(len(split.train), dtype=torch.float64, device=split.train.labels.device)
        # utility, raw: the feedback summed as in the rule, and without weights; old_*: values when last seen; pace: sum of
        # learning rates since then; loss, correct, seen: stored by the steps of the current epoch
        names = ("utility", "raw", "visits", "pace", "logp", "old_loss", "old_correct", "loss", "correct", "seen")
        state = {name: zeros.clone() for name in names}
        return state | {"a": zeros + 2, "b": zeros + 2, "lr_before": 0.0, "lr": 0.0, "epoch_pace": 0.0}

    def after_step(self, run: Run, step: Step) -> None:
        state, i = run.memory[self.name], step.index
        state["loss"][i] = step.losses.detach().double()
        state["correct"][i] = (step.z_adv.detach().argmax(1) == step.y).double()
        state["seen"][i] = 1
        state["lr"] = run.opt.param_groups[0]["lr"]
        state["epoch_pace"] += state["lr"]

    def on_epoch(self, run: Run, split: Split) -> None:
        if run.epoch > 0:
            self._after_epoch(run.memory[self.name], run.epoch - 1)
        if self.episodes.opens(run.epoch):
            self._open_episode(run, split)

    def _after_epoch(self, state: dict, epoch: int) -> None:
        """Updates the sums with what the steps of an epoch have stored."""
        i = state["seen"].nonzero()[:, 0]
        warm, pace, p = epoch < self.episodes.bounds[1], state["pace"][i], state["logp"][i].exp() + TINY
        # The first epoch of the training has no earlier loss, and that of an episode none with the same weights.
        counts = epoch > 0 if warm else not self.episodes.opens(epoch)
        state["visits"][i] += 1
        if epoch > 0:
            scales = (state["lr_before"], pace) if warm else (p, 1e4 * pace**0.01 * p)
            self._feed(state, i, state["loss"][i], state["correct"][i], scales, counts, warm)
        state["old_loss"][i], state["old_correct"][i] = state["loss"][i], state["correct"][i]
        state["pace"][i] = 0
        state["pace"] += state["epoch_pace"]
        state["seen"].zero_()
        state["lr_before"], state["epoch_pace"] = state["lr"], 0.0

    def _feed(self, state, i, loss, correct, scales, counts=True, whole=True) -> None:
        """Adds new losses and correctness of the examples ``i`` [n]. exp3 divides loss and change by ``scales``.

        ``counts``: also update the utilities, not only the raw sums. ``whole``: the losses are of all examples rather than of
        a drawn subset.
        """
        change = (loss - state["old_loss"][i]).abs().clamp(max=CAP)
        value, scale = (loss, scales[0]) if self.feedback == "loss" else (change, scales[1])
        state["raw"][i] += value
        if not counts:
            return
        if self.rule == "exp3":
            state["utility"][i] += value / torch.as_tensor(scale).clamp_min(TINY)
        elif self.rule == "ucb":
            visits = state["visits"][i].clamp_min(1)
            average = state["raw"][i] / visits
            mean = (average if whole else state["utility"]).mean()
            state["utility"][i] = (
                average + 1e-3 * mean * math.sqrt(2 * math.log(self.episodes.bounds[-1])) / visits.sqrt()
            )
        else:
            flip = (correct - state["old_correct"][i]).abs()
            state["a"][i] += flip
            state["b"][i] += 1 - flip

    def _open_episode(self, run: Run, split: Split) -> None:
        state, teacher = run.memory[self.name], run.memory.get("teacher")
        for name in ("utility", "raw", "pace", "a", "b"):
            state[name] *= self.decay
        with teaching(run) if teacher else nullcontext():
            loss, correct = (v.double() for v in per_example_loss(run, split.train, self.survey_scale))
        self._feed(state, everyone(split.train), loss, correct, (state["lr_before"], state["pace"]))
        state["old_loss"], state["old_correct"] = loss, correct
        state["pace"].zero_()
        if teacher is not None:
            self._exchange(run, teacher)

    @torch.no_grad()
    def _exchange(self, run: Run, teacher: dict) -> None:
        """At the end of episode 0 the teacher's parameters are set to the network's; later the other way round, with noise."""
        first = run.epoch == self.episodes.bounds[1]
        for name, weight in run.net.named_parameters():
            if first:
                teacher["state"][name].copy_(weight)
            else:
                draws = run.draws(torch.arange(weight.numel(), device=weight.device))
                factor = draws.normal(f"restart {name}").mul_(self.noise).add_(1)
                weight.copy_(teacher["state"][name] * factor.view(weight.shape))
        teacher["t"] = 0

    # Selector: draws examples by the feedback.

    def __call__(self, run: Run, split: Split) -> Subset:
        index = everyone(split.train)
        if run.epoch < self.episodes.bounds[1]:
            return unweighted(index)
        state = run.memory[self.name]
        if self.rule == "thompson":
            utility = beta(run.draws(index), state["a"], state["b"])
        else:
            utility = state["utility"] / state["utility"].mean().clamp_min(1e-300)
        state["logp"] = (self.episodes.sharpness(run.epoch) * utility).log_softmax(0)
        count = max(math.floor(self.episodes.share(run.epoch) * len(index) + 1e-9), 1)
        return unweighted(index[without_replacement(run.draws(index), state["logp"], count)])

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        if epoch < self.episodes.bounds[1]:
            return EVERYTHING
        return Planned(self.episodes.share(epoch), self.episodes.opens(epoch))


def uniform53(draws: Draws, purpose: str) -> Tensor:
    """float64 [B], uniform strictly between 0 and 1, from 53 bits."""
    return ((draws.bits(purpose) & (2**53 - 1)).double() + 0.5) * 2.0**-53


def beta(draws: Draws, a: Tensor, b: Tensor) -> Tensor:
    """One number from Beta(a_i, b_i) for each example, float64 [N], by the inverse of the distribution function."""
    u = uniform53(draws, "thompson").cpu().numpy()
    return torch.from_numpy(betaincinv(a.cpu().numpy(), b.cpu().numpy(), u)).to(a.device)


def without_replacement(draws: Draws, logp: Tensor, count: int) -> Tensor:
    """Draws ``count`` positions one after the other in proportion to exp(logp), each at most once; returns them ascending.

    The ``count`` largest of logp + Gumbel noise (Kool et al. 2019) have this distribution; no probability can underflow.
    """
    gumbel = -(-uniform53(draws, "bandit").log()).log()
    return (logp + gumbel).topk(count).indices.sort().values
