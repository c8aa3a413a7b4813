"""Losses, passes and seconds of an epoch. They are saved in checkpoints, so that an epoch can be stopped midway and resumed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from leanat.core import distributed
from leanat.core.rng import generators_from


class NonFiniteLoss(RuntimeError):
    """The loss of a step was not finite; the message says of which step."""


class Stopped(RuntimeError):
    """Training was asked to stop, and did so between two batches."""


@dataclass
class Passes:
    """Numbers of examples that passed forward and backward through the network so far: a cost that depends on no machine."""

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


@dataclass
class Meter:
    """The loss and weight of each step so far, still on the device; passes, seconds, and the state of torch's generators.

    With several processes, each has the numbers of its own part; ``gather`` adds them up before a checkpoint.
    """

    losses: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    passes: Passes = field(default_factory=Passes)
    seconds: float = 0.0
    generators: list[Tensor] = field(default_factory=list)  # CPU, then GPU; empty before the epoch began
    others: list[list[Tensor]] = field(default_factory=list)  # the generators of the other processes, in a checkpoint
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))  # of the network

    @contextmanager
    def of(self, net: nn.Module, seed: int) -> Iterator[Meter]:
        """Within this context passes and seconds are counted, and torch's generators are those of this epoch."""
        started, self.device = time.perf_counter(), next(net.parameters()).device
        gpus = [self.device] if self.device.type == "cuda" else []
        with generators_from(seed, self.device), self.passes.of(net):
            if self.generators:
                torch.set_rng_state(self.generators[0].cpu())
            # a checkpoint that was written on a CPU has no generator for this GPU
            for gpu, state in zip(gpus, self.generators[1:], strict=False):
                torch.cuda.set_rng_state(state.cpu(), gpu)
            try:
                yield self
            finally:
                self.generators = [torch.get_rng_state()]
                self.generators += [torch.cuda.get_rng_state(gpu) for gpu in gpus]
                self.seconds += time.perf_counter() - started

    def add(self, loss: Tensor, weight: Tensor) -> None:
        self.losses.append(loss)
        self.weights.append(weight)

    def sums(self) -> Tensor:
        """float [2, steps]: losses, weights."""
        if not self.losses:
            return torch.zeros(2, 0, device=self.device)
        return torch.stack([torch.stack(self.losses), torch.stack(self.weights)])

    def mean(self, where: str, replays: int) -> float:
        """The weighted mean of the losses; waits for the device. Raises NonFiniteLoss, with the first bad batch put into the
        placeholder of ``where``.
        """
        loss, weight = distributed.all_reduce_sum(self.sums()).cpu()
        if len(bad := (~loss.isfinite()).nonzero()):
            why = "" if weight[bad[0]] else ", whose weights are all 0"
            raise NonFiniteLoss(f"loss not finite: {where.format(int(bad[0]) // replays)}{why}")
        return float((loss * weight).sum() / weight.sum())

    def gather(self) -> None:
        """Process 0 takes over the sums of all processes, and the others start from zero; every process has to call it."""
        if distributed.size() == 1:
            return
        mine = distributed.rank() == 0
        sums, passes = distributed.all_reduce_sum(self.sums()), self._all_passes()
        self.losses, self.weights = (list(row) for row in (sums if mine else torch.zeros_like(sums)))
        self.passes = Passes(*passes) if mine else Passes()
        self.others = distributed.all_gather([g.cpu() for g in self.generators])[1:]

    def _all_passes(self) -> list[int]:
        passes = torch.tensor([self.passes.forward, self.passes.backward], device=self.device)
        return distributed.all_reduce_sum(passes).tolist()

    def row(self) -> dict[str, float]:
        """Passes (of all processes) and seconds of the epoch, for the history."""
        forward, backward = self._all_passes()
        return {"forward": forward, "backward": backward, "seconds": self.seconds}

    def state(self) -> dict[str, Any]:
        """Tensors and numbers, for the checkpoint."""
        sums = self.sums() if self.losses else None
        passes = (self.passes.forward, self.passes.backward)
        own = {"sums": sums, "passes": passes, "seconds": self.seconds, "generators": self.generators}
        return own | ({"others": self.others} if self.others else {})

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Meter:
        """The meter of a checkpoint. Process 0 continues with the sums of all processes, and each other process from zero.

        Each process gets its own generators back. If there are more processes than before, the new ones have none yet.
        """
        rank, sums = distributed.rank(), state["sums"]
        generators = [state["generators"], *state.get("others", [])][rank : rank + 1]
        if sums is not None and rank:
            sums = torch.zeros_like(sums)
        losses, weights = ([], []) if sums is None else (list(row) for row in sums)
        passes = Passes() if rank else Passes(*state["passes"])
        return cls(losses, weights, passes, state["seconds"], *generators)
