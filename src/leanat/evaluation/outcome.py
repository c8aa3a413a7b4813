"""The outcome of an evaluation for each example: numpy arrays, intervals, files. Imports no torch."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist

import numpy as np

NOT_FINITE = -1  # the prediction where logits are not finite
PLAIN = "clean.npz"  # of a finished training: the outcome of every test image without an attack


@dataclass(frozen=True)
class Outcome:
    """n examples, in the order of ``index``; arrays of length n.

    ``predicted``, ``loss`` (cross-entropy), ``linf`` and ``l2`` (size of the change) belong to the image that counts:
    the adversarial one if it was misclassified, else the one of highest loss among those tried. An example that was
    misclassified without an attack is not attacked, and counts as wrong.
    """

    index: np.ndarray  # int64
    label: np.ndarray  # int64
    predicted: np.ndarray  # int64; NOT_FINITE where a logit is NaN or infinite, which counts as wrong
    clean_correct: np.ndarray  # bool
    correct: np.ndarray  # bool, after the attack
    loss: np.ndarray  # float32
    linf: np.ndarray  # float32
    l2: np.ndarray  # float32
    broken_by: np.ndarray  # int16, number of the part that first fooled it, -1: none
    parts: tuple[str, ...]  # attacks done, in order
    notes: tuple[str, ...] = ()  # reasons to doubt the outcome

    def __post_init__(self):
        arrays = [getattr(self, f.name) for f in fields(self) if f.name not in _TEXT]
        if any(a.shape != self.index.shape for a in arrays) or self.index.ndim != 1:
            raise ValueError(f"arrays of different lengths: {[a.shape for a in arrays]}")

    def __len__(self) -> int:
        return len(self.index)


_TEXT = ("parts", "notes")
_KINDS = dict.fromkeys(("index", "label", "predicted", "broken_by"), "i")  # as numpy names kinds of dtypes
_KINDS |= {"clean_correct": "b", "correct": "b", "loss": "f", "linf": "f", "l2": "f"} | dict.fromkeys(_TEXT, "U")


def fault(
    outcome: Outcome, index: np.ndarray, label: np.ndarray, parts: Sequence[str], transferred: bool
) -> str | None:
    """The reason why this cannot be the outcome, or part of it, of an attack with ``parts`` on these examples; None if it can.

    ``transferred``: the attack was made on another network, and ``correct`` is about the adversarial image only.
    """
    fooled = outcome.clean_correct & ~outcome.correct
    checks = {
        "of other examples": np.array_equal(outcome.index, index),
        "of other labels": np.array_equal(outcome.label, label),
        f"of other parts: {', '.join(outcome.parts)}": 0 < len(outcome.parts) <= len(parts)
        and outcome.parts == tuple(parts[: len(outcome.parts)]),
        "correct is not where the prediction is the label": np.array_equal(
            outcome.correct, outcome.predicted == outcome.label
        ),
        "right after an attack, wrong before it": transferred or not (outcome.correct & ~outcome.clean_correct).any(),
        "broken_by is not where the attack fooled": np.array_equal(outcome.broken_by >= 0, fooled)
        and bool((outcome.broken_by < len(outcome.parts)).all()),
    }
    return next((why for why, fits in checks.items() if not fits), None)


def accuracy(correct: np.ndarray) -> dict[str, float | int]:
    """The share of correct predictions with its 95 % Wilson interval; all nan without examples."""
    n, k = len(correct), int(np.sum(correct))
    if not n:
        return {"n": 0, "correct": 0, "accuracy": np.nan, "low": np.nan, "high": np.nan}
    share, z = k / n, NormalDist().inv_cdf(0.975)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return {"n": n, "correct": k, "accuracy": share, "low": max(0.0, middle - half), "high": min(1.0, middle + half)}


def summary(outcome: Outcome) -> dict:
    """Robust and clean accuracy with 95 % Wilson intervals, mean of the losses that are finite, accuracy after each part,
    how many images have logits that are not finite, notes.
    """
    broken_by = np.where(outcome.broken_by < 0, len(outcome.parts), outcome.broken_by)  # by none comes after all
    after = {
        name: float(np.mean(outcome.clean_correct & (broken_by > i))) if len(outcome) else np.nan
        for i, name in enumerate(outcome.parts)
    }
    finite = outcome.loss[np.isfinite(outcome.loss)]
    bad = int((outcome.predicted == NOT_FINITE).sum())
    notes = [f"Logits are not finite for {bad} of {len(outcome)} images, which count as wrong."] if bad else []
    return {
        **accuracy(outcome.correct),
        "clean": accuracy(outcome.clean_correct),
        "loss": float(finite.mean()) if len(finite) else np.nan,
        "after": after,
        "not_finite": bad,
        "notes": [*outcome.notes, *notes],
    }


def per_class(outcome: Outcome, n_classes: int) -> dict[str, list[int]]:
    """The numbers of correct predictions and of examples of each class, from which the accuracy on any classes follows."""
    right = np.bincount(outcome.label[outcome.correct], minlength=n_classes)
    return {"correct": right.tolist(), "n": np.bincount(outcome.label, minlength=n_classes).tolist()}


def over_sources(outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """Mean and standard deviation (n - 1; nan for one) of one target's accuracy over the sources of the attack."""
    shares = [float(outcome.correct.mean()) for outcome in outcomes.values()]
    return {"mean": float(np.mean(shares)), "sd": float(np.std(shares, ddof=1)) if len(shares) > 1 else np.nan}


def worst_case(outcomes: Sequence[Outcome]) -> Outcome:
    """An example counts as correct if it is correct under all of the attacks. The outcomes must have the same examples."""
    first, *others = outcomes
    for other in others:
        if not (np.array_equal(first.index, other.index) and np.array_equal(first.label, other.label)):
            raise ValueError("worst case of outcomes with different examples")
    worst = asdict(first)
    worst["clean_correct"] = first.clean_correct.copy()
    for other in others:
        # a misclassified image counts before one that is not, and then the one of higher loss
        worse = np.where(worst["correct"] == other.correct, other.loss > worst["loss"], worst["correct"])
        for name in ("predicted", "loss", "linf", "l2"):
            worst[name] = np.where(worse, getattr(other, name), worst[name])
        newly = worst["correct"] & ~other.correct & (other.broken_by >= 0)
        worst["broken_by"] = np.where(newly, other.broken_by + len(worst["parts"]), worst["broken_by"]).astype(np.int16)
        worst["clean_correct"] &= other.clean_correct
        worst["correct"] = worst["correct"] & other.correct
        worst["parts"] += other.parts
        worst["notes"] += tuple(note for note in other.notes if note not in worst["notes"])
    return Outcome(**worst)


def arrays(outcome: Outcome) -> dict[str, np.ndarray]:
    """The arrays that a file of the outcome has."""
    return {k: np.array(v, dtype=np.str_) if k in _TEXT else v for k, v in vars(outcome).items()}


def load(path: str | os.PathLike) -> Outcome:
    """Read what ``save`` wrote. Raises ValueError, with the path, for any other file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            contents = {f.name: file[f.name] for f in fields(Outcome)}
        if wrong := [name for name, kind in _KINDS.items() if contents[name].dtype.kind != kind]:
            raise ValueError(f"{wrong[0]} of {contents[wrong[0]].dtype}")
        return Outcome(**{k: tuple(map(str, v)) if k in _TEXT else v for k, v in contents.items()})
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path}: not an outcome ({error})") from error
