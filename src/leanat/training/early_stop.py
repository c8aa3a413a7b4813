"""Early stopping by robust accuracy (SAT, Losch et al. 2024, section 4): the epoch to keep, and the examples for choosing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval, MinLen
from pydantic import Field
from torch import Tensor

from leanat.core.component import Epochs, component
from leanat.core.nouns import Attack, Run
from leanat.core.rng import Draws


def holdout_indices(n: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Splits the indices 0 to n - 1 at random: a share ``share`` is for choosing the epoch, the rest for the reported accuracy.

    Returns both, int64 and ascending. The paper uses 10 % and 90 %. (The authors' code slices the 90 % wrongly and reports
    8,000 of 10,000 images.) Raises ValueError if either would be empty.
    """
    order, count = Draws(seed, 0, torch.arange(n)).order("early stopping"), round(share * n)
    if not 0 < count < n:
        raise ValueError(f"early stopping: a share of {share} of {n} examples leaves a part empty")
    return order[:count].sort().values, order[count:].sort().values


@component()
class EarlyStop:
    """Keeps the state of the epoch with the highest robust accuracy on a fixed part of the validation data (section 4).

    It is called after each epoch. After the epochs in ``checks`` it measures robust accuracy under ``attack`` on the held-out
    part (``holdout_indices``), with ``robust(index)``, and keeps the best state. Ties go to the later epoch (in the authors'
    code to the earlier one).
    ``run.memory["early_stop"]`` has a row (epoch, robust accuracy) of each check, and the best epoch's ``state``. The paper's
    validation data are test data.
    """

    checks: Annotated[Epochs, MinLen(1), Field(description="one or more epochs from 1 on, rising")]
    attack: Attack
    share: Annotated[float, Interval(gt=0, lt=1)]
    name: ClassVar[str] = "early_stop"

    def __call__(self, run: Run, n: int, robust: Callable[[Tensor], float]) -> None:
        if run.epoch not in self.checks:
            return
        now = float(robust(holdout_indices(n, self.share, seed=0)[0]))
        memory = run.memory.setdefault(self.name, {"checks": [], "epoch": 0, "robust": -1.0, "state": {}})
        memory["checks"].append((run.epoch, now))
        if now >= memory["robust"]:
            state = {k: v.detach().clone() for k, v in run.net.state_dict().items()}
            memory |= {"epoch": run.epoch, "robust": now, "state": state}

    def restore(self, run: Run) -> int:
        """Puts the best state into ``run.net`` and returns its epoch. Raises ValueError if no check was made."""
        if self.name not in run.memory:
            raise ValueError(f"early stopping: no check in {run.epoch} epochs; checks are after {self.checks}")
        run.net.load_state_dict(run.memory[self.name]["state"])
        return run.memory[self.name]["epoch"]
