"""The training loop that all papers share: budget, attack, objective, weighted mean, optimiser.

``core.nouns`` defines its terms.

    run = Run(net, Method(CrossEntropy(), PGD(Linf(8 / 255), 10, 2 / 255, "uniform"), Everything()), recipe, seed=0)
    train(run, Split(data, None))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from leanat.core import distributed
from leanat.core.meter import Meter, Stopped
from leanat.core.nouns import Data, Run, Split, Step, Subset, eval_without_param_grad, first_image, in_mode
from leanat.core.precision import exact_fp32, say_emulation, searching
from leanat.core.rng import key


def make_step(
    run: Run, data: Data, subset: Subset, where: slice | Tensor, view: int = 0, on_cpu: Tensor | None = None
) -> Step:
    """The step with the examples at the positions ``where`` of a subset, with this epoch's augmentation.

    ``on_cpu``: the subset's index on the CPU, for data that are read there. Copying it from the device would wait for all
    pending work.
    """
    index, weight = subset.index[where], subset.weight[where]
    x, y = data.batch(index if on_cpu is None else on_cpu[where], run.epoch, view)
    x, draws = x.contiguous(memory_format=torch.channels_last), run.draws(index, view)
    return Step(run.epoch, index, x, y, weight, draws, memory=run.memory, live=run.live)


def shuffled(run: Run, subset: Subset) -> Subset:
    """The subset in the order in which this epoch trains on it."""
    if not subset.shuffle:
        return subset
    order = run.draws(subset.index).bits("order").argsort()
    return Subset(subset.index[order], subset.weight[order])


def train_epoch(run: Run, split: Split, stop: Callable[[], bool] = lambda: False) -> dict[str, float]:
    """One pass over the examples that the method selects, or the rest of such a pass. Returns the epoch's row of the history.

    Raises NonFiniteLoss after the pass if a loss was not finite, and Stopped before a batch if ``stop()`` is True.
    """
    meter = run.meter or Meter()
    try:
        with meter.of(run.net, _dropout_seed(run, meter)):
            for step in batches(run, split, meter, stop):
                meter.add(one_step(run, step), step.weight.sum())
            loss = meter.mean(f"epoch {run.epoch}, batch {{}}, seed {run.seed}", run.method.replays)
    except Stopped:
        meter.gather()
        raise
    lr = run.opt.param_groups[0]["lr"] if meter.losses else 0.0
    run.meter = None
    run.epoch += 1
    row = {"epoch": run.epoch, "lr": lr, "loss": loss, "kept": len(run.subset.index), **meter.row()}
    for hook in run.method.hooks:
        row |= hook.columns(run)
    run.history.append(row)
    return row


def _dropout_seed(run: Run, meter: Meter) -> int:
    """The seed of torch's generators in this epoch; each process draws its own dropout masks for its part of the examples."""
    other = (distributed.rank(), len(meter.losses)) if distributed.rank() else ()
    return key(run.seed, "dropout", run.epoch, *other) & (2**63 - 1)


