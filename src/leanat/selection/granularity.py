"""Choosing within each class or choosing whole batches, and dividing the budget between classes; all on plain tensors.

index, weight = per_class(lambda members, k: facility_location(gradients[members], k), labels, budget)
index, weight = per_batch(lambda atoms, k: matching_pursuit(atoms, atoms.sum(0), k), gradients, order, 128, budget)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from leanat.selection.outer_products import Gradients

Selection = tuple[Tensor, ...]  # index, weight, and whatever else a solver says


def budget_of(n: int, fraction: float) -> int:
    """``fraction`` x ``n``, rounded up: 7 % of 100 are 7, although 0.07 x 100 is 7.000000000000001 in floating point."""
    return math.ceil(fraction * n - 1e-9)


def shares(sizes: Sequence[int], budget: int) -> list[int]:
    """Splits ``budget`` over classes of these ``sizes`` in proportion, by largest remainders (ties to the first class).

    The shares sum to min(budget, all), none exceeds the size of its class, and each class that is not empty gets at least one
    if the budget allows one for each. The arithmetic uses integers. Raises ValueError for a negative budget.
    """
    if budget < 0:
        raise ValueError(f"budget {budget}; at least 0")
    budget = min(budget, sum(sizes))
    share = [0] * len(sizes)
    open_ = [c for c, size in enumerate(sizes) if size]
    if budget >= len(open_):
        # A class too small for one gets one and stands aside; that may make another too small.
        while small := [c for c in open_ if budget * sizes[c] < sum(sizes[c] for c in open_)]:
            for c in small:
                share[c] = 1
            budget -= len(small)
            open_ = [c for c in open_ if c not in small]
    total = sum(sizes[c] for c in open_)
    for c in open_:
        share[c] = budget * sizes[c] // total
    left = budget - sum(share[c] for c in open_)
    for c in sorted(open_, key=lambda c: -(budget * sizes[c] % total))[:left]:
        share[c] += 1
    return share


def batch_budget(n: int, size: int, budget: int) -> int:
    """The number of batches of ``size`` for a budget of examples: ceil(budget / size), at most ceil(n / size), which are all."""
    return min(-(-budget // size), -(-n // size))


def per_class(solver: Callable[[Tensor, int], Selection], labels: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    """Applies ``solver`` to each class by itself, with its share of the budget (``shares``).

    ``solver(members, k)`` gets the examples of one class (int64 [n_c], ascending) and chooses up to k positions among
    them. Returns index int64 and weight float32 over all of ``labels`` [n], class after class.
    """
    index, weight = _nothing(labels.device)
    classes = labels.unique()
    members = [(labels == c).nonzero()[:, 0] for c in classes]
    for inside, k in zip(members, shares([len(m) for m in members], budget), strict=True):
        if k:
            chosen, w = solver(inside, k)[:2]
            index.append(inside[chosen])
            weight.append(w.float())
    return torch.cat(index), torch.cat(weight)


def per_batch(
    solver: Callable[[Tensor, int], Selection], gradients: Gradients, order: Tensor, size: int, budget: int
) -> tuple[Tensor, Tensor]:
    """Chooses whole batches by their mean gradients; each example gets the weight of its batch.

    The batches are pieces of ``size`` of ``order`` (int64 [n], the examples in the order of a loader); the last one may be
    shorter. ``solver(atoms, k)`` gets the means [batches, dim] and chooses up to k = ``batch_budget`` of them, as in CORDS and
    ACS. So k x size examples are returned, or fewer if the short batch is among them.
    Returns index int64 and weight float32, batch after batch. Raises ValueError for a size below 1 or a negative budget.
    """
    if size < 1 or budget < 0:
        raise ValueError(f"batches hold at least 1 example and a budget is at least 0; not {size}, {budget}")
    batches = order.split(size) if len(order) else ()
    chosen, w = solver(gradients.means(batches), batch_budget(len(order), size, budget))[:2]
    index, weight = _nothing(order.device)
    for b, value in zip(chosen.tolist(), w.float(), strict=True):
        index.append(batches[b])
        weight.append(value.expand(len(batches[b])))
    return torch.cat(index), torch.cat(weight)


def top_up(index: Tensor, weight: Tensor, uniform: Tensor, budget: int) -> tuple[Tensor, Tensor]:
    """Fills the chosen examples up to ``budget`` with random others of weight 1, as CORDS and ACS do after a matching.

    ``uniform`` [n]: one random number per example, by whose order the others are added.
    """
    numbers = uniform.clone()
    numbers[index] = torch.inf
    missing = max(0, min(budget, len(uniform)) - len(index))
    added = numbers.argsort(stable=True)[:missing]
    return torch.cat([index, added]), torch.cat([weight, weight.new_ones(missing)])


def _nothing(device: torch.device) -> tuple[list[Tensor], list[Tensor]]:
    return [torch.zeros(0, dtype=torch.int64, device=device)], [torch.zeros(0, device=device)]
