"""What a training takes, composed from measured primitives and the paper's own settings. Arithmetic only.

The primitives of a spec (see ``timing``), in seconds: ``step``, one optimiser step on a batch with its attack;
``bare``, the same without an attack; ``look``, a clean forward pass of a batch (Bullet-Train); ``select``, attack and
last-layer gradients of a batch; ``solve``, the solver on all gradients; ``decode``, one image from its file, on one core.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any, NamedTuple

from leanat.papers.coreset import lengths

Spec = dict[str, Any]
ROBUST_STEPS = 2  # of Bullet-Train's robust examples (papers.advprune.Bullet)

# What a forecast cannot know, taken from demo runs: of all test images, the share that is right without an attack; of
# these, the share that an attack leaves right; of a full attack, what Bullet-Train spends.
RIGHT, STANDING, BULLET = 0.95, 0.65, 0.5
# Of the time of one step of PGD, that of one step of another attack, and of one of its forward passes.
DEAR = {"stadv": 1.5, "recoloradv": 2.0, "jpeg": 3.0, "fast_lpa": 3.0, "lpa": 3.0, "ppgd": 12.0, "fab": 3.0}
BATCH = 500  # of an evaluation
FEW = 4  # images of the smallest steps that are measured
SEARCHES = 5  # of LPA, each of all its steps


class Epoch(NamedTuple):
    """One epoch of a plan: the share of the training set it trains on, and whether a selection comes before it."""

    share: float
    selects: bool


def plan(spec: Spec, examples: int | None = None) -> list[Epoch]:
    """Every epoch of a training, from its selector. Raises ValueError for a selector whose cost is not known.

    ``examples`` is needed by selectors that leave out a number of examples, not a share.
    """
    epochs = spec["recipe"]["epochs"]
    return [_epoch(spec["method"]["selector"], e, epochs, examples) for e in range(epochs)]


def _epoch(selector: Any, epoch: int, epochs: int, examples: int | None) -> Epoch:
    name, fields = (selector, {}) if isinstance(selector, str) else next(iter(selector.items()))
    match name:
        case "everything" | "weighted":
            return Epoch(1.0, False)
        case "bandit":  # DIHCL draws fewer examples in each episode; its first is on all of them
            episodes = fields["episodes"]
            number = min(bisect_right(episodes["bounds"], epoch), len(episodes["bounds"]) - 1) - 1
            drawn = episodes.get("k", 1.0) * (1 - episodes.get("dk", 0.1)) ** number
            share = max(drawn, episodes.get("min_k", 0.3)) if number else 1.0
            return Epoch(share, epoch in episodes["bounds"][1:-1])
        case "random" | "loss_rank" | "instability" if (
            left_out := fields.get("count", fields.get("gamma"))
        ) is not None:
            if examples is None:
                raise ValueError(f"the cost of selector {name!r} needs the number of examples")
            return Epoch(1 - left_out / examples, name != "random")
        case "once":
            if epoch < fields["tau"]:
                return Epoch(1.0, False)
            share, selects = _epoch(fields["inner"], epoch, epochs, examples)
            return Epoch(share, selects and epoch == fields["tau"])
        case "every":
            if epoch < fields["warmup"]:
                return _epoch(fields.get("before", "everything"), epoch, epochs, examples)
            share, selects = _epoch(fields["inner"], epoch, epochs, examples)
            return Epoch(share, selects and (epoch - fields["warmup"]) % fields["period"] == 0)
        case "random":
            return Epoch(fields["fraction"], False)
        case "craig" | "grad_match" | "glister" | "by_loss":
            return Epoch(fields["fraction"], True)
        case "warm_start":
            fraction = next(iter(fields["inner"].values()))["fraction"]
            full, idle, _ = lengths.plan(epochs, fields["kappa"], fraction, fields.get("idle", False))
            if epoch < full + idle:
                return Epoch(float(epoch < full), False)
            share, selects = _epoch(fields["inner"], epoch, epochs, examples)
            since = epoch if fields.get("idle") else epoch - full
            return Epoch(share, selects and since % fields["period"] == 0)
    raise ValueError(f"the cost of selector {name!r} is not known")


def attack_share(spec: Spec, shares: dict[str, float]) -> float:
    """The part of its full attack steps that Bullet-Train takes, from the shares of boundary and robust examples."""
    full = next(iter(spec["method"]["attack"].values()))["steps"]
    return shares["boundary"] + shares["robust"] * ROBUST_STEPS / full


def implied_attack_share(spec: Spec, primitives: dict[str, float], examples: int, seconds: float) -> float:
    """The ``attack_share`` at which an epoch would take ``seconds``; outside 0 to 1 where none does."""
    none, full = (seconds_per_epoch(spec, primitives, examples, share) for share in (0.0, 1.0))
    return (seconds - none) / (full - none)


def seconds_per_epoch(spec: Spec, primitives: dict[str, float], examples: int, share: float | None) -> float:
    """Mean seconds of an epoch, selections amortised.

    A selection attacks what it chooses from; GLISTER the validation part as well, which is taken to cost as much for each
    example. ``examples``: of the training set, a validation part included. ``share``: see ``attack_share``, for a spec with
    Bullet-Train. Raises ValueError without it.
    """
    epochs, train = plan(spec, examples), examples * (1 - (spec["data"].get("validation") or 0))
    batches = train / spec["recipe"]["batch"]
    seen = (examples if _held_out(spec["method"]["selector"]) else train) / spec["recipe"]["batch"]
    step = primitives["step"]
    if budget := spec["method"].get("budget"):
        if share is None:
            raise ValueError("the cost of Bullet-Train needs the shares of its groups, of a run")
        look = primitives["look"] if budget != "only_members" else 0.0
        step = look + primitives["bare"] + share * (step - primitives["bare"])
    training = sum(e.share for e in epochs) * batches * step * spec["method"].get("replays", 1)
    select = primitives.get("select", 2 * primitives.get("look", 0.0))  # without gradients: Q-TART's two forward passes
    selecting = sum(e.selects for e in epochs) * (seen * select + primitives.get("solve", 0.0))
    return (training + selecting) / len(epochs)


def decoding(spec: Spec, primitives: dict[str, float], examples: int) -> float | None:
    """Seconds of a core that a training spends on decoding files; None where its images are no files.

    A selection decodes the whole training set once more.
    """
    if "decode" not in primitives:
        return None
    return sum(e.share + e.selects for e in plan(spec, examples)) * examples * primitives["decode"]


def _held_out(selector: Any) -> bool:
    """Whether a selection looks at the validation part, too."""
    while isinstance(selector, dict):
        name, fields = next(iter(selector.items()))
        if name == "glister":
            return True
        selector = fields.get("inner")
    return False


def removed(spec: Spec, examples: int) -> float:
    """Percent of a training's passes over examples that its selector has left out."""
    epochs = plan(spec, examples)
    return 100 * sum(1 - e.share for e in epochs) / len(epochs)


