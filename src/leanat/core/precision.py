"""What fp32 and bf16 mean on a device, and how a GPU computes the same bits twice.

By default torch rounds the operands of convolutions on a GPU to TF32, which has 10 bits of mantissa. Robust accuracies are
reported in fp32. The perceptual attacks take finite differences with a step of 1e-3, which TF32 rounds away, so that they
would show robustness that is not there.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch import nn

log = logging.getLogger("leanat")


def _switches() -> list[Any]:
    """The parts of torch that may round operands of fp32, each with its own ``fp32_precision``."""
    b = torch.backends
    return [b.cudnn.conv, b.cudnn.rnn, b.cuda.matmul, b.mkldnn.conv, b.mkldnn.matmul, b.mkldnn.rnn]


def _older_switch() -> bool:
    """``cudnn.allow_tf32``, which torch refuses to read where the switches of its parts differ from it."""
    try:
        return torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return False


@contextmanager
def exact_fp32() -> Iterator[None]:
    """Inside, fp32 convolutions and matrix products use all their bits; outside, torch's flags are as before.

    Whichever of torch's interfaces they were set by, the older ``allow_tf32`` or the newer ``fp32_precision``.
    """
    before, allowed = [switch.fp32_precision for switch in _switches()], _older_switch()
    if allowed:
        torch.backends.cudnn.allow_tf32 = False  # or reading it would raise inside
    for switch in _switches():
        switch.fp32_precision = "ieee"
    try:
        yield
    finally:
        if allowed:
            torch.backends.cudnn.allow_tf32 = True
        for switch, precision in zip(_switches(), before, strict=True):
            switch.fp32_precision = "none"  # then that of the whole holds, and follows it later on
            if switch.fp32_precision != precision:
                switch.fp32_precision = precision


@contextmanager
def searching(device: torch.device, fixed: bool) -> Iterator[None]:
    """Within this context cuDNN searches for the fastest algorithm of each shape if shapes are ``fixed``, else it would not pay.

    In deterministic mode it never searches: which algorithm is fastest may vary from run to run, and the bits with it.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = (
        device.type == "cuda" and fixed and not torch.are_deterministic_algorithms_enabled()
    )
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def deterministic() -> None:
    """Makes a GPU compute the same bits from the same inputs; to be called before its first use.

    torch then raises a RuntimeError that names the operator, where an operator has no algorithm of that kind.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True


def emulates_bf16(device: torch.device) -> bool:
    """Whether the device is a CPU without instructions for bf16, where each operation converts to fp32 and back."""
    if device.type != "cpu":
        return False
    return not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


@cache
def say_emulation(device: torch.device, instead: str) -> None:
    """Logs one line, once per process, before the first batch in bf16 on a device that emulates it; ``instead``: what to set."""
    if emulates_bf16(device):
        log.warning(
            "precision bf16: this CPU has no bf16 instructions and emulates them, 3 to 8 times slower than fp32; %s",
            instead,
        )


class _Cast:
    """Puts casts of a layer's frozen parameters, in autocast's type, in their place while the layer computes under autocast.

    Only then: if the network switches autocast off, or computes with the layer's weights itself, they are float32.
    """

    def __init__(self, layer: nn.Module, device: str, to: torch.dtype):
        self.layer, self.device, self.to = layer, device, to
        own = {name: p for name, p in layer._parameters.items() if p is not None and not p.requires_grad}
        self.own = {name: p for name, p in own.items() if p.dtype == torch.float32}
        self.cast: dict[str, Any] = {name: p.detach().to(to) for name, p in self.own.items()}

    def before(self, layer: nn.Module, inputs: Any) -> None:
        autocast = torch.is_autocast_enabled(self.device) and torch.get_autocast_dtype(self.device) == self.to
        if autocast and layer is self.layer:  # and no replica on another device
            layer._parameters.update(self.cast)

    def after(self, layer: nn.Module, inputs: Any, output: Any) -> None:
        if layer is self.layer:
            layer._parameters.update(self.own)

    @staticmethod
    def there(layer: nn.Module) -> bool:
        return any(isinstance(getattr(hook, "__self__", None), _Cast) for hook in layer._forward_pre_hooks.values())


@contextmanager
def cast_once(net: nn.Module) -> Iterator[None]:
    """Within this context, under autocast, the weights of convolutions and linear layers have been cast to its type once.

    This is for the many passes of an attack through a frozen network: autocast caches only its casts of weights that take
    gradients, and casts all others again in each pass. No bit differs. Nested in another ``cast_once`` it does nothing.
    """
    device = next((p.device.type for p in net.parameters()), "cpu")
    with ExitStack() as hooks:
        if torch.is_autocast_enabled(device):
            to = torch.get_autocast_dtype(device)
            for layer in net.modules():  # what derives from these two may compute with its weights
                if type(layer) in (nn.Conv2d, nn.Linear) and not _Cast.there(layer):
                    cast = _Cast(layer, device, to)
                    hooks.callback(layer.register_forward_pre_hook(cast.before).remove)
                    after = layer.register_forward_hook(cast.after, prepend=True, always_call=True)
                    hooks.callback(after.remove)
        yield
