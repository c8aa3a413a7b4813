"""The objectives: losses [B], not averaged, at the adversarial examples (``step.x_adv``).

Each objective passes the images through the network and stores the logits in the step. Otherwise it is a function of logits
only (``of_logits``), so that a selection can take its last-layer gradients.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from leanat.attacks.pgd import divergence, single_precision
from leanat.core.component import Probability, component
from leanat.core.nouns import Step, in_mode


@component("cross_entropy")
class CrossEntropy:
    """Cross-entropy at x_adv: adversarial training (Madry et al. 2018), or standard training where x_adv is x.

    With ``smoothing`` epsilon the target is (1 - epsilon) onehot(y) + epsilon / C (Q-TART, section 3.3.1, eq. 4).
    """

    smoothing: Probability = 0.0

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        step.z_adv = net(step.x_adv)
        return self.of_logits(step.z_adv, step.z_adv, step.y)

    def of_logits(self, z: Tensor, z_adv: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(z_adv, y, reduction="none", label_smoothing=self.smoothing)


@component("trades")
class TRADES:
    """CE(f(x), y) + beta KL(p(x) || p(x')) (Zhang et al. 2019, eq. 5; ``beta`` is their 1 / lambda).

    p(x) is not detached, as in the authors' code.

    ``clean_twice`` is as in that code, too: x passes through the network before x' for the cross-entropy and after it for the
    KL term, so that BatchNorm's running statistics are updated by x, x', x; otherwise by x, x'. Both passes of x are normalised
    by the same batch and have the same logits, so neither loss nor gradient differs, and the second pass needs no graph. (With
    dropout the authors' KL term has its own mask; here it has the first pass's.)

    Without ``training_mode`` BatchNorm normalises by its running statistics and never updates them, so that a training keeps its
    initial ones. This is a slip of the coreset paper's code.
    """

    beta: NonNegativeFloat
    clean_twice: bool = True
    training_mode: bool = True

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        with nullcontext() if self.training_mode else in_mode(net, training=False):
            step.z, step.z_adv = net(step.x), net(step.x_adv)
            if self.clean_twice and self.training_mode:
                with torch.no_grad():
                    net(step.x)
        return self.of_logits(step.z, step.z_adv, step.y)

    def of_logits(self, z: Tensor, z_adv: Tensor, y: Tensor) -> Tensor:
        z, z_adv = single_precision(z), single_precision(z_adv)
        return F.cross_entropy(z, y, reduction="none") + self.beta * divergence(z_adv, z.log_softmax(1))


@component("mart")
class MART:
    """Boosted cross-entropy at x' plus beta KL(p(x) || p(x')) (1 - p_y(x)) (Wang et al. 2020, eq. 12).

    The numerical guards are those of the authors' code: BCE = CE(f(x'), y) - log(1.0001 - max_{k != y} p_k(x') + 1e-12), and
    1.0000001 - p_y(x). No term is detached. The caller makes x' by PGD on the cross-entropy. As in their code, x passes
    through the network first, then x'.
    """

    beta: NonNegativeFloat

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        step.z, step.z_adv = net(step.x), net(step.x_adv)
        return self.of_logits(step.z, step.z_adv, step.y)

    def of_logits(self, z: Tensor, z_adv: Tensor, y: Tensor) -> Tensor:
        z, z_adv = single_precision(z), single_precision(z_adv)
        truth = F.one_hot(y, z.shape[1]).bool()
        wrong = z_adv.softmax(1).masked_fill(truth, 0).amax(1)
        boosted = F.cross_entropy(z_adv, y, reduction="none") - torch.log(1.0001 - wrong + 1e-12)
        apart = divergence(z_adv, z.log_softmax(1))
        return boosted + self.beta * apart * (1.0000001 - z.softmax(1).gather(1, y[:, None])[:, 0])
