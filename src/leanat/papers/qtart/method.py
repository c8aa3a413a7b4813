"""Q-TART (Ganesh et al. 2022, arXiv 2204.07024): removes, once, the training examples that are most susceptible to noise.

    Method(CrossEntropy(smoothing=0.7), Clean(), Once(tau=50, Instability(gamma=125, filters=17)))

Equation 3, the masked mean of the smoothed cross-entropy, is the loop's weighted mean with weight 1 on the kept examples.
The authors published no code. ``experiments.py`` and the functions here say what is assumed if the text leaves something
open: 0.5 is the standard deviation of the noise, features are computed in evaluation mode from images without augmentation,
and H, the sensitivity and the Gaussian window are as below.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from annotated_types import Ge
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from leanat.core.component import component
from leanat.core.nouns import Data, Run, Split, Subset, eval_without_param_grad
from leanat.core.planned import Planned
from leanat.core.rng import Draws
from leanat.selection.basic import all_but_top, everyone, unweighted

SHORTCUTS = {"shortcut", "downsample"}  # names, here and in timm, of the shortcuts of residual networks


class ConvLayer(NamedTuple):
    """A convolution, and the layers of the network that compute and read its features."""

    name: str
    conv: nn.Conv2d
    norm: nn.Module | None  # normalises its output before the activation
    first: int  # position of its first filter among the channels that the reader sees
    channels: int  # number of channels that the reader sees
    reader: nn.Conv2d | nn.Linear  # the following layer


def layers(net: nn.Module, x: Tensor) -> list[ConvLayer]:
    """The L convolutions of ``net.body`` in the order in which they act on ``x`` [B, C, H, W]; shortcuts do not count as layers.

    A convolution's normalisation is the next BatchNorm or GroupNorm whose input channels contain its output, even if the
    output is first concatenated with others (DenseNet). Raises ValueError for a network without convolutions.
    """
    calls: list[tuple[str, nn.Module, Tensor, Tensor]] = []

    def note(name):
        def hook(module, inputs, output):
            calls.append((name, module, inputs[0].clone(), output.clone()))

        return hook

    kinds = (nn.Conv2d, nn.Linear, _BatchNorm, nn.GroupNorm)  # SyncBatchNorm too
    with ExitStack() as hooks, eval_without_param_grad(net), torch.no_grad():
        for name, module in net.named_modules():
            if isinstance(module, kinds) and not SHORTCUTS & set(name.split(".")):
                hooks.callback(module.register_forward_hook(note(name)).remove)
        net(x[:1])
    result: list[ConvLayer] = []
    for i, (name, module, _, output) in enumerate(calls):
        if isinstance(module, nn.Conv2d):
            later = next(j for j in range(i + 1, len(calls)) if isinstance(calls[j][1], nn.Conv2d | nn.Linear))
            norm, first, channels = None, 0, output.shape[1]
            for _, candidate, read, _ in calls[i + 1 : later]:
                if norm is None and (place := _place(output, read)) is not None:
                    norm, first, channels = candidate, place, read.shape[1]
            result.append(ConvLayer(name, module, norm, first, channels, calls[later][1]))
    if not result:
        raise ValueError("Q-TART needs a network with convolutions")
    return result


def _place(part: Tensor, whole: Tensor) -> int | None:
    """The first channel of ``part`` within ``whole``, or None if ``whole`` does not contain it."""
    if whole.shape[2:] != part.shape[2:]:
        return None
    width = part.shape[1]
    starts = (whole == part[:, :1]).flatten(2).all(2).all(0).nonzero()[:, 0].tolist()
    return next((s for s in starts if whole[:, s : s + width].equal(part)), None)


def sensitivity(layer: ConvLayer) -> Tensor:
    """The sum of |W^(l+1)[:, m]| over the weights of the following layer that read filter m, scaled to a maximum of 1: [O].

    Section 3.3.3 thresholds the sensitivity of its reference 31, which gives no formula; this formula is assumed.
    """
    weight = layer.reader.weight.detach().abs()
    if isinstance(layer.reader, nn.Linear):  # a flattened map, in which the positions of a channel are adjacent
        read = weight.reshape(len(weight), layer.channels, -1).sum((0, 2))
    else:  # only the filters of group g read the input channels of group g
        read = weight.reshape(layer.reader.groups, -1, *weight.shape[1:]).sum((1, 3, 4)).flatten()
    if len(read) != layer.channels:
        raise ValueError(f"layer {layer.name} gives {layer.channels} channels, the next one reads {len(read)}")
    read = read[layer.first : layer.first + layer.conv.out_channels]
    return read / read.max().clamp_min(1e-30)


def sensitive(layer: ConvLayer, filters: int) -> Tensor:
    """The ``filters`` most sensitive filters of a layer (all, if it has no more), ascending: O~ of section 3.3.3."""
    return sensitivity(layer).argsort(descending=True, stable=True)[:filters].sort().values


def project(f: Tensor) -> Tensor:
    """H of eq. 6: features [B, O, h, w] averaged to at most 4x4 positions, [B, O, P]; to one if h w <= 4 (assumed)."""
    h, w = f.shape[2:]
    places = 1 if h * w <= 4 else (min(h, 4), min(w, 4))
    return F.adaptive_avg_pool2d(f, places).flatten(2)


@contextmanager
def features(chosen: dict[ConvLayer, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Within this context each forward pass stores H(f) [B, kept, P] of each layer's chosen filters in the yielded dictionary.

    Equations 1 and 5: f = sigma(W x + b). W and b include the normalisation, which is affine in evaluation mode, and sigma is
    the ReLU, which in a residual block is applied here before the addition.
    """
    projections: dict[str, Tensor] = {}

    def note(layer, filters):
        def hook(module, inputs, output):
            projections[layer.name] = project(output[:, filters + layer.first].float().relu())

        return hook

    with ExitStack() as hooks:
        for layer, filters in chosen.items():
            hooks.callback((layer.norm or layer.conv).register_forward_hook(note(layer, filters)).remove)
        yield projections


