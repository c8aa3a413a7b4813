"""The LPIPS distance as PAT uses it, and the projection into a ball of it.

Laidlaw, Singla and Feizi, "Perceptual Adversarial Robustness: Defense Against Unseen Threat Models" (ICLR 2021); the
constants are those of the authors' code.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from leanat.attacks.threat import per_example
from leanat.core.nouns import eval_without_param_grad

Features = Callable[[Tensor], Tensor]  # x [B, C, H, W] -> phi(x) [B, F]

_OVERSHOOT = 0.1  # of a Newton step, both added and multiplied, as in the authors' code
_NEWTON, _BISECTION = 10, 10  # iterations


class Lpips:
    """The features phi whose Euclidean distance is the LPIPS distance of PAT, unweighted.

    Each layer's activations [B, C, h, w] are scaled to unit length over the channels and divided by sqrt(h w), then
    concatenated. ``layers`` names sub-modules of ``net``; None: the stages of a residual network, as in PAT, or else every ReLU
    whose output is a feature map. Autocast is off, since the attacks compute finite differences. Modes, parameters
    and gradients of ``net`` stay as they are. Raises ValueError if there is no such layer.
    """

    def __init__(self, net: nn.Module, layers: tuple[str, ...] | None = None):
        named = dict(net.named_modules())
        if layers is None:
            body = {name: module for name, module in named.items() if name.startswith("body.")}
            layers = tuple(name for name in body if re.fullmatch(r"body\.(stage|layer)\d+", name))
            layers = layers or tuple(name for name, module in body.items() if isinstance(module, nn.ReLU))
        unknown = [name for name in layers if name not in named]
        if unknown or not layers:
            reason = f"no sub-module {unknown[0]!r}" if unknown else "no stage and no ReLU in its body"
            raise ValueError(f"LPIPS on {type(net).__name__}: {reason}; name feature maps of the network in layers")
        self.net = net
        self.layers = tuple(layers)

    def __call__(self, x: Tensor) -> Tensor:
        """phi(x) [B, F] for x [B, C, H, W] in [0, 1]."""
        return self._run(x, self.net.features)[0]

    def with_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """phi(x) [B, F] and the logits [B, K], in one pass."""
        return self._run(x, self.net)

    def distance(self, x: Tensor, other: Tensor) -> Tensor:
        """d(x, other) [B]."""
        return (self(x) - self(other)).norm(dim=1)

    def _run(self, x: Tensor, forward: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        seen: list[Tensor] = []

        def see(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if output.dim() == 4:  # a ReLU between linear layers is not part of the distance
                seen.append(output)

        hooks = [self.net.get_submodule(name).register_forward_hook(see) for name in self.layers]
        try:
            with eval_without_param_grad(self.net), torch.autocast(x.device.type, enabled=False):
                out = forward(x)
        finally:
            for hook in hooks:
                hook.remove()
        if not seen:
            raise ValueError(f"LPIPS on {type(self.net).__name__}: no layer of {self.layers} gives a feature map")
        return torch.cat([_normalised(a) for a in seen], dim=1), out


def _normalised(a: Tensor) -> Tensor:
    # vector_norm has gradient 0 where all channels are 0; the square root of the sum of squares has NaN there
    length = torch.linalg.vector_norm(a, dim=1, keepdim=True) + 1e-10
    return (a / (length * (a.shape[2] * a.shape[3]) ** 0.5)).flatten(1)


def length(x: Tensor) -> Tensor:
    """The Euclidean length [B] of each image [B, C, H, W]."""
    return x.flatten(1).norm(dim=1)


def project(lpips: Features, bound: float, x: Tensor, x_adv: Tensor) -> Tensor:
    """Brings x_adv [B, C, H, W] into the LPIPS ball of ``bound`` round x, and into [0, 1].

    It takes at most 10 Newton steps on the distance, with an overshoot. An example that is still outside goes to the last point
    inside the ball that bisection finds on the segment from x to its start. (The authors' code bisects for the whole batch,
    and takes the last point even if it is outside.)
    """
    with torch.no_grad():
        phi, start = lpips(x), x_adv.clamp(0, 1)
    x_adv, outside = start, torch.arange(len(x), device=x.device)
    for i in range(_NEWTON + 1):
        point = x_adv[outside].detach().requires_grad_()
        with torch.enable_grad():
            d = (lpips(point) - phi[outside]).norm(dim=1)
            total = d.sum()
        beyond = d.detach() > bound
        if i == _NEWTON or not beyond.any():
            outside = outside[beyond]
            break
        (g,) = torch.autograd.grad(total, point)
        point, d, g, outside = (v.detach()[beyond] for v in (point, d, g, outside))
        far = (d - bound + _OVERSHOOT) * (1 + _OVERSHOOT) / length(g).square().clamp_min(1e-12)
        x_adv = x_adv.index_copy(0, outside, (point - per_example(far, g) * g).clamp(0, 1))
    return _bisected(lpips, bound, x, start, x_adv, phi, outside) if len(outside) else x_adv


@torch.no_grad()
def _bisected(
    lpips: Features, bound: float, x: Tensor, start: Tensor, x_adv: Tensor, phi: Tensor, outside: Tensor
) -> Tensor:
    x, start, phi = x[outside], start[outside], phi[outside]
    inside = torch.zeros(len(outside), device=x.device, dtype=x.dtype)
    for i in range(1, _BISECTION + 1):
        share = inside + 0.5**i
        within = (lpips(torch.lerp(x, start, per_example(share, x))) - phi).norm(dim=1) <= bound
        inside = torch.where(within, share, inside)
    return x_adv.index_copy(0, outside, torch.lerp(x, start, per_example(inside, x)))
