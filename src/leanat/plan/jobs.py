"""What a job asks a cluster for: minutes, memory, GPUs. From the spec alone; pure Python, the Snakefile reads it.

Minutes are those of an H100, generously. A job that is cut short goes on from its checkpoint, but waits in the queue again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from leanat.experiments.spec import named_part

Spec = Mapping[str, Any]

# 1e9 multiply-accumulates of a forward pass, at 224 pixels for the networks of ImageNet's size, at 32 for the others.
GMACS = {
    "vgg16": 0.31, "mobilenet": 0.046, "densenet": 0.13, "resnet18": 0.56, "resnet50": 1.30, "preact_resnet18": 0.56,
    "preact_resnet18_wide": 1.82, "wrn32_10": 6.63, "wrn34_10": 6.66, "wrn16_4": 0.39, "alexnet_cifar": 0.063, "mlp": 0.0018,
    "vgg_half": 0.0097, "resnet_half": 0.0123, "resnet_half_wide": 0.049, "preact_resnet_half": 0.0123,
    "vgg16_imagenet": 15.5, "mobilenet_imagenet": 0.57, "densenet_imagenet": 2.83, "resnet50_imagenet": 4.09,
}  # fmt: skip
SMALL = 0.02  # of the demo's networks, the largest of them
UNKNOWN = 5.0  # of timm's
# Multiply-accumulates per second that these networks reach on an H100, about: derived, not measured. An epoch of PGD-10 training
# of ResNet-18 on CIFAR-10 is 50,000 images x 23 passes (10 attack steps of two, and 3) x 0.56e9 = 0.64e15 of them. The floor
# derived for bf16 is 8 to 10 s, 71e12 a second; half of that is what plain code reaches. fp32 without TF32: the card's peak
# is 33e12, a third of it. An older card is slower by 2 to 10: a job that is cut short gets more time, and goes on.
RATE = {"bf16": 40e12, "fp32": 12e12}
LAUNCH = 8e-6  # seconds of an operator's launch by Python, which small networks and batches are bound by
OPERATORS = {  # of a forward pass, about; a backward pass has as many
    "vgg16": 45, "mobilenet": 85, "densenet": 430, "resnet50": 175, "alexnet_cifar": 25, "mlp": 10, "vgg16_imagenet": 40,
    "mobilenet_imagenet": 85, "densenet_imagenet": 430, "resnet50_imagenet": 175,
    "vgg_half": 32, "resnet_half": 38, "resnet_half_wide": 38, "preact_resnet_half": 36,
}  # fmt: skip
OTHERS = 100  # operators, of 18 to 34 layers
OBJECTIVE = {  # passes of an optimiser step, a backward pass to weights and inputs as two; others look at one view: 3
    "trades": 6, "mart": 6, "awp": 9, "saliency": 14, "mixup": 6,
}  # fmt: skip
BATCH = 500  # of an evaluation
START = 5  # minutes for start-up, data, compilation
AN_ATTACK = {"autoattack": 10_000, "ensemble": 2_000, "fab": 2_000, "square": 5_000}  # passes of an example
LARGE = 100_000  # pixels x channels of an image from which on a set is streamed from disk
# Seconds of a core per image file: read, decoded, a box resized. 1.6 to 2.0 ms by cost/decoding.py, on one EPYC.
DECODE = 2e-3
CPUS = 8  # cores that decode for a training on files
SHARED = {"sat"}  # extras that several processes may train with: all make the same state, and none adds to it
# parts of a method that are hooks, and add to their state
REMEMBERING = {"free", "awp", "saliency", "bandit", "bullet"}
SHORT = 60  # minutes up to which jobs share an allocation


def large(dataset: Spec) -> bool:
    """Whether a data set is of ImageNet's size: streamed, and trained on by several GPUs where there are some."""
    return dataset["channels"] * dataset["size"] ** 2 > LARGE


def together(spec: Spec, dataset: Spec) -> bool:
    """Whether several GPUs train a run, where the configuration has them: it is large, no extra remembers examples, and the
    attack makes as many passes in one process as in another (``Method.uneven``).
    """
    method = spec["method"]
    parts = [method.get(slot) or "" for slot in ("objective", "attack", "selector", "budget")]
    names = {named_part(part)[0] for part in parts}
    own = all(set(extra) <= SHARED for extra in method.get("extras", ()))
    return (
        large(dataset) and own and not names & REMEMBERING and not _uneven(method["attack"], bool(method.get("budget")))
    )


