"""How scales change a paper's settings: stand-ins, fewer epochs, larger radii, shorter attacks. Imports no torch.

A scale is a class here; what it changes for one paper is in a subclass in the paper's ``scales.py``. Methods that take a cell
get it with ``data``, the data set of this scale, and ``paper_data``, the paper's own. Only ``stand_in``, ``skip``,
``unmeasured`` and ``candidates`` get the paper's ``data``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from leanat.experiments.paper import Cell
from leanat.experiments.spec import Assumed, merge, named_part, part, plain

# Fields of a spec that count epochs; they are reduced in proportion to ``recipe.epochs``.
EPOCH_FIELDS = (
    "tau", "drops", "warmup_epochs", "period", "bounds", "warmup", "checks", "last", "epochs_each", "snapshots",
)  # fmt: skip
COUNT_FIELDS = ("gamma", "count")  # fields of a selector that count examples of the training set
LARGE = ("stl10", "mini-imagenet", "imagenet")
REDUNDANT = ("digits-copies", "digits-tail", "digits-noise")  # the names of data.redundant, which imports torch
DIGITS = ("digits", *REDUNDANT)
# Lines of the foot that several papers share.
OPTIMISER_NOTE = "weight decay 0.0005; Nesterov's momentum"
DIGITS_RECIPE = f"l_inf radii x 5; no augmentation; cosine learning rate from 0.1 after 30 % warm-up; {OPTIMISER_NOTE}"
DIGITS_NOTE = f"digits: 600 training and 1,197 test images of 8 x 8 in place of CIFAR-10; batch 32; {DIGITS_RECIPE}"
SELECTED_NOTE = "epochs x 0.15, and every other count of epochs in proportion"
CROP2 = [part("crop", pad=2), "flip"]


class Scale:
    """The scale ``paper``, at which every value is the paper's; the other scales override its fields and methods.

    shard: number of runs that a process trains one after the other, since the start of a process takes seconds. seeds: trials by
    kind of item, if not the paper's. models: the networks that replace others. factors: the changes in all items, a line of the
    foot each. fewer_epochs: the factor of every number of epochs, and the smallest number of epochs; None: the paper's own.
    labels: names of the stand-ins. attacked, ensemble: how attacks, and AutoAttack, differ in all items, for numbers that are
    shown elsewhere.
    """

    name = "paper"
    title = "paper: the papers' own settings on real data"
    shard = 1
    seeds: Mapping[str, int] = {}
    models: Mapping[str, str] = {}
    factors: tuple[str, ...] = ()
    fewer_epochs: tuple[float, int] | None = None
    labels: Mapping[str, str] = {}
    attacked = ""
    ensemble = ""

    def stand_in(self, cell: Cell) -> str:
        """The data set that replaces the cell's."""
        return cell["data"]

    def epochs(self, cell: Cell) -> tuple[float, int] | None:
        """``fewer_epochs`` of a cell, for scales where it differs between cells."""
        return self.fewer_epochs

    def removed(self, cell: Cell) -> float | None:
        """The factor of the paper's shares of the training set, for fields that count examples; None: the paper's count."""
        return None

    def radii(self, cell: Cell) -> Mapping[str, float]:
        """The factor of radii and step sizes of each threat model."""
        return {}

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        """The spec with the other changes of this scale."""
        return spec

    def attack(self, entry: dict[str, Any], name: str, cell: Cell) -> dict[str, Any]:
        """An attack of a suite; a shortened attack gets a ``label``, since it is never called by the paper's name."""
        return entry

    def candidates(self, cell: Cell) -> list[Any] | None:
        """The values among which the best is chosen; None: the paper's."""
        return None

    def skip(self, cell: Cell) -> str | None:
        """The reason why the cell has no run at this scale; None if it has."""
        return None

    def unmeasured(self, cell: Cell) -> str | None:
        """The reason why the time or memory of the cell is not measured at this scale; None if it is."""
        return None

    def notes(self, cell: Cell) -> Iterable[str]:
        """The changes of this scale in the cell, each a line of the item's foot."""
        return ()

    def shrunk(self, spec: dict[str, Any], cell: Cell, examples: int, paper_examples: int) -> dict[str, Any]:
        """A paper's spec as this scale runs it; ``examples`` and ``paper_examples`` are the sizes of both training sets."""
        if (shorter := self.epochs(cell)) is not None:
            spec = shrink_epochs(spec, *shorter)
        if (times := self.removed(cell)) is not None:
            chosen = shrink_counts({"selector": spec["method"]["selector"]}, times, examples, paper_examples)
            spec = spec | {"method": spec["method"] | chosen}
        return self.change(shrink_radii(spec, self.radii(cell)), cell)


