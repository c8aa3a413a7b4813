"""What every network is: standardisation, then a body that gives features, then a head that gives logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from leanat.core.nouns import eval_without_param_grad


class PerChannel(nn.Module):
    """(x - mean) / std, one mean and one standard deviation a channel, in units of [0, 1] pixels."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class PerImage(nn.Module):
    """Subtract the image's mean over channels and pixels, then divide by the L2 norm of the whole image.

    The saliency paper's input layer. A constant image becomes zero. The result does not depend on the scale of the
    pixels, [0, 1] or [0, 255].
    """

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean((1, 2, 3), keepdim=True)
        return x * x.square().sum((1, 2, 3), keepdim=True).clamp_min(1e-12).rsqrt()


class Classifier(nn.Module):
    """Logits [B, K] of images [B, C, H, W] in [0, 1]: ``head(body(normalise(x)))``.

    ``body`` gives the features phi [B, D]; ``head`` is linear and may be replaced. ``shape`` is (C, H, W) as built.
    """

    def __init__(self, normalise: nn.Module, body: nn.Module, head: nn.Module, shape: tuple[int, int, int]):
        super().__init__()
        self.normalise, self.body, self.head = normalise, body, head
        self.shape = shape

    def features(self, x: Tensor) -> Tensor:
        """phi [B, D], what the head reads."""
        return self.body(self.normalise(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def conv_outputs(net: nn.Module, x: Tensor, layers: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Outputs [B, O, h, w] of the Conv2d layers (all, or those named), by module name in forward order.

    One forward pass in the network's current mode; gradients flow unless the caller turned them off. Raises ValueError
    for a name that is no Conv2d of the network.
    """
    convs = {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}
    wanted = set(convs) if layers is None else set(layers)
    if unknown := wanted - set(convs):
        raise ValueError(f"no Conv2d named {', '.join(sorted(unknown))}; there are: {', '.join(convs)}")
    outputs: dict[str, Tensor] = {}

    def keep(name):
        # Returns nothing on purpose: what a forward hook returns would replace the layer's output.
        def hook(module, inputs, output):
            outputs[name] = output

        return hook

    with ExitStack() as hooks:
        for name in wanted:
            hooks.enter_context(convs[name].register_forward_hook(keep(name)))
        net(x)
    return outputs


def conv_layers(net: Classifier) -> list[str]:
    """Names of the Conv2d layers in forward order, found by passing one blank image."""
    with eval_without_param_grad(net), torch.no_grad():
        return list(conv_outputs(net, torch.zeros(1, *net.shape, device=next(net.parameters()).device)))
