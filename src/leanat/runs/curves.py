"""Accuracies during a training, for its learning curves: on a few test images, as often as this costs little.

They influence nothing: no selection, early stopping or claim uses them. All their random numbers are those of ``evaluate``, so a
training gives the same bits with and without them. Their time is not part of an epoch's ``seconds``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import L2, Linf
from leanat.core.nouns import Data, Run, eval_without_param_grad
from leanat.core.precision import exact_fp32
from leanat.evaluation import evaluate

EXAMPLES = 200  # test images, the same for every run on a data set
STEPS = 5  # of the attack: PGD from the image itself, each step half the radius
SHARE = 0.03  # of the training's passes: what the evaluations take at most
CLEAN, ROBUST = "test_clean", "test_robust"  # columns of the history: percent; empty where nothing was evaluated


@dataclass(frozen=True)
class Curves:
    """Clean accuracy and, where the training attacks in an l_p ball, accuracy under PGD in that ball, in percent."""

    attack: PGD | None  # None: the training has no such ball

    @property
    def passes(self) -> int:
        """The largest number of images that an evaluation passes forward or backward through the network."""
        return EXAMPLES * (1 if self.attack is None else 2 + 2 * self.attack.steps)

    def due(self, history: Sequence[Mapping[str, Any]]) -> bool:
        """Whether one more evaluation stays within SHARE of the passes so far: a function of the history alone."""
        evaluations = sum(CLEAN in row for row in history)
        return (evaluations + 1) * self.passes <= SHARE * sum(row["forward"] + row["backward"] for row in history)

    def __call__(self, run: Run, test: Data) -> None:
        """Adds the accuracies to the last row of the history, if an evaluation is due."""
        if not self.due(run.history):
            return
        index = evaluate.sample(len(test), EXAMPLES).to(test.labels.device)
        if self.attack is None:
            run.history[-1][CLEAN] = round(100 * clean_accuracy(run.net, test, index, run.recipe.batch), 4)
            return
        outcome = evaluate.evaluate(run.net, test, self.attack, seed=0, batch=run.recipe.batch, index=index)
        run.history[-1][CLEAN] = round(100 * float(outcome.clean_correct.mean()), 4)
        run.history[-1][ROBUST] = round(100 * float(outcome.correct.mean()), 4)


def of(run: Run) -> Curves:
    """The curves of a training, in the ball in which it attacks."""
    threat = getattr(run.method.attack, "threat", None)
    inside = isinstance(threat, Linf | L2) and threat.eps > 0
    return Curves(PGD(threat, STEPS, threat.eps / 2, "none") if inside else None)


@torch.no_grad()
def clean_accuracy(net: nn.Module, data: Data, index: Tensor, batch: int) -> float:
    """The accuracy on the images; ``evaluate`` would also fold a copy of the network for its attack."""
    with eval_without_param_grad(net), exact_fp32():
        steps = (evaluate.step_of(data, part, 0) for part in index.split(batch))
        return sum(int((net(step.x).argmax(1) == step.y).sum()) for step in steps) / len(index)
