"""Counts the examples that pass forward and backward through a network: a cost that does not depend on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class Passes:
    """Numbers of examples that passed forward and backward through the network so far."""

    forward: int = 0
    backward: int = 0

    @contextmanager
    def of(self, net: nn.Module) -> Iterator[Passes]:
        def count(module, inputs, output):
            self.forward += len(output)
            if output.requires_grad:
                output.register_hook(self._backward)

        hook = net.register_forward_hook(count)
        try:
            yield self
        finally:
            hook.remove()

    def _backward(self, gradient: Tensor) -> None:
        self.backward += len(gradient)