class Demo(Scale):
    """Small data that come with the package, small networks of the same blocks, two CPU cores, minutes.

    It shows that every mechanism runs and which orderings hold; its numbers are never comparable with the papers'.
    """

    name = "demo"
    title = "demo: small embedded data, small networks, CPU"
    shard = 16
    seeds = {"table": 3, "figure": 1}
    models = {
        "vgg16": "vgg16_small",
        "mobilenet": "mobilenet_small",
        "densenet": "densenet_small",
        "resnet50": "resnet50_small",
        "resnet18": "resnet_tiny",
        "preact_resnet18": "preact_resnet18_small",
        "alexnet_cifar": "alexnet_small",
        "wrn32_10": "preact_resnet18_small",
        "wrn34_10": "preact_resnet18_small",
    }
    factors = ("small networks of the same blocks (a few ten thousand parameters)",)
    fewer_epochs = (0.05, 12)

    def radii(self, cell: Cell) -> Mapping[str, float]:
        return {"linf": 5.0, "l2": 2.55} if cell["data"] in DIGITS else {}  # 80/255 in l_2 becomes 0.8

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        # fp32 is fast on every CPU; one without bf16 instructions emulates them, 3 to 8 times slower
        spec = merge(spec, {"recipe": {"precision": "fp32"}})
        if cell["data"] in DIGITS:
            recipe = {"batch": 32, "weight_decay": 0.0005, "nesterov": True}
            spec = merge(spec, {"data": {"augment": []}, "recipe": recipe})
        return spec

    def attack(self, entry: dict[str, Any], name: str, cell: Cell) -> dict[str, Any]:
        if name in ("apgd_ce", "apgd_dlr"):
            return shorter(entry, "apgd-20", examples=256, apgd={"steps": 20})
        if name in ("autoattack", "autolinf", "autol2"):
            return ensemble(entry, "aa-demo", examples=256 if name == "autoattack" else 64)
        if name in ("pgd50_10", "pgd50_20", "pgd50_10_4", "pgd50_10_8", "pgd50_10_16"):
            return shorter(entry, "pgd-20-2", pgd={"steps": 20, "restarts": 2})
        if name == "stadv":
            return shorter(entry, "stadv-20", examples=64, stadv={"steps": 20})
        if name == "recoloradv":
            return shorter(entry, "recoloradv-20", examples=64, recoloradv={"steps": 20, "lattice": [8, 16, 16]})
        if name == "jpeg":
            return shorter(entry, "jpeg-20", examples=64, jpeg={"steps": 20})
        if name in ("ppgd", "lpa"):
            return shorter(entry, f"{name}-10", examples=64, perceptual={"attack": {name: {"steps": 10}}})
        if name == "alarm":
            return merge(entry, {"masking": {"limit": 64, "queries": 100}})
        return entry

    def skip(self, cell: Cell) -> str | None:
        return "needs data_dir, scale paper" if cell.get("data") in LARGE else None