def batches(run: Run, split: Split, meter: Meter, stop: Callable[[], bool]) -> Iterator[Step]:
    """The steps of an epoch, or of the rest of one that was stopped midway; sets the learning rate before each.

    At the start of an epoch the hooks and the selector are called once. Each process gets its part of every mini-batch, each
    mini-batch comes ``Method.replays`` times, and a streamed data set reads the examples ahead.

    With ``drop_last`` an incomplete last mini-batch is dropped. A last mini-batch of one example is skipped if a BatchNorm
    cannot train on it (``needs_two``); with several processes, one with fewer examples than processes is skipped. Raises
    ValueError if no mini-batch is left.
    """
    method, recipe, begun = run.method, run.recipe, run.meter is not None
    for hook in method.hooks:
        (hook.resumed if begun else hook.on_epoch)(run, split)
    if not begun:
        run.subset = Subset(*distributed.broadcast_choice(lambda: method.selector(run, split), run.net, run.device))
        run.meter = meter
    order = shuffled(run, run.subset)
    n, least = len(order.index), recipe.batch if recipe.drop_last else distributed.size()
    lone = least == 1 and (recipe.batch == 1 or n % recipe.batch == 1) and needs_two(run.net, split.train)
    starts = range(0, n - (2 if lone else least) + 1, recipe.batch)
    if n and (not starts or (lone and recipe.batch == 1)):  # an empty subset is allowed: an epoch without training
        why = ", and a BatchNorm of this network takes no batch of one" if lone else ""
        raise ValueError(f"epoch {run.epoch}: {n} examples make no batch of {recipe.batch}{why}")
    places = [distributed.shard_slice(slice(s, min(s + recipe.batch, n))) for s in starts]
    first, last = len(meter.losses), len(places) * method.replays
    on_cpu = order.index.cpu() if getattr(split.train, "reads_on_cpu", False) else None
    index = order.index if on_cpu is None else on_cpu
    split.train.prefetch(torch.cat([index[:0], *(index[p] for p in places[first // method.replays :])]), run.epoch)
    for i in range(first, last):
        if i % method.replays == 0:
            if distributed.any_rank(stop(), run.device):
                raise Stopped(f"stopped in epoch {run.epoch} after {i} of {last} steps")
            fresh = make_step(run, split.train, order, places[i // method.replays], on_cpu=on_cpu)
        for group in run.opt.param_groups:
            group["lr"] = recipe.lr(run.epoch + i / last, recipe.epochs)
        yield replace(fresh, aux={})


def needs_two(net: nn.Module, data: Data) -> bool:
    """Whether a BatchNorm of the network gets one value per channel of an image, and so cannot train on a single image."""
    x = first_image(data)
    seen: list[nn.Module] = []

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0][0, 0].numel() == 1:
            seen.append(layer)

    hooks = [m.register_forward_pre_hook(look) for m in net.modules() if isinstance(m, _BatchNorm)]
    try:
        with eval_without_param_grad(net), torch.no_grad():
            net.forward(x.new_zeros(2, *x.shape[1:]))  # calling net itself would count as passes of the training
    finally:
        for hook in hooks:
            hook.remove()
    with in_mode(net, training=True):  # a network may keep some of its layers in evaluation mode
        return any(layer.training for layer in seen)


def one_step(run: Run, step: Step) -> Tensor:
    """Budget, attack, objective, weighted mean over the mini-batch, optimiser. Returns the loss, detached.

    cuDNN searches for the fastest algorithms only here, since selections, hooks and evaluations have batches of many sizes.
    """
    with searching(run.device, run.method.fixed_shapes):
        return _one_step(run, step)


def _one_step(run: Run, step: Step) -> Tensor:
    method, net = run.method, run.net
    with run.autocast():
        if method.budget is not None and (budget := method.budget(run, step)) is not None:
            step.steps, step.step_size = budget
        step.x_adv = _of_shape(method.attack(net, step), step.x, "the attack returns", "images")
        if not net.training:
            net.train()
        losses = method.objective(net, step)
        step.losses = _of_shape(losses, step.y, "the objective returns", "a loss for each example").float()
    loss = (step.weight * step.losses).sum() / distributed.all_reduce_sum(step.weight.sum())
    run.opt.zero_grad(set_to_none=True)
    loss.backward()
    distributed.add_gradients(net)
    for hook in method.hooks:
        hook.after_backward(run, step)
    if run.recipe.clip_value is not None:
        nn.utils.clip_grad_value_(net.parameters(), run.recipe.clip_value)
    run.opt.step()
    torch.clear_autocast_cache()  # inside a caller's autocast it would hold the weights as they were
    for hook in method.hooks:
        hook.after_step(run, step)
    return loss.detach()


def _of_shape(value: Tensor, like: Tensor, who: str, what: str) -> Tensor:
    """``value``, if it has the shape of ``like``. Raises ValueError otherwise, since torch might broadcast it silently."""
    if isinstance(value, Tensor) and value.shape == like.shape:
        return value
    got = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise ValueError(f"{who} {got}; {what}, {list(like.shape)}, is expected")


def train(
    run: Run,
    split: Split,
    after_epoch: Callable[[Run], bool | None] = lambda run: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Trains ``run`` from its current epoch to the last.

    ``after_epoch`` is called after each epoch and ends the training by returning True. ``stop`` is called before each batch;
    when it returns True, Stopped is raised.
    """
    if run.recipe.precision == "bf16":
        say_emulation(run.device, "recipe.precision: fp32 avoids this, and makes another run")
    with exact_fp32():
        if run.epoch == 0 and run.meter is None:
            for hook in run.method.hooks:
                run.memory[hook.name] = hook.start(run, split)
        while run.epoch < run.recipe.epochs:
            train_epoch(run, split, stop)
            if after_epoch(run):
                break
