"""What a job asks a cluster for: minutes, memory, GPUs. Bounds from the spec alone; pure Python, the Snakefile reads it.

A bound is meant to be generous: a job that is cut short goes on from its checkpoint, but waits in the queue again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Spec = Mapping[str, Any]

# 1e9 multiply-accumulates of a forward pass, at 224 pixels for the networks of ImageNet's size, at 32 for the others.
GMACS = {
    "vgg16": 0.31, "mobilenet": 0.046, "densenet": 0.13, "resnet18": 0.56, "resnet50": 1.30, "preact_resnet18": 0.56,
    "preact_resnet18_wide": 1.82, "wrn32_10": 6.63, "wrn34_10": 6.66, "wrn16_4": 0.39, "alexnet_cifar": 0.063, "mlp": 0.0018,
    "vgg16_imagenet": 15.5, "mobilenet_imagenet": 0.57, "densenet_imagenet": 2.83, "resnet50_imagenet": 4.09,
}  # fmt: skip
SMALL = 0.02  # of the demo's networks, the largest of them
UNKNOWN = 5.0  # of timm's
RATE = 3e12  # multiply-accumulates a second that these networks reach in fp32 on a data-centre GPU, about
OBJECTIVE = (
    7  # forward passes an example of an optimiser step: both views, backward as two, and TRADES' second clean one
)
START = 10  # minutes for start-up, data, compilation
AN_ATTACK = {"autoattack": 10_000, "ensemble": 2_000, "fab": 2_000, "square": 5_000}  # forward passes of an example
LARGE = 100_000  # pixels x channels of an image from which on a set is streamed from disk
SHARED = {"sat"}  # extras that several processes may train with: all make the same state, and none adds to it
SHORT = 60  # minutes up to which jobs share an allocation


def large(dataset: Spec) -> bool:
    """Whether a data set is of ImageNet's size: streamed, and trained on by several GPUs where there are some."""
    return dataset["channels"] * dataset["size"] ** 2 > LARGE


def together(spec: Spec, dataset: Spec) -> bool:
    """Whether several GPUs train a run, where the configuration has them: it is large, and no extra remembers examples."""
    return large(dataset) and all(set(extra) <= SHARED for extra in spec["method"].get("extras", ()))


def _gmacs(network: str, size: int) -> float:
    if network.startswith("timm:"):
        return UNKNOWN * (size / 224) ** 2
    return GMACS.get(network, SMALL) * (size / (224 if network.endswith("_imagenet") else 32)) ** 2


def _attack(value: Any) -> int:
    """Forward passes an example that an attack costs, a step counted as three: forward, and backward as two."""
    if not isinstance(value, dict):
        return 3
    name, fields = next(iter(value.items()))
    if name == "free":  # its gradient is that of the training step
        return 0
    if name in AN_ATTACK:
        return AN_ATTACK[name]
    fields = fields or {}
    if "attack" in fields:
        return 2 * _attack(fields["attack"])  # a second network looks on
    return 3 * fields.get("steps", 100) * fields.get("restarts", 1)


def train_minutes(spec: Spec, dataset: Spec) -> float:
    """A training on all examples, every epoch: what a selection saves is not counted, nor what it costs.

    With the checks of early stopping, and the attacks of extras that look at each epoch.
    """
    method, epochs = spec["method"], spec["recipe"]["epochs"]
    passes = _attack(method["attack"]) + OBJECTIVE
    images = dataset["train"] * epochs * method.get("replays", 1) * passes
    for extra in method.get("extras", []):
        name, fields = (extra, {}) if isinstance(extra, str) else next(iter(extra.items()))
        if name == "groups":
            images += dataset["train"] * epochs * _attack(fields["attack"])
        if name == "watch":
            images += fields["examples"] * epochs * (_attack(fields["single"]) + _attack(fields["strong"]))
    if stop := spec.get("early_stop"):
        images += len(stop["checks"]) * stop["share"] * dataset["test"] * _attack(stop["attack"])
    return images * _gmacs(spec["model"]["name"], dataset["size"]) * 1e9 / RATE / 60


def attack_minutes(network: str, attacks: Mapping[str, Spec], dataset: Spec) -> float:
    """A suite on one network."""
    passes = sum(
        min(entry.get("examples") or dataset["test"], dataset["test"]) * _attack(entry["attack"])
        for entry in attacks.values()
        if "attack" in entry
    )
    return passes * _gmacs(network, dataset["size"]) * 1e9 / RATE / 60


def minutes(parts: Iterable[float]) -> int:
    """Of a job of several runs or suites, in half hours."""
    return 30 * -int(-(START + sum(parts)) // 30)


def memory_mb(datasets: Iterable[Spec], small: bool) -> int:
    """Of the machine, not of the GPU."""
    return 32_000 if any(large(d) for d in datasets) else 2_000 if small else 8_000


def growing(base: int, limit: int | None = None) -> Callable[..., int]:
    """A resource that a second attempt gets twice of, a third three times, up to ``limit``."""

    def amount(wildcards: Any, attempt: int) -> int:
        return min(base * attempt, limit or base * attempt)

    return amount
