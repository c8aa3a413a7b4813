"""Last-layer gradients of many examples, stored as outer products so that n x K(D+1) numbers are never needed.

The gradient of a loss with respect to the last linear layer is dl/dz (x) [phi, 1]: the gradient a [K] of the logits times the
penultimate features phi [D], with 1 for the bias. A loss of clean and adversarial logits (TRADES, MART) has one part for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gradients:
    """Gradients g_i, each the sum over the parts of a_i (x) [phi_i, 1], or of a_i where phi is None.

    ``parts``: pairs of a [n, K] and phi [n, D], with the same n, K and D in each. phi is None in all of them (gradients of the
    bias only, as with ``linear_layer=False`` in CORDS, or any plain vectors) or in none. Half precision is raised to float32.
    As one vector a gradient has K(D+1) numbers, those of [K, D+1] row by row with the bias last (or K numbers without phi).
    Raises ValueError if shapes do not fit.
    """

    parts: tuple[tuple[Tensor, Tensor | None], ...]

    def __post_init__(self):
        def full(x: Tensor) -> Tensor:
            return x.detach().to(torch.promote_types(x.dtype, torch.float32))

        parts = tuple((full(a), None if phi is None else full(phi)) for a, phi in self.parts)
        if not parts or any(a.ndim != 2 or (phi is not None and phi.ndim != 2) for a, phi in parts):
            raise ValueError("gradients need at least one part, a [n, K] with phi [n, D] or None")
        shape, features = parts[0][0].shape, parts[0][1]
        for a, phi in parts:
            if a.shape != shape or (phi is not None and len(phi) != len(a)):
                raise ValueError("the parts of a gradient must have the same number of examples and of logits")
            if (phi is None) != (features is None) or (phi is not None and phi.shape != features.shape):
                raise ValueError("the parts of a gradient must all have features of one size, or none")
        object.__setattr__(self, "parts", parts)

    @classmethod
    def of(cls, vectors: Tensor | Gradients) -> Gradients:
        """Plain vectors [n, d] as gradients of one part; gradients as they are."""
        return vectors if isinstance(vectors, Gradients) else cls(((vectors, None),))

    def __len__(self) -> int:
        return len(self.parts[0][0])

    def __getitem__(self, index: Tensor | slice) -> Gradients:
        return Gradients(tuple((a[index], None if phi is None else phi[index]) for a, phi in self.parts))

    @property
    def device(self) -> torch.device:
        return self.parts[0][0].device

    @property
    def dim(self) -> int:
        """Numbers in one gradient: K(D+1), or K without features."""
        a, phi = self.parts[0]
        return a.shape[1] * (1 if phi is None else phi.shape[1] + 1)

    def double(self) -> Gradients:
        return Gradients(tuple((a.double(), None if phi is None else phi.double()) for a, phi in self.parts))

    def dot(self, other: Gradients) -> Tensor:
        """All inner products [n, m]: (a_i . b_j)(phi_i . psi_j + 1), summed over the pairs of parts."""
        total = None
        for a, phi in self.parts:
            for b, psi in other.parts:
                product = a @ b.T
                if phi is not None:
                    product *= (phi @ psi.T).add_(1)
                total = product if total is None else total.add_(product)
        return total

    def squared_norms(self) -> Tensor:
        """[n]"""
        total = torch.zeros(len(self), dtype=self.parts[0][0].dtype, device=self.device)
        for a, phi in self.parts:
            for b, psi in self.parts:
                product = (a * b).sum(1)
                total += product if phi is None else product * ((phi * psi).sum(1) + 1)
        return total

    def along(self, vector: Tensor) -> Tensor:
        """Inner products [n] with one vector [dim]."""
        total = torch.zeros(len(self), dtype=self.parts[0][0].dtype, device=self.device)
        for a, phi in self.parts:
            rows = vector.to(a.dtype).view(a.shape[1], -1)
            total += a @ rows[:, 0] if phi is None else (torch.addmm(rows[:, -1], phi, rows[:, :-1].T) * a).sum(1)
        return total

    def sum(self, weight: Tensor | None = None) -> Tensor:
        """The (weighted, by ``weight`` [n]) sum of the gradients, one vector [dim]."""
        total = torch.zeros(self.dim, dtype=self.parts[0][0].dtype, device=self.device)
        for a, phi in self.parts:
            if phi is None and weight is not None:  # without a weighted copy of long vectors
                total += weight.to(a.dtype) @ a
                continue
            if weight is not None:
                a = a * weight.to(a.dtype)[:, None]
            bias = a.sum(0)
            total += bias if phi is None else torch.cat([a.T @ phi, bias[:, None]], 1).flatten()
        return total

    def dense(self) -> Tensor:
        """Every gradient as a vector, [n, dim]; for few of them, or small ones."""
        total = torch.zeros(len(self), self.dim, dtype=self.parts[0][0].dtype, device=self.device)
        for a, phi in self.parts:
            if phi is None:
                total += a
            else:
                total += (a[:, :, None] * torch.nn.functional.pad(phi, (0, 1), value=1.0)[:, None, :]).flatten(1)
        return total

    def means(self, batches: Iterable[Tensor]) -> Tensor:
        """The mean gradient of each batch of examples, [batches, dim]: the atoms of a batch-wise selection."""
        means = [(chosen := self[batch]).sum() / len(chosen) for batch in batches]
        return torch.stack(means) if means else self.parts[0][0].new_zeros(0, self.dim)


BLOCK = 64  # rows of a symmetric matrix that are computed at once, up to their last column
WHOLE = 256  # rows of a symmetric matrix, up to which one product of everything is as fast as one of a triangle


def row_blocks(n: int) -> Iterator[slice]:
    """The rows of a symmetric matrix [n, n], some at a time: those of a block up to its last column, the rest mirrored.

    That is half the products of the whole matrix; up to ``WHOLE`` rows there is one block.
    """
    size = WHOLE if n <= WHOLE else BLOCK
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
