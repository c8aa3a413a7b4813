"""The settings of a trial: data, trainings, rules, share of examples that is kept, seeds. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from leanat.core.errors import ConfigError, did_you_mean
from leanat.experiments.scales import CROP2, DIGITS
from leanat.experiments.spec import part
from leanat.plan.settings import MOST_SEEDS, load_yaml

TRAININGS = {
    "standard": "Standard training",
    "pgd": "PGD adversarial training",
    "trades": "TRADES",
    "fgsm_rs": "FGSM-RS",
}
METHODS = {  # in the order of the table; after the colon is the granularity of the choice
    "full": "All data",
    "random": "Random",
    "random:class": "Random, by class",
    "random:batch": "Random, by batch",
    "grad_match:class": "GRAD-MATCH, by class",
    "grad_match:batch": "GRAD-MATCH, by batch",
    "grad_match:example": "GRAD-MATCH, one by one",
    "craig:class": "CRAIG, by class",
    "craig:batch": "CRAIG, by batch",
    "craig:example": "CRAIG, one by one",
    "glister:class": "GLISTER, by class",
    "glister:batch": "GLISTER, by batch",
    "glister:example": "GLISTER, one by one",
    "loss:class": "Highest loss, by class",
    "low_loss:class": "Lowest loss, by class",
    "margin:class": "Smallest margin, by class",
    "margin:example": "Smallest margin",
    "el2n:class": "EL2N, by class",
    "el2n:example": "EL2N",
    "forgetting:class": "Forgetting, by class",
    "forgetting:example": "Forgetting",
    "moderate:class": "Moderate, by class",
    "moderate:example": "Moderate",
}
USUAL = (
    *("full", "random", "random:class", "random:batch", "grad_match:class", "grad_match:batch", "craig:class", "craig:batch"),
    *("glister:class", "glister:batch", "loss:class", "margin:class", "el2n:class", "forgetting:class", "moderate:class"),
)  # fmt: skip


def own_name(source: str) -> str:
    """The name of a user's rule in runs and rows: the name after the colon, with the name of the file."""
    where, _, name = source.rpartition(":")
    return f"{name} ({Path(where).name})"


def chance(method: str) -> str | None:
    """The random subset with which a rule is compared, or None. Rules for whole batches, which keep more examples, are compared
    with random batches.
    """
    if method in ("full", "random", "random:batch"):
        return None
    return "random:batch" if method.endswith(":batch") else "random"


@dataclass(frozen=True)
class Profile:
    """The training and attack on a data set: the network by name, the radius in l_inf, the recipe."""

    model: str
    eps: float
    batch: int
    epochs: int
    augment: tuple[Any, ...] = ()


CIFAR = (part("crop", pad=4), "flip")
PROFILES = {
    **dict.fromkeys(DIGITS, Profile("resnet_tiny", 40 / 255, 16, 30)),
    "shapes10": Profile("resnet18_small", 8 / 255, 64, 15, tuple(CROP2)),
    "cifar10-tenth": Profile("resnet18_small", 8 / 255, 64, 20, CIFAR),
    **dict.fromkeys(("cifar10", "cifar100", "svhn"), Profile("resnet18", 8 / 255, 128, 30, CIFAR)),
}


@dataclass(frozen=True)
class Settings:
    """The fields are the keys of bench.yaml.

    ``own``: rules of the user's, ``file.py:Name`` or ``module:Name``. ``choices``: how often a rule chooses in a training. The
    choices are equidistant, so there are fewer if the distance is not a whole number of epochs, and at most one per epoch.
    ``epochs``: epochs of every training; None: those of the data set's profile.
    """

    data: tuple[str, ...] = ("digits",)
    trainings: tuple[str, ...] = tuple(TRAININGS)
    methods: tuple[str, ...] = USUAL
    own: tuple[str, ...] = ()
    fraction: float = 0.1
    seeds: int = 5
    choices: int = 4
    epochs: int | None = None

    def __post_init__(self):
        if problems := list(self._problems()):
            raise ConfigError(problems)

    def _problems(self) -> Iterator[str]:
        for key, known_names in (("data", PROFILES), ("trainings", TRAININGS), ("methods", METHODS)):
            values = getattr(self, key)
            yield from (
                f"bench: {key}: there is no {v!r}{did_you_mean(v, known_names)}" for v in values if v not in known_names
            )
            if len(set(values)) < len(values) or not values:
                yield f"bench: {key}: {', '.join(values) or 'nothing'} is not allowed; at least one, each once"
        for source in self.own:
            where, _, name = source.rpartition(":")
            if not where or not name.isidentifier():
                yield f"bench: own: {source!r} is not allowed; file.py:Name or module:Name is expected"
        names = [own_name(source) for source in self.own]
        for name in dict.fromkeys(n for n in names if names.count(n) > 1):
            same = ", ".join(source for source in self.own if own_name(source) == name)
            yield f"bench: own: {same} would both be {name!r}; each rule once, and files of different names"
        if self.methods and not [m for m in (*self.methods, *self.own) if chance(m) is not None]:
            yield "bench: methods: no rule to compare with chance; at least one, such as craig:class, or a rule of your own"
        if lost := {chance(method) for method in (*self.methods, *self.own)} - {None, *self.methods}:
            yield f"bench: methods: {', '.join(sorted(lost))} missing; other rules are compared with it"
        if not 0 < self.fraction < 1:
            yield f"bench: fraction: {self.fraction} is not allowed; above 0, below 1"
        for key in ("seeds", "choices", "epochs"):
            if (value := getattr(self, key)) is not None and value < 1:
                yield f"bench: {key}: {value} is not allowed; 1 or more"
        if self.seeds > MOST_SEEDS:
            yield f"bench: seeds: {self.seeds} is not allowed; at most {MOST_SEEDS}, each trains every rule"

    def epochs_on(self, data: str) -> int:
        return PROFILES[data].epochs if self.epochs is None else self.epochs

    def period_on(self, data: str) -> int:
        """The number of epochs from one choice to the next."""
        return max(1, math.ceil(self.epochs_on(data) / self.choices))


def read(path: Path | None, given: Mapping[str, Any]) -> Settings:
    """The settings of a file, overridden by values ``given`` on the command line, unless None. Raises ConfigError with a line per
    problem.
    """
    contents = {} if path is None else load_yaml(path)
    allowed = {f.name: f for f in fields(Settings)}
    problems = [f"{path}: unknown key {key!r}{did_you_mean(key, allowed)}" for key in contents if key not in allowed]
    values: dict[str, Any] = {}
    over = {key: value for key, value in given.items() if value is not None}
    for key, value in {**contents, **over}.items():
        if key not in allowed or value is None:
            continue
        several, number = isinstance(allowed[key].default, tuple), (int, float) if key == "fraction" else int
        value = [value] if several and isinstance(value, str) else value
        if several and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            values[key] = tuple(value)
        elif not several and isinstance(value, number) and not isinstance(value, bool):
            values[key] = value
        else:
            expected = "a list of names" if several else "a number"
            problems.append(f"{path}: {key}: {value!r} is not allowed; {expected} is expected")
    if problems:
        raise ConfigError(problems)
    return Settings(**values)
