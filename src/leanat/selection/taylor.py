"""GLISTER's greedy maximisation of the validation likelihood (Killamsetty et al. 2021), to first order."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from leanat.selection.outer_products import Gradients


class Validation(NamedTuple):
    """Validation examples at the last layer: logits z [m, K], features phi [m, D] or None, labels y [m].

    For Adv-GLISTER (Li et al., equation 5) z and phi are those of the adversarial examples.
    """

    z: Tensor
    phi: Tensor | None
    y: Tensor

    def loss(self) -> Tensor:
        """Mean negative log-likelihood."""
        return F.cross_entropy(self.z, self.y)

    def gradient(self) -> Tensor:
        """The gradient of that loss with respect to the last layer, as one vector [K(D+1)] (or [K] without features)."""
        error = (self.z.softmax(1) - F.one_hot(self.y, self.z.shape[1])) / len(self.z)
        return Gradients(((error, self.phi),)).sum()

    def after(self, step: Tensor) -> Validation:
        """The logits once the last layer has moved by -``step`` (a vector as above); linear, so exact."""
        rows = step.to(self.z.dtype).view(self.z.shape[1], -1)
        moved = rows[:, 0] if self.phi is None else torch.addmm(rows[:, -1], self.phi, rows[:, :-1].T)
        return self._replace(z=self.z - moved)


def taylor_greedy(
    gradients: Tensor | Gradients,
    validation: Validation,
    budget: int,
    eta: float,
    rounds: int | None = 15,
    uniform: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The examples whose gradient step lowers the validation loss most, to first order, chosen greedily.

    gain(i) = eta <g_i, G>, where G is the gradient of the mean validation loss after one step of learning rate eta along the
    sum of the gradients chosen so far. The validation logits are refreshed by z <- z - eta (sum of new g) [phi, 1].
    ``gradients``: of n training examples, or of batches [n, K(D+1)]; with features if the validation has them. Returns
    (index int64 [k], weight float32 [k], all 1) in the order of choice, k = min(budget, n); ties go to the lowest index.

    The variants have CORDS' names. RGreedy, ``rounds`` = r: each round takes the budget / r examples of largest gain and then
    refreshes (sizes differ by at most one, the larger first, and sum to the budget). Naive, ``rounds`` None: refreshes after
    every example. Stochastic, ``uniform`` [budget, ``candidates(n, budget)``] of random numbers in [0, 1): chooses each example
    from as many random remaining ones; ``rounds`` then has no effect.

    Raises ValueError for a negative budget, eta that is not positive, rounds below 1, or sizes that do not fit.
    """
    gradients = Gradients.of(gradients)
    budget = min(budget, len(gradients))
    if budget < 0 or not eta > 0 or (rounds is not None and rounds < 1):
        raise ValueError(f"budget at least 0, eta above 0, rounds at least 1; not {budget}, {eta}, {rounds}")
    if not len(validation.z):
        raise ValueError("no validation examples")
    if gradients.dim != len(validation.gradient()):
        raise ValueError(f"gradients have {gradients.dim} numbers, the validation's {len(validation.gradient())}")
    if uniform is not None:
        index = _stochastic(gradients, validation, budget, eta, uniform)
    else:
        index = _in_rounds(gradients, validation, _sizes(budget, rounds), eta)
    return index, torch.ones(len(index), device=index.device)


def candidates(n: int, budget: int) -> int:
    """The number of examples that each stochastic step considers: (n / budget) ln(100), at least 1, at most n."""
    return min(n, max(1, int(n / budget * math.log(100)))) if budget else 0


def _sizes(budget: int, rounds: int | None) -> list[int]:
    if rounds is None:
        return [1] * budget
    return [size for r in range(rounds) if (size := budget // rounds + (r < budget % rounds))]


def _in_rounds(gradients: Gradients, validation: Validation, sizes: list[int], eta: float) -> Tensor:
    taken = torch.zeros(len(gradients), dtype=torch.bool, device=gradients.device)
    chosen = [torch.zeros(0, dtype=torch.int64, device=gradients.device)]
    for size in sizes:
        gain = eta * gradients.along(validation.gradient())
        gain[taken] = -torch.inf
        best = gain.sort(descending=True, stable=True).indices[:size]
        taken[best] = True
        chosen.append(best)
        validation = validation.after(eta * gradients[best].sum())
    return torch.cat(chosen)


def _stochastic(gradients: Gradients, validation: Validation, budget: int, eta: float, uniform: Tensor) -> Tensor:
    n, width = len(gradients), candidates(len(gradients), budget)
    if uniform.shape != (budget, width):
        raise ValueError(f"uniform numbers have shape {list(uniform.shape)}; here [{budget}, {width}]")
    rest = list(range(n))
    chosen = []
    for numbers in uniform.tolist():
        for i, u in enumerate(numbers[: len(rest)]):  # the first draws of a Fisher-Yates shuffle
            j = i + int(u * (len(rest) - i))
            rest[i], rest[j] = rest[j], rest[i]
        looked = sorted(rest[: min(width, len(rest))])
        drawn = gradients[torch.tensor(looked, device=gradients.device)]
        best = looked[int(drawn.along(validation.gradient()).argmax())]
        position = rest.index(best, 0, width)
        rest[position] = rest[-1]
        rest.pop()
        chosen.append(best)
        validation = validation.after(eta * gradients[best : best + 1].sum())
    return torch.tensor(chosen, dtype=torch.int64, device=gradients.device)
