"""Colour augmentation in batches: colour jitter, lighting noise, and AutoAugment's policy for CIFAR.

Brightness, contrast, saturation and sharpness are one operation, ``factor * x + (1 - factor) * base``, with different
bases; invert, posterize, solarize, autocontrast and equalize are tables of 256 entries per channel; shear, translate and
rotate are affine maps. AutoAugment is therefore three steps for the whole batch, whatever the operation of each image.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated

import torch
from annotated_types import Interval
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn import functional as F

from leanat.core.component import component
from leanat.core.rng import Draws
from leanat.core.uploads import constant
from leanat.data.augment import per_image, unit, warp


def grey(x: Tensor) -> Tensor:
    """Luma [B, 1, H, W] by ITU-R 601-2; an image of one channel is returned unchanged."""
    if x.shape[1] == 1:
        return x
    weights = constant((0.2989, 0.587, 0.114), torch.float32, x.device).view(1, 3, 1, 1)
    return (x * weights).sum(1, keepdim=True)


@component("colour_jitter")
class ColorJitter:
    """Changes brightness, contrast and saturation by factors U(max(0, 1 - a), 1 + a), in a random order for each image.

    SAT and ACS's perceptual training use 0.25 for each (their code; the defaults of the robustness library).
    """

    brightness: NonNegativeFloat
    contrast: NonNegativeFloat
    saturation: NonNegativeFloat

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        amount = constant((self.brightness, self.contrast, self.saturation), torch.float32, x.device)
        low = (1 - amount).clamp(min=0)
        factors = low + draws.uniform("colour jitter", 3) * (1 + amount - low)
        return jitter(unit(x), factors, draws.bits("colour jitter order", 3).argsort(1))


def jitter(x: Tensor, factors: Tensor, order: Tensor) -> Tensor:
    """float32 [B, C, H, W] in [0, 1] after the operations ``order`` [B, 3]; 0 brightness, 1 contrast, 2 saturation.

    ``factors`` [B, 3] is indexed by operation. The result equals that of torchvision's functional on float images.
    """
    for operation in order.unbind(1):
        luma = grey(x)
        base = torch.where(per_image(operation == 1), luma.mean((2, 3), keepdim=True), luma)
        base = base * per_image(operation > 0)
        factor = per_image(factors.gather(1, operation[:, None]))
        x = torch.lerp(base.expand_as(x), x, factor).clamp_(0, 1)
    return x


# Principal components of the pixels of ImageNet's training images in [0, 1] (fb.resnet.torch): standard deviations along the
# axes, and the axes as columns, with a row per channel.
PCA_DEVIATIONS = (0.2175, 0.0188, 0.0045)
PCA_AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


@component("lighting")
class Lighting:
    """AlexNet's colour noise (Krizhevsky et al. 2012, section 4.1): adds one colour to the whole image, and clips.

    The colour is the sum of the principal axes of ImageNet's colours, each times its standard deviation times a normal number
    with standard deviation ``deviation``. For images of three channels.
    """

    deviation: NonNegativeFloat

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        axes = constant(PCA_AXES, torch.float32, x.device) * constant(PCA_DEVIATIONS, torch.float32, x.device)
        colour = (self.deviation * draws.normal("lighting", 3)) @ axes.T
        return (unit(x) + colour[:, :, None, None]).clamp_(0, 1)


GEOMETRY = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
BLENDS = ("Brightness", "Contrast", "Color", "Sharpness")
TABLES = ("Invert", "Posterize", "Solarize", "AutoContrast", "Equalize")
OPERATIONS = (*GEOMETRY, *BLENDS, *TABLES)

# Cubuk et al. 2019, Table 7: the best policy on CIFAR-10, twice (operation, probability, magnitude of ten) per sub-policy.
CIFAR_POLICY = """
Invert .1 7 Contrast .2 6        | Rotate .7 2 TranslateX .3 9       | Sharpness .8 1 Sharpness .9 3
ShearY .5 8 TranslateY .7 9      | AutoContrast .5 8 Equalize .9 2   | ShearY .2 7 Posterize .3 7
Color .4 3 Brightness .6 7       | Sharpness .3 9 Brightness .7 9    | Equalize .6 5 Equalize .5 1
Contrast .6 7 Sharpness .6 5     | Color .7 7 TranslateX .5 8        | Equalize .3 7 AutoContrast .4 8
TranslateY .4 3 Sharpness .2 6   | Brightness .9 6 Color .2 8        | Solarize .5 2 Invert .0 3
Equalize .2 0 AutoContrast .6 0  | Equalize .2 8 Equalize .6 4       | Color .9 9 Equalize .6 6
AutoContrast .8 4 Solarize .2 8  | Brightness .1 3 Color .7 0        | Solarize .4 5 AutoContrast .9 3
TranslateY .9 9 TranslateY .7 9  | AutoContrast .9 2 Solarize .8 3   | Equalize .8 8 Invert .1 3
TranslateY .7 9 AutoContrast .9 1
"""


def policy() -> tuple[Tensor, Tensor, Tensor]:
    """The 25 sub-policies: operations int64 [25, 2], probabilities and magnitudes (0 to 9) float32 [25, 2]."""
    words = CIFAR_POLICY.replace("|", " ").split()
    operations = torch.tensor([OPERATIONS.index(w) for w in words[::3]])
    numbers = [torch.tensor([float(w) for w in words[i::3]]) for i in (1, 2)]
    return operations.view(25, 2), numbers[0].view(25, 2), numbers[1].view(25, 2)


@cache
def _policy(size: int, device: torch.device) -> tuple[Tensor, ...]:
    """The sub-policies and the amounts of their magnitudes on the device, cached."""
    return tuple(t.to(device) for t in (*policy(), amounts(size)))


def amounts(size: int) -> Tensor:
    """float64 [14, 10]: the amounts for each operation's magnitudes 0 to 9 (the paper's Table 6, on torchvision's scale).

    They are slopes for shear, pixels for translation, degrees for rotation, factors minus one for blends, bits for posterize,
    and a threshold on 0..255 for solarize. Geometry and blends take either sign.
    """
    shear, blend, zero = torch.linspace(0, 0.3, 10), torch.linspace(0, 0.9, 10), torch.zeros(10)
    shift, turn = torch.linspace(0, 150 / 331 * size, 10).floor(), torch.linspace(0, 30, 10)
    bits, threshold = 8 - torch.linspace(0, 4, 10).round(), torch.linspace(255, 0, 10)
    return torch.stack([shear, shear, shift, shift, turn, *[blend] * 4, zero, bits, threshold, zero, zero]).double()


@component("auto_augment")
class AutoAugment:
    """AutoAugment's policy for CIFAR (Cubuk et al. 2019): one of 25 pairs of operations per image, on 256 levels.

    ``fill``: the level, of 256, that comes in from outside a sheared, shifted or rotated image (128 in DIHCL's code).
    """

    fill: Annotated[int, Interval(ge=0, le=255)] = 0

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        operations, probabilities, levels, values = _policy(x.shape[3], x.device)
        which = draws.integers("autoaugment policy", len(operations))
        chance = draws.uniform("autoaugment chance", 2)
        sign = (draws.bits("autoaugment sign", 2) < 0).float() * 2 - 1
        x = unit(x).mul(255).round_()
        for slot in (0, 1):
            operation = operations[which, slot]
            value = values[operation, levels[which, slot].long()]
            value = torch.where(operation < len(GEOMETRY) + len(BLENDS), value * sign[:, slot], value)
            x = operate(x, operation, value, chance[:, slot] <= probabilities[which, slot], self.fill)
        return x / 255


def operate(x: Tensor, operation: Tensor, value: Tensor, on: Tensor, fill: int = 0) -> Tensor:
    """Applies to each image of ``x`` [B, C, H, W] for which ``on`` [B] its own operation [B] of OPERATIONS with its value [B].

    ``x`` and the result are float32 with whole values 0..255; the result equals that of torchvision's functional on uint8.
    Geometry fills with ``fill``.
    """
    x, blends, tables = x.clone(), len(GEOMETRY), len(GEOMETRY) + len(BLENDS)
    functions = (lambda x, *rest: _move(x - fill, *rest) + fill, _blend, _look_up)
    kind = torch.where(on, (operation >= blends).long() + (operation >= tables), len(functions))
    # The only wait for the device; applying every operation to every image would take three times as long on a CPU.
    counts = F.one_hot(kind, len(functions) + 1).sum(0).tolist()
    for function, here in zip(functions, kind.argsort(stable=True).split(counts), strict=False):
        if len(here):
            x[here] = function(x[here], operation[here], value[here])
    return x


def _is(operation: Tensor, name: str) -> Tensor:
    return operation == OPERATIONS.index(name)


def _move(x: Tensor, operation: Tensor, value: Tensor) -> Tensor:
    def only(name: str) -> Tensor:
        return torch.where(_is(operation, name), value.float(), 0.0)

    height, width = x.shape[2:]
    shear_x, shear_y, turn = only("ShearX"), only("ShearY"), only("Rotate") * (math.pi / 180)
    # Shears keep the top left corner in its place; relative to the centre they therefore also shift.
    across = torch.stack((turn.cos(), shear_x - turn.sin(), shear_x * (height / 2) - only("TranslateX")), 1)
    down = torch.stack((shear_y + turn.sin(), turn.cos(), shear_y * (width / 2) - only("TranslateY")), 1)
    return warp(x, torch.stack((across, down), 1))


def _blend(x: Tensor, operation: Tensor, value: Tensor) -> Tensor:
    luma = grey(x).floor()
    kernel = torch.ones(x.shape[1], 1, 3, 3, device=x.device)
    kernel[:, :, 1, 1] = 5
    soft = x.clone()
    soft[:, :, 1:-1, 1:-1] = F.conv2d(x, kernel / 13, groups=x.shape[1]).round_()
    base = torch.where(per_image(_is(operation, "Contrast")), luma.mean((2, 3), keepdim=True), luma)
    base = base * per_image(~_is(operation, "Brightness"))
    base = torch.where(per_image(_is(operation, "Sharpness")), soft, base)
    factor = per_image(1 + value)
    return (factor.float() * x + (1 - factor).float() * base).clamp_(0, 255).floor_()


def _look_up(x: Tensor, operation: Tensor, value: Tensor) -> Tensor:
    levels = torch.arange(256, device=x.device, dtype=torch.float32)
    pixels = x.long().flatten(2)  # [B, C, H * W]
    low, high = pixels.amin(2).float()[..., None], pixels.amax(2).float()[..., None]
    stretched = ((levels - low) * (255 / (high - low))).clamp(0, 255).floor()
    value = value.float()[:, None, None]
    step = 2.0 ** (8 - value)
    candidates = {
        "Invert": 255 - levels,
        "Posterize": (levels / step).floor() * step,
        "Solarize": torch.where(levels >= value, 255 - levels, levels),
        "AutoContrast": torch.where(high > low, stretched, levels),
        "Equalize": _equalized(pixels, levels),
    }
    table = levels.expand(*x.shape[:2], 256)
    for name, candidate in candidates.items():
        table = torch.where(_is(operation, name)[:, None, None], candidate, table)
    return table.gather(2, pixels).view_as(x)


def _equalized(pixels: Tensor, levels: Tensor) -> Tensor:
    """Tables [B, C, 256] that equalise the histogram of ``pixels`` [B, C, n], by Pillow's rule."""
    counts = torch.zeros(*pixels.shape[:2], 256, dtype=torch.long, device=pixels.device)
    counts.scatter_add_(2, pixels, torch.ones((), dtype=torch.long, device=pixels.device).expand_as(pixels))
    brightest = counts.gather(2, pixels.amax(2, keepdim=True))
    step = (pixels.shape[2] - brightest) // 255
    below = counts.cumsum(2) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(0, 255)
    return torch.where(step > 0, table.float(), levels)