@contextmanager
def noisy(net: nn.Module, noise: Tensor) -> Iterator[None]:
    """Within this context ``noise`` is added to the normalised image (section 3.3.2)."""
    hook = net.normalise.register_forward_hook(lambda module, inputs, output: output + noise)
    try:
        yield
    finally:
        hook.remove()


def distances(
    net: nn.Module, data: Data, draws: Draws, noise: float, chosen: dict[ConvLayer, Tensor], batch: int
) -> list[Tensor]:
    """Eq. 6: ||H(f(x_i)) - H(f(x_i + delta_i))||_2 of the examples of ``draws``, [n, kept] for each chosen layer.

    delta_i is normal with mean 0 and standard deviation ``noise``. Two forward passes per batch; only distances are stored.
    """
    rows: list[list[Tensor]] = []
    data.prefetch(draws.index, 0)
    with eval_without_param_grad(net), torch.no_grad(), features(chosen) as projections:
        for index in draws.index.split(batch):
            x, _ = data.batch(index, 0)
            net(x)
            clean = dict(projections)
            with noisy(net, noise * draws.of(index).normal("qtart", *x.shape[1:])):
                net(x)
            rows.append([(clean[layer.name] - projections[layer.name]).norm(dim=2) for layer in chosen])
    return [torch.cat(parts) for parts in zip(*rows, strict=True)]


def normalised(delta: Tensor) -> Tensor:
    """Eq. 7: distances [n, M] scaled to [0, 1] over the samples, filter by filter; a constant filter becomes 0.

    The equation prints the index (n, 1), but the text says "channel-wise", so (n, m) is used.
    """
    low, high = delta.aminmax(dim=0)
    return (delta - low) / torch.where(high > low, high - low, 1)


Window = Literal["last", "first_half", "second_half", "gaussian"]
WINDOWS = get_args(Window)


