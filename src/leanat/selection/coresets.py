"""SubsetWeights subsets for adversarial training: CRAIG, GRAD-MATCH and GLISTER on last-layer gradients of the run's objective.

    Every(20, 0, Craig(fraction=0.5, granularity="batch"))
    Every(20, 20, Glister(0.3, "example", eta=0.02), before=Once(0, Random(0.3)))

By Danskin's theorem an adversarial example is a constant of the gradient (Dolatabadi et al. 2022, section 3.2), so the
"Adv." selectors differ from the clean ones in one respect: the gradients are those at the example that the run's own
attack finds on the view that this epoch trains on (equations 12 and 14).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from leanat.attacks.pgd import Clean
from leanat.core.nouns import Attack, Data, Run, Split, Subset
from leanat.core.rng import Draws
from leanat.selection.basic import everyone
from leanat.selection.last_layer import AllLayers, at_last_layer, gradients, random_order
from leanat.selection.solvers import (
    Gradients,
    Validation,
    candidates,
    facility_location,
    matching_pursuit,
    per_batch,
    per_class,
    taylor_greedy,
    top_up,
)

GRANULARITIES = ("example", "class", "batch", "whole_batches")

# (gradients, how many to choose, the class if only one is looked at) -> index, weight
Solver = Callable[[Gradients, int, int | None], tuple[Tensor, Tensor]]


def choose(
    run: Run, data: Data, rows: Gradients | AllLayers, solve: Solver, fraction: float, granularity: str
) -> Subset:
    """``fraction`` of the examples (rounded up) by their gradients: of all, of each class, or whole batches.

    The batches are ``random_order`` cut at ``recipe.batch``; so many are chosen that they hold at least the fraction, the
    one that may be shorter counted as full. "whole_batches": the loop trains on them as they are, in the order of choice
    (the one that may be shorter last), so that in each mini-batch the equal weights cancel; otherwise it shuffles all
    examples, and the weights act.
    """
    budget = math.ceil(fraction * len(data) - 1e-9)
    if granularity == "example":
        return Subset(*_float(*solve(rows, budget, None)))
    if granularity == "class":
        labels = data.labels
        return Subset(*per_class(lambda m, k: solve(rows[m], k, int(labels[m[0]])), labels, budget))
    order, size = random_order(run, data), run.recipe.batch
    index, weight = per_batch(lambda atoms, k: solve(Gradients.of(atoms), k, None), rows, order, size, budget)
    if granularity == "batch":
        return Subset(index, weight)
    short_last = torch.isin(index, order.split(size)[-1]).sort(stable=True).indices
    return Subset(index[short_last], weight[short_last], shuffle=False)


def _float(index: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return index, weight.float()


def _check(fraction: float, granularity: str, all_layers: bool = False) -> None:
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction {fraction}; allowed: above 0, at most 1")
    if granularity not in GRANULARITIES:
        raise ValueError(f"granularity {granularity!r}; allowed: {', '.join(GRANULARITIES)}")
    if all_layers and granularity not in ("batch", "whole_batches"):
        raise ValueError(f"all_layers with granularity {granularity!r}; allowed: batch, whole_batches")


def _rows(run: Run, data: Data, selector: Craig | GradMatch) -> Gradients | AllLayers:
    if selector.all_layers:
        return AllLayers(run, data, selector.adversarial, selector.training_mode)
    return gradients(run, data, selector.adversarial, selector.features, selector.training_mode)


@dataclass(frozen=True)
class Craig:
    """CRAIG (Mirzasoleiman et al. 2020): facility location of the gradients; a weight is the size of a cluster.

    ``features`` False, gradients of the bias alone, is the setting of the authors of the adversarial version. Of more than
    32,768 examples one by one the similarities are computed when needed, which is slow; "class" and "batch" are fast.
    ``training_mode`` and ``all_layers``: see GradMatch.
    """

    fraction: float
    granularity: str
    adversarial: bool = True
    features: bool = True
    training_mode: bool = False
    all_layers: bool = False

    def __post_init__(self):
        _check(self.fraction, self.granularity, self.all_layers)

    def __call__(self, run: Run, split: Split) -> Subset:
        return choose(run, split.train, _rows(run, split.train, self), self.solve, self.fraction, self.granularity)

    def solve(self, rows: Gradients, budget: int, label: int | None) -> tuple[Tensor, Tensor]:
        return facility_location(rows, budget)


@dataclass(frozen=True)
class GradMatch:
    """GRAD-MATCH (Killamsetty et al. 2021): weights w >= 0 with which the chosen gradients add up to those of all.

    ``lam``: the ridge (0.5 on examples and 0 on batches in CORDS). The subset is smaller than ``fraction`` where the sum
    is met, or the span of the gradients exhausted, before: further atoms have weight 0. There are at most K (D + 1)
    dimensions, K without ``features``.

    ``as_published``: the solver stops early as that of the authors does, and random examples of weight 1 fill the budget.
    ``training_mode``: gradients are taken in training mode, as in the authors' code: BatchNorm then normalises with the
    statistics of the batch. ``all_layers``: gradients of all parameters, in place of those of the last layer (section 3.3,
    "gradient approximation"), batch by batch.
    """

    fraction: float
    granularity: str
    adversarial: bool = True
    features: bool = True
    lam: float = 0.0
    as_published: bool = False
    training_mode: bool = False
    all_layers: bool = False

    def __post_init__(self):
        _check(self.fraction, self.granularity, self.all_layers)
        if not 0 <= self.lam < math.inf:
            raise ValueError(f"lam {self.lam}; allowed: a finite number, 0 or more")

    def __call__(self, run: Run, split: Split) -> Subset:
        data = split.train
        chosen = choose(run, data, _rows(run, data, self), self.solve, self.fraction, self.granularity)
        if not self.as_published:
            return chosen
        numbers = run.draws(everyone(data)).uniform("gradmatch")
        budget = math.ceil(self.fraction * len(data) - 1e-9)
        index, weight = top_up(chosen.index, chosen.weight, numbers, budget)
        return chosen._replace(index=index, weight=weight)

    def solve(self, rows: Gradients, budget: int, label: int | None) -> tuple[Tensor, Tensor]:
        tol = 0.0 if self.as_published else 1e-7
        return matching_pursuit(rows, rows.sum(), budget, self.lam, tol, as_published=self.as_published)[:2]


VARIANTS = ("rounds", "naive", "stochastic")


@dataclass(frozen=True)
class Glister:
    """GLISTER (Killamsetty et al. 2021): the examples whose gradient step lowers the validation loss most; weights 1.

    Adversarial: the validation loss is the negative log-likelihood at the examples that ``validation_attack`` makes (the
    run's own attack if None), as in equation 5 of Li et al. 2023. It needs a data set with a validation part. ``eta``:
    the learning rate of the step looked ahead. ``variant``: "rounds" refreshes the validation logits ``rounds`` times,
    "naive" after each example, "stochastic" too, and looks at (n / budget) ln 100 random examples each time (CORDS'
    RGreedy, Naive, Stochastic). Per class, the validation examples are those of the class, or all if there are none.

    Without ``features`` a gain is a matter of classes: early in a training, examples chosen one by one can leave whole
    classes out. "class" keeps their shares.
    """

    fraction: float
    granularity: str
    eta: float
    adversarial: bool = True
    features: bool = True
    variant: str = "rounds"
    rounds: int = 15
    validation_attack: Attack | None = None

    def __post_init__(self):
        _check(self.fraction, self.granularity)
        if not 0 < self.eta < math.inf or self.rounds < 1:
            raise ValueError(f"eta {self.eta}, rounds {self.rounds}; allowed: a finite number above 0, and 1 or more")
        if self.variant not in VARIANTS:
            raise ValueError(f"variant {self.variant!r}; allowed: {', '.join(VARIANTS)}")

    def __call__(self, run: Run, split: Split) -> Subset:
        if split.validation is None:
            raise ValueError("glister needs validation examples: set data.validation to the share held out")
        held_out = self.validation(run, split.validation)

        def solve(rows: Gradients, budget: int, label: int | None) -> tuple[Tensor, Tensor]:
            return self.solve(run, held_out, rows, budget, label)

        rows = gradients(run, split.train, self.adversarial, self.features)
        return choose(run, split.train, rows, solve, self.fraction, self.granularity)

    def validation(self, run: Run, data: Data) -> Validation:
        """The validation examples at the last layer, with noise of their own (view 1)."""
        attack = (self.validation_attack or run.method.attack) if self.adversarial else Clean()
        (layer,) = at_last_layer(run, data, attack, features=self.features, view=1)
        return Validation(layer.z, layer.phi, data.labels)

    def solve(
        self, run: Run, held_out: Validation, rows: Gradients, budget: int, label: int | None
    ) -> tuple[Tensor, Tensor]:
        z, phi, y = held_out
        if label is not None and (of_class := y == label).any():
            held_out = Validation(z[of_class], None if phi is None else phi[of_class], y[of_class])
        uniform, rounds = None, None if self.variant == "naive" else self.rounds
        if self.variant == "stochastic":
            numbers = Draws(run.seed, run.epoch, torch.arange(budget, device=y.device))
            uniform = numbers.uniform(f"glister {label}", candidates(len(rows), budget))
        return taylor_greedy(rows, held_out, budget, self.eta, rounds, uniform)
