"""One training on several processes, one per GPU, started by torchrun: each takes its part of every mini-batch.

Gradients are summed after the backward pass, not by DistributedDataParallel: attacks pass through the same network many times
per step without a gradient for its weights, and one sum per step costs little in comparison. The example weights of a
mini-batch are summed first, so the loss is that of one process. Without torchrun every function here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from leanat.core.errors import ConfigError, Ended

PATIENCE = timedelta(hours=12)  # the others wait while one of them selects


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Inside, the processes can communicate; yields the device of this one.

    The process group is closed only if all processes come to the end, or stop together. After an error of one process, closing
    it would wait for the others, which wait for this one (``ncclCommFinalize``); so the process just ends, and torchrun ends the
    rest. Raises ConfigError for a process without a GPU of its own, and if one GPU is named for all of them.
    """
    if not launched():
        yield device
        return
    if device.index is not None:
        raise ConfigError([f"device: {device} is one GPU, and each process needs its own; allowed: auto, cuda, cpu"])
    if device.type == "cuda":
        device, gpus = torch.device("cuda", int(os.environ["LOCAL_RANK"])), torch.cuda.device_count()
        if device.index >= gpus:
            raise ConfigError([f"process {device.index + 1} of this machine has no GPU: torch has {gpus} here"])
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield device
    except Ended:  # a signal, which the others may not have had
        raise
    except SystemExit:
        dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this process; process 0 writes the files."""
    return dist.get_rank() if dist.is_initialized() else 0


def shard_slice(where: slice) -> slice:
    """This process's part of a mini-batch, which must have at least one example for each process."""
    n = where.stop - where.start
    return slice(where.start + n * rank() // size(), where.start + n * (rank() + 1) // size())


def all_reduce_sum(value: Tensor) -> Tensor:
    """The sum over the processes."""
    if size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def all_gather(value: Any) -> list[Any]:
    """Gathers ``value`` (CPU tensors or numbers) from every process, in rank order."""
    values = [value] * size()
    if size() > 1:
        dist.all_gather_object(values, value)
    return values


def add_gradients(net: nn.Module) -> None:
    """Every parameter's gradient becomes the sum over the processes, in one message."""
    if size() == 1:
        return
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    flat = all_reduce_sum(torch.cat([g.flatten() for g in gradients]))
    for gradient, value in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(value.view_as(gradient))


def broadcast_from_rank0(make: Callable[[], tuple], device: torch.device) -> tuple:
    """Gives every process the tensors and numbers that ``make`` returns in process 0; the others do not call it."""
    if size() == 1:
        return make()
    values = [tuple(v.cpu() if isinstance(v, Tensor) else v for v in make()) if rank() == 0 else None]
    dist.broadcast_object_list(values, device=device)
    return tuple(v.to(device) if isinstance(v, Tensor) else v for v in values[0])


def broadcast_choice(make: Callable[[], tuple], net: nn.Module, device: torch.device) -> tuple:
    """Broadcasts a selection that process 0 makes with ``net``, and then the buffers of its network.

    The other processes wait meanwhile. Attacks and gradients in training mode use the BatchNorm statistics of process 0's own
    batches, and update the running ones, as on one GPU.
    """
    with alone(net):
        choice = broadcast_from_rank0(make, device)
    if size() > 1:
        for buffer in net.buffers():
            dist.broadcast(buffer, 0)
    return choice


@contextmanager
def alone(net: nn.Module) -> Iterator[None]:
    """Inside, SyncBatchNorm acts as BatchNorm: it waits for no other process, since none would answer."""
    layers = [layer for layer in net.modules() if isinstance(layer, nn.SyncBatchNorm)]
    for layer in layers:
        layer.forward = partial(_BatchNorm.forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process: all of them leave a training together or not at all."""
    return bool(all_reduce_sum(torch.tensor(float(flag), device=device))) if size() > 1 else flag


def check_trainable(names: Iterable[str], shared: Iterable[str], uneven: bool) -> None:
    """Raises ValueError on several processes if a hook is not in ``shared`` (its state would cover this process's examples
    only) or if the attack is ``uneven`` (``Method.uneven``: SyncBatchNorm would wait for processes that have no passes left).
    """
    if size() > 1 and uneven:
        why = "an attack in training mode whose examples take different numbers of steps"
        raise ValueError(f"{why}: does not train on several processes; leave out --processes")
    if size() > 1 and (wrong := sorted({*names} - {*shared})):
        raise ValueError(f"{', '.join(wrong)}: does not train on several processes; leave out --processes")


def prepared(net: nn.Module) -> nn.Module:
    """The network with BatchNorm over the whole mini-batch, which torch has only for GPUs."""
    on_gpu = next(net.parameters()).device.type == "cuda"
    return nn.SyncBatchNorm.convert_sync_batchnorm(net) if size() > 1 and on_gpu else net
