"""Less is More (Li et al. 2023, SafeAI): Bullet-Train, the groups of examples, and pruning by the loss, against which the paper
argues. The selectors are in ``selection``.

    bullet = Bullet()
    Method(TRADES(beta=6), PGD(Linf(8 / 255), 10, 2 / 255, "gaussian", "kl"), Everything(), bullet)

Adv-GRAD-MATCH and Adv-GLISTER are GradMatch and Glister under ``Every(20, 20, ..., before=Once(0, Random(0.3)))``: a random
subset first, then a selection at epochs 20, 40, ..., which are the "9 selections" in 200 epochs (section 4.3).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor

from leanat.core.component import Decay, Fraction, Probability, component
from leanat.core.loop import make_step
from leanat.core.nouns import Attack, Hook, Run, Split, Step, Subset, eval_without_param_grad, held_constant
from leanat.core.uploads import constant
from leanat.selection.basic import everyone, unweighted
from leanat.selection.ranked import keep_highest, last_layer

GROUPS = ("outlier", "boundary", "robust")


def bullet_groups(p: Tensor, y: Tensor, robust_share: Tensor) -> Tensor:
    """Positions in GROUPS int64 [B], from clean probabilities p [B, K]; ``robust_share`` is a number from 0 to 1.

    The score s is the standard deviation of an example's probabilities, negative where the prediction is wrong. Outlier:
    s < 0. Robust: s above max(0, the (1 - robust_share)-quantile of s in this batch). Boundary: the others.
    """
    score = p.std(1) * torch.where(p.argmax(1) == y, 1.0, -1.0)
    threshold = torch.quantile(score, (1 - robust_share).clamp(0, 1)).relu()
    return (score >= 0).long() + (score > threshold).long()


@component("bullet")
class Bullet(Hook):
    """Bullet-Train (Hua et al. 2021): the number of attack steps depends on how near an example is to the decision boundary.

    It is a budget and a hook. Boundary examples get the attack's own steps, and robust ones ``robust_steps`` of
    ``robust_stride`` times its step size. Outliers get no steps: they are trained on unperturbed, and in TRADES their KL term is
    0 except for BatchNorm, which normalises the clean and the attacked batch separately. One more forward pass per step, clean
    and in evaluation mode, assigns the groups (``bullet_groups``). The share called robust is a running average that starts at
    0: a <- m a + (1 - m) gamma (share of the batch that is classified correctly under attack).

    The authors published no code. Numbers and order are those of the implementation in AttackRider (IJCAI 2025), whose 10
    steps of 2/255 and 2 of 6/255 are a stride of 3. The share of correct predictions under attack comes from the training
    step's own logits, while AttackRider makes another forward pass for it.
    """

    robust_steps: NonNegativeInt = 2
    robust_stride: NonNegativeFloat = 3.0
    gamma: Probability = 0.8
    momentum: Decay = 0.9
    name: ClassVar[str] = "bullet"
    column_names: ClassVar = tuple(f"bullet_{group}" for group in GROUPS)

    # Budget

    def __call__(self, run: Run, step: Step) -> tuple[Tensor, Tensor]:
        attack = run.method.attack
        if self.name not in run.memory:
            raise ValueError("bullet works only inside a training run, which holds the share called robust")
        if not (hasattr(attack, "steps") and hasattr(attack, "step_size")):
            raise ValueError(f"budget bullet needs an attack with steps and step_size, not {attack}")
        with eval_without_param_grad(run.net), torch.no_grad():
            p = run.net(step.x).float().softmax(1)
        group = step.aux[self.name] = bullet_groups(p, step.y, run.memory[self.name]["robust"])
        steps = constant((0, attack.steps, self.robust_steps), torch.int64, group.device)
        sizes = (0.0, attack.step_size, self.robust_stride * attack.step_size)
        size = constant(sizes, torch.float32, group.device)
        return steps[group], size[group]

    # Hook

    def start(self, run: Run, split: Split) -> dict[str, Tensor]:
        return {
            "robust": torch.zeros((), device=run.device),
            "seen": torch.zeros(len(GROUPS), dtype=torch.int64, device=run.device),
        }

    def on_epoch(self, run: Run, split: Split) -> None:
        run.memory[self.name]["seen"].zero_()

    def after_step(self, run: Run, step: Step) -> None:
        memory = run.memory[self.name]
        memory["seen"] += F.one_hot(step.aux[self.name], len(GROUPS)).sum(0)
        right = (step.z_adv.detach().argmax(1) == step.y).float().mean()
        memory["robust"].lerp_(self.gamma * right, 1 - self.momentum)

    def columns(self, run: Run) -> dict[str, float]:
        """The share of each group in the epoch's training examples."""
        seen = run.memory[self.name]["seen"].tolist()
        return {column: n / max(1, sum(seen)) for column, n in zip(self.column_names, seen, strict=True)}


@component("by_loss")
class ByLoss:
    """Selects in each class the examples with the "lowest" or "highest" loss, with weight 1; ``fraction`` of all, rounded up.

    Kaufmann et al. 2022, the paper's reference [19], try pruning by the loss and find random subsets better (section 1). The
    loss is the cross-entropy in evaluation mode, at the adversarial example of the run's own attack on the view that this epoch
    trains on. Ties go to the lower index.
    """

    fraction: Fraction
    keep: Literal["lowest", "highest"]

    def __call__(self, run: Run, split: Split) -> Subset:
        data = split.train
        losses = F.cross_entropy(last_layer(run, data, features=False).z, data.labels, reduction="none")
        return keep_highest(run, data, losses if self.keep == "highest" else -losses, self.fraction, "class")


@component("groups")
class Groups(Hook):
    """The shares of outlier, boundary and robust training examples before each epoch (section 4.2, Figure 1).

    Outliers are misclassified without an attack, boundary examples under ``attack`` only, robust ones never; images are
    un-augmented and the network in evaluation mode. Its passes count among the epoch's, so runs with it do not measure cost.
    """

    attack: Attack
    name: ClassVar[str] = "groups"
    column_names: ClassVar = GROUPS

    def start(self, run: Run, split: Split) -> dict[str, Any]:
        return dict.fromkeys(GROUPS, 0.0)

    def on_epoch(self, run: Run, split: Split) -> None:
        data = split.train.plain()
        whole = unweighted(everyone(data))
        count = torch.zeros(len(GROUPS), dtype=torch.int64, device=run.device)
        data.prefetch(whole.index, run.epoch)
        with eval_without_param_grad(run.net), torch.no_grad(), run.autocast():
            for batch in whole.index.split(run.recipe.batch):
                step = make_step(run, data, whole, batch)
                right = run.net(step.x).argmax(1) == step.y
                step = step.take(right.nonzero().squeeze(1))
                stands = run.net(held_constant(self.attack, run.net, step)).argmax(1) == step.y
                count += torch.stack([(~right).sum(), (~stands).sum(), stands.sum()])
        run.memory[self.name] = {g: n / len(data) for g, n in zip(GROUPS, count.tolist(), strict=True)}

    def columns(self, run: Run) -> dict[str, float]:
        return dict(run.memory[self.name])
