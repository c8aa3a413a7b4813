"""What a training takes, composed from measured primitives and the paper's own settings. Arithmetic only.

The primitives of a spec (see ``timing``), in seconds: ``step``, one optimiser step on a batch with its attack;
``bare``, the same without an attack; ``look``, a clean forward pass of a batch (Bullet-Train); ``select``, attack and
last-layer gradients of a batch; ``solve``, the solver on all gradients.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Spec = dict[str, Any]
ROBUST_STEPS = 2  # of Bullet-Train's robust examples (papers.advprune.Bullet)


class Epoch(NamedTuple):
    """One epoch of a plan: the share of the training set it trains on, and whether a selection comes before it."""

    share: float
    selects: bool


def plan(spec: Spec) -> list[Epoch]:
    """Every epoch of a training, from its selector. Raises ValueError for a selector whose cost is not known."""
    epochs = spec["recipe"]["epochs"]
    return [_epoch(spec["method"]["selector"], e, epochs) for e in range(epochs)]


def _epoch(selector: Any, epoch: int, epochs: int) -> Epoch:
    name, fields = (selector, {}) if isinstance(selector, str) else next(iter(selector.items()))
    match name:
        case "everything":
            return Epoch(1.0, False)
        case "once":
            if epoch < fields["tau"]:
                return Epoch(1.0, False)
            share, selects = _epoch(fields["inner"], epoch, epochs)
            return Epoch(share, selects and epoch == fields["tau"])
        case "every":
            if epoch < fields["warmup"]:
                return _epoch(fields.get("before", "everything"), epoch, epochs)
            share, selects = _epoch(fields["inner"], epoch, epochs)
            return Epoch(share, selects and (epoch - fields["warmup"]) % fields["period"] == 0)
        case "random":
            return Epoch(fields["fraction"], False)
        case "craig" | "grad_match" | "glister":
            return Epoch(fields["fraction"], True)
        case "warm_start":
            full, idle = _warm_start(fields, epochs)
            if epoch < full + idle:
                return Epoch(float(epoch < full), False)
            share, selects = _epoch(fields["inner"], epoch, epochs)
            since = epoch if fields.get("idle") else epoch - full
            return Epoch(share, selects and since % fields["period"] == 0)
    raise ValueError(f"the cost of selector {name!r} is not known")


def _warm_start(fields: dict[str, Any], epochs: int) -> tuple[int, int]:
    """Epochs on everything, and idle ones after them: ``papers.coreset.plan``."""
    kappa, fraction = fields["kappa"], next(iter(fields["inner"].values()))["fraction"]
    if fields.get("idle"):
        until = int(kappa * epochs)
        full = round(fraction * until)
        return full, until - full
    return round(kappa * fraction / (1 - kappa + kappa * fraction) * epochs), 0


def attack_share(spec: Spec, shares: dict[str, float]) -> float:
    """The part of its full attack steps that Bullet-Train takes, from the shares of boundary and robust examples."""
    full = next(iter(spec["method"]["attack"].values()))["steps"]
    return shares["boundary"] + shares["robust"] * ROBUST_STEPS / full


def implied_attack_share(spec: Spec, primitives: dict[str, float], examples: int, seconds: float) -> float:
    """The ``attack_share`` at which an epoch would take ``seconds``; outside 0 to 1 where none does."""
    none, full = (seconds_an_epoch(spec, primitives, examples, share) for share in (0.0, 1.0))
    return (seconds - none) / (full - none)


def seconds_an_epoch(spec: Spec, primitives: dict[str, float], examples: int, share: float | None) -> float:
    """Mean seconds of an epoch, selections amortised.

    ``examples``: of the training set, a validation part included. ``share``: see ``attack_share``, for a spec with
    Bullet-Train. Raises ValueError without it.
    """
    epochs, train = plan(spec), examples * (1 - (spec["data"].get("validation") or 0))
    batches, all_batches = train / spec["recipe"]["batch"], examples / spec["recipe"]["batch"]
    step = primitives["step"]
    if spec["method"].get("budget"):
        if share is None:
            raise ValueError("the cost of Bullet-Train needs the shares of its groups, of a run")
        step = primitives["look"] + primitives["bare"] + share * (step - primitives["bare"])
    training = sum(e.share for e in epochs) * batches * step
    selecting = sum(e.selects for e in epochs) * (
        all_batches * primitives.get("select", 0.0) + primitives.get("solve", 0.0)
    )
    return (training + selecting) / len(epochs)
