"""Residual networks: ResNet, pre-activation ResNet, wide ResNet, and Madry's wide ResNet.

Every builder returns a body, which maps standardised images [B, C, H, W] to features [B, D]. No operation works in place, so
that the outputs of convolutions can be kept and gradients can be differentiated again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


def _conv3(cin: int, cout: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, 3, stride, 1, bias=False)


def _conv1(cin: int, cout: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., CVPR 2016)."""

    def __init__(self, cin: int, cout: int, stride: int, norm: Norm = nn.BatchNorm2d):
        super().__init__()
        self.conv1, self.norm1 = _conv3(cin, cout, stride), norm(cout)
        self.conv2, self.norm2 = _conv3(cout, cout), norm(cout)
        same = stride == 1 and cin == cout
        self.shortcut = nn.Identity() if same else nn.Sequential(_conv1(cin, cout, stride), norm(cout))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, the first two a quarter as wide, beside a shortcut (He et al., CVPR 2016)."""

    def __init__(self, cin: int, cout: int, stride: int):
        super().__init__()
        inner = cout // 4
        self.conv1, self.norm1 = _conv1(cin, inner), nn.BatchNorm2d(inner)
        self.conv2, self.norm2 = _conv3(inner, inner, stride), nn.BatchNorm2d(inner)
        self.conv3, self.norm3 = _conv1(inner, cout), nn.BatchNorm2d(cout)
        same = stride == 1 and cin == cout
        self.shortcut = nn.Identity() if same else nn.Sequential(_conv1(cin, cout, stride), nn.BatchNorm2d(cout))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(x)))
        out = F.relu(self.norm2(self.conv2(out)))
        return F.relu(self.norm3(self.conv3(out)) + self.shortcut(x))


class PreActBlock(nn.Module):
    """Pre-activation block (He et al., ECCV 2016); a projection reads the activation, an identity the raw input.

    ``project``: a projection even if the shape stays the same.
    """

    def __init__(self, cin: int, cout: int, stride: int, project: bool = False):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(cin), _conv3(cin, cout, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(cout), _conv3(cout, cout)
        self.shortcut = _conv1(cin, cout, stride) if project or stride > 1 or cin != cout else None

    def forward(self, x: Tensor) -> Tensor:
        act = F.relu(self.norm1(x))
        out = self.conv2(F.relu(self.norm2(self.conv1(act))))
        return out + (x if self.shortcut is None else self.shortcut(act))


class MadryUnit(nn.Module):
    """Unit of Madry's wide ResNet: leaky ReLU of slope 0.1; the shortcut is average pooling and channels of zeros.

    ``shared``: the shortcut also reads the first activation (only in the network's first unit).
    """

    def __init__(self, cin: int, cout: int, stride: int):
        super().__init__()
        self.norm1, self.conv1 = _madry_norm(cin), _conv3(cin, cout, stride)
        self.norm2, self.conv2 = _madry_norm(cout), _conv3(cout, cout)
        self.stride, self.pad = stride, (cout - cin) // 2
        self.shared = False

    def forward(self, x: Tensor) -> Tensor:
        act = F.leaky_relu(self.norm1(x), 0.1)
        out = self.conv2(F.leaky_relu(self.norm2(self.conv1(act)), 0.1))
        x = act if self.shared else x
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride)
        return out + (F.pad(x, (0, 0, 0, 0, self.pad, self.pad)) if self.pad else x)


def _madry_norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)  # TensorFlow's default, as is the average's decay of .9 (here 1 - .9 = .1)


def _stages(
    block: Callable[[int, int, int], nn.Module], cin: int, widths: Sequence[int], units: Sequence[int]
) -> OrderedDict[str, nn.Module]:
    """The stages by name: stage i has ``units[i]`` blocks with ``widths[i]`` channels; each stage after the first halves the
    side.
    """
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (width, n) in enumerate(zip(widths, units, strict=True)):
        first = block(cin, width, 2 if i else 1)
        stages[f"stage{i + 1}"], cin = nn.Sequential(first, *(block(width, width, 1) for _ in range(1, n))), width
    return stages


def pooled(layers: OrderedDict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(**layers, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))


def he(body: nn.Module, mode: str) -> nn.Module:
    """The body with He's normal initialisation by ``mode`` (fan_in or fan_out) and biases of zero."""
    for module in body.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return body


def resnet(
    block: Callable[[int, int, int], nn.Module],
    channels: int,
    stem: int,
    widths: Sequence[int],
    units: Sequence[int],
    stem_stride: int = 1,
    norm: Norm = nn.BatchNorm2d,
) -> nn.Module:
    """ResNet for small images: 3x3 stem, no max-pool, each stage after the first halves the side."""
    layers = OrderedDict(stem=nn.Sequential(_conv3(channels, stem, stem_stride), norm(stem), nn.ReLU()))
    layers.update(_stages(block, stem, widths, units))
    return pooled(layers)


def preact_resnet(
    channels: int,
    stem: int,
    widths: Sequence[int],
    units: Sequence[int],
    stem_stride: int = 1,
    project: bool = False,
    init: str | None = None,
) -> nn.Module:
    """Pre-activation ResNet with BatchNorm and ReLU before the pooling; with wide stages it is Zagoruyko's wide ResNet.

    ``init``: He's normal initialisation by fan_in or fan_out; None: PyTorch's default.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=_conv3(channels, stem, stem_stride))
    layers.update(_stages(partial(PreActBlock, project=project), stem, widths, units))
    layers["last"] = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU())
    body = pooled(layers)
    return body if init is None else he(body, init)


def madry_wrn(channels: int, stem: int, widths: Sequence[int], units: Sequence[int], stem_stride: int = 1) -> nn.Module:
    """Madry's wide ResNet (cifar10_challenge), the network of the saliency paper and of IGAM.

    Strided convolutions pad one pixel on every side, while TensorFlow pads only on the right and below.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=_conv3(channels, stem, stem_stride))
    layers.update(_stages(MadryUnit, stem, widths, units))
    layers["stage1"][0].shared = True
    layers["last"] = nn.Sequential(_madry_norm(widths[-1]), nn.LeakyReLU(0.1))
    return he(pooled(layers), "fan_out")
