"""Robust accuracy: attacks the examples that are still classified correctly, records the outcome of each, and can be resumed.

outcome = evaluate(net, data, AutoAttack(Linf(8 / 255)), seed=0)
summary(outcome)["accuracy"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from leanat.attacks.autoattack import AutoAttack, InTurn, sanity
from leanat.attacks.pgd import EACH_ALONE
from leanat.core.errors import is_out_of_memory
from leanat.core.nouns import Attack, Data, Step, attacks_in_training_mode, buffers_restored, eval_without_param_grad
from leanat.core.precision import exact_fp32, say_emulation
from leanat.core.rng import Draws
from leanat.evaluation.folding import folded
from leanat.evaluation.outcome import NOT_FINITE, Outcome

T = TypeVar("T")
PROBE = 8  # images on which a folded network is compared with the network
OWN_WAYS = ("self_bounded", "training_mode")  # of attacks that read layers, or take the statistics of a batch
SQUARE_GAIN = 0.002  # AutoAttack's own threshold: more than this share broken by Square alone is suspicious


@contextmanager
def batch_statistics(net: nn.Module) -> Iterator[None]:
    """Within this context BatchNorm in evaluation mode normalises by the statistics of the current batch, and records none.

    The saliency paper's code evaluates like this, in batches of 100, so a prediction depends on the rest of its batch.
    """
    layers = [(m, m.running_mean, m.running_var) for m in net.modules() if isinstance(m, _BatchNorm)]
    for layer, _, _ in layers:
        layer.running_mean = layer.running_var = None
    try:
        yield
    finally:
        for layer, mean, var in layers:
            layer.running_mean, layer.running_var = mean, var


def sample(n: int, limit: int | None) -> Tensor:
    """``limit`` random indices below n, ascending, the same for every network and seed; larger samples contain smaller ones."""
    index = torch.arange(n)
    if limit is None or limit >= n:
        return index
    return Draws(0, 0, index).order("evaluation sample")[:limit].sort().values


def parts_of(attack: Attack, n_classes: int) -> dict[str, Attack]:
    """The parts of an attack, by their names in its outcome; most attacks have one part, themselves."""
    return attack.parts(n_classes) if hasattr(attack, "parts") else {type(attack).__name__: attack}


def classes_needed(attack: Attack, n_classes: int) -> int:
    """The smallest number of classes for which all parts are defined that the attack has with ``n_classes`` classes."""
    return max(getattr(part, "classes_needed", 2) for part in parts_of(attack, n_classes).values())


def evaluate(
    net: nn.Module,
    data: Data,
    attack: Attack,
    *,
    seed: int,
    batch: int = 500,
    limit: int | None = None,
    index: Tensor | None = None,
    precision: str = "fp32",
    statistics: str = "running",
    resume: Outcome | None = None,
    after_part: Callable[[Outcome], None] = lambda outcome: None,
    progress: Callable[[str, int, int], None] = lambda part, done, of: None,
) -> Outcome:
    """Attacks the correctly classified examples among ``index`` of ``data`` (default: ``sample(len(data), limit)``).

    Attacks run on a copy of the network with BatchNorm folded, equal up to rounding (``folding``); on it, long PGD attacks
    stop early for images whose iterates repeat, with the result that all steps would give. Whether an image is fooled is
    always decided by the network itself. An image whose logits are NaN or infinite counts as wrong, with or without an
    attack.

    An attack made of ``parts`` (AutoAttack; the restarts of PGD) is run part by part; ``after_part`` gets the outcome so far,
    which can be passed back as ``resume``; ``progress`` is told the part, and how many of how many images are done. An
    example is fooled if any part fooled it: for the restarts of PGD that is never weaker than keeping the one of highest
    loss. Random numbers belong to the examples, not to their batch (except in AutoAttack's parts): another batch size changes
    the last digits of sums, and an outcome only if it depends on those. A batch that does not fit into CUDA memory is halved
    and tried again.

    ``statistics`` "batch": see ``batch_statistics``. Every part then attacks every example, so that the batches stay the
    same. Raises ValueError for values out of range and for a ``resume`` of other examples or another attack.
    """
    _check(precision, statistics, batch, data.labels.device)
    index = (sample(len(data), limit) if index is None else index).to(data.labels.device)
    parts = parts_of(attack, data.n_classes)
    keeping = buffers_restored if attacks_in_training_mode(attack) else nullcontext
    with _setting(net, index.device, precision, statistics):
        if resume is None:
            results = _clean(net, data, index, batch, statistics)
            done, notes = (), ()
            if isinstance(attack, InTurn) and len(index):
                notes = tuple(doubts(net, data, index, seed, batch))
            if isinstance(attack, AutoAttack) and "apgd-t" not in parts:
                notes += (f"With {data.n_classes} classes {', '.join(parts)} alone are run, which is not AutoAttack.",)
        else:
            results, done, notes = _resumed(resume, index, tuple(parts)), resume.parts, resume.notes
        left = len(done) < len(parts)
        copy = _attacked(net, attack, data, index, precision, statistics) if left else net
        for number, (name, part) in enumerate(parts.items()):
            if number < len(done):
                continue

            def spend(where: Tensor, part=part, number=number) -> None:
                step = step_of(data, index[where], seed)
                step.aux[EACH_ALONE] = copy is not net
                with keeping(net):
                    x_adv = part(copy, step)
                _record(results, where, number, step, x_adv, net)

            attacked = results["correct"] | (statistics == "batch")
            where = attacked.nonzero().squeeze(1)
            _announce(data, index[where])
            _in_batches(spend, where, batch, statistics, partial(progress, name, of=len(where)))
            done += (name,)
            if name == "square" and number and (gain := (results["broken_by"] == number).float().mean()) > SQUARE_GAIN:
                notes += (f"Square, without gradients, broke another {gain:.1%} of the images.",)
            after_part(_outcome(index, results, done, notes))
    return _outcome(index, results, done, notes)


def transfer(
    sources: Mapping[str, nn.Module],
    targets: Mapping[str, nn.Module],
    attack: Attack,
    data: Data,
    *,
    seed: int,
    batch: int = 500,
    limit: int | None = None,
    clean: dict[str, dict[str, Tensor]] | None = None,
) -> dict[str, dict[str, Outcome]]:
    """Adversarial examples computed on each source network and tested on each target, in fp32: outcomes [target][source].

    Every example is attacked once per source, whether or not the source classifies it correctly. ``correct`` is about the
    target's prediction for the adversarial image only. ``over_sources`` gives Q-TART's mean and deviation (section 4.4.2).
    ``clean``: the targets' predictions for the clean images, from earlier calls on the same images; missing ones are added.
    """
    _check("fp32", "running", batch, data.labels.device)
    index = sample(len(data), limit).to(data.labels.device)
    keeping = buffers_restored if attacks_in_training_mode(attack) else nullcontext
    out: dict[str, dict[str, Outcome]] = {target: {} for target in targets}
    clean = {} if clean is None else clean
    for name in targets.keys() - clean.keys():
        with _setting(targets[name], index.device):
            clean[name] = _clean(targets[name], data, index, batch)
    for source, net in sources.items():
        results = {name: {key: value.clone() for key, value in clean[name].items()} for name in targets}
        with _setting(net, index.device):
            copy = _attacked(net, attack, data, index)

        def spend(where: Tensor, net=net, copy=copy, results=results) -> None:
            step = step_of(data, index[where], seed)
            with _setting(net, index.device), keeping(net):
                x_adv = attack(copy, step)
            for name, target in targets.items():
                with _setting(target, index.device):
                    _record(results[name], where, 0, step, x_adv, target, always=True)

        _announce(data, index)
        _in_batches(spend, torch.arange(len(index), device=index.device), batch)
        for name in targets:
            out[name][source] = _outcome(index, results[name], (type(attack).__name__,), ())
    return out


def _check(precision: str, statistics: str, batch: int, device: torch.device) -> None:
    if precision not in ("fp32", "bf16") or statistics not in ("running", "batch") or batch < 1:
        raise ValueError(
            f"precision {precision!r}, statistics {statistics!r}, batch {batch}; "
            "allowed: fp32 or bf16, running or batch, at least 1"
        )
    if precision == "bf16":
        say_emulation(device, "--precision fp32 is what reported numbers have")


@contextmanager
def _setting(
    net: nn.Module, device: torch.device, precision: str = "fp32", statistics: str = "running"
) -> Iterator[None]:
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    batches = batch_statistics(net) if statistics == "batch" else nullcontext()
    with eval_without_param_grad(net), exact_fp32(), autocast, batches:
        yield


def _attacked(
    net: nn.Module, attack: Attack, data: Data, index: Tensor, precision: str = "fp32", statistics: str = "running"
) -> nn.Module:
    """The network to attack: a folded copy if the attack runs in fp32 and reads nothing but logits, else ``net`` itself."""
    own = (getattr(a, way, False) for a in (attack, getattr(attack, "attack", None)) for way in OWN_WAYS)
    if precision != "fp32" or statistics != "running" or any(own) or not len(index):
        return net
    return folded(net, step_of(data, index[:PROBE], 0).x)


def step_of(data: Data, index: Tensor, seed: int) -> Step:
    """The step of these examples for an attack, with the random numbers of these examples."""
    x, y = data.batch(index, 0)
    x = x.contiguous(memory_format=torch.channels_last)
    return Step(0, index, x, y, torch.ones_like(index, dtype=torch.float32), Draws(seed, 0, index))


def _announce(data: Data, index: Tensor) -> None:
    """Announces the next examples to a data set that is read from files, so that it reads them while the network computes."""
    if getattr(data, "reads_on_cpu", False):
        data.prefetch(index.cpu(), 0)


def fitting(work: Callable[[int], T], batch: int) -> T:
    """``work(batch)``; if that runs out of CUDA memory, with half the batch, and so on. Raises the error of batch 1."""
    while True:
        try:
            return work(batch)
        except RuntimeError as error:
            if batch == 1 or not is_out_of_memory(error):
                raise
        batch //= 2  # outside the handler, whose traceback keeps the failed batch alive
        torch.cuda.empty_cache()


def doubts(net: nn.Module, data: Data, index: Tensor, seed: int, batch: int) -> list[str]:
    """The doubts of ``sanity`` for the first ``batch`` examples, or for as many of them as fit into CUDA memory."""

    def said(batch: int) -> list[str]:
        step = step_of(data, index[:batch], seed)
        return sanity(net, step.x, step.y)

    return fitting(said, batch)


def batch_of(size: int) -> int:
    """Number of images attacked at once: 500 of up to 64 x 64 pixels; of larger ones, ``size`` x ``size``, as many as have the
    same number of pixels.

    Random numbers do not depend on it, except in AutoAttack's parts, which draw for a whole batch.
    """
    return max(8, min(500, 500 * 64**2 // size**2))


def _in_batches(
    work: Callable[[Tensor], None],
    where: Tensor,
    batch: int,
    statistics: str = "running",
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Calls ``work`` on pieces of ``where``; a piece that runs out of CUDA memory is halved, and so are those after it."""

    def spend(batch: int) -> int:
        work(where[start : start + batch])
        return batch

    start = 0
    while start < len(where):
        batch = spend(batch) if statistics == "batch" else fitting(spend, batch)
        start += batch
        progress(min(start, len(where)))


@torch.no_grad()
def _clean(net: nn.Module, data: Data, index: Tensor, batch: int, statistics: str = "running"):
    """The outcome of each example before any attack, as tensors of length n."""
    results = {
        "label": data.labels[index],
        "predicted": torch.zeros_like(index),
        "correct": torch.zeros_like(index, dtype=torch.bool),
        "broken_by": torch.full_like(index, -1, dtype=torch.int16),
        **{name: torch.zeros(len(index), dtype=torch.float32, device=index.device) for name in ("loss", "linf", "l2")},
    }

    def look(where: Tensor) -> None:
        step = step_of(data, index[where], 0)
        results["predicted"][where], results["loss"][where] = _answers(net, step.x, step.y)

    _announce(data, index)
    _in_batches(look, torch.arange(len(index), device=index.device), batch, statistics)
    results["correct"] = results["predicted"] == results["label"]
    results["clean_correct"] = results["correct"].clone()
    return results


def _answers(net: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted classes [B], NOT_FINITE where a logit is NaN or infinite, and cross-entropies [B]."""
    z = net(x).float()
    predicted = torch.where(z.isfinite().all(1), z.argmax(1), NOT_FINITE)
    return predicted, F.cross_entropy(z, y, reduction="none")


@torch.no_grad()
def _record(
    results: dict, where: Tensor, number: int, step: Step, x_adv: Tensor, net: nn.Module, always: bool = False
) -> None:
    predicted, loss = _answers(net, x_adv, step.y)
    change = (x_adv - step.x).flatten(1)
    fooled, was = predicted != step.y, results["correct"][where]
    counts = torch.ones_like(fooled) if always else was & (fooled | (loss > results["loss"][where]))
    now = {"predicted": predicted, "loss": loss, "linf": change.abs().amax(1), "l2": change.norm(dim=1)}
    for name, value in now.items():
        results[name][where] = torch.where(counts, value, results[name][where])
    results["broken_by"][where] = torch.where(was & fooled, number, results["broken_by"][where]).to(torch.int16)
    results["correct"][where] = ~fooled if always else was & ~fooled


def _outcome(index: Tensor, results: dict[str, Tensor], parts: tuple[str, ...], notes: tuple[str, ...]) -> Outcome:
    """The outcome so far; a copy, since ``results`` changes with every part."""
    arrays = {name: value.cpu().numpy().copy() for name, value in {"index": index, **results}.items()}
    return Outcome(**arrays, parts=parts, notes=notes)


def _resumed(outcome: Outcome, index: Tensor, parts: tuple[str, ...]) -> dict[str, Tensor]:
    if not np.array_equal(outcome.index, index.cpu().numpy()):
        raise ValueError("cannot resume: the outcome belongs to other examples")
    if outcome.parts != parts[: len(outcome.parts)]:
        raise ValueError(f"cannot resume: the outcome has {outcome.parts}, the attack {parts}")
    arrays = {k: v for k, v in vars(outcome).items() if k not in ("index", "parts", "notes")}
    return {k: torch.from_numpy(v.copy()).to(index.device) for k, v in arrays.items()}
