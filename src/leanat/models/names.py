"""The names of the networks, and the function that builds a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial

import torch
from torch import nn

from leanat.core.rng import seeded
from leanat.models.classifier import Classifier, PerChannel, PerImage
from leanat.models.plain import MOBILENET, VGG16, alexnet, densenet, mlp, mobilenet, vgg, vgg_imagenet
from leanat.models.residual import BasicBlock, Bottleneck, madry_wrn, preact_resnet, resnet

_group_norm = partial(nn.GroupNorm, 4)


def _timm(name: str, channels: int, **options) -> nn.Module:
    try:
        import timm
    except (ImportError, RuntimeError, OSError) as error:
        raise ImportError(
            f"timm does not load beside torch {torch.__version__}; install the torchvision made for it: {error}"
        ) from error
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), 3)
        raise ValueError(f"timm has no network {name!r}" + (f"; nearest: {', '.join(near)}" if near else ""))
    body = timm.create_model(name, pretrained=False, num_classes=0, in_chans=channels, **options)
    for module in body.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    return body


# Bodies by name, as functions of (channels, stride of the stem); only small networks use the stride.
BODIES: dict[str, Callable[[int, int], nn.Module]] = {
    # The papers' networks for 32x32 images; larger images are pooled at the end.
    "vgg16": lambda c, s: vgg(c, VGG16, 512),
    "mobilenet": lambda c, s: mobilenet(c, 32, MOBILENET),
    "densenet": lambda c, s: densenet(c, 12, (6, 12, 24, 16)),
    "resnet18": lambda c, s: resnet(BasicBlock, c, 64, (64, 128, 256, 512), (2, 2, 2, 2)),
    "resnet50": lambda c, s: resnet(Bottleneck, c, 64, (256, 512, 1024, 2048), (3, 4, 6, 3)),
    "preact_resnet18": lambda c, s: preact_resnet(c, 64, (64, 128, 256, 512), (2, 2, 2, 2)),
    # The authors' code of sat: twice as wide except in the last stage, and a 1x1 projection in every block.
    "preact_resnet18_wide": lambda c, s: preact_resnet(
        c, 64, (128, 256, 512, 512), (2, 2, 2, 2), project=True, init="fan_in"
    ),
    "wrn32_10": lambda c, s: madry_wrn(c, 16, (160, 320, 640), (5, 5, 5)),
    "wrn34_10": lambda c, s: preact_resnet(c, 16, (160, 320, 640), (5, 5, 5), init="fan_out"),
    "wrn16_4": lambda c, s: preact_resnet(c, 16, (64, 128, 256), (2, 2, 2), init="fan_out"),
    "alexnet_cifar": lambda c, s: alexnet(c, (64, 192, 384, 256, 256), 2, 2, (4096, 4096), 0.5),
    "mlp": lambda c, s: mlp(c, 32, 512),  # for sat, to rank examples
    # The papers' networks for images of ImageNet's size.
    "vgg16_imagenet": lambda c, s: vgg_imagenet(c),
    "mobilenet_imagenet": lambda c, s: _timm("mobilenetv1_100", c),
    "densenet_imagenet": lambda c, s: _timm("densenet121", c),
    "resnet50_imagenet": lambda c, s: _timm("resnet50", c, zero_init_last=False),
    # The same blocks on half the image side, for all of CIFAR-10 on a CPU: 0.3 million parameters; "wide": 1.2 million.
    "vgg_half": lambda c, s: vgg(c, (32, 32, "M", 64, 64, "M", 128, 128, "M"), 128, 2),
    "resnet_half": lambda c, s: resnet(BasicBlock, c, 32, (32, 64, 128), (1, 1, 1), 2),
    "resnet_half_wide": lambda c, s: resnet(BasicBlock, c, 64, (64, 128, 256), (1, 1, 1), 2),
    "preact_resnet_half": lambda c, s: preact_resnet(c, 32, (32, 64, 128), (1, 1, 1), 2),
    # The same blocks, about 20 to 80 thousand parameters, for 8x8 images and up.
    "vgg16_small": lambda c, s: vgg(c, (16, 16, "M", 32, 32, "M", 48, 48, "M"), 48, s),
    "mobilenet_small": lambda c, s: mobilenet(c, 16, ((32, 2), (64, 1), (128, 2), (128, 1)), s),
    "densenet_small": lambda c, s: densenet(c, 12, (1, 2, 2), s),
    "resnet18_small": lambda c, s: resnet(BasicBlock, c, 8, (8, 16, 32, 64), (1, 1, 1, 1), s),
    "resnet50_small": lambda c, s: resnet(Bottleneck, c, 16, (24, 48, 96), (1, 1, 1), s),
    "preact_resnet18_small": lambda c, s: preact_resnet(c, 16, (16, 32, 64), (1, 1, 1), s),
    "wrn_small": lambda c, s: madry_wrn(c, 16, (16, 32, 64), (1, 1, 1), s),
    "alexnet_small": lambda c, s: alexnet(c, (16, 32, 48, 32, 32), s, 1, (64,), 0.0),
    "resnet_tiny": lambda c, s: resnet(BasicBlock, c, 8, (8, 16, 32), (1, 1, 1), s),
    "resnet_tiny_gn": lambda c, s: resnet(
        partial(BasicBlock, norm=_group_norm), c, 8, (8, 16, 32), (1, 1, 1), s, _group_norm
    ),
    "resnet_78k": lambda c, s: resnet(BasicBlock, c, 16, (16, 32, 64), (1, 1, 1), s),
}


def build(
    name: str,
    n_classes: int,
    image_size: int,
    channels: int,
    seed: int,
    mean: Sequence[float],
    std: Sequence[float],
    standardise: str = "channel",
) -> Classifier:
    """A network whose weights depend only on ``seed``; the global generator is not changed.

    ``name`` is one of BODIES, or ``timm:<name>`` for any network of timm. The stem of a small network has stride 2 from
    16 pixels on and stride 4 from 32 on. ``standardise``: 'channel', by mean and std, or 'image', by each image's own values
    (see PerImage). Raises ValueError for an unknown name, impossible numbers, or images that the network cannot take, and
    ImportError if a network needs timm and timm does not load.
    """
    if name not in BODIES and not name.startswith("timm:"):
        near = get_close_matches(name, BODIES, 1, cutoff=0)[0]
        raise ValueError(f"unknown network {name!r}; nearest: {near}; allowed: {', '.join(BODIES)}, timm:<name>")
    if min(n_classes, image_size, channels) < 1:
        raise ValueError(f"n_classes {n_classes}, image_size {image_size}, channels {channels}; each is at least 1")
    if not len(mean) == len(std) == channels or not all(s > 0 for s in std):
        raise ValueError(f"mean {list(mean)} and std {list(std)} need {channels} numbers each, std above 0")
    if standardise not in ("channel", "image"):
        raise ValueError(f"standardise {standardise!r}; allowed: channel, image")
    with seeded(seed, "initialisation"):
        if name in BODIES:
            body = BODIES[name](channels, 1 if image_size < 16 else 2 if image_size < 32 else 4)
        else:
            body = _timm(name.removeprefix("timm:"), channels)
        head = nn.Linear(_width(name, body, (channels, image_size, image_size)), n_classes)
    normalise = PerChannel(mean, std) if standardise == "channel" else PerImage()
    return Classifier(normalise, body, head, (channels, image_size, image_size))


def _width(name: str, body: nn.Module, shape: tuple[int, int, int]) -> int:
    """The number D of features, found by a forward pass of one blank image."""
    body.eval()
    try:
        with torch.no_grad():
            phi = body(torch.zeros(1, *shape))
    except (RuntimeError, AssertionError) as error:
        size = "x".join(map(str, shape))
        raise ValueError(f"{name} cannot take {size} images: {str(error).splitlines()[0]}") from error
    body.train()
    return phi.shape[1]
