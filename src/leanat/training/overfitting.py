"""Detects the catastrophic overfitting of single-step training (Wong et al. 2020)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Interval
from pydantic import PositiveInt

from leanat.core.component import component
from leanat.core.nouns import Attack, Hook, Run, Split, Step, eval_without_param_grad, held_constant
from leanat.selection.basic import everyone


@component("watch")
class OverfittingMonitor(Hook):
    """Training accuracy under a ``single``-step attack and under a ``strong`` attack after each epoch, and their gap.

    In catastrophic overfitting of single-step training (Wong et al. 2020) the first stays high while the second falls to 0. With
    ``drop``, training ends when the second falls by more than ``drop`` from one epoch to the next, and the network of the epoch
    before is kept. This is the early stopping of their code (0.2, PGD-5, one mini-batch), where it is off by default. Both are
    measured on the first ``examples`` training images, without augmentation and in evaluation mode, and are not counted among
    the epoch's passes.
    """

    single: Attack
    strong: Attack
    examples: PositiveInt
    drop: Annotated[float, Interval(gt=0, lt=1)] | None = None
    name: ClassVar[str] = "watch"
    column_names: ClassVar = ("watch_single", "watch_strong")
    report_names: ClassVar = ("watch_gap", "watch_fall")

    def start(self, run: Run, split: Split) -> dict[str, Any]:
        data = split.train.plain()
        index = everyone(data)[: self.examples]
        x, y = data.batch(index, 0)
        return {"index": index, "x": x, "y": y, "rows": [], "kept": {}, "ended": False}

    def columns(self, run: Run) -> dict[str, float]:
        """Measures the accuracies ``watch_single`` and ``watch_strong``; if this ends the training, it goes back one epoch."""
        memory = run.memory[self.name]
        index, x, y = memory["index"], memory["x"], memory["y"]
        accuracies = []
        for attack in (self.single, self.strong):
            step = Step(run.epoch, index, x, y, torch.ones_like(y, dtype=torch.float32), run.draws(index))
            with eval_without_param_grad(run.net), run.autocast():
                x_adv = held_constant(attack, run.net, step)
                with torch.no_grad():
                    accuracies.append(float((run.net(x_adv).argmax(1) == y).float().mean()))
        before = memory["rows"][-1][1] if memory["rows"] else 0.0
        memory["rows"].append(tuple(accuracies))
        if self.drop is not None and before - accuracies[1] > self.drop:
            run.net.load_state_dict(memory["kept"])
            memory["ended"] = True
        elif self.drop is not None:
            memory["kept"] = {k: v.detach().clone() for k, v in run.net.state_dict().items()}
        return {"watch_single": accuracies[0], "watch_strong": accuracies[1]}

    def ended(self, run: Run) -> bool:
        return run.memory[self.name]["ended"] if self.name in run.memory else False

    def report(self, run: Run) -> dict[str, float]:
        """The widest gap after any epoch and the deepest fall of the stronger accuracy in one epoch, in percentage points."""
        single, strong = zip(*run.memory[self.name]["rows"], strict=True)
        falls = [a - b for a, b in zip((0.0, *strong), strong, strict=False)]
        gaps = [a - b for a, b in zip(single, strong, strict=True)]
        return {"watch_gap": 100 * max(gaps), "watch_fall": 100 * max(0.0, *falls)}
