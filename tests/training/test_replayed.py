"""Trainings as the five papers have them, replayed step by step in double precision and plain torch: budget, attack, loss,
weights, optimiser. Taken over from the package: the examples of a step, their views and weights, and the random numbers.
"""

import copy
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor
from toys import Small, toy

from leanat.core.loop import train
from leanat.core.nouns import Hook, Method, Recipe, Run, Split
from leanat.plan import components

LINF, L2 = {"linf": {"eps": 0.1}}, {"l2": {"eps": 0.4}}
ASCENT = {"threat": LINF, "steps": 4, "step_size": 0.04, "start": "gaussian"}
CE = {"cross_entropy": {}}
EXTRA = {"extras": [{"sat": {"members": {"classes": {"classes": [0, 2]}}}}]}
METHODS = {
    "TRADES": {"objective": {"trades": {"beta": 6}}, "attack": {"pgd": ASCENT | {"loss": "kl"}}},
    "MART": {"objective": {"mart": {"beta": 5}}, "attack": {"pgd": ASCENT}},
    "PGD in training mode": {"objective": CE, "attack": {"pgd": ASCENT | {"start": "uniform", "training_mode": True}}},
    "PGD in l_2": {"objective": CE, "attack": {"pgd": ASCENT | {"start": "uniform", "threat": L2, "step_size": 0.2}}},
    "Q-TART": {"objective": {"cross_entropy": {"smoothing": 0.3}}, "attack": "clean"},
    "Bullet, TRADES": {
        "objective": {"trades": {"beta": 6}},
        "attack": {"pgd": ASCENT | {"loss": "kl"}},
        "budget": {"bullet": {}},
    },
    "Bullet, MART": {"objective": {"mart": {"beta": 5}}, "attack": {"pgd": ASCENT}, "budget": {"bullet": {}}},
    "SAT": {
        "objective": CE,
        "attack": {"pgd": ASCENT | {"start": "none", "threat": L2, "step_size": 0.2, "use_best": True}},
        "selector": {"weighted": {"rule": "increasing"}},
        "budget": "only_members",
        **EXTRA,
    },
}


def kl(z: Tensor, z_adv: Tensor) -> Tensor:
    return (z.softmax(1) * (z.log_softmax(1) - z_adv.log_softmax(1))).sum(1)