class Passes(NamedTuple):
    """Mean passes of a test image: with an input gradient, and forward alone."""

    ascents: float
    looks: float

    def times(self, factor: float) -> Passes:
        return Passes(factor * self.ascents, factor * self.looks)

    def plus(self, other: Passes) -> Passes:
        return Passes(self.ascents + other.ascents, self.looks + other.looks)


AUTO = {"attacks": ["apgd-ce", "apgd-t", "fab-t", "square"], "steps": 100, "targets": 9, "queries": 5000}
ALARM = Passes(41.0, 20.0)  # two attacks of 20 steps, FGSM, 20 random starts; Square's queries come on top


def passes(attack: Any, classes: int) -> Passes:
    """Passes of an attack in an evaluation, by its spec: what is wrong is not attacked, nor attacked again once it is fooled."""
    name, fields = (attack, {}) if isinstance(attack, str) else next(iter(attack.items()))
    fields = fields or {}
    if name == "perceptual":
        return passes(fields["attack"], classes)
    if name == "clean":
        return Passes(0.0, 0.0)
    if name in ("ensemble", "autoattack"):
        whole = AUTO | fields
        parts = [_part(part, whole, classes) for part in whole["attacks"]]
        return parts[0].plus(_sum(parts[1:]).times(STANDING)).times(RIGHT)
    if name == "apgd":
        return _part(f"apgd-{fields.get('loss', 'ce')}", AUTO | fields, classes).times(RIGHT)
    if name == "square":
        return Passes(0.0, RIGHT * fields.get("queries", AUTO["queries"]))
    # With only_correct a restart ends for an example where it is fooled: at a quarter of its steps, say.
    first = STANDING + (1 - STANDING) / 4 if fields.get("only_correct") else 1.0
    again = (fields.get("restarts", 1) - 1) * STANDING
    rounds = SEARCHES if name == "lpa" else 1
    steps = fields.get("steps", AUTO["steps"]) * rounds * DEAR.get(name, 1.0)
    return Passes(RIGHT * (first + again) * steps, fields.get("restarts", 1))


def _part(name: str, fields: dict[str, Any], classes: int) -> Passes:
    """A part of AutoAttack on the images that it gets."""
    if name == "square":
        return Passes(0.0, fields["queries"])
    kind, _, loss = name.partition("-")
    targets = min(fields["targets"], classes - 1) if loss == "t" else 1
    return Passes(DEAR.get(kind, 1.0) * targets * fields["steps"], 1.0)