class Lite(Scale):
    """CIFAR-10 and the papers' networks, short trainings, one seed: shows trends on real data.

    Most items take hours on one GPU, some of SAT's figures days; ``leanat cost --scale lite TARGET`` gives a forecast for yours.
    """

    name = "lite"
    title = "lite: CIFAR-10, the papers' networks, short trainings"
    seeds = {"table": 1, "figure": 1}
    models = {"wrn32_10": "wrn16_4", "wrn34_10": "wrn16_4"}
    factors = ("bf16 training",)

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        return merge(spec, {"recipe": {"precision": "bf16"}})

    def skip(self, cell: Cell) -> str | None:
        return "not run at lite, which is CIFAR-10 only" if cell.get("data", "cifar10") != "cifar10" else None


class Cpu(Scale):
    """All of the real CIFAR-10, networks of 0.3 million parameters, a short one-cycle training in fp32: hours of two CPU cores.

    It is for real photographs without a GPU. Accuracies are far below the papers', but it can show which of two methods is
    better. The recipe was chosen on validation images (docs/cpu.md).
    """

    name = "cpu"
    title = "cpu: all of CIFAR-10, small networks, short trainings, CPU"
    seeds = {"table": 3, "figure": 3}
    models = {
        "vgg16": "vgg_half",
        "resnet18": "resnet_half",
        "preact_resnet18": "preact_resnet_half",
        "wrn32_10": "preact_resnet_half",
        "wrn34_10": "preact_resnet_half",
    }
    factors = (
        "CIFAR-10 whole, at 32 x 32; networks of the same blocks at half the side, 0.3 million parameters",
        "one cycle of the learning rate, batch 128; weight decay 0.0005; Nesterov's momentum; fp32",
        "attacks on 2,000 of the 10,000 test images",
    )
    attacked = "attacks on 2,000 of the 10,000 test images"
    ensemble = "AutoAttack by aa-short"
    peak = 0.2  # largest learning rate
    rise = 0.3  # share of the training in which it rises

    def change(self, spec: dict[str, Any], cell: Cell) -> dict[str, Any]:
        recipe = {"batch": 128, "weight_decay": 0.0005, "nesterov": True, "precision": "fp32"}
        return merge(spec, {"recipe": recipe | {"lr": cosine(self.peak, self.rise)}})

    def attack(self, entry: dict[str, Any], name: str, cell: Cell) -> dict[str, Any]:
        if name.startswith("auto"):
            return ensemble(entry, "aa-short", examples=2000)
        return merge(entry, {"examples": 2000}) if "attack" in entry else entry

    def skip(self, cell: Cell) -> str | None:
        return "not run at cpu, which is CIFAR-10 only" if cell.get("data", "cifar10") != "cifar10" else None


SCALES = {scale.name: scale for scale in (Scale(), Demo(), Lite(), Cpu())}


def cosine(lr: float, warmup_share: float) -> dict[str, Any]:
    """A learning rate that rises to ``lr`` over ``warmup_share`` of the training and falls as a cosine."""
    return part("cosine", lr=lr, warmup_share=warmup_share)


def fewer_steps(spec: dict[str, Any], steps: int, step_size: float) -> dict[str, Any]:
    """``spec`` with ``steps`` steps for every PGD attack of its method; shorter attacks stay as they are.

    With ``use_best`` there is one step more, since the point after the last step is never a candidate.
    """

    def change(key: str, value: Any) -> Any:
        if key != "pgd" or plain(value["steps"]) <= steps:
            return value
        return merge(value, {"steps": steps + bool(plain(value.get("use_best"))), "step_size": step_size})

    return spec | {"method": _walk(spec["method"], change)}


def shorter(entry: dict[str, Any], label: str, examples: int | None = None, **attack: Any) -> dict[str, Any]:
    """An attack of a suite with other fields, on the first ``examples`` images, with a name of its own."""
    few = {} if examples is None else {"examples": examples}
    return merge(entry, {"attack": attack, "label": label} | few)


