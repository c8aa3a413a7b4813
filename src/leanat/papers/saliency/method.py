"""Get Fooled for the Right Reason (Sarkar et al., NeurIPS 2021): matches the saliency of an adversarially trained teacher.

    first = Saliency(teacher=Path("results/runs/<run>"), beta=2, gamma=10)
    second = Saliency(teacher, beta=2, gamma=20, ks=(90, 80, 70, 60, 50), epochs_each=15, first_phase=Path(first's run))
    method = Method(first, Clean(), Everything())

What the paper leaves open follows the code that it builds on (Chan et al., IGAM, CVPR 2020), or is an option named below.
"""

from __future__ import annotations

import math
from dataclasses import field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Interval
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from leanat.core.component import File, component, rising
from leanat.core.nouns import Hook, Run, Split, Step, eval_without_param_grad, first_image
from leanat.models import io
from leanat.papers.saliency.discriminator import Discriminator

AUTHORS_BATCH, AUTHORS_SIZE = 32, 3 * 32 * 32  # IGAM's batch; the paper prints none


def weight_of_difference(gamma: float, size: int) -> float:
    """gamma * (32 / 255^2) * (size / 3072): the paper's gamma as the weight of ||J_S - J_T||^2 in each example's loss.

    The authors add gamma times the sum over the batch of ||J_S - J_T||^2, for pixels in [0, 255], to the *mean* cross-entropy.
    For pixels in [0, 1] a gradient is 255 times as large and its square 255^2 times; a sum over B examples is B times the mean.
    The factor for images of other ``size`` = C H W than theirs is an assumption: if the slope along the image stays the same, the
    squared norm of a gradient falls as 1 / size, and with the factor the term keeps its magnitude.
    """
    return gamma * AUTHORS_BATCH / 255**2 * size / AUTHORS_SIZE


def probability(z: Tensor, y: Tensor) -> Tensor:
    """Softmax probability [B] of the true class."""
    return z.softmax(1).gather(1, y[:, None]).squeeze(1)


def logit(z: Tensor, y: Tensor) -> Tensor:
    """Logit [B] of the true class."""
    return z.gather(1, y[:, None]).squeeze(1)


Score = Literal["probability", "logit"]
SCORES = {"probability": probability, "logit": logit}
SIGNS = {"literal": 1, "corrected": -1}