def ce(z: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
    target = torch.full_like(z, smoothing / z.shape[1])
    target[range(len(y)), y] += 1 - smoothing
    return -(target * z.log_softmax(1)).sum(1)


def norms(d: Tensor) -> Tensor:
    return d.flatten(1).norm(dim=1).clamp_min(1e-300)[:, None, None, None]


@dataclass(frozen=True)
class Replay(Hook):
    """Goes on from the network of the step before, and compares what a step made of it."""

    net: torch.nn.Module
    spec: dict
    recipe: Recipe
    momentum: dict = field(default_factory=dict)
    robust: list = field(default_factory=lambda: [0.0])
    name: str = "replay"

    def attack(self, x: Tensor, y: Tensor, draws, steps: int, size: float) -> Tensor:
        how = self.spec["attack"]["pgd"]
        ((ball, eps),) = ((name, fields["eps"]) for name, fields in how["threat"].items())
        z = x
        if how["start"] == "gaussian":
            z = (x + 0.001 * draws.normal("start/0", *x.shape[1:])).clamp(0, 1)
        elif how["start"] == "uniform" and ball == "linf":
            z = (x + eps * (2 * draws.uniform("start/0", *x.shape[1:]).double() - 1)).clamp(0, 1)
        elif how["start"] == "uniform":
            direction = draws.normal("start/0", *x.shape[1:]).double()
            radius = draws.uniform("start/0/radius").double() ** (1 / x[0].numel())
            z = (x + eps * radius[:, None, None, None] * direction / norms(direction)).clamp(0, 1)
        self.net.train(how.get("training_mode", False))
        clean = self.net(x).detach() if how.get("loss") == "kl" else None
        seen, losses = [], []
        for _ in range(steps):
            leaf = z.clone().requires_grad_()
            values = ce(self.net(leaf), y) if clean is None else kl(clean, self.net(leaf))
            (g,) = torch.autograd.grad(values.sum(), leaf)
            seen.append(z)
            losses.append(values.detach())
            if ball == "linf":
                z = (x + (z + size * g.sign() - x).clamp(-eps, eps)).clamp(0, 1)
            else:
                delta = z - x + size * g / norms(g)
                z = (x + delta * (eps / norms(delta)).clamp(max=1)).clamp(0, 1)
        if how.get("use_best"):  # the last iterate is no candidate
            z = torch.stack(seen)[torch.stack(losses).argmax(0), range(len(x))]
        return z

    def perturbed(self, run: Run, step) -> Tensor:
        x, y, budget = step.x, step.y, self.spec.get("budget")
        if self.spec["attack"] == "clean":
            return x
        pgd = self.spec["attack"]["pgd"]
        groups = [(torch.ones(len(x), dtype=torch.bool), pgd["steps"], pgd["step_size"])]
        if budget == "only_members":
            groups = [((y == 0) | (y == 2), pgd["steps"], pgd["step_size"])]
        elif budget:
            p = self.net.eval()(x).detach().float().softmax(1)
            score = p.std(1) * torch.where(p.argmax(1) == y, 1.0, -1.0)
            above = max(0.0, float(score.quantile(1 - self.robust[0])))
            boundary, robust = (score >= 0) & (score <= above), score > above
            groups = [(boundary, pgd["steps"], pgd["step_size"]), (robust, 2, 3 * pgd["step_size"])]
        out = x.clone()
        for where, steps, size in groups:
            if where.any():
                out[where] = self.attack(x[where], y[where], step.draws.of(step.index[where]), steps, size)
        return out

    def after_step(self, run: Run, step) -> None:
        x, y, recipe = step.x, step.y, self.recipe
        x_adv = self.perturbed(run, step)
        torch.testing.assert_close(x_adv, step.x_adv, rtol=0, atol=1e-7)
        ((name, fields),) = self.spec["objective"].items()
        net = self.net.train()
        if name == "cross_entropy":
            z_adv = net(x_adv)
            losses = ce(z_adv, y, fields.get("smoothing", 0.0))
        else:
            z, z_adv = net(x), net(x_adv)
            losses = ce(z, y) + fields["beta"] * kl(z, z_adv)
        if name == "trades":
            net(x)  # its code passes the clean images again, which BatchNorm's averages see
        if name == "mart":
            rows = torch.arange(len(y))
            wrong = z_adv.softmax(1).index_put((rows, y), torch.zeros(len(y), dtype=z.dtype)).amax(1)
            boosted = ce(z_adv, y) - (1.0001 - wrong + 1e-12).log()
            losses = boosted + fields["beta"] * kl(z, z_adv) * (1.0000001 - z.softmax(1)[rows, y])
        self.robust[0] = 0.9 * self.robust[0] + 0.1 * 0.8 * float((z_adv.argmax(1) == y).double().mean())
        weight = torch.ones(len(y)) if self.spec.get("selector") is None else torch.where(y == 1, 1.0, (1 + 20 / 3) / 2)
        net.zero_grad()
        ((weight * losses).sum() / weight.sum()).backward()
        lr = 0.1 if step.epoch < 2 else 0.01
        with torch.no_grad():
            for key, p in net.named_parameters():
                g = p.grad.clamp(-1, 1) + 5e-4 * p
                self.momentum[key] = 0.9 * self.momentum[key] + g if key in self.momentum else g
                p -= lr * (g + 0.9 * self.momentum[key] if recipe.nesterov else self.momentum[key])
        torch.testing.assert_close(net.state_dict(), run.net.state_dict(), rtol=0, atol=1e-7)
        net.load_state_dict(run.net.state_dict())


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_a_training_is_what_plain_torch_makes_of_it(name, nesterov):
    spec, data = METHODS[name], toy(24)
    data = replace(data, images=data.images.double())
    schedule = {"steps": {"lr": 0.1, "drops": [2], "factor": 0.1}}
    recipe = {"epochs": 3, "batch": 7, "lr": schedule, "momentum": 0.9, "nesterov": nesterov, "weight_decay": 5e-4}
    recipe = components.build(Recipe, recipe | {"clip_value": 1.0}, "recipe")
    net = Small().double()
    method = components.build(Method, {"selector": "everything"} | spec, "method")
    replay = Replay(copy.deepcopy(net), spec, recipe)
    run = Run(net, replace(method, extras=(*method.extras, replay)), recipe, 0)
    train(run, Split(data, None))
    assert len(run.history) == 3
    assert replay.momentum
