"""The cost of a training, computed from measured primitives and the paper's own settings. Arithmetic only.

The primitives of a spec (see ``timing``), in seconds: ``step``, one optimiser step on a batch with its attack;
``bare``, the same without an attack; ``look``, a clean forward pass of a batch (Bullet-Train); ``select``, attack and
last-layer gradients of a batch; ``solve``, the solver on all gradients; ``decode``, one image from its file, on one core.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from leanat.attacks import autoattack, jpeg, perceptual, pgd, recoloradv, stadv
from leanat.core.nouns import Attack, Method
from leanat.core.planned import Planned, innermost, planned
from leanat.evaluation.measured import Measure
from leanat.papers.advprune.method import Groups
from leanat.papers.qtart.planted import Planted
from leanat.papers.saliency import maps
from leanat.papers.sat.method import AttackOnlySubset, RankedSubset, SubsetAttack
from leanat.plan.components import Spec, build
from leanat.training.fat import FAT
from leanat.training.overfitting import OverfittingMonitor

# Values that a forecast cannot know, taken from demo runs: the share of test images that are correct without an attack; the
# share of these that stay correct under an attack; the shares of a full attack that Bullet-Train and Friendly AT make.
RIGHT, STANDING, BULLET, FRIENDLY = 0.95, 0.65, 0.5, 0.62
# The time of one step of other attacks, with its forward passes, relative to one step of PGD.
DEAR: dict[type, float] = {
    stadv.StAdv: 1.5, recoloradv.ReColorAdv: 2.0, jpeg.JPEG: 3.0, perceptual.FastLPA: 3.0, perceptual.LPA: 3.0,
    perceptual.PPGD: 12.0, autoattack.FAB: 3.0,
}  # fmt: skip
BATCH = 500  # batch size of evaluations
FEW = 4  # number of images in the smallest steps that are measured


def plan(spec: Spec, examples: int) -> list[Planned]:
    """The plan of every epoch of a training, from its selector."""
    epochs = spec.recipe.epochs
    return [planned(spec.method.selector, epoch, epochs, examples) for epoch in range(epochs)]


def attack_share(spec: Spec, shares: Mapping[str, float]) -> float:
    """The share of the full attack's steps that Bullet-Train makes, from the shares of boundary and robust examples."""
    return shares["boundary"] + shares["robust"] * spec.method.budget.robust_steps / spec.method.attack.steps


def implied_attack_share(spec: Spec, primitives: Mapping[str, float], examples: int, seconds: float) -> float:
    """The ``attack_share`` at which an epoch would take ``seconds``; outside 0 to 1 if no share does."""
    none, full = (seconds_per_epoch(spec, primitives, examples, share) for share in (0.0, 1.0))
    return (seconds - none) / (full - none)


def seconds_per_epoch(spec: Spec, primitives: Mapping[str, float], examples: int, share: float | None) -> float:
    """Mean seconds per epoch, including selections.

    A selection attacks all examples that it chooses from; GLISTER also attacks the validation part, whose examples are assumed
    to cost as much each. ``examples``: size of the training set, including a validation part. ``share``: see ``attack_share``,
    for a spec with Bullet-Train. Raises ValueError if it is missing there.
    """
    epochs, train = plan(spec, examples), examples * (1 - (spec.data.validation or 0))
    batches = train / spec.recipe.batch
    reads_validation = getattr(innermost(spec.method.selector), "reads_validation", False)
    seen = (examples if reads_validation else train) / spec.recipe.batch
    step = primitives["step"]
    if budget := spec.method.budget:
        if share is None:
            raise ValueError("the cost of Bullet-Train needs the shares of its groups, of a run")
        look = primitives["look"] if not isinstance(budget, AttackOnlySubset) else 0.0
        step = look + primitives["bare"] + share * (step - primitives["bare"])
    training = sum(e.share for e in epochs) * batches * step * spec.method.replays
    select = primitives.get("select", 2 * primitives.get("look", 0.0))  # without gradients: Q-TART's two forward passes
    selecting = sum(e.selects for e in epochs) * (seen * select + primitives.get("solve", 0.0))
    return (training + selecting) / len(epochs)