def _uneven(attack: Any, budget: bool) -> bool:
    _, fields = named_part(attack)
    if "attack" in fields:
        return _uneven(fields["attack"], budget)
    return bool(fields.get("training_mode") and (budget or fields.get("only_correct")))


def _gmacs(network: str, size: int) -> float:
    if network.startswith("timm:"):
        return UNKNOWN * (size / 224) ** 2
    return GMACS.get(network, SMALL) * (size / (224 if network.endswith("_imagenet") else 32)) ** 2


def _seconds(network: str, size: int, batch: int, precision: str) -> float:
    """Seconds of one image's forward or backward pass: of its arithmetic, or of the launches where these take longer."""
    arithmetic = _gmacs(network, size) * 1e9 / RATE[precision]
    return max(arithmetic, OPERATORS.get(network, OTHERS) * LAUNCH / batch)


def _attack(value: Any) -> int:
    """Passes per example that an attack costs; a step has two, forward and backward to the input alone."""
    if not isinstance(value, dict):
        return 2
    name, fields = named_part(value)
    if name == "free":  # its gradient is that of the training step
        return 0
    if name in AN_ATTACK:
        return AN_ATTACK[name]
    fields = fields or {}
    if "attack" in fields:
        return 2 * _attack(fields["attack"])  # a second network looks on
    return 2 * fields.get("steps", 100) * fields.get("restarts", 1)


def train_minutes(spec: Spec, dataset: Spec) -> float:
    """A training on all examples, every epoch: what a selection saves is not counted, nor what it costs.

    With the checks of early stopping, which are in fp32, and the attacks of extras that look at each epoch. Of a streamed set,
    no less than its files take to decode.
    """
    method, recipe, name = spec["method"], spec["recipe"], spec["model"]["name"]
    objective, _ = named_part(method["objective"])
    attack = 0 if method["attack"] == "clean" else _attack(method["attack"])
    images = dataset["train"] * method.get("replays", 1) * (attack + OBJECTIVE.get(objective, 3))
    for extra in method.get("extras", []):
        kind, fields = named_part(extra)
        if kind == "groups":
            images += dataset["train"] * _attack(fields["attack"])
        if kind == "watch":
            images += fields["examples"] * (_attack(fields["single"]) + _attack(fields["strong"]))
    seconds = images * recipe["epochs"] * _seconds(name, dataset["size"], recipe["batch"], recipe["precision"])
    if stop := spec.get("early_stop"):
        checked = len(stop["checks"]) * stop["share"] * dataset["test"] * _attack(stop["attack"])
        seconds += checked * _seconds(name, dataset["size"], BATCH, "fp32")
    reading = dataset["train"] * recipe["epochs"] * DECODE / CPUS if large(dataset) else 0.0
    return max(seconds, reading) / 60


def attack_minutes(network: str, attacks: Mapping[str, Spec], dataset: Spec) -> float:
    """A suite on one network, in fp32."""
    passes = sum(
        min(entry.get("examples") or dataset["test"], dataset["test"]) * _attack(entry["attack"])
        for entry in attacks.values()
        if "attack" in entry
    )
    return passes * _seconds(network, dataset["size"], BATCH, "fp32") / 60


def minutes(parts: Iterable[float]) -> int:
    """Minutes of a job of several runs or suites, rounded up to tens."""
    return 10 * -int(-(START + sum(parts)) // 10)


def memory_mb(datasets: Iterable[Spec], small: bool) -> int:
    """Memory of the machine in MB, not of the GPU."""
    return 32_000 if any(large(d) for d in datasets) else 2_000 if small else 8_000


def allocation(datasets: Iterable[Spec], processes: int) -> dict[str, int]:
    """What a cluster's job needs beside time, memory and GPUs: cores that decode files; for several processes one machine, and
    a task that has all of its cores.
    """
    resources = {"cpus_per_task": CPUS * processes} if any(large(d) for d in datasets) else {}
    return resources | ({"nodes": 1, "tasks_per_gpu": 0} if processes > 1 else {})


def growing(base: int, limit: int | None = None) -> Callable[..., int]:
    """A resource of which the second attempt of a job gets twice ``base``, the third three times, up to ``limit``."""

    def amount(wildcards: Any, attempt: int) -> int:
        return min(base * attempt, limit or base * attempt)

    return amount
