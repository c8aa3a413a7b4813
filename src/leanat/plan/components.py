"""A resolved spec (plain JSON) to the objects it names: components, network, data, Run. Every problem at once.

A component is written ``{name: {field: value}}``, or its bare name where it needs no field. The names are the keys of the
dictionaries below; the fields are those of the dataclass, checked by pydantic for their type and by the dataclass for
their range.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any

import pydantic

from leanat import models
from leanat.attacks import autoattack, jpeg, mifgsm, perceptual, pgd, recoloradv, stadv, threat
from leanat.core.errors import ConfigError, did_you_mean
from leanat.core.nouns import Attack, Budget, Hook, Method, Objective, Recipe, Schedule, Selector
from leanat.core.teacher import Teacher
from leanat.data import augment, color_augment
from leanat.evaluation import features
from leanat.papers.advprune import method as advprune
from leanat.papers.coreset import gradient_error
from leanat.papers.coreset import method as coreset
from leanat.papers.qtart import dihcl, planted
from leanat.papers.qtart import method as qtart
from leanat.papers.saliency import maps
from leanat.papers.saliency import method as saliency
from leanat.papers.sat import method as sat
from leanat.selection import balanced, basic, craig, el2n, forgetting, from_file, glister, grad_match, margin, moderate
from leanat.training import awp, fat, free, objectives, overfitting, schedules

# What may stand in each slot of a spec, by name.
SLOTS: dict[Any, tuple[str, dict[str, type]]] = {
    threat.ThreatModel: ("threat model", {"linf": threat.Linf, "l2": threat.L2}),
    Attack: (
        "attack",
        {
            "clean": pgd.Clean,
            "pgd": pgd.PGD,
            "mi_fgsm": mifgsm.MIFGSM,
            "di2_fgsm": mifgsm.DI2FGSM,
            "apgd": autoattack.APGD,
            "fab": autoattack.FAB,
            "square": autoattack.Square,
            "ensemble": autoattack.Ensemble,
            "autoattack": autoattack.AutoAttack,
            "free": free.Free,
            "fat": fat.FAT,
            "perceptual": perceptual.Perceptual,
            "fast_lpa": perceptual.FastLPA,
            "lpa": perceptual.LPA,
            "ppgd": perceptual.PPGD,
            "stadv": stadv.StAdv,
            "recoloradv": recoloradv.ReColorAdv,
            "jpeg": jpeg.JPEG,
        },
    ),
    Objective: (
        "objective",
        {
            "cross_entropy": objectives.CrossEntropy,
            "trades": objectives.TRADES,
            "mart": objectives.MART,
            "mixup": dihcl.Mixup,
            "saliency": saliency.Saliency,
            "awp": awp.AWP,
        },
    ),
    Selector: (
        "selector",
        {
            "everything": basic.Everything,
            "once": basic.Once,
            "every": basic.Every,
            "random": basic.Random,
            "loss_rank": basic.LossRank,
            "weighted": sat.SubsetWeights,
            "instability": qtart.Instability,
            "bandit": dihcl.Bandit,
            "craig": craig.Craig,
            "grad_match": grad_match.GradMatch,
            "glister": glister.Glister,
            "by_loss": advprune.ByLoss,
            "random_per_class": balanced.RandomPerClass,
            "el2n": el2n.EL2N,
            "margin": margin.Margin,
            "forgetting": forgetting.Forgetting,
            "moderate": moderate.Moderate,
            "from_file": from_file.FromFile,
            "warm_start": coreset.WarmStart,
        },
    ),
    sat.Order: ("order", {"by_entropy": sat.ByEntropy, "at_random": sat.AtRandom}),
    sat.Members: ("set of members", {"classes": sat.NamedClasses, "first": sat.RankedSubset}),
    Budget: ("budget", {"only_members": sat.AttackOnlySubset, "bullet": advprune.Bullet}),
    Hook: (
        "extra",
        {
            "teacher": Teacher,
            "sat": sat.SubsetAttack,
            "mean_entropy": sat.MeanEntropy,
            "groups": advprune.Groups,
            "watch": overfitting.OverfittingMonitor,
            "kept": coreset.Kept,
            "forgetting_events": forgetting.ForgettingEvents,
        },
    ),
    maps.Measure: (
        "measure",
        {
            "maps": maps.Maps,
            "terms": maps.Terms,
            "feature_distances": features.Distances,
            "gradient_error": gradient_error.GradientError,
            "planted": planted.Planted,
        },
    ),
    Schedule: (
        "learning rate",
        {
            "constant": schedules.Constant,
            "steps": schedules.Steps,
            "cosine": schedules.Cosine,
            "triangle": schedules.Triangle,
            "linear": schedules.Linear,
            "episodes": dihcl.Episodes,
        },
    ),
    augment.Piece: (
        "augmentation",
        {
            "crop": augment.Crop,
            "flip": augment.Flip,
            "cutout": augment.Cutout,
            "rotation": augment.Rotation,
            "pixel_noise": augment.PixelNoise,
            "random_resized_crop": augment.RandomResizedCrop,
            "colour_jitter": color_augment.ColorJitter,
            "auto_augment": color_augment.AutoAugment,
            "lighting": color_augment.Lighting,
        },
    ),
}


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """The training set: its name, its augmentation, and the share held out for validation (None: none)."""

    name: str
    augment: tuple[augment.Piece, ...]
    validation: float | None = None

    def __post_init__(self):
        if self.validation is not None and not 0 < self.validation < 1:
            raise ValueError(f"validation {self.validation}; allowed: above 0, below 1, or null")


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    name: str
    standardise: str

    def __post_init__(self):
        if self.name not in models.BODIES and not self.name.startswith("timm:"):
            raise ValueError(f"no network {self.name!r}{did_you_mean(self.name, models.BODIES)}, timm:<name>")
        if self.standardise not in ("channel", "image", "cifar10"):
            raise ValueError(f"standardise {self.standardise!r}; allowed: channel, image, cifar10")


@dataclasses.dataclass(frozen=True)
class Init:
    """Where the network comes from: the folder of another run, at its end or after ``snapshot`` epochs.

    ``frozen``: all of it but the head stays as it is, and a new head with one hidden layer (``hidden`` units; None: as
    many as features) is trained.
    """

    network: Path
    frozen: bool
    hidden: int | None = None
    snapshot: int | None = None

    @property
    def file(self) -> Path:
        return self.network / ("model.safetensors" if self.snapshot is None else f"model-{self.snapshot}.safetensors")


@dataclasses.dataclass(frozen=True)
class Spec:
    """A resolved run spec, as objects. The fields are the keys of the JSON."""

    code: int
    seed: int
    data: DataSpec
    model: ModelSpec
    method: Method
    recipe: Recipe
    snapshots: tuple[int, ...] = ()  # epochs after which the network is kept
    init: Init | None = None
    early_stop: sat.EarlyStop | None = None

    def __post_init__(self):
        if "Glister(" in repr(self.method.selector) and self.data.validation is None:
            raise ValueError("glister needs validation examples: set data.validation to the share held out")


def read(spec: dict[str, Any]) -> Spec:
    """Raises ConfigError with every problem of the spec."""
    problems: list[str] = []
    result = build(Spec, spec, "spec", problems)
    if problems:
        raise ConfigError(problems)
    return result


def _slot(hint: Any) -> tuple[str, dict[str, type]] | None:
    try:
        return SLOTS.get(hint)
    except TypeError:
        return None


def component(hint: Any, value: Any, where: str, problems: list[str]) -> Any:
    """The object that ``value`` names for a field of type ``hint``; None after adding to ``problems``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    inner = [a for a in arguments if _slot(a) or dataclasses.is_dataclass(a)]
    if origin in (types.UnionType, typing.Union) and inner:
        return None if value is None else component(inner[0], value, where, problems)
    if origin is tuple and arguments and (_slot(arguments[0]) or dataclasses.is_dataclass(arguments[0])):
        if not isinstance(value, list):
            problems.append(f"{where}: a list is expected, got {value!r}")
            return ()
        return tuple(component(arguments[0], v, f"{where}[{i}]", problems) for i, v in enumerate(value))
    if (slot := _slot(hint)) is None:
        if dataclasses.is_dataclass(hint):
            return build(hint, value, where, problems)
        return _value(hint, value, where, problems)
    noun, names = slot
    if isinstance(value, str):
        name, fields = value, {}
    elif isinstance(value, dict) and len(value) == 1:
        name, fields = next(iter(value.items()))
        fields = {} if fields is None else fields
    else:
        problems.append(
            f"{where}: {noun} is written as {{name: {{field: value}}}}, got {value!r}{did_you_mean('', names)}"
        )
        return None
    if name not in names:
        problems.append(f"{where}: no {noun} {name!r}{did_you_mean(name, names)}")
        return None
    return build(names[name], fields, f"{where}.{name}", problems)