def saliency(net: nn.Module, x: Tensor, y: Tensor, of: str = "probability") -> Tensor:
    """J [B, C, H, W], the gradient of the true class's score with respect to the pixels (equations 8 and 9).

    ``of``: "probability" (IGAM's code) or "logit" (the paper's Psi in equations 5 to 7). The network stays in its mode.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(SCORES[of](net(x), y).sum(), x)[0]


def keep_top(maps: Tensor, k: float) -> Tensor:
    """J_{T,k}: the maps [B, C, H, W] with all but their ``k`` % of most salient pixels set to 0 (section 4.1).

    A pixel's saliency is the sum of its channels' absolute values. The values that are kept are not rescaled.
    """
    size = maps.abs().sum(1).flatten(1)
    top = size.topk(max(1, round(size.shape[1] * k / 100)), dim=1).indices
    return maps * torch.zeros_like(size).scatter_(1, top, 1).view(len(maps), 1, *maps.shape[2:])


def load_teacher(folder: Path, statistics: str, n_classes: int, like: Tensor) -> nn.Module:
    """The network of a run's folder, which is never trained, with the dtype and device of ``like``.

    ``statistics``: its BatchNorm uses the "running" statistics, or those of the current "batch", which are then not recorded.
    Raises NetworkError if the file is missing, damaged or without a description, and ValueError if its number of classes is
    not the student's.
    """
    path = folder / "model.safetensors"
    net, about = io.load(path, like.device)
    if (taught := about["data"]["n_classes"]) != n_classes:
        raise ValueError(f"{path}: the teacher knows {taught} classes, the student's data have {n_classes}")
    for layer in net.modules():
        if statistics == "batch" and isinstance(layer, _BatchNorm):
            layer.running_mean = layer.running_var = None
    return net.to(like).to(memory_format=torch.channels_last).requires_grad_(False)


def load_discriminator(folder: Path, weights: dict[str, Tensor]) -> None:
    """Copies the final weights of f_disc of the run in ``folder`` into ``weights``, in place.

    Raises NetworkError if the file is missing or damaged, or if its f_disc has other layers or is for images of another size.
    """
    path = folder / "saliency.safetensors"
    tensors, _ = io.read(path)
    kept = {k.removeprefix("align."): t for k, t in tensors.items() if k.startswith("align.")}
    if {k: t.shape for k, t in kept.items()} != {k: w.shape for k, w in weights.items()}:
        raise io.NetworkError(f"{path}: its discriminator is not one of {len(weights)} weights of the same shapes")
    for key, weight in weights.items():
        weight.copy_(kept[key])


Percentage = Annotated[float, Interval(gt=0, le=100)]


@component("saliency")
class Saliency(Hook):
    """L_CE + beta L_robust + gamma L_diff (equations 8 to 14), and with ``ks`` the curriculum (equations 15 to 19).

    It is an objective and a hook. Discriminators and counts are in ``run.memory["saliency"]``.

    teacher         folder of the teacher's run
    beta            weight of log f(J_T) + log(1 - f(J_S)), which the student lowers and the discriminator f raises. IGAM's
                    code has half of it, since its cross-entropy is a mean over both terms. As in IGAM, the student also
                    changes the first term, through f's batch statistics, which are over both kinds of maps
    gamma           weight of ||J_S - J_T||^2 as in the paper; see ``weight_of_difference``
    first_phase     phase 2: folder of the first phase's run, whose discriminator f_disc is trained further (equations 14 and
                    16 have the same f_disc); None: f_disc is new. Its momentum starts at 0, like the student's
    warmup_epochs   epochs with the cross-entropy only (IGAM's code: 280,000 of 320,000 steps; the paper gives none)
    ks              phase 2: the gradient of the cross-entropy is matched to J_{T,k}, by a second discriminator and again with
                    beta and gamma, for ``epochs_each`` epochs for each k and to the end for the last
    align           phase 2: whether the terms of phase 1 are kept (Tables 5 and 6)
    sign            "literal": that gradient is matched to +J_{T,k} as printed in equation 18, although it points away
                    from J_S, which is matched to +J_T; "corrected": its negative is matched
    of              the score whose gradient is the saliency: "probability" or "logit"
    statistics      BatchNorm statistics of the teacher: "running", or "batch" as in IGAM's code

    Terms of weight 0 are not computed; without beta and gamma this is standard training. Double back-propagation is done in
    float32, whatever the recipe's precision. The loop does not count the teacher's passes.
    """

    teacher: File
    beta: NonNegativeFloat
    gamma: NonNegativeFloat
    first_phase: File | None = None
    warmup_epochs: NonNegativeInt = 0
    ks: tuple[Percentage, ...] = ()
    epochs_each: PositiveInt | None = None
    align: bool = True
    sign: Literal["literal", "corrected"] = "literal"
    of: Score = "probability"
    statistics: Literal["running", "batch"] = "running"
    discriminator: Discriminator = field(default_factory=Discriminator)
    name: ClassVar[str] = "saliency"

    def __post_init__(self):
        if not rising(self.ks[::-1]):
            raise ValueError(f"ks {self.ks}; allowed: percentages, falling")
        if bool(self.ks) != (self.epochs_each is not None):
            raise ValueError("ks and epochs_each go together")
        if not (self.align or self.ks):
            raise ValueError("align false leaves no term; allowed only with ks")
        if self.first_phase is not None and not (self.align and self.beta):
            raise ValueError(
                "first_phase is of the discriminator of the alignment, which needs align true and beta above 0"
            )

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the pairs of maps that are matched; each pair has a discriminator."""
        return ("align",) * self.align + ("curriculum",) * bool(self.ks)

    def k(self, epoch: int) -> float:
        """The percentage of pixels of the teacher's saliency that are kept in this epoch."""
        return self.ks[min(epoch // self.epochs_each, len(self.ks) - 1)]

    # Objective

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        if self.beta == self.gamma == 0 or step.epoch < self.warmup_epochs:
            step.z = step.z_adv = net(step.x_adv)
            terms, step.aux[self.name] = {"ce": self.of_logits(step.z, step.z, step.y)}, ({}, {})
        else:
            with torch.autocast(step.x_adv.device.type, enabled=False):
                terms = self._terms(net, step)
        step.aux[self.name][0].update((k, v.detach()) for k, v in terms.items())
        return sum(terms.values())

    def _terms(self, net: nn.Module, step: Step) -> dict[str, Tensor]:
        """The terms of the loss, [B] each."""
        if self.name not in step.live:
            raise RuntimeError("saliency works only inside a training run, which holds its teacher and discriminators")
        memory, teacher = step.memory[self.name], step.live[self.name]
        x, y = step.x_adv.detach().requires_grad_(), step.y
        step.z = step.z_adv = net(x)
        terms, pairs, seen = {"ce": self.of_logits(step.z, step.z, y)}, {}, {}
        j_t = saliency(teacher, x, y, self.of)
        if self.align:
            (j_s,) = torch.autograd.grad(SCORES[self.of](step.z, y).sum(), x, create_graph=True)
            pairs["align"] = (j_t, j_s)
        if self.ks:
            (j_ce,) = torch.autograd.grad(terms["ce"].sum(), x, create_graph=True)
            pairs["curriculum"] = (keep_top(j_t, self.k(step.epoch)), SIGNS[self.sign] * j_ce)
            seen["cosine"] = F.cosine_similarity(j_ce.detach().flatten(1), j_t.flatten(1))
        for part, (target, j) in pairs.items():
            if self.beta:
                real, fake = self.discriminator.scores(memory[part]["weights"], target, j)
                terms[f"{part}_robust"] = self.beta * (real + fake)
            if self.gamma:
                weight = weight_of_difference(self.gamma, x[0].numel())
                terms[f"{part}_diff"] = weight * (j - target).square().sum((1, 2, 3))
        step.aux[self.name] = seen, {part: (target, j.detach()) for part, (target, j) in pairs.items()}
        return terms

    def of_logits(self, z: Tensor, z_adv: Tensor, y: Tensor) -> Tensor:
        """Only the cross-entropy, since no other term is a function of the logits."""
        return F.cross_entropy(z_adv, y, reduction="none")

    # Hook

    def start(self, run: Run, split: Split) -> dict:
        like = next(run.net.parameters()).detach()
        state: dict = {"steps": 0, "sums": {}}
        if self.beta:
            shape = tuple(first_image(split.train).shape[1:])
            for part in self.parts:
                state[part] = self.discriminator.start(shape, run.seed, part, like)
        if self.first_phase is not None:
            load_discriminator(self.first_phase, state["align"]["weights"])
        return state

    def on_epoch(self, run: Run, split: Split) -> None:
        run.memory[self.name]["sums"] = {}
        self.resumed(run, split)

    def resumed(self, run: Run, split: Split) -> None:
        if (self.beta or self.gamma) and self.name not in run.live:
            like = next(run.net.parameters())
            run.live[self.name] = load_teacher(self.teacher, self.statistics, split.train.n_classes, like)

    def after_step(self, run: Run, step: Step) -> None:
        memory, (terms, pairs) = run.memory[self.name], step.aux[self.name]
        for key, value in {**terms, "count": torch.ones_like(step.weight)}.items():
            memory["sums"][key] = memory["sums"].get(key, 0) + value.double().sum()
        if self.beta and memory["steps"] % self.discriminator.every == 0:
            for part, (target, j) in pairs.items():
                self.discriminator.update(memory[part], target, j, run.opt.param_groups[0]["lr"])
        memory["steps"] += 1

    def tensors(self, run: Run) -> dict[str, Tensor]:
        """Weights of the discriminators, ``align.conv0.weight`` and so on, for a later run's ``first_phase``."""
        memory = run.memory[self.name]
        return {f"{part}.{k}": w for part in self.parts if part in memory for k, w in memory[part]["weights"].items()}

    def columns(self, run: Run) -> dict[str, float]:
        """Means over the epoch's examples for its row of the history: each term with its weight in the loss.

        The columns are ``loss_ce``, ``loss_align_robust``, ``loss_align_diff``, ``loss_curriculum_robust``,
        ``loss_curriculum_diff``, and ``cosine`` between the gradient of the cross-entropy, without a change of sign, and the
        teacher's saliency. All epochs have the same columns, with nan for terms that were not computed.
        """
        sums = run.memory[self.name]["sums"]
        return {
            name: float(sums.get(name.removeprefix("loss_"), math.nan) / sums["count"]) for name in self.column_names
        }

    @property
    def column_names(self) -> tuple[str, ...]:
        kinds = ("robust",) * bool(self.beta) + ("diff",) * bool(self.gamma)
        terms = (f"loss_{part}_{kind}" for part in self.parts for kind in kinds)
        return ("loss_ce", *terms, *("cosine",) * bool(self.ks and kinds))


class Alignment(NamedTuple):
    """The quantities of equations 4 to 7, [B] each. Equation 5 says: rho <= alpha_plus + C / jacobian."""

    alpha: Tensor
    rho: Tensor
    alpha_plus: Tensor
    jacobian: Tensor


def alignment(net: nn.Module, x: Tensor) -> Alignment:
    """Alignment alpha (4), linearised robustness rho (6), binarised alignment (7) and the norm of g, for the logits.

    ``x`` [B, C, H, W] in [0, 1]. The network is in evaluation mode. This takes one backward pass per class. Both alignments are 0
    for a network that standardises each image, like the authors': its logits do not change with the image's scale, so x is
    orthogonal to their gradients (Euler).
    """
    with eval_without_param_grad(net), torch.enable_grad():
        x = x.detach().requires_grad_()
        z = net(x)
        grads = torch.stack([torch.autograd.grad(s, x, retain_graph=True)[0] for s in z.sum(0)], 1).flatten(2)
    x, z, row = x.detach().flatten(1), z.detach(), torch.arange(len(x), device=x.device)
    best = z.argmax(1)
    apart = grads[row, best, None] - grads
    rho = ((z[row, best, None] - z) / apart.norm(dim=2)).scatter(1, best[:, None], torch.inf)
    rho, second = rho.min(1)
    g = apart[row, second]
    return Alignment(_along(x, grads[row, best]), rho, _along(x, g), g.norm(dim=1))


def _along(x: Tensor, g: Tensor) -> Tensor:
    return (x * g).sum(1).abs() / g.norm(dim=1)


def localisation(maps: Tensor, mask: Tensor) -> Tensor:
    """Share [B] of the maps' absolute values [B, C, H, W] that lies on the object, ``mask`` [B, H, W]; nan for maps of 0."""
    size = maps.abs().sum(1)
    return (size * mask).sum((1, 2)) / size.sum((1, 2))
