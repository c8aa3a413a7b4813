"""Facility location by other packages, used like a user's own rule; pip install 'leanat[bench]'.

    leanat bench leanat.bench.peers:Apricot leanat.bench.peers:Submodlib --data digits

Both choose within each class by the similarities of the built-in CRAIG, and their weights are the sizes of the clusters, so
that only the solver differs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from leanat.core.nouns import Run, Split
from leanat.selection.granularity import budget_of, per_class
from leanat.selection.last_layer import gradients
from leanat.selection.outer_products import Gradients

Solver = Callable[[np.ndarray, int], list[int]]


class FacilityLocation:
    """CRAIG by class with another solver, a function from similarities float64 [n, n] and a number to positions."""

    def __init__(self, fraction: float, solver: Solver):
        self.fraction, self.solver = fraction, solver

    def __call__(self, run: Run, split: Split) -> tuple[Tensor, Tensor]:
        rows, labels = gradients(run, split.train), split.train.labels

        def solve(members: Tensor, k: int) -> tuple[Tensor, Tensor]:
            similarity = similarities(rows[members])
            chosen = self.solver(similarity, k) if k < len(members) else list(range(len(members)))
            owner = similarity[:, chosen].argmax(1)
            owner[chosen] = np.arange(len(chosen))
            weight = np.bincount(owner, minlength=len(chosen))
            return torch.tensor(chosen, device=labels.device), torch.tensor(weight, device=labels.device)

        return per_class(solve, labels, budget_of(len(labels), self.fraction))


def similarities(rows: Gradients) -> np.ndarray:
    """(largest squared distance) - |g_i - g_j|^2, float64 [n, n]."""
    rows = rows.double()
    squared, inner = rows.squared_norms(), rows.dot(rows)
    distance = (squared[:, None] + squared[None] - 2 * inner).clamp_min(0)
    distance = (distance + distance.T) / 2
    return (distance.max() - distance).cpu().numpy()


class Apricot(FacilityLocation):
    """CRAIG with the lazy greedy solver of apricot-select (Schreiber, Bilmes and Noble 2020)."""

    def __init__(self, fraction: float):
        from apricot import FacilityLocationSelection

        def solve(similarity: np.ndarray, k: int) -> list[int]:
            chooser = FacilityLocationSelection(k, metric="precomputed", optimizer="lazy", verbose=False)
            return [int(i) for i in chooser.fit(similarity).ranking]

        super().__init__(fraction, solve)


class Submodlib(FacilityLocation):
    """CRAIG with the lazy greedy solver of submodlib (Kaushal, Ramakrishnan and Iyer 2022), which computes in float32."""

    def __init__(self, fraction: float):
        from submodlib import FacilityLocationFunction

        def solve(similarity: np.ndarray, k: int) -> list[int]:
            function = FacilityLocationFunction(n=len(similarity), mode="dense", sijs=similarity, separate_rep=False)
            greedy = function.maximize(budget=k, optimizer="LazyGreedy", show_progress=False, stopIfZeroGain=False)
            return [int(i) for i, _ in greedy]

        super().__init__(fraction, solve)
