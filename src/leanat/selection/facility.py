"""CRAIG's facility location (Mirzasoleiman, Bilmes and Leskovec 2020) by lazy greedy."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from leanat.selection.outer_products import Gradients, row_blocks

# The points that a candidate could improve, and its similarity to each of them.
Column = tuple[slice | np.ndarray, np.ndarray]

_WIDEST = 256  # columns computed at once when they are not stored


def facility_location(features: Tensor | Gradients, budget: int, dense_bytes: int = 4 << 30) -> tuple[Tensor, Tensor]:
    """The points that greedily maximise F(S) = sum_i max_{j in S} sim(i, j), and the size of each one's cluster.

    sim(i, j) = (largest squared distance) - |x_i - x_j|^2, as in CRAIG. ``features``: vectors [n, d] or gradients.

    Returns (index int64 [k], weight float32 [k]) in the order of choice, k = min(budget, n). The sequence is that of the
    exhaustive greedy algorithm, ties go to the lowest index, and no index comes twice. weight[j] is the number of points whose
    most similar chosen point is j. A chosen point counts for itself, and any other tie goes to the point chosen earlier, so
    every weight is at least 1 and the weights sum to n.

    Squared distances are float32; those below its rounding are 0, so that equal gradients tie. A similarity matrix of up to
    ``dense_bytes`` is stored (4 GiB: 32,768 points). Larger ones are computed column by column. Once enough points are chosen,
    only the neighbours are stored, which are the points that a candidate could still improve (at most 2 GiB). Computed columns
    may be rounded differently from stored ones, so gains that are equal up to rounding may come in another order.

    Raises ValueError for a negative budget or features that are not finite.
    """
    gradients = Gradients.of(features)
    n = len(gradients)
    if budget < 0:
        raise ValueError(f"budget {budget}; at least 0")
    if (budget := min(budget, n)) == 0:
        return _result([], np.zeros(0, np.int64), gradients.device)
    distances = _Distances(gradients)
    if 4 * n * n <= dense_bytes:
        similarity = np.empty((n, n), np.float32)
        for rows in row_blocks(n):
            similarity[rows, : rows.stop] = distances(rows, slice(rows.stop))
            similarity[: rows.start, rows] = similarity[rows, : rows.start].T
        np.subtract(similarity.max(), similarity, out=similarity)
        return _result(*_lazy_greedy(_Stored(similarity), budget, widest=1), gradients.device)
    return _result(*_lazy_greedy(_Computed(distances, n), budget, widest=_WIDEST), gradients.device)


def _result(chosen: list[int], owner: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    owner[chosen] = np.arange(len(chosen))
    weight = np.bincount(owner, minlength=len(chosen))
    return (
        torch.tensor(chosen, dtype=torch.int64, device=device),
        torch.tensor(weight, dtype=torch.float32, device=device),
    )


def _lazy_greedy(columns: _Stored | _Computed, budget: int, widest: int) -> tuple[list[int], np.ndarray]:
    """The chosen points, and for each point the position of its owner among them (the earliest on a tie).

    Gains only shrink, since F is submodular and rounded sums are monotone. A gain that is up to date and on top of the heap is
    therefore the largest, and the heap's order breaks ties by index, so the sequence is that of the exhaustive greedy algorithm.
    At most ``widest`` candidates are evaluated at once, first one and then always twice as many, which is cheaper where a
    column must be computed.
    """
    gains = columns.totals()
    n = len(gains)
    best, owner = np.zeros(n, columns.dtype), np.zeros(n, np.int64)
    heap = [(-gain, j) for j, gain in enumerate(gains.tolist())]
    heapq.heapify(heap)
    computed_at = [0] * n  # how many points were chosen when the gain was computed
    chosen: list[int] = []
    for size in range(budget):
        width = 1
        while computed_at[heap[0][1]] != size:
            stale = []
            while heap and len(stale) < width and computed_at[heap[0][1]] != size:
                stale.append(heapq.heappop(heap)[1])
            for j, (where, values) in zip(stale, columns(stale, best, size), strict=True):
                computed_at[j] = size
                heapq.heappush(heap, (-float(np.maximum(values - best[where], 0).sum()), j))
            width = min(2 * width, widest)
        j = heapq.heappop(heap)[1]
        where, values = columns([j], best, size)[0]
        highest = best[where]
        improved = values > highest
        if isinstance(where, slice):
            owner[improved] = size
        else:
            owner[where[improved]] = size
        best[where] = np.maximum(values, highest)
        chosen.append(j)
    return chosen, owner


class _Stored:
    """Columns of a similarity matrix in memory."""

    def __init__(self, similarity: np.ndarray):
        self.similarity, self.dtype = similarity, similarity.dtype

    def totals(self) -> np.ndarray:
        # Row by row: the same summation order as a single gain, which the monotone rounding relies on.
        return np.array([row.sum() for row in self.similarity])

    def __call__(self, candidates: list[int], best: np.ndarray, size: int) -> list[Column]:
        return [(slice(None), self.similarity[j]) for j in candidates]


class _Computed:
    """Columns computed from the features; after ``enough`` choices only the neighbours are kept, in memory.

    A candidate is nearer to a point than t chosen points in about one case of t + 1. After enough choices the pairs that can
    still matter therefore fit into memory, and later choices only remove pairs.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, distances: Callable[[slice | Tensor], np.ndarray], n: int, neighbours: int = 1 << 27):
        self.distances, self.n, self.neighbours = distances, n, neighbours
        self.enough = math.ceil(n * n / neighbours)
        self.near: list[Column] | None = None
        self.top = np.float32(0)

    def totals(self) -> np.ndarray:
        sums = []
        for start in range(0, self.n, _WIDEST):
            block = self.distances(slice(start, start + _WIDEST))
            self.top = max(self.top, block.max())
            sums.append(block.sum(1, dtype=np.float64))
        return self.n * float(self.top) - np.concatenate(sums)

    def __call__(self, candidates: list[int], best: np.ndarray, size: int) -> list[Column]:
        if self.near is None and size >= self.enough:
            self.near, self.enough = self._neighbours(best), 2 * size
        if self.near is not None:
            return [self.near[j] for j in candidates]
        return [(slice(None), row) for row in self.top - self.distances(torch.tensor(candidates))]

    def _neighbours(self, best: np.ndarray) -> list[Column] | None:
        """Every column without the points it cannot improve; None if that does not fit."""
        near: list[Column] = []
        room = 2 * self.neighbours
        for start in range(0, self.n, _WIDEST):
            for row in self.top - self.distances(slice(start, start + _WIDEST)):
                where = np.flatnonzero(row > best).astype(np.int32)
                near.append((where, row[where]))
                room -= len(where)
            if room < 0:
                return None
        return near


class _Distances:
    """Squared distances [b, n] in float32 from some points to the first n of them, or to all."""

    def __init__(self, gradients: Gradients):
        if len(gradients.parts) == 1 and gradients.parts[0][1] is None:
            x = gradients.parts[0][0]
            gradients = Gradients.of(x - x.mean(0))  # distances stay as they are, rounding shrinks
        self.gradients, self.norms = gradients, gradients.squared_norms()
        if not self.norms.isfinite().all():
            raise ValueError("features must be finite")

    def __call__(self, points: slice | Tensor, to: slice = slice(None)) -> np.ndarray:
        if isinstance(points, Tensor):
            points = points.to(self.norms.device)
        scale = self.norms[points, None] + self.norms[to]
        squared = self.gradients[points].dot(self.gradients[to]).mul_(-2).add_(scale)
        squared.masked_fill_(squared < scale.mul_(1e-6), 0)
        return squared.float().cpu().numpy()