def window(name: str, count: int) -> Tensor:
    """alpha of eq. 9 for L = ``count`` layers, float32 [L]: 1_L, 1_{1:L/2}, 1_{L/2:L} (bounds included), or a gaussian.

    The gaussian is exp(-z^2 / 2) at L equidistant values z from -2 to 2 (assumed; the paper prints N(0, 1)).
    """
    number = torch.arange(1, count + 1)
    match name:
        case "last":
            alpha = number == count
        case "first_half":
            alpha = number <= max(count / 2, 1)
        case "second_half":
            alpha = number >= count / 2
        case "gaussian":
            alpha = torch.exp(-torch.linspace(-2, 2, count).square() / 2)
        case _:
            raise ValueError(f"window {name!r}; allowed: {', '.join(WINDOWS)}")
    return alpha.float()


def instability(deltas: list[Tensor], alpha: list[float]) -> Tensor:
    """Equations 8 and 9: xi_i, the sum over layers of alpha times the mean normalised distance over filters, [n]."""
    return sum(a * normalised(d).mean(1) for a, d in zip(alpha, deltas, strict=True))


def worst_labels(deltas: list[Tensor], alpha: list[float], y: Tensor, count: int) -> Tensor:
    """Appendix A, first phase: the ``count`` labels of highest mean distance (eq. 6, not normalised), int64 [count]."""
    distance = sum(a * d.mean(1) for a, d in zip(alpha, deltas, strict=True))
    labels = y.unique()
    mean = torch.stack([distance[y == label].mean() for label in labels])
    return labels[mean.argsort(descending=True, stable=True)[:count]]


@component("instability")
class Instability:
    """Selects all examples but the ``gamma`` of highest instability xi (eq. 11); for use in ``Once(tau, ...)``.

    ``gamma``: number of examples. ``filters``: number of filters used per layer. ``noise``: standard deviation, on the normalised
    image. ``labels``: appendix A's variant in two phases, which searches only so many labels of highest mean distance (10).
    """

    gamma: Annotated[int, Ge(0), Field(description="0 or more examples")]
    filters: PositiveInt
    noise: NonNegativeFloat = 0.5
    window: Window = "last"
    labels: PositiveInt | None = None

    def __call__(self, run: Run, split: Split) -> Subset:
        xi = self.scores(run, split.train)
        if self.labels is not None and self.gamma > (among := int((xi >= 0).sum())):
            raise ValueError(f"gamma {self.gamma}, but the {self.labels} worst labels have {among} examples")
        return unweighted(all_but_top(xi, self.gamma))

    def planned(self, epoch: int, epochs: int, examples: int) -> Planned:
        return Planned(1 - self.gamma / examples, True)

    def scores(self, run: Run, data: Data) -> Tensor:
        """xi of every example at this epoch of a run."""
        return self.of(run.net, data, run.draws(everyone(data)), run.recipe.batch)

    def of(self, net: nn.Module, data: Data, draws: Draws, batch: int) -> Tensor:
        """xi of every example, float32 [N]; with ``labels``, -1 for examples of other labels. Two forward passes over the set.

        ``draws``: the random numbers of all examples, for the noise.
        """
        index, data = everyone(data), data.plain()
        convolutions = layers(net, data.batch(index[:1], 0)[0])
        alpha = window(self.window, len(convolutions)).tolist()
        chosen = {layer: sensitive(layer, self.filters) for layer, a in zip(convolutions, alpha, strict=True) if a}
        alpha = [a for a in alpha if a]
        deltas = distances(net, data, draws, self.noise, chosen, batch)
        if self.labels is None:
            return instability(deltas, alpha)
        among = torch.isin(data.labels, worst_labels(deltas, alpha, data.labels, self.labels))
        xi = torch.full((len(index),), -1.0, device=index.device)
        xi[among] = instability([d[among] for d in deltas], alpha)  # eq. 7 over the samples of these labels
        return xi