def decoding(spec: Spec, primitives: Mapping[str, float], examples: int) -> float | None:
    """Core seconds in which a training decodes files; None if its images are not read from files.

    A selection decodes the whole training set once more.
    """
    if "decode" not in primitives:
        return None
    return sum(e.share + e.selects for e in plan(spec, examples)) * examples * primitives["decode"]


def removed(spec: Spec, examples: int) -> float:
    """The percentage of a training's passes over examples that its selector leaves out."""
    epochs = plan(spec, examples)
    return 100 * sum(1 - e.share for e in epochs) / len(epochs)


class PassesPerImage(NamedTuple):
    """Mean number of passes per test image: with an input gradient, and only forward."""

    ascents: float
    looks: float

    def times(self, factor: float) -> PassesPerImage:
        return PassesPerImage(factor * self.ascents, factor * self.looks)

    def plus(self, other: PassesPerImage) -> PassesPerImage:
        return PassesPerImage(self.ascents + other.ascents, self.looks + other.looks)


ALARM = PassesPerImage(41.0, 20.0)  # two attacks of 20 steps, FGSM, 20 random starts; without Square's queries


def passes(attack: Attack, classes: int) -> PassesPerImage:
    """The passes of an attack in an evaluation, where images that are misclassified or already fooled are not attacked."""
    match attack:
        case perceptual.Perceptual():
            return passes(attack.attack, classes)
        case pgd.Clean():
            return PassesPerImage(0.0, 0.0)
        case autoattack.InTurn():
            first, *others = (_part(part, classes) for part in attack.parts(classes).values())
            return first.plus(_sum(others).times(STANDING)).times(RIGHT)
        case autoattack.APGD() | autoattack.FAB() | autoattack.Square():
            return _part(attack, classes).times(RIGHT)
    # With only_correct a restart ends for an example once it is fooled, here assumed after a quarter of the steps.
    first = STANDING + (1 - STANDING) / 4 if getattr(attack, "only_correct", False) else 1.0
    restarts = getattr(attack, "restarts", 1)
    steps = attack.steps * getattr(attack, "searches", 1) * DEAR.get(type(attack), 1.0)
    return PassesPerImage(RIGHT * (first + (restarts - 1) * STANDING) * steps, restarts)


def _part(attack: autoattack.APGD | autoattack.FAB | autoattack.Square, classes: int) -> PassesPerImage:
    """The passes of a part of AutoAttack on the images that it gets."""
    if isinstance(attack, autoattack.Square):
        return PassesPerImage(0.0, attack.queries)
    targeted = attack.loss == "t" if isinstance(attack, autoattack.APGD) else attack.targeted
    targets = min(attack.targets, classes - 1) if targeted else 1
    return PassesPerImage(DEAR.get(type(attack), 1.0) * attack.restarts * targets * attack.steps, 1.0)


def sizes(attack: Attack, classes: int) -> float:
    """The number of batch sizes in an attack on one batch; if fooled images leave the batch, every step has another size."""
    match attack:
        case perceptual.Perceptual():
            return sizes(attack.attack, classes)
        case autoattack.Square():
            return attack.queries / 3  # only forward passes: a third
        case autoattack.InTurn():
            return max(sizes(part, classes) for part in attack.parts(classes).values())
    return attack.steps * getattr(attack, "restarts", 1) if getattr(attack, "only_correct", False) else 0.0


def _sum(parts: list[PassesPerImage]) -> PassesPerImage:
    return PassesPerImage(sum(p.ascents for p in parts), sum(p.looks for p in parts))


def evaluation(suite: Mapping[str, Any], primitives: Mapping[str, float], test: int, classes: int) -> float:
    """Seconds of a suite of attacks on ``test`` images; the primitives ``ascend`` and ``forward`` are those of one image.

    ``size`` is the primitive for a step on a batch of a new size.
    """
    return sum(_entry(entry, primitives, test, classes) for entry in suite.values())


