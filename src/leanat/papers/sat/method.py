"""SAT (Losch et al., "On Adversarial Training without Perturbing all Examples", ICLR 2024): attacks only a subset A.

    chosen = RankedSubset(0.3, "example", ByEntropy(Path("results/runs/<run with MeanEntropy>"), "hardest"))
    Method(CrossEntropy(), PGD(L2(0.5), 7, 0.1, "none", use_best=True), SubsetWeights("increasing"), AttackOnlySubset(),
           extras=(SubsetAttack(chosen),))

Equation 2 is built from the loop's parts: the hook fixes A once, the Budget attacks only the examples of A, the Selector gives
w_A and w_B (``everything`` for w_A = w_B = 1), and the loop takes the weighted mean over the mixed mini-batch, in one
forward pass in training mode as in the authors' code. CSAT chooses whole classes, ESAT examples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Predicate
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor

from leanat.core.component import File, Probability, component, distinct
from leanat.core.nouns import Data, Hook, Run, Split, Step, Subset
from leanat.core.planned import EVERYTHING, Planned
from leanat.core.rng import Draws
from leanat.selection.basic import everyone

Order = Callable[[str, int], Tensor]  # ("class" or "example", how many) -> int64 [n]: the first enters A first
Members = Callable[[Data], Tensor]  # -> bool [N]


@component("by_entropy")
class ByEntropy:
    """The order of the mean entropies (equation 3) that MeanEntropy has measured in the run of folder ``ranking``.

    ``first``: "hardest", the highest entropy first, or "easiest", the reverse. A call raises ValueError if the file is missing
    or damaged, or has another number of classes or examples, or values that are not finite.
    """

    ranking: File
    first: Literal["hardest", "easiest"]

    def __call__(self, unit: str, n: int) -> Tensor:
        path = self.ranking / "entropy.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                scores = torch.from_numpy(file["class_" if unit == "class" else unit])
        except Exception as error:
            raise ValueError(f"{path}: not a ranking ({error})") from error
        if scores.shape != (n,) or not scores.isfinite().all():
            raise ValueError(f"{path}: {n} finite values by {unit} are needed; it has {int(scores.isfinite().sum())}")
        order = scores.argsort(descending=True, stable=True)
        return order if self.first == "hardest" else order.flip(0)


@component("at_random")
class AtRandom:
    """The random order of number ``draw``, which is the same for every seed of the run."""

    draw: int

    def __call__(self, unit: str, n: int) -> Tensor:
        return Draws(self.draw, 0, torch.arange(n)).order(f"sat {unit}")


@component("classes")
class NamedClasses:
    """CSAT with named classes: A contains all their examples."""

    classes: Annotated[tuple[NonNegativeInt, ...], Predicate(distinct), Field(description="each once, from 0")]

    def __call__(self, data: Data) -> Tensor:
        if any(c >= data.n_classes for c in self.classes):
            raise ValueError(f"classes {self.classes}; the data have 0 to {data.n_classes - 1}")
        return torch.isin(data.labels, torch.tensor(self.classes, dtype=torch.int64, device=data.labels.device))


@component("first")
class RankedSubset:
    """The first ``share`` (rounded) of an order, so that A grows: ``of`` "class", CSAT; "example", ESAT.

    All subset sizes of the paper are tenths: the i-th decile is 0.1 i, and 10 of 100 classes are 0.1.
    """

    share: Probability
    of: Literal["class", "example"]
    order: Order

    def __call__(self, data: Data) -> Tensor:
        units, n = (data.labels, data.n_classes) if self.of == "class" else (everyone(data), len(data))
        return torch.isin(units, self.order(self.of, n)[: round(self.share * n)].to(units.device))


# -- equation 2


@component("sat")
class SubsetAttack(Hook):
    """Fixes A at the start of the run; AttackOnlySubset and SubsetWeights read it from ``run.memory["sat"]["members"]``."""

    members: Members
    name: ClassVar[str] = "sat"
    report_names: ClassVar = ("classes_attacked", "share_attacked")

    def start(self, run: Run, split: Split) -> dict[str, Tensor]:
        inside, labels = self.members(split.train), split.train.labels
        wholly = [bool(inside[labels == c].all()) for c in range(split.train.n_classes)]
        return {"members": inside, "classes": torch.tensor(wholly)}

    def report(self, run: Run) -> dict[str, Any]:
        """Numbers for the run's metrics: the classes that are completely in A, and the share of the examples that are in A."""
        memory = run.memory[self.name]
        classes = memory["classes"].nonzero().flatten().tolist()
        return {"classes_attacked": classes, "share_attacked": float(memory["members"].float().mean())}