def ensemble(entry: dict[str, Any], label: str, examples: int | None) -> dict[str, Any]:
    """Three short attacks instead of AutoAttack, with the same threat model."""
    threat = named_part(plain(entry["attack"]))[1]["threat"]
    parts = ["apgd-ce", "apgd-t", "square"]
    attack = part("ensemble", threat=threat, attacks=parts, steps=20, targets=3, queries=200)
    return merge(entry, {"attack": attack, "label": label, "examples": examples})


def set_fields(spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """``spec`` with other values of these fields, wherever they occur."""
    return _walk(spec, lambda key, value: fields.get(key, value))


def scale_fields(spec: dict[str, Any], **factors: float) -> dict[str, Any]:
    """``spec`` with these fields multiplied, wherever they occur."""
    return _walk(spec, lambda key, value: _rescale(value, lambda v: v * factors[key]) if key in factors else value)


def _rescale(value: Any, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, Assumed):
        return Assumed(_rescale(value.value, convert), value.reason)
    if isinstance(value, list):
        return [_rescale(v, convert) for v in value]
    return convert(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _walk(value: Any, change: Callable[[str, Any], Any]) -> Any:
    """``value`` with ``change(key, value)`` applied to every entry of every mapping inside it, outermost first."""
    if isinstance(value, dict):
        return {k: _walk(change(k, v), change) for k, v in value.items()}
    if isinstance(value, list):
        return [_walk(v, change) for v in value]
    return Assumed(_walk(value.value, change), value.reason) if isinstance(value, Assumed) else value


def shrink_epochs(spec: dict[str, Any], factor: float, minimum: int) -> dict[str, Any]:
    """The spec with its epochs times ``factor``, at least ``minimum``, and other numbers of epochs in the same proportion."""
    whole = plain(spec.get("recipe", {}).get("epochs"))
    if not isinstance(whole, (int, float)) or (epochs := max(minimum, round(whole * factor))) >= whole:
        return spec  # values that are not numbers are refused when components are built

    def change(key: str, value: Any) -> Any:
        if key == "epochs":
            return _rescale(value, lambda v: epochs)
        if key in EPOCH_FIELDS:
            # An epoch before the end of the paper's training stays before the end of this one.
            last = epochs - 1 if key in ("drops", "tau") else epochs

            def convert(v: float) -> float:
                at = max(1, round(v * epochs / whole)) if v else 0
                return min(at, last) if v < whole else at

            shrunk = _rescale(value, convert)
            return list(dict.fromkeys(shrunk)) if isinstance(shrunk, list) else shrunk  # each epoch once
        return value

    return _walk(spec, change)


def shrink_counts(spec: dict[str, Any], times: float, examples: int, paper_examples: int) -> dict[str, Any]:
    """The spec with each number of examples at ``times`` its share of the paper's training set, at least 1 unless it was 0."""

    def convert(v: float) -> int:
        return max(1, round(times * v / paper_examples * examples)) if v else 0

    return _walk(spec, lambda key, value: _rescale(value, convert) if key in COUNT_FIELDS else value)


def shrink_radii(spec: dict[str, Any], factors: Mapping[str, float]) -> dict[str, Any]:
    """The spec with radii, and the step sizes beside them, times the factor of their threat model."""

    def change(key: str, value: Any) -> Any:
        inner = value.value if isinstance(value, Assumed) else value
        threat = inner.get("threat") if isinstance(inner, dict) else None
        threat = threat.value if isinstance(threat, Assumed) else threat
        norm = next(iter(threat), None) if isinstance(threat, dict) else None
        if norm not in factors or not isinstance(threat[norm], dict):
            return value  # values that are not threat models are refused when components are built
        factor = factors[norm]
        scaled = {
            k: _rescale(v, lambda v: v * factor) if k in ("step_size", "robust_step_size") else v
            for k, v in inner.items()
        }
        eps = {k: _rescale(v, lambda v: v * factor) if k == "eps" else v for k, v in threat[norm].items()}
        return scaled | {"threat": {norm: eps}}

    return _walk(spec, change) if factors else spec
