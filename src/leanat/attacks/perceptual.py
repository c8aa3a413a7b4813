"""Perceptual attacks: Fast-LPA, LPA and PPGD, within a ball of the LPIPS distance.

Laidlaw, Singla and Feizi, "Perceptual Adversarial Robustness: Defense Against Unseen Threat Models" (ICLR 2021), with
the constants of the authors' code. The distance is ``step.aux["lpips"]``, an Lpips that the caller makes from a trained
network; a self-bounded attack measures with the attacked network itself.

    step.aux["lpips"] = Lpips(alexnet)
    x_adv = FastLPA(bound=0.5, steps=10)(net, step)

The authors' code decides for a batch as a whole when conjugate gradients end, and when the projection falls back to
bisection. Here this is decided per example, so that a result does not depend on the other examples of the batch.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from leanat.attacks.lpips import Features, Lpips, length, project
from leanat.attacks.pgd import margin, refuse_budget
from leanat.attacks.threat import per_example
from leanat.core.component import File, component
from leanat.core.nouns import Attack, Step, eval_without_param_grad
from leanat.core.precision import cast_once, exact_fp32
from leanat.models import io

_FLAT = 1e-4  # an image whose gradient is shorter is not moved (authors' code)


class LpipsAttack:
    """The base of the three attacks: finds the distance, leaves out misclassified examples, draws the start and searches."""

    @exact_fp32()
    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        refuse_budget(self, step)
        lpips = Lpips(net) if self.self_bounded else step.aux.get("lpips")
        if lpips is None:
            raise ValueError(f"{type(self).__name__} needs a distance: put an Lpips into step.aux['lpips']")
        x = step.x
        live = torch.arange(len(x), device=x.device)
        with eval_without_param_grad(net), cast_once(net), torch.enable_grad():
            if self.only_correct and len(x):
                with torch.no_grad():
                    live = live[net(x).argmax(dim=1) == step.y]
            if not len(live):
                return x
            start = x + self.noise * step.draws.normal("start/0", *x.shape[1:]).to(x.dtype)
            x_adv = self.search(net, lpips, x[live], step.y[live], start[live])
        return x.index_copy(0, live, x_adv)


@component("fast_lpa")
class FastLPA(LpipsAttack):
    """Fast Lagrangian perceptual attack: one ascent of max_{k != y} z_k - z_y - lambda max(0, d - bound).

    At step t of T, lambda is lam 0.1^(1 - t / T), and the move along the normalised gradient changes LPIPS by about
    bound 0.1^(t / T). ``bound`` is soft unless ``project``. Returns x_adv like step.x, in [0, 1].
    """

    bound: PositiveFloat
    steps: PositiveInt
    only_correct: bool = False  # leave misclassified examples as they are, as PAT trains
    self_bounded: bool = False  # measure with the attacked network
    project: bool = False
    lam: PositiveFloat = 10.0
    h: PositiveFloat = 0.1  # length of the finite difference
    noise: PositiveFloat = 0.01  # standard deviation of the start

    @property
    def shrinks(self) -> bool:
        """Whether examples leave the batch."""
        return self.only_correct or self.project

    def search(self, net: nn.Module, lpips: Features, x: Tensor, y: Tensor, start: Tensor) -> Tensor:
        with torch.no_grad():
            phi_x = lpips(x)
        x_adv = start
        for t in range(self.steps):
            lam, eta = self.lam * 0.1 ** (1 - t / self.steps), self.bound * 0.1 ** (t / self.steps)
            x_adv = x_adv.detach().requires_grad_()
            phi, z = _both(net, lpips, x_adv)
            gain = margin(z, y, torch.inf) - lam * ((phi - phi_x).norm(dim=1) - self.bound).relu()
            (g,) = torch.autograd.grad(gain.sum(), x_adv)
            x_adv = _moved(lpips, x_adv.detach(), phi.detach(), g, eta, self.h)
        return project(lpips, self.bound, x, x_adv) if self.project else x_adv


@component("lpa")
class LPA(LpipsAttack):
    """Lagrangian perceptual attack: ``searches`` rounds of ``steps`` moves as in Fast-LPA, then the projection.

    Each round starts where the last one ended. lambda is ``lam`` at first, and is multiplied by 10 for the examples that end a
    round on or outside the bound. An example stops at the first point that is misclassified and inside the ball (the authors'
    code moves it once more). The margin is capped at kappa. Returns x_adv like step.x, in [0, 1] and in the ball.
    """

    bound: PositiveFloat
    steps: PositiveInt
    only_correct: bool = False
    self_bounded: bool = False
    searches: PositiveInt = 5
    lam: PositiveFloat = 0.01
    kappa: PositiveFloat = 1.0
    h: PositiveFloat = 0.1
    noise: PositiveFloat = 0.01
    shrinks: ClassVar[bool] = True  # examples leave the batch on the way

    def search(self, net: nn.Module, lpips: Features, x: Tensor, y: Tensor, start: Tensor) -> Tensor:
        with torch.no_grad():
            phi_x = lpips(x)
        x_adv, lam = start.clone(), x.new_full((len(x),), self.lam)
        live = torch.arange(len(x), device=x.device)
        for t in range(self.searches * self.steps):
            eta = self.bound * 0.1 ** (t % self.steps / self.steps)
            point = x_adv[live].requires_grad_()
            phi, z = _both(net, lpips, point)
            d = (phi - phi_x[live]).norm(dim=1)
            gain = margin(z, y[live], self.kappa) - lam[live] * (d - self.bound).relu()
            (g,) = torch.autograd.grad(gain.sum(), point)
            missed = (z.argmax(dim=1) == y[live]) | (d.detach() > self.bound)
            where = missed.nonzero().squeeze(1)  # the only wait for the device
            if not len(where):
                break
            d, point, phi, g, live = (v.detach()[where] for v in (d, point, phi, g, live))
            x_adv[live] = _moved(lpips, point, phi, g, eta, self.h)
            if t % self.steps == self.steps - 1:
                lam[live] = torch.where(d >= self.bound, 10 * lam[live], lam[live])
        return project(lpips, self.bound, x, x_adv)


@component("ppgd")
class PPGD(LpipsAttack):
    """Perceptual PGD: steps of LPIPS length 2 bound / T, each followed by the projection.

    A step solves max g . v over |J v| <= length, with J the Jacobian of phi: v is along (J' J)^-1 g, by ``cg_steps``
    conjugate gradients. J v is a finite difference of length ``h`` along the unit vector of v (the authors' code takes
    h v itself, and so depends on the scale of the logits). Returns x_adv like step.x, in [0, 1] and in the ball.
    """

    bound: PositiveFloat
    steps: PositiveInt
    only_correct: bool = False
    self_bounded: bool = False
    cg_steps: PositiveInt = 5
    kappa: PositiveFloat = 1.0
    h: PositiveFloat = 1e-3
    noise: PositiveFloat = 0.01
    shrinks: ClassVar[bool] = True  # examples leave the projection

    def search(self, net: nn.Module, lpips: Features, x: Tensor, y: Tensor, start: Tensor) -> Tensor:
        x_adv = start
        for _ in range(self.steps):
            point = x_adv.detach().requires_grad_()
            phi, z = _both(net, lpips, point)
            (g,) = torch.autograd.grad(margin(z, y, self.kappa).sum(), point, retain_graph=True)
            v = natural(lpips, point, phi, g, self.cg_steps, self.h)
            rate = _jvp(lpips, point, phi, v, self.h).norm(dim=1).clamp_min(1e-12)
            far = torch.where(length(g) < _FLAT, 0, 2 * self.bound / self.steps / rate)
            x_adv = project(lpips, self.bound, x, point.detach() + per_example(far, v) * v)
        return x_adv


def natural(lpips: Features, x: Tensor, phi: Tensor, g: Tensor, steps: int, h: float) -> Tensor:
    """(J' J)^-1 g [B, C, H, W] by conjugate gradients from 0; J is the Jacobian of phi = phi(x), given with graph."""
    v, r, p = torch.zeros_like(g), g, g
    for i in range(steps):
        jp, rr = _jvp(lpips, x, phi, p, h), length(r).square()
        alpha = per_example(rr / jp.square().sum(dim=1).clamp_min(1e-30), g)
        v = v + alpha * p
        if i < steps - 1:
            (a_p,) = torch.autograd.grad(phi, x, jp, retain_graph=True)
            r = r - alpha * a_p
            p = r + per_example(length(r).square() / rr.clamp_min(1e-30), p) * p
    return v


@torch.no_grad()
def _jvp(lpips: Features, x: Tensor, phi: Tensor, v: Tensor, h: float) -> Tensor:
    """J v [B, F], by a finite difference along the unit vector of v."""
    size = length(v)
    return (lpips(x + per_example(h / size.clamp_min(1e-30), v) * v) - phi) * (size / h)[:, None]


@torch.no_grad()
def _moved(lpips: Features, x_adv: Tensor, phi: Tensor, g: Tensor, eta: float, h: float) -> Tensor:
    """x_adv moved along ``g`` so far that LPIPS changes by about ``eta``; the rate is measured on a move -h g / |g|."""
    unit = g / per_example(length(g) + 1e-8, g)
    rate = (lpips(x_adv - h * unit) - phi).norm(dim=1) / h
    return (x_adv + per_example(eta / (rate + 1e-4), unit) * unit).clamp(0, 1)


def _both(net: nn.Module, lpips: Features, x: Tensor) -> tuple[Tensor, Tensor]:
    """phi(x) and the logits at x, in one pass if the attacked network also measures the distance."""
    if getattr(lpips, "net", None) is net:
        return lpips.with_logits(x)
    return lpips(x), net(x)


@component("perceptual")
class Perceptual:
    """An attack that measures LPIPS with a trained network: ``network`` is the folder of the run that trained it.

    For the attacks of this module that are not self-bounded; they are used in PAT's training and in its evaluation.
    """

    network: File
    attack: Attack

    @property
    def shrinks(self) -> bool:
        """Whether examples leave the batch."""
        return getattr(self.attack, "shrinks", False)

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        file = self.network / "model.safetensors"
        step.aux["lpips"] = _distance(file, file.stat().st_mtime_ns, step.x.device)
        return self.attack(net, step)


@cache
def _distance(file: Path, time: int, device: torch.device) -> Lpips:
    """``time`` is when the file was last written: it may be replaced while the process lives."""
    net, _ = io.load(file, device)
    return Lpips(net.requires_grad_(False))
