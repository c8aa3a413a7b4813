"""GLISTER: chooses the examples whose gradient step lowers the validation loss most."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from leanat.attacks.pgd import Clean
from leanat.core.component import Fraction, component
from leanat.core.nouns import Attack, Data, Run, Split, Subset
from leanat.core.rng import Draws
from leanat.selection.last_layer import at_last_layer, gradients, of_every_example
from leanat.selection.outer_products import Gradients
from leanat.selection.subsets import Granularity, choose
from leanat.selection.taylor import Validation, candidates, taylor_greedy


@component("glister")
class Glister:
    """GLISTER (Killamsetty et al. 2021): the examples whose gradient step lowers the validation loss most; weights 1.

    The validation loss is the negative log-likelihood at the adversarial examples of ``validation_attack``, as in equation 5 of
    Li et al. 2023; if it is None, at those of the run's own attack for every example. The data need a validation part. ``eta``
    is the learning rate of the assumed step. ``variant`` says when the validation logits are refreshed: "rounds" does so
    ``rounds`` times, "naive" after each example, and "stochastic" after each example as well, while it considers only
    (n / budget) ln 100 random examples each time (CORDS' RGreedy, Naive and Stochastic). By class, the validation examples are
    those of the class, or all if it has none.

    Without ``features``, gains differ mostly between classes: early in a training, examples chosen one by one can leave whole
    classes out. Granularity "class" keeps the shares of the classes.
    """

    fraction: Fraction
    granularity: Granularity
    eta: PositiveFloat
    adversarial: bool = True
    features: bool = True
    variant: Literal["rounds", "naive", "stochastic"] = "rounds"
    rounds: PositiveInt = 15
    validation_attack: Attack | None = None
    reads_validation: ClassVar[bool] = True

    def __call__(self, run: Run, split: Split) -> Subset:
        if split.validation is None:
            raise ValueError("glister needs validation examples: set data.validation to the share held out")
        held_out = self.validation(run, split.validation)

        def solve(rows: Gradients, budget: int, label: int | None) -> tuple[Tensor, Tensor]:
            return self.solve(run, held_out, rows, budget, label)

        rows = gradients(run, split.train, self.adversarial, self.features)
        return choose(run, split.train, rows, solve, self.fraction, self.granularity)

    def validation(self, run: Run, data: Data) -> Validation:
        """The validation examples at the last layer, with their own random numbers (view 1)."""
        own = self.validation_attack or of_every_example(run.method.attack)
        (layer,) = at_last_layer(run, data, own if self.adversarial else Clean(), features=self.features, view=1)
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