def sizes(attack: Any) -> float:
    """How many batch sizes an attack meets on one batch: where fooled images drop out, another at each step."""
    name, fields = (attack, {}) if isinstance(attack, str) else next(iter(attack.items()))
    fields = fields or {}
    if name == "perceptual":
        return sizes(fields["attack"])
    if name in ("ensemble", "autoattack", "square"):
        whole = AUTO | fields
        return whole["queries"] / 3 if "square" in (*whole["attacks"], name) else 0.0  # forward alone: a third
    return fields.get("steps", 1) * fields.get("restarts", 1) if fields.get("only_correct") else 0.0


def _sum(parts: list[Passes]) -> Passes:
    return Passes(sum(p.ascents for p in parts), sum(p.looks for p in parts))


def evaluation(suite: dict[str, Any], primitives: dict[str, float], test: int, classes: int) -> float:
    """Seconds of a suite of attacks on ``test`` images; ``ascend`` and ``forward``: the primitives, of one image.

    ``size``: of a step on a batch of a size that was not met before.
    """
    seconds = 0.0
    for entry in suite.values():
        images, spent = 0, Passes(0.0, 0.0)
        if "masking" in entry:
            images = min(entry["masking"]["limit"], test)
            spent = ALARM.plus(Passes(0.0, entry["masking"]["queries"]))
        elif "measure" in entry:
            name, fields = next(iter(entry["measure"].items()))
            images = min(fields.get("examples") or test, test)
            spent = Passes(2.0, 1.0)  # terms: the network's saliency and the teacher's
            if name == "planted":  # nine passes over the training set, four times as large on the shapes
                spent = Passes(0.0, 36.0)
            if name == "maps":  # saliency, a gradient per class, two attacks
                spent = (
                    passes(fields["fgsm"], classes)
                    .plus(passes(fields["pgd"], classes))
                    .plus(Passes(1.0 + classes, 0.0))
                )
        elif "attack" in entry:
            images = min(entry["examples"] or test, test)
            spent = passes(entry["attack"], classes).plus(Passes(0.0, 1.0))
            seconds += math.ceil(images / BATCH) * min(sizes(entry["attack"]), BATCH) * primitives["size"]
        seconds += images * (spent.ascents * primitives["ascend"] + spent.looks * primitives["forward"])
    return seconds


def training(spec: Spec, primitives: dict[str, float], examples: int, test: int, classes: int) -> float:
    """Seconds of a whole run, its checks for early stopping and the clean test at its end included.

    Besides the primitives of an epoch: ``ascend`` and ``forward`` of a test image, ``keep`` of one checkpoint; where SAT
    attacks a part of each batch, ``few``: the attack alone on ``FEW`` images.
    """
    epochs, share = spec["recipe"]["epochs"], None
    method = spec["method"]
    if budget := method.get("budget"):
        share = _time_of(_members(method, classes), spec, primitives) if budget == "only_members" else BULLET
    seconds = epochs * (seconds_per_epoch(spec, primitives, examples, share) + primitives["keep"])
    groups = [next(iter(e.values())) for e in method.get("extras", []) if isinstance(e, dict) and "groups" in e]
    for group in groups:  # an attack on all training images that are right, each epoch
        steps = next(iter(group["attack"].values()))["steps"]
        seconds += epochs * examples * (3 * primitives["forward"] + RIGHT * steps * primitives["ascend"])
    watches = [next(iter(e.values())) for e in method.get("extras", []) if isinstance(e, dict) and "watch" in e]
    for watch in watches:  # two attacks on some training images, each epoch
        steps = sum(next(iter(watch[k].values()))["steps"] for k in ("single", "strong"))
        seconds += epochs * watch["examples"] * (3 * primitives["forward"] + steps * primitives["ascend"])
    if stop := spec.get("early_stop"):
        check = {"check": {"attack": stop["attack"], "examples": round(stop["share"] * test)}}
        seconds += len(stop["checks"]) * evaluation(check, primitives, test, classes)
    return seconds + test * primitives["forward"]


def _time_of(share: float, spec: Spec, primitives: dict[str, float]) -> float:
    """The part of a whole attack's time that ``share`` of a batch takes, on the line through ``FEW`` images and all."""
    batch, whole = spec["recipe"]["batch"], primitives["step"] - primitives["bare"]
    least = min(primitives["few"] / whole, 1.0)
    return least + (1 - least) * max(share * batch - FEW, 0.0) / max(batch - FEW, 1)


def _members(method: dict[str, Any], classes: int) -> float:
    """The share of the examples that SAT attacks."""
    found = next(e["sat"]["members"] for e in method["extras"] if isinstance(e, dict) and "sat" in e)
    return found["first"]["share"] if "first" in found else len(found["classes"]["classes"]) / classes
