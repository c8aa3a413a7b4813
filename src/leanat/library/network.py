"""Any network in the form that attacks, selection and the loop need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from leanat.core.compiler import eager
from leanat.core.errors import did_you_mean, is_out_of_memory
from leanat.core.nouns import eval_without_param_grad
from leanat.core.precision import exact_fp32
from leanat.library.checks import Channels, mean_std
from leanat.models.classifier import Copied, PerChannel


@contextmanager
def own_modes() -> Iterator[None]:
    """Within this context gradients are enabled and new tensors are float32, whatever the caller has set.

    Raises ValueError, one line, if a network passes no gradients to its images.
    """
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("does not require grad", "to not have been used")):
            raise
        raise ValueError(
            "the network gives no gradient, which this needs: it detaches its images or computes inside torch.no_grad()"
        ) from error
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def own_precision() -> Iterator[None]:
    """Within this context fp32 is exact and the caller's autocast, which would also affect backward passes, is off."""
    with ExitStack() as modes:
        modes.enter_context(exact_fp32())
        for device in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(device):
                modes.enter_context(torch.autocast(device, enabled=False))
        yield


class Wrapped(nn.Module):
    """A network of the user's as a function from images [B, C, H, W] in [0, 1] to logits [B, K]; it standardises the images.

    The network gets contiguous copies of the images and keeps the layout of its weights, so that its code may use views and
    compute in place. If it returns an object with ``logits``, as Hugging Face's classifiers do, these are used.
    """

    def __init__(self, net: nn.Module, mean: Channels | None, std: Channels | None, channels: int):
        super().__init__()
        if not isinstance(net, nn.Module):
            raise TypeError(f"net is a {type(net).__name__}; a torch.nn.Module is expected")
        if any(map(is_lazy, (*net.parameters(), *net.buffers()))):
            raise ValueError(
                "the network has layers that learn their size from the first images; call it on images first"
            )
        if any(tensor.is_inference() for tensor in (*net.parameters(), *net.buffers())):
            raise ValueError(
                "the network was made inside torch.inference_mode(), which allows no gradients; make it outside"
            )
        self.net, self.training = net, net.training
        self.device = device_of(net)
        mean_and_std = mean_std(mean, std, channels)
        self.normalise = Copied() if mean_and_std is None else PerChannel(*mean_and_std).to(self.device)
        self.labels_below = 0  # one more than the highest label, for which the network must have a logit
        self.n_classes = 0  # number of logits, set by ``prepared``
        self._head: list[nn.Linear] = []  # in a list, so that its parameters are not registered twice
        self._sought: tuple[str | None, Tensor]  # the arguments of the last ``find_head``
        self._no_head = "the last linear layer of this network was not looked for"

    def forward(self, x: Tensor) -> Tensor:
        try:
            output = self.net(self.normalise(x.contiguous()))
        except RuntimeError as error:
            kind = next((p.dtype for p in self.net.parameters() if p.is_floating_point()), x.dtype)
            if kind == x.dtype or torch.is_autocast_enabled(x.device.type):
                raise
            own, other = (str(dtype).removeprefix("torch.") for dtype in (kind, x.dtype))
            raise ValueError(
                f"the network is {own}, its images {other}; float32 is expected of both: net.float(), x.float()"
            ) from error
        z = output if isinstance(output, Tensor) else getattr(output, "logits", None)
        if not isinstance(z, Tensor) or z.dim() != 2 or len(z) != len(x):
            got = f"shape {list(z.shape)}" if isinstance(z, Tensor) else type(output).__name__
            raise ValueError(f"the network returns {got} for images {list(x.shape)}; logits [{len(x)}, K] are expected")
        if z.shape[1] < 2:
            raise ValueError("the network returns one logit per image; one for each class, at least 2, are expected")
        if z.shape[1] < self.labels_below:
            raise ValueError(f"y has the class number {self.labels_below - 1}; the network has {z.shape[1]} logits")
        if z.is_floating_point() and not torch.is_autocast_enabled(x.device.type):
            z = z.to(x.dtype)  # a network may return logits of another precision
        return z

    def classes_of(self, x: Tensor, what: str) -> int:
        """The number of logits for images x [B, C, H, W] of ``what``. Raises ValueError, one line, if the network fails."""
        try:
            with eval_without_param_grad(self), torch.no_grad():
                return self(x).shape[1]
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"the network does not take the images of {what}, {list(x.shape[1:])}: {reason}"
            ) from error

    def to(self, *args: Any, **kwargs: Any) -> Wrapped:
        """Like ``nn.Module.to``, but ignores a memory format, which would change the layout of the user's weights."""
        kwargs.pop("memory_format", None)
        return super().to(*args, **kwargs) if args or kwargs else self

    @property
    def head(self) -> nn.Linear:
        """The linear layer whose outputs are the logits. Raises ValueError, one line, if ``find_head`` has found none."""
        if not self._head:
            raise ValueError(self._no_head)
        return self._head[0]

    def find_head(self, layer: str | None, x: Tensor) -> None:
        """Finds ``head`` by a forward pass of images x [B, C, H, W]: the layer of that name, or any if ``layer`` is None.

        Raises ValueError, one line with the names of the linear layers, if ``layer`` is not among them.
        """
        self._head, self._sought = [], (layer, x)
        linear = {name: m for name, m in self.net.named_modules() if isinstance(m, nn.Linear)}
        if layer is not None and layer not in linear:
            raise ValueError(
                f"layer {layer!r}: no linear layer of the network has that name{did_you_mean(layer, linear)}"
            )
        with (
            eval_without_param_grad(self),
            torch.no_grad(),
            eager(),  # a compiled graph ignores hooks
            _outputs(linear) as seen,
        ):
            z = self(x)
        if not z.isfinite().all():
            self._no_head = "the network gives logits that are not finite"
            return
        for name in [layer] if layer is not None else list(seen)[::-1]:
            if name in seen and _gives(seen[name], z):
                self._head = [linear[name]]
                return
        what = "no linear layer gives" if layer is None else f"layer {layer!r} does not give"
        self._no_head = (
            f"{what} the logits {list(z.shape)} of the network, which a selection by gradients needs "
            f"(linear layers: {', '.join(linear) or 'none'})"
        )
        if layer is not None:
            raise ValueError(self._no_head)

    def follow_head(self) -> None:
        """Finds the head again if it is no longer part of the network. Raises the errors of ``find_head``."""
        if self._head and not any(module is self._head[0] for module in self.net.modules()):
            layer, x = self._sought
            self.find_head(layer, x.to(device_of(self.net)))


def _gives(output: Tensor, z: Tensor) -> bool:
    """Whether the logits equal the output of a layer, perhaps in another precision."""
    ways = (output.dtype, torch.float16, torch.bfloat16)
    return output.shape == z.shape and any(torch.equal(output.to(way).to(z.dtype), z) for way in ways)


@contextmanager
def _outputs(linear: dict[str, nn.Linear]) -> Iterator[dict[str, Tensor]]:
    """Within this context the outputs of the layers are recorded, by name, in the order of the calls."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen.pop(name, None)
            seen[name] = output

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in linear.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def device_of(net: nn.Module) -> torch.device:
    """The device of the network's first parameter or buffer; the CPU if it has none."""
    tensor: Tensor | None = next(net.parameters(), None)
    tensor = next(net.buffers(), None) if tensor is None else tensor
    return torch.device("cpu") if tensor is None else tensor.device
