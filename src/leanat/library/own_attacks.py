"""Checks attacks of the user's, which may change only images, and the radii of any attack."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from torch import Tensor, nn

from leanat.attacks.threat import L2, Linf
from leanat.core.nouns import Attack, Step, buffers_restored, gradients_restored, modes_restored
from leanat.evaluation.evaluate import parts_of
from leanat.library import checks
from leanat.selection.from_file import same


@dataclass(frozen=True)
class Checked:
    """An attack of the user's. It gets copies of the images and labels, which it may change; the images that it and each of its
    parts return are checked, and so is the network, which it must not change.
    """

    attack: Attack

    def __call__(self, net: nn.Module, step: Step) -> Tensor:
        with _only_images_change(net):
            x = self.attack(net, replace(step, x=step.x.clone(), y=step.y.clone()))
        if not isinstance(x, Tensor) or x.shape != step.x.shape:
            got = f"shape {list(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"the attack returns {got}; images {list(step.x.shape)} are expected")
        if x.dtype != step.x.dtype:
            raise ValueError(f"the attack returns images of {x.dtype}; {step.x.dtype} is expected")
        checks.in_range(x, "what the attack returns")
        return x

    def parts(self, n_classes: int) -> dict[str, Attack]:
        """The parts of the attack, by their names."""
        return {name: Checked(part) for name, part in parts_of(self.attack, n_classes).items()}


def checked_attack(attack: Attack) -> Attack:
    """Returns an attack of leanat's unchanged, and any other as ``Checked``."""
    return attack if type(attack).__module__.partition(".")[0] == "leanat" else Checked(attack)


def check_radii(attack: Attack, image: Tensor) -> None:
    """Raises ValueError, one line, if a ball of the attack contains all images in [0, 1] of the shape of ``image`` [C, H, W]."""
    for part in getattr(attack, "__dict__", {}).values():
        if isinstance(part, Linf | L2):
            most = 1.0 if isinstance(part, Linf) else math.sqrt(image.numel())
            if part.eps > most:
                eps = f"{part.eps:g}"
                raise ValueError(
                    f"eps {eps}: pixels are in [0, 1], where {most:.4g} is everything; {eps} / 255 is meant?"
                )
        elif hasattr(type(part), "spec_name"):
            check_radii(part, image)


@contextmanager
def _only_images_change(net: nn.Module) -> Iterator[None]:
    """Restores modes, parameters, gradients and, if the network is in evaluation mode, the buffers at the end of this context.

    In training mode the attack may update BatchNorm's statistics. Raises ValueError, one line, if a parameter was changed.
    """
    before = [(name, p, p.detach().clone()) for name, p in net.named_parameters()]
    changed: list[str] = []
    try:
        with (
            modes_restored(net),
            gradients_restored(net),
            nullcontext() if net.training else buffers_restored(net),
        ):
            yield
    finally:
        for name, p, copy in before:
            if not same(p, copy):
                changed.append(name)
                p.data = copy
    if changed:
        raise ValueError(f"the attack changes {changed[0]} of the network; an attack changes only images")
