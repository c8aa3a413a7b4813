"""VGG, MobileNet-V1, AlexNet and DenseNet: bodies, as in ``residual``, without operations in place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leanat.models.residual import he, pooled

VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
MOBILENET = (  # channels and stride of each separable convolution
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)


def vgg(channels: int, plan: Sequence[int | str], hidden: int, stem_stride: int = 1) -> nn.Module:
    """VGG with BatchNorm (Simonyan and Zisserman, ICLR 2015), then average pooling and one hidden layer with BatchNorm.

    The Q-TART paper gives no details; the hidden layer is that of MINT, by the same group (512 to 512, BatchNorm, ReLU).
    MINT flattens the last map, which is 1x1 for 32x32 images; the pooling extends that to other sizes.
    """
    layers: list[nn.Module] = []
    stride = stem_stride
    for width in plan:
        if width == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, stride, 1), nn.BatchNorm2d(width), nn.ReLU()]
            channels, stride = width, 1
    tail = nn.Sequential(nn.Linear(channels, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
    return nn.Sequential(
        OrderedDict(convs=nn.Sequential(*layers), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), hidden=tail)
    )


def vgg_imagenet(channels: int) -> nn.Module:
    """VGG-16 with BatchNorm for 224x224 images: pool to 7x7, two hidden layers of 4096 with dropout."""
    net = vgg(channels, VGG16, 1)
    net.pool = nn.AdaptiveAvgPool2d(7)
    net.hidden = nn.Sequential(
        *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5)),
    )
    return net


def mlp(channels: int, side: int, hidden: int) -> nn.Module:
    """Two hidden layers with BatchNorm on the pixels; images of another size are pooled or repeated to ``side``."""
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(side), nn.Flatten()]
    for width in (channels * side**2, hidden):
        layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
    return nn.Sequential(*layers)


def _conv_norm_relu(cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(cout), nn.ReLU()]


def mobilenet(channels: int, stem: int, plan: Sequence[tuple[int, int]], stem_stride: int = 1) -> nn.Module:
    """MobileNet-V1 (Howard et al. 2017): for each entry of ``plan`` a depthwise 3x3 and a pointwise convolution."""
    layers = OrderedDict(stem=nn.Sequential(*_conv_norm_relu(channels, stem, 3, stem_stride)))
    for i, (width, stride) in enumerate(plan, 1):
        depthwise = _conv_norm_relu(stem, stem, 3, stride, groups=stem)
        layers[f"separable{i}"] = nn.Sequential(*depthwise, *_conv_norm_relu(stem, width, 1))
        stem = width
    return pooled(layers)


def alexnet(
    channels: int, widths: Sequence[int], stem_stride: int, grid: int, hidden: Sequence[int], dropout: float
) -> nn.Module:
    """AlexNet for small images, as in PAT (Laidlaw et al., ICLR 2021): five 3x3 convolutions and no BatchNorm.

    ``grid``: side of the last map, to which larger maps are averaged. The initialisation is He's, because with PyTorch's
    default and no BatchNorm a short training makes no progress.
    """
    convs: list[nn.Module] = []
    for i, width in enumerate(widths):
        convs += [nn.Conv2d(channels, width, 3, stem_stride if i == 0 else 1, 1), nn.ReLU()]
        convs += [nn.MaxPool2d(2)] if i in (0, 1, 4) else []
        channels = width
    layers = OrderedDict(convs=nn.Sequential(*convs), pool=nn.AdaptiveAvgPool2d(grid), flatten=nn.Flatten())
    width = channels * grid * grid
    for i, units in enumerate(hidden, 1):
        layers[f"hidden{i}"] = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, units), nn.ReLU())
        width = units
    return he(nn.Sequential(layers), "fan_in")


class DenseLayer(nn.Module):
    """BatchNorm, ReLU, 1x1 convolution to 4k channels; the same with 3x3 to k; concatenated to the input (DenseNet-BC)."""

    def __init__(self, cin: int, growth: int):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(cin), nn.Conv2d(cin, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(out)))], 1)


def densenet(channels: int, growth: int, blocks: Sequence[int], stem_stride: int = 1) -> nn.Module:
    """DenseNet-BC (Huang et al., CVPR 2017): 3x3 stem of 2k channels; every transition halves channels and side."""
    width = 2 * growth
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Conv2d(channels, width, 3, stem_stride, 1, bias=False))
    for i, n in enumerate(blocks, 1):
        layers[f"block{i}"] = nn.Sequential(*(DenseLayer(width + j * growth, growth) for j in range(n)))
        width += n * growth
        if i < len(blocks):
            half = nn.Conv2d(width, width // 2, 1, bias=False)
            layers[f"transition{i}"] = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), half, nn.AvgPool2d(2))
            width //= 2
    layers["last"] = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
    return pooled(layers)
