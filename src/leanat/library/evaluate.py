"""Robust accuracy of any network under several attacks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import NamedTuple

from torch import nn

from leanat.attacks.autoattack import Square
from leanat.attacks.pgd import Clean
from leanat.core.nouns import Attack
from leanat.evaluation import evaluate as evaluation
from leanat.evaluation.outcome import Outcome, summary, worst_case
from leanat.library import checks
from leanat.library.attacks import attack_of
from leanat.library.checks import Channels
from leanat.library.data import AnyData, prepared
from leanat.library.network import own_modes, own_precision
from leanat.library.own_attacks import Checked


class Accuracy(NamedTuple):
    """Shares from 0 to 1 of ``n`` images, the 95 % Wilson interval of ``accuracy``, and the outcome of each image."""

    accuracy: float  # under the attack
    low: float
    high: float
    n: int
    clean: float
    notes: tuple[str, ...]  # reasons to doubt the accuracy, also that gradients vanish or mislead the attack
    outcome: Outcome


@own_modes()
@own_precision()
def evaluate(
    net: nn.Module,
    data: AnyData,
    attacks: Sequence[str] | Mapping[str, str | Attack] = ("clean", "pgd"),
    *,
    eps: float = 8 / 255,
    norm: str = "linf",
    mean: Channels | None = None,
    std: Channels | None = None,
    batch: int = 500,
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, Accuracy]:
    """Accuracy under each attack, in fp32; with several attacks also ``worst``, the accuracy under all of them together.

    data        (x, y) with x [N, C, H, W] in [0, 1] or uint8, a Dataset, or a folder of class folders
    attacks     names (clean, fgsm, fgsm_rs, pgd, apgd, square, autoattack), all within the ball of radius ``eps``; or a
                mapping of labels to names or to attacks of ``leanat.attacks``, which have their own radii
    limit       the largest number of images that are attacked; they are the same images for every network
    mean, std   what the network subtracts and divides by, if it expects normalised images

    An image that is misclassified without an attack counts as wrong. The network is not changed. Raises ValueError,
    TypeError or DataError, in one line.
    """
    if isinstance(attacks, str) or not isinstance(attacks, Collection) or not len(attacks):
        raise ValueError(f"attacks is {attacks!r}; a list of names, or labels and attacks, is expected")
    if limit is not None and (isinstance(limit, bool) or not (isinstance(limit, Integral) and limit > 0)):
        raise ValueError(f"limit is {limit!r}; a whole number from 1 on, or None for all images, is expected")
    checks.whole(batch, "batch", 1)
    checks.whole(seed, "seed")
    mapping: Mapping[str, str | Attack] = attacks if isinstance(attacks, Mapping) else {name: name for name in attacks}
    attack_by_label = {label: attack_of(which, eps, norm) for label, which in mapping.items()}
    wrapped, test = prepared(net, data, mean, std, attack_by_label.values())
    for label, attack in attack_by_label.items():
        if (least := evaluation.classes_needed(attack, test.n_classes)) > wrapped.n_classes:
            raise ValueError(f"attack {label!r} needs {least} classes; the network has {wrapped.n_classes}")
    index = evaluation.sample(len(test), limit).to(test.labels.device)
    outcomes = {
        label: evaluation.evaluate(wrapped, test, attack, seed=seed, batch=batch, index=index)
        for label, attack in attack_by_label.items()
    }
    if any(map(_by_gradients, attack_by_label.values())):
        doubts = evaluation.doubts(wrapped, test, index, seed, batch)
        for label, attack in attack_by_label.items():
            if _by_gradients(attack):
                notes = dict.fromkeys((*doubts, *outcomes[label].notes))
                outcomes[label] = replace(outcomes[label], notes=tuple(notes))
    if len(outcomes) > 1 and "worst" not in outcomes:
        outcomes["worst"] = worst_case(list(outcomes.values()))
    return {label: _accuracy(outcome) for label, outcome in outcomes.items()}


def _by_gradients(attack: Attack) -> bool:
    """Whether an attack uses gradients; for the user's own attacks this is not known."""
    return not isinstance(attack, Clean | Square | Checked)


def _accuracy(outcome: Outcome) -> Accuracy:
    numbers = summary(outcome)
    accuracy, low, high = (float(numbers[key]) for key in ("accuracy", "low", "high"))
    clean = float(numbers["clean"]["accuracy"])
    return Accuracy(accuracy, low, high, numbers["n"], clean, tuple(numbers["notes"]), outcome)
