"""The saliency paper's measures of a trained network: maps, location of perturbations, alignment, the terms of Table 7.

Each is a measure of a suite: ``{measure: {maps: {...}}}`` beside the attacks.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from leanat.core.component import File, component
from leanat.core.nouns import Attack, Data, Step, eval_without_param_grad, held_constant
from leanat.core.rng import Draws
from leanat.evaluation.evaluate import fitting
from leanat.evaluation.measured import Measured
from leanat.papers.saliency.method import (
    Alignment,
    Score,
    alignment,
    load_teacher,
    localisation,
    saliency,
    weight_of_difference,
)

BATCH = 250


def _batches(data: Data, examples: int | None, seed: int, batch: int):
    """The first examples in batches, as steps, without augmentation."""
    index = torch.arange(min(len(data), examples or len(data)), device=data.labels.device)
    for part in index.split(batch):
        x, y = data.batch(part, 0)
        yield Step(0, part, x, y, torch.ones(len(part), device=x.device), Draws(seed, 0, part))


@component("maps")
class Maps:
    """Saliency (equation 8), alignment (4 to 7), and the perturbations of two attacks, for the first test images.

    The numbers are means over the images, whether or not they are classified correctly:

    saliency, fgsm, pgd           share (%) of the absolute values of the saliency map and of the perturbations that lies on the
                                  object; None without masks
    area                          the object's own share (%) of the image; None without masks
    fgsm_size, pgd_size           mean |delta| in percent of eps
    alpha, alpha_plus, rho, jacobian   of the logits, see ``alignment``
    within, constant, bound       for equation 5: the share (%) of images whose rho is at most alpha_plus; the smallest C for
                                  which the equation holds for every image; the mean of alpha_plus + C / jacobian

    Pictures of the first ``pictures`` images: ``image``, ``saliency`` (absolute, summed over channels), ``fgsm`` and ``pgd``
    (the network's input), ``fgsm_delta`` and ``pgd_delta`` (|delta| / eps, so white is the largest allowed change).
    """

    fgsm: Attack
    pgd: Attack
    of: Score = "probability"
    examples: PositiveInt | None = None
    pictures: PositiveInt = 6
    part: ClassVar[str] = "test"
    number_names: ClassVar = (
        *("area", "saliency", "fgsm", "pgd", "fgsm_size", "pgd_size"),
        *(*Alignment._fields, "within", "constant", "bound"),
    )
    picture_names: ClassVar = ("image", "saliency", "fgsm", "pgd", "fgsm_delta", "pgd_delta")

    def __call__(self, net: nn.Module, data: Data, seed: int) -> Measured:
        return fitting(partial(self._in_batches, net, data, seed), BATCH)

    def _in_batches(self, net: nn.Module, data: Data, seed: int, batch: int) -> Measured:
        quantities: dict[str, list[Tensor]] = {}
        pictures: dict[str, list[Tensor]] = {}
        masks = getattr(data, "masks", None)

        def keep(where: dict[str, list[Tensor]], **values: Tensor) -> None:
            for name, value in values.items():
                where.setdefault(name, []).append(value.detach().cpu())

        with eval_without_param_grad(net):
            for step in _batches(data, self.examples, seed, batch):
                x = step.x
                maps = {"saliency": saliency(net, x, step.y, self.of)}
                aligned = alignment(net, x)
                keep(quantities, **aligned._asdict())
                keep(pictures, image=x, saliency=maps["saliency"].abs().sum(1))
                for name, attack in (("fgsm", self.fgsm), ("pgd", self.pgd)):
                    maps[name] = held_constant(attack, net, step) - x
                    size = maps[name].abs() / attack.threat.eps
                    keep(quantities, **{f"{name}_size": 100 * size.mean((1, 2, 3))})
                    keep(pictures, **{name: x + maps[name], f"{name}_delta": size.clamp(max=1)})
                if masks is not None:
                    mask = masks[step.index]
                    keep(quantities, area=100 * mask.float().mean((1, 2)))
                    keep(quantities, **{name: 100 * localisation(map, mask) for name, map in maps.items()})
        numbers = {name: float(torch.cat(values).nanmean()) for name, values in quantities.items()}
        numbers |= bound(Alignment(*(torch.cat(quantities[name]) for name in Alignment._fields)))
        numbers = {name: None if np.isnan(value) else value for name, value in numbers.items()}
        lost = dict.fromkeys(("area", "saliency", "fgsm", "pgd")) if masks is None else {}
        tensors = {name: torch.cat(values)[: self.pictures] for name, values in pictures.items()}
        arrays = {name: (v.movedim(1, -1) if v.dim() == 4 else v).numpy() for name, v in tensors.items()}
        rows = [data.class_names[label] for label in data.labels[: self.pictures].tolist()]
        return Measured(lost | numbers, arrays | {"rows": np.array(rows)})


def bound(aligned: Alignment) -> dict[str, float]:
    """Tests equation 5, rho <= alpha_plus + C / ||g||, on measured values [B]; see ``Maps``. C is 0 if none is needed."""
    lack = (aligned.rho - aligned.alpha_plus) * aligned.jacobian
    constant = lack.max().clamp(min=0)
    return {
        "within": float(100 * (lack <= 0).float().mean()),
        "constant": float(constant),
        "bound": float((aligned.alpha_plus + constant / aligned.jacobian).mean()),
    }


@component("terms")
class Terms:
    """Table 7: the mean cross-entropy ``ce`` on training images without augmentation, and the ``difference`` from the teacher's
    maps.

    ``difference`` is L_diff without gamma, in the units of the authors' code: ||J_S - J_T||^2 for pixels in [0, 255], summed over
    a batch of 32 (see ``weight_of_difference``). The paper does not give its units. The network is in evaluation mode.
    """

    teacher: File
    of: str = "probability"
    statistics: str = "running"
    part: ClassVar[str] = "train"
    number_names: ClassVar = ("ce", "difference")

    def __call__(self, net: nn.Module, data: Data, seed: int) -> Measured:
        return fitting(partial(self._in_batches, net, data, seed), BATCH)

    def _in_batches(self, net: nn.Module, data: Data, seed: int, batch: int) -> Measured:
        teacher = load_teacher(self.teacher, self.statistics, data.n_classes, next(net.parameters()))
        ce, apart = [], []
        with eval_without_param_grad(net):
            for step in _batches(data, None, seed, batch):
                j_s, j_t = (saliency(n, step.x, step.y, self.of) for n in (net, teacher))
                apart.append((j_s - j_t).square().sum((1, 2, 3)))
                with torch.no_grad():
                    ce.append(F.cross_entropy(net(step.x), step.y, reduction="none"))
        weight = weight_of_difference(1.0, data.channels * data.image_size**2)
        means = (float(torch.cat(values).mean()) for values in (ce, apart))
        return Measured({"ce": next(means), "difference": weight * next(means)}, {})
