"""Converts a resolved spec (plain JSON) to the objects that it names, and reports every problem at once.

A component is written ``{name: {field: value}}``, or as its name alone if it needs no field. The name is that of its
class's ``@component``. SLOTS lists the components that are allowed in each place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval
from pydantic import PositiveInt

from leanat import models
from leanat.attacks import autoattack, jpeg, mifgsm, perceptual, pgd, recoloradv, stadv, threat
from leanat.core.component import File, Slots, by_name, component, from_json
from leanat.core.errors import did_you_mean
from leanat.core.nouns import Attack, Budget, Hook, Method, Objective, Recipe, Schedule, Selector
from leanat.core.planned import innermost
from leanat.data import augment, color_augment
from leanat.evaluation import features
from leanat.evaluation.measured import Measure
from leanat.papers.advprune import method as advprune
from leanat.papers.coreset import gradient_error
from leanat.papers.coreset import method as coreset
from leanat.papers.qtart import dihcl, planted
from leanat.papers.qtart import method as qtart
from leanat.papers.saliency import maps
from leanat.papers.saliency import method as saliency
from leanat.papers.sat import method as sat
from leanat.selection import basic, craig, forgetting, from_file, glister, grad_match, ranked
from leanat.training import awp, fat, free, objectives, overfitting, schedules
from leanat.training.early_stop import EarlyStop
from leanat.training.teacher import Teacher

# The components that are allowed in each place of a spec.
# fmt: off
SLOTS: Slots = {
    threat.ThreatModel: ("threat model", by_name(threat.Linf, threat.L2)),
    Attack: ("attack", by_name(
        pgd.Clean, pgd.PGD, mifgsm.MIFGSM, mifgsm.DI2FGSM,
        autoattack.APGD, autoattack.FAB, autoattack.Square, autoattack.Ensemble, autoattack.AutoAttack,
        free.Free, fat.FAT,
        perceptual.Perceptual, perceptual.FastLPA, perceptual.LPA, perceptual.PPGD,
        stadv.StAdv, recoloradv.ReColorAdv, jpeg.JPEG,
    )),
    Objective: ("objective", by_name(
        objectives.CrossEntropy, objectives.TRADES, objectives.MART, dihcl.Mixup, saliency.Saliency, awp.AWP,
    )),
    Selector: ("selector", by_name(
        basic.Everything, basic.Once, basic.Every, basic.Random, basic.LossRank,
        craig.Craig, grad_match.GradMatch, glister.Glister, ranked.RandomPerClass, ranked.EL2N, ranked.Margin,
        forgetting.Forgetting, ranked.Moderate, from_file.FromFile,
        sat.SubsetWeights, qtart.Instability, dihcl.Bandit, advprune.ByLoss, coreset.WarmStart,
    )),
    sat.Order: ("order", by_name(sat.ByEntropy, sat.AtRandom)),
    sat.Members: ("set of members", by_name(sat.NamedClasses, sat.RankedSubset)),
    Budget: ("budget", by_name(sat.AttackOnlySubset, advprune.Bullet)),
    Hook: ("extra", by_name(
        Teacher, sat.SubsetAttack, sat.MeanEntropy, advprune.Groups, overfitting.OverfittingMonitor, coreset.SubsetCounts,
        forgetting.ForgettingEvents,
    )),
    Measure: ("measure", by_name(
        maps.Maps, maps.Terms, features.Distances, gradient_error.GradientError, planted.Planted,
    )),
    Schedule: ("learning rate", by_name(
        schedules.Constant, schedules.Steps, schedules.Cosine, schedules.Triangle, schedules.Linear, dihcl.Episodes,
    )),
    augment.Piece: ("augmentation", by_name(
        augment.Crop, augment.Flip, augment.Cutout, augment.Rotation, augment.PixelNoise, augment.RandomResizedCrop,
        color_augment.ColorJitter, color_augment.AutoAugment, color_augment.Lighting,
    )),
}
# fmt: on


@component()
class DataSpec:
    """The training set: its name, its augmentation, and the share that is held out for validation (None: nothing)."""

    name: str
    augment: tuple[augment.Piece, ...]
    validation: Annotated[float, Interval(gt=0, lt=1)] | None = None


@component()
class ModelSpec:
    name: str
    standardise: Literal["channel", "image", "cifar10"]

    def __post_init__(self):
        if self.name not in models.BODIES and not self.name.startswith("timm:"):
            raise ValueError(f"no network {self.name!r}{did_you_mean(self.name, models.BODIES)}, timm:<name>")


@component()
class Init:
    """The initial network: that of another run's folder, from the end of its training or after ``snapshot`` epochs.

    ``frozen``: only a new head with one hidden layer (``hidden`` units; None: as many as features) is trained, and the rest of
    the network is frozen.
    """

    network: File
    frozen: bool
    hidden: PositiveInt | None = None
    snapshot: int | None = None

    @property
    def file(self) -> Path:
        return self.network / ("model.safetensors" if self.snapshot is None else f"model-{self.snapshot}.safetensors")


@component()
class Spec:
    """A resolved run spec, as objects. The fields are the keys of the JSON."""

    code: int
    seed: int
    data: DataSpec
    model: ModelSpec
    method: Method
    recipe: Recipe
    snapshots: tuple[int, ...] = ()  # epochs after which the network is saved
    init: Init | None = None
    early_stop: EarlyStop | None = None

    def __post_init__(self):
        outer = self.method.selector
        choosing = (innermost(selector) for selector in (outer, getattr(outer, "before", outer)))
        if self.data.validation is None and any(getattr(selector, "reads_validation", False) for selector in choosing):
            raise ValueError("glister needs validation examples: set data.validation to the share held out")


def build(hint: Any, value: Any, where: str) -> Any:
    """Converts a JSON value to an object of type ``hint``. Raises ConfigError with every problem of the value."""
    return from_json(hint, value, where, SLOTS)


def read(spec: dict[str, Any]) -> Spec:
    """Converts a run's spec to objects. Raises ConfigError with every problem of the spec."""
    return build(Spec, spec, "spec")