def build(kind: type, fields: Any, where: str, problems: list[str]) -> Any:
    """A dataclass from a mapping of its fields; None after adding to ``problems``."""
    if not isinstance(fields, dict):
        problems.append(f"{where}: a mapping of fields is expected, got {fields!r}")
        return None
    hints, before = typing.get_type_hints(kind), len(problems)
    known = {f.name: f for f in dataclasses.fields(kind) if f.init}
    problems.extend(f"{where}: unknown key {k!r}{did_you_mean(k, known)}" for k in fields if k not in known)
    required = [n for n, f in known.items() if f.default is f.default_factory is dataclasses.MISSING]
    problems.extend(f"{where}: key {n!r} is missing" for n in required if n not in fields)
    values = {k: component(hints[k], v, f"{where}.{k}", problems) for k, v in fields.items() if k in known}
    if len(problems) > before:
        return None
    try:
        return kind(**values)
    except ValueError as error:
        problems.append(f"{where}: {error}")
        return None


def _value(hint: Any, value: Any, where: str, problems: list[str]) -> Any:
    try:
        return pydantic.TypeAdapter(hint).validate_python(value)
    except pydantic.ValidationError as error:
        for problem in error.errors():
            at = "".join(f"[{p}]" for p in problem["loc"] if isinstance(p, int))
            problems.append(f"{where}{at}: {problem['msg'].lower()}, got {problem['input']!r}")
        return None
