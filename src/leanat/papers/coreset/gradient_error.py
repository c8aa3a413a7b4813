"""How well a coreset's gradient approximates that of all examples: the error that coreset selection minimises (equation 6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from leanat.core.component import Fraction, component
from leanat.core.loop import make_step
from leanat.core.nouns import (
    Attack,
    Data,
    Method,
    Objective,
    Recipe,
    Run,
    Selector,
    Split,
    Step,
    Subset,
    held_constant,
    in_mode,
    state_restored,
)
from leanat.evaluation.evaluate import fitting
from leanat.evaluation.measured import Measured
from leanat.selection.basic import Everything, Random, everyone, unweighted
from leanat.selection.last_layer import gradients, of_every_example
from leanat.training.schedules import Constant

BATCH = 500


@component()
class NamedSelector:
    """A selector and the prefix of its numbers' names; its fraction is replaced by each of the measure's fractions."""

    name: str
    selector: Selector


@component("gradient_error")
class GradientError:
    """A measure that compares the gradient of each selector's weighted subset with that of all training examples.

    G = sum_i grad Phi(x_i), G_S = sum_{j in S} gamma_j grad Phi(x_j) (equation 6), with the adversarial examples of equations
    12 and 14, in evaluation mode on un-augmented images. A random subset of n of N examples has weights N / n. For each selector
    and fraction there are these numbers, named <name>_<percent>_<number>: ``cosine`` of G and G_S and ``error``, |G - G_S| / |G|,
    for gradients of the last layer; ``cosine_all`` and ``error_all`` for those of all parameters; ``kept``, the examples in S.
    The length of a gradient has no effect in training, where each mini-batch is divided by the sum of its weights.
    """

    objective: Objective
    attack: Attack
    batch: PositiveInt  # examples per batch, for selectors that choose whole batches
    fractions: tuple[Fraction, ...]
    selectors: tuple[NamedSelector, ...]
    part: ClassVar[str] = "train"
    reads_layers: ClassVar[bool] = True

    @property
    def number_names(self) -> tuple[str, ...]:
        kinds = ("kept", "cosine", "error", "cosine_all", "error_all")
        return tuple(f"{s.name}_{round(100 * f)}_{k}" for s in self.selectors for f in self.fractions for k in kinds)

    def __call__(self, net: nn.Module, data: Data, seed: int) -> Measured:
        recipe = Recipe(1, self.batch, Constant(0.0), 0.0, False, 0.0)
        run = Run(net, Method(self.objective, self.attack, Everything()), recipe, seed)
        run.method = replace(run.method, attack=PrecomputedAttack(attacked(run, data)))  # once for all selections
        rows, everything = gradients(run, data), unweighted(everyone(data))
        whole = {"": rows.sum(), "_all": of_all_layers(run, data, everything)}
        numbers: dict[str, float | None] = {}
        for named in self.selectors:
            for fraction in self.fractions:
                index, weight, _ = replace(named.selector, fraction=fraction)(run, Split(data, None))
                if isinstance(named.selector, Random):
                    weight = weight * (len(data) / len(index))
                subset = Subset(index, weight)
                estimate = {"": rows[index].sum(weight), "_all": of_all_layers(run, data, subset)}
                comparison = {"kept": float(len(index))}
                for layers, g in whole.items():
                    comparison[f"cosine{layers}"] = float(F.cosine_similarity(g, estimate[layers], dim=0))
                    comparison[f"error{layers}"] = float((g - estimate[layers]).norm() / g.norm())
                numbers |= {f"{named.name}_{round(100 * fraction)}_{k}": v for k, v in comparison.items()}
        return Measured(numbers, {})


@dataclass(frozen=True)
class PrecomputedAttack:
    """An attack that returns adversarial examples computed before: ``x_adv`` [N, C, H, W], row i for example i."""

    x_adv: Tensor

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        return self.x_adv[step.index]


def attacked(run: Run, data: Data) -> Tensor:
    """The adversarial examples of the run's attack for all examples, [N, C, H, W]."""
    attack, everything = of_every_example(run.method.attack), unweighted(everyone(data))
    batches = everything.index.split(run.recipe.batch)
    return torch.cat([held_constant(attack, run.net, make_step(run, data, everything, batch)) for batch in batches])


def of_all_layers(run: Run, data: Data, subset: Subset) -> Tensor:
    """The gradient of the subset's weighted sum of losses with respect to every parameter, one vector. Evaluation mode."""
    with in_mode(run.net, training=False):
        return fitting(partial(_of_all_layers, run, data, subset), BATCH)


def _of_all_layers(run: Run, data: Data, subset: Subset, batch: int) -> Tensor:
    parameters = [p for p in run.net.parameters() if p.requires_grad]
    total = torch.zeros(sum(p.numel() for p in parameters), device=run.device)
    for where in torch.arange(len(subset.index), device=run.device).split(batch):
        step = make_step(run, data, subset, where)
        step.x_adv = run.method.attack(run.net, step)
        with state_restored(run.net):
            loss = (step.weight * run.method.objective(run.net, step)).sum()
            total += torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])
    return total