def _entry(entry: Mapping[str, Any], primitives: Mapping[str, float], test: int, classes: int) -> float:
    if "attack" in entry:
        attack = build(Attack, entry["attack"], "attack")
        return _attacked(attack, min(entry["examples"] or test, test), primitives, classes)
    if "masking" in entry:
        spent = ALARM.plus(PassesPerImage(0.0, entry["masking"]["queries"]))
        return min(entry["masking"]["limit"], test) * _seconds(spent, primitives)
    if "measure" not in entry:
        return 0.0
    measure = build(Measure, entry["measure"], "measure")
    spent = PassesPerImage(2.0, 1.0)  # terms: saliency of the network and of the teacher
    if isinstance(measure, Planted):  # nine passes over the training set, four times as large on the shapes
        spent = PassesPerImage(0.0, 36.0)
    if isinstance(measure, maps.Maps):  # saliency, a gradient per class, two attacks
        attacks = passes(measure.fgsm, classes).plus(passes(measure.pgd, classes))
        spent = attacks.plus(PassesPerImage(1.0 + classes, 0.0))
    return min(getattr(measure, "examples", None) or test, test) * _seconds(spent, primitives)


def _attacked(attack: Attack, images: int, primitives: Mapping[str, float], classes: int) -> float:
    spent = passes(attack, classes).plus(PassesPerImage(0.0, 1.0))
    new_sizes = math.ceil(images / BATCH) * min(sizes(attack, classes), BATCH)
    return new_sizes * primitives["size"] + images * _seconds(spent, primitives)


def _seconds(spent: PassesPerImage, primitives: Mapping[str, float]) -> float:
    return spent.ascents * primitives["ascend"] + spent.looks * primitives["forward"]


def training(spec: Spec, primitives: Mapping[str, float], examples: int, test: int, classes: int) -> float:
    """Seconds of a whole run, including checks for early stopping and the clean test at the end.

    In addition to the primitives of an epoch it needs ``ascend`` and ``forward`` of a test image, ``keep`` of one checkpoint,
    and, if SAT attacks a part of each batch, ``few``: only the attack on ``FEW`` images.
    """
    epochs, method, share = spec.recipe.epochs, spec.method, None
    if method.budget:
        only_members = isinstance(method.budget, AttackOnlySubset)
        share = _time_of(_members(method, classes), spec, primitives) if only_members else BULLET
    if isinstance(method.attack, FAT):
        attack = primitives["step"] - primitives["bare"]
        primitives = {**primitives, "step": primitives["bare"] + FRIENDLY * attack}
    seconds = epochs * (seconds_per_epoch(spec, primitives, examples, share) + primitives["keep"])
    for hook in method.extras:
        if isinstance(hook, Groups):  # in each epoch an attack on all correctly classified training images
            steps = RIGHT * hook.attack.steps
            seconds += epochs * examples * (3 * primitives["forward"] + steps * primitives["ascend"])
        if isinstance(hook, OverfittingMonitor):  # in each epoch two attacks on some training images
            steps = hook.single.steps + hook.strong.steps
            seconds += epochs * hook.examples * (3 * primitives["forward"] + steps * primitives["ascend"])
    if stop := spec.early_stop:
        seconds += len(stop.checks) * _attacked(stop.attack, round(stop.share * test), primitives, classes)
    return seconds + test * primitives["forward"]


def _time_of(share: float, spec: Spec, primitives: Mapping[str, float]) -> float:
    """The relative time of an attack on ``share`` of a batch, by linear interpolation between ``FEW`` images and all."""
    batch, whole = spec.recipe.batch, primitives["step"] - primitives["bare"]
    least = min(primitives["few"] / whole, 1.0)
    return least + (1 - least) * max(share * batch - FEW, 0.0) / max(batch - FEW, 1)


def _members(method: Method, classes: int) -> float:
    """The share of the examples that SAT attacks."""
    members = next(hook.members for hook in method.extras if isinstance(hook, SubsetAttack))
    return members.share if isinstance(members, RankedSubset) else len(members.classes) / classes
