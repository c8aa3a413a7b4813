"""The resources that a job requests from a cluster: minutes, memory, GPUs. Only the spec is used; pure Python for the Snakefile.

Minutes are generous for an H100. A job that reaches its limit continues from its checkpoint, but waits in the queue again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from leanat.experiments.spec import named_part

Spec = Mapping[str, Any]

# 1e9 multiply-accumulates per forward pass, at 224 pixels for the networks of ImageNet's size and at 32 for the others.
GMACS = {
    "vgg16": 0.31, "mobilenet": 0.046, "densenet": 0.13, "resnet18": 0.56, "resnet50": 1.30, "preact_resnet18": 0.56,
    "preact_resnet18_wide": 1.82, "wrn32_10": 6.63, "wrn34_10": 6.66, "wrn16_4": 0.39, "alexnet_cifar": 0.063, "mlp": 0.0018,
    "vgg_half": 0.0097, "resnet_half": 0.0123, "resnet_half_wide": 0.049, "preact_resnet_half": 0.0123,
    "vgg16_imagenet": 15.5, "mobilenet_imagenet": 0.57, "densenet_imagenet": 2.83, "resnet50_imagenet": 4.09,
}  # fmt: skip
SMALL = 0.02  # the same for the largest network of the demo
UNKNOWN = 5.0  # the same for networks of timm
# Approximate multiply-accumulates per second of these networks on an H100; derived, not measured. An epoch of PGD-10 training
# of ResNet-18 on CIFAR-10 has 50,000 images x 23 passes (2 per attack step, and 3) x 0.56e9 = 0.64e15 of them. The lower bound
# derived for bf16 is 8 to 10 s, or 71e12 per second; plain code reaches half of that. In fp32 without TF32 the card's peak is
# 33e12, and a third of it is reached. Older cards are slower by a factor of 2 to 10; a job that reaches its limit gets more time.
RATE = {"bf16": 40e12, "fp32": 12e12}
LAUNCH = 8e-6  # seconds per launch of an operator by Python, which limit small networks and batches
OPERATORS = {  # approximate number in a forward pass; a backward pass has as many
    "vgg16": 45, "mobilenet": 85, "densenet": 430, "resnet50": 175, "alexnet_cifar": 25, "mlp": 10, "vgg16_imagenet": 40,
    "mobilenet_imagenet": 85, "densenet_imagenet": 430, "resnet50_imagenet": 175,
    "vgg_half": 32, "resnet_half": 38, "resnet_half_wide": 38, "preact_resnet_half": 36,
}  # fmt: skip
OTHERS = 100  # operators of other networks, with 18 to 34 layers
OBJECTIVE = {  # passes per optimiser step (others: 3), where a backward pass to weights and inputs counts as two
    "trades": 6, "mart": 6, "awp": 9, "saliency": 14, "mixup": 6,
}  # fmt: skip
BATCH = 500  # batch size of evaluations
START = 5  # minutes for start-up, data, compilation
AN_ATTACK = {"autoattack": 10_000, "ensemble": 2_000, "fab": 2_000, "square": 5_000}  # passes per example
LARGE = 100_000  # data sets with more pixels x channels per image are streamed from disk
# Core seconds to read and decode an image file and resize a box of it: 1.6 to 2.0 ms by cost/decoding.py, on one EPYC.
DECODE = 2e-3
CPUS = 8  # cores that decode for a training on files
SHARED = {"sat"}  # extras that work with several processes: all processes compute the same state and none adds to it
# parts of a method that are hooks and add to their state
REMEMBERING = {"free", "awp", "saliency", "bandit", "bullet"}
SHORT = 60  # jobs of up to so many minutes share an allocation


def large(dataset: Spec) -> bool:
    """Whether a data set is of ImageNet's size: it is streamed, and several GPUs train on it together if there are any."""
    return dataset["channels"] * dataset["size"] ** 2 > LARGE


def together(spec: Spec, dataset: Spec) -> bool:
    """Whether several GPUs train a run together, if the configuration has them. The data set must be large, no extra may keep
    state of examples, and the attack must make equally many passes in each process (``Method.uneven``).
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
    """Seconds of a forward or backward pass of one image: of the arithmetic or of the launches, whichever takes longer."""
    arithmetic = _gmacs(network, size) * 1e9 / RATE[precision]
    return max(arithmetic, OPERATORS.get(network, OTHERS) * LAUNCH / batch)


def _attack(value: Any) -> int:
    """Passes per example of an attack; a step has two, one forward and one backward to the input only."""
    if not isinstance(value, dict):
        return 2
    name, fields = named_part(value)
    if name == "free":  # it uses the gradient of the training step
        return 0
    if name in AN_ATTACK:
        return AN_ATTACK[name]
    fields = fields or {}
    if "attack" in fields:
        return 2 * _attack(fields["attack"])  # a second network measures the distance
    return 2 * fields.get("steps", 100) * fields.get("restarts", 1)


def train_minutes(spec: Spec, dataset: Spec) -> float:
    """Minutes of a training on all examples in every epoch; the savings and the cost of a selection are not counted.

    They include the checks of early stopping, in fp32, and the attacks of extras that measure in each epoch. On a streamed data
    set they are at least the time to decode its files.
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
    """Minutes of a suite of attacks on one network, in fp32."""
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
    """What a cluster's job needs besides time, memory and GPUs: cores to decode files, and, for several processes, that they are
    on one machine in a task with all of its cores.
    """
    resources = {"cpus_per_task": CPUS * processes} if any(large(d) for d in datasets) else {}
    return resources | ({"nodes": 1, "tasks_per_gpu": 0} if processes > 1 else {})


def growing(base: int, limit: int | None = None) -> Callable[..., int]:
    """A resource that grows with a job's attempts: ``base`` at the first, twice ``base`` at the second, at most ``limit``."""

    def amount(wildcards: Any, attempt: int) -> int:
        return min(base * attempt, limit or base * attempt)

    return amount