def members(run: Run) -> Tensor:
    """A of this run, bool [N]. Raises ValueError if the method has no SubsetAttack."""
    if SubsetAttack.name not in run.memory:
        raise ValueError("budget only_members and selector weighted need the extra sat")
    return run.memory[SubsetAttack.name]["members"]


@component("only_members")
class AttackOnlySubset:
    """Budget: the attack's own steps and step size in A, and 0 in B, whose images PGD returns unchanged (equation 2)."""

    def __call__(self, run: Run, step: Step) -> tuple[Tensor, Tensor]:
        attack, inside = run.method.attack, members(run)[step.index]
        if not (hasattr(attack, "steps") and hasattr(attack, "step_size")):
            raise ValueError(f"budget only_members needs an attack with steps and step_size, not {attack}")
        return inside * attack.steps, inside * attack.step_size


@component("weighted")
class SubsetWeights:
    """Selector: all examples, w_B = 1 in B and w_A in A (sections 3.2 and 4.3).

    balanced    w_A = |B| / |A|
    increasing  w_A = (1 + 10 |A| / N) |B| / |A|: a factor of 2 at one tenth and 10 at nine tenths, used for all task
                transfer. The values between are those of the authors' code ("weightedincreasing2to10")

    Raises ValueError if A or B is empty: w_A is then 0 or infinite.
    """

    rule: Literal["balanced", "increasing"]

    def __call__(self, run: Run, split: Split) -> Subset:
        inside = members(run)
        n, a = len(inside), int(inside.sum())
        if not 0 < a < n:
            raise ValueError(f"A has {a} of {n} examples; weights need one or more in A and in B")
        factor = 1.0 if self.rule == "balanced" else 1 + 10 * a / n
        weight = torch.ones(n, device=inside.device).masked_fill_(inside, factor * (n - a) / a)
        return Subset(everyone(split.train), weight)

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        return EVERYTHING


def correct(step: Step) -> Tensor:
    return (step.z_adv.detach().argmax(1) == step.y).float()


def entropy(step: Step) -> Tensor:
    """Shannon entropy [B] in nats of the prediction at the trained image."""
    logp = step.z_adv.detach().float().log_softmax(1)
    return -(logp.exp() * logp).sum(1)


MEASURES: dict[str, Callable[[Step], Tensor]] = {"entropy": entropy, "error": lambda step: 1 - correct(step)}


@component("mean_entropy")
class MeanEntropy(Hook):
    """H-bar of every example and class (equation 3), computed during a training.

    As in the authors' code, the snapshots f_e are the predictions of the training's own forward passes (augmented images,
    training mode). Their code has two variants: the mean over only the ``last`` epochs (they tried 10), and ``measure`` "error",
    the share of wrong predictions instead of the entropy. An example that was in no mini-batch of those epochs (drop_last)
    keeps its last value from before them.
    """

    measure: Literal["entropy", "error"]
    last: PositiveInt | None
    name: ClassVar[str] = "entropy"
    report_names: ClassVar = ("difficulty",)

    def start(self, run: Run, split: Split) -> dict[str, Tensor]:
        labels = split.train.labels
        total, visits = torch.zeros(2, len(labels), device=labels.device)
        return {"total": total, "visits": visits, "before": torch.full_like(total, torch.nan), "labels": labels.clone()}

    def after_step(self, run: Run, step: Step) -> None:
        memory, now = run.memory[self.name], MEASURES[self.measure](step).float()
        if self.last is None or run.epoch >= run.recipe.epochs - self.last:
            memory["total"][step.index] += now
            memory["visits"][step.index] += 1
        else:
            memory["before"][step.index] = now

    def arrays(self, run: Run) -> dict[str, np.ndarray]:
        """``example`` [N], the mean over an example's visits (nan without), and ``class_`` [K], the mean over its examples."""
        total, visits, before, labels = (
            run.memory[self.name][k].cpu() for k in ("total", "visits", "before", "labels")
        )
        example = torch.where(visits > 0, total / visits, before).numpy()
        seen = np.isfinite(example)
        of_class = np.bincount(labels, weights=np.nan_to_num(example)) / np.bincount(labels, weights=seen)
        return {"example": example, "class_": of_class}

    def report(self, run: Run) -> dict[str, Any]:
        """Numbers for the run's metrics: the means of the classes."""
        return {"difficulty": self.arrays(run)["class_"].tolist()}
