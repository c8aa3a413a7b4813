import math

import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms import RandomResizedCrop as TorchvisionCrop
from torchvision.transforms import autoaugment as reference_policy
from torchvision.transforms import functional as reference

from leanat.core.rng import Draws
from leanat.data import (
    Augmentation,
    AutoAugment,
    ColorJitter,
    Crop,
    Cutout,
    Flip,
    Lighting,
    PixelNoise,
    RandomResizedCrop,
    Rotation,
)
from leanat.data import color_augment as colours
from leanat.data.augment import rotate

PIECES = [
    Crop(4),
    Flip(),
    Cutout(8),
    Cutout(5, fill=(0.1, 0.2, 0.3)),
    Rotation(15),
    Rotation(2, mode="bilinear"),
    PixelNoise(8 / 255),
    ColorJitter(0.25, 0.25, 0.25),
    AutoAugment(),
    AutoAugment(fill=128),
    Lighting(0.1),
]


def images(n, size=32, channels=3):
    """Smooth random pictures with flat, dark and bright parts, uint8."""
    coarse = torch.randn(n, channels, 5, 5)
    x = F.interpolate(coarse, size=(size, size), mode="bilinear") * 90 + 128 + torch.randn(n, channels, size, size) * 8
    return x.clamp(0, 255).round().to(torch.uint8)


def draws(n, seed=3, epoch=2, view=0):
    return Draws(seed, epoch, torch.arange(n), view)


@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_an_example_is_augmented_alike_in_every_batch(piece):
    x = images(40)
    whole = piece(x, draws(40))
    some = torch.tensor([31, 2, 17, 2, 39])
    assert torch.equal(piece(x[some], Draws(3, 2, some)), whole[some])
    for other in (Draws(4, 2, torch.arange(40)), Draws(3, 1, torch.arange(40)), Draws(3, 2, torch.arange(40), 1)):
        assert not torch.equal(piece(x, other), whole)


@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_autocast_changes_no_image(piece):
    """A selection in bf16 would look at images whose pixels have moved, and the training at others."""
    x = images(6)
    with torch.autocast("cpu", torch.bfloat16):
        found = Augmentation((piece,))(x, draws(6))
    assert torch.equal(found, Augmentation((piece,))(x, draws(6)))


@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_shape_range_and_input_type(piece):
    x = images(20)
    before = x.clone()
    result = Augmentation((piece,))(x, draws(20))
    assert result.shape == x.shape
    assert result.dtype == torch.float32
    assert 0 <= result.min() <= result.max() <= 1
    assert torch.equal(x, before)
    torch.testing.assert_close(result, Augmentation((piece,))(x / 255, draws(20)), atol=1e-6, rtol=0)


def test_crops_are_windows_of_the_padded_image_and_all_of_them_occur():
    x = images(1, 6).expand(300, -1, -1, -1)
    padded = F.pad(x[0], (1, 1, 1, 1))
    windows = torch.stack([padded[:, i : i + 6, j : j + 6] for i in range(3) for j in range(3)])
    hits = (Crop(1)(x, draws(300))[:, None] == windows).flatten(2).all(2)
    assert (hits.sum(1) == 1).all()
    assert (hits.sum(0) > 15).all()


def test_flip_mirrors_half_of_the_images():
    x = images(1000, 4)
    result = Flip()(x, draws(1000))
    mirrored = (result == x.flip(3)).flatten(1).all(1)
    assert ((result == x).flatten(1).all(1) ^ mirrored).all()
    assert 430 < mirrored.sum() < 570


def test_cutout_blacks_out_one_square_cut_off_at_the_edge():
    x = torch.full((400, 1, 12, 12), 255, dtype=torch.uint8)
    hole = Cutout(4)(x, draws(400))[:, 0] == 0
    rows, columns = hole.any(2).sum(1), hole.any(1).sum(1)
    assert torch.equal(hole.sum((1, 2)), rows * columns)
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3, 4}
    # A pixel in the middle is hidden by 4 x 4 of the 12 x 12 centres.
    assert abs(hole[:, 5, 5].float().mean() - 16 / 144) < 0.05


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_rotation_equals_torchvision(mode):
    x = images(6, 32) / 255
    degrees = torch.tensor([0.0, 1.7, -2.0, 30.0, 90.0, 133.3])
    ours = rotate(x, degrees * math.pi / 180, mode)
    for image, angle, result in zip(x, degrees, ours, strict=True):
        expected = reference.rotate(image, float(angle), reference.InterpolationMode(mode))
        different = (result - expected).abs().amax(0) > 1e-4
        assert different.float().mean() < 0.01  # ties of the nearest pixel


def test_rotation_angles_fill_the_range():
    x = torch.zeros(200, 1, 33, 33)
    x[:, :, 16, 26:] = 1  # a ray to the right
    y = Rotation(20, mode="bilinear")(x, draws(200))[:, 0, :, 28]
    height = 16 - (y * torch.arange(33)).sum(1) / y.sum(1)
    angle = torch.atan2(height, torch.tensor(12.0)).rad2deg()
    assert angle.abs().max() < 21
    assert angle.min() < -17
    assert angle.max() > 17


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_equals_torchvision_in_every_order(channels):
    x = images(6, 16, channels) / 255
    orders = torch.cartesian_prod(*[torch.arange(3)] * 3)
    orders = orders[orders.sort(1).values.eq(torch.arange(3)).all(1)]
    factors = torch.rand(6, 3) * 1.5
    functions = (reference.adjust_brightness, reference.adjust_contrast, reference.adjust_saturation)
    for image, factor, order, ours in zip(x, factors, orders, colours.jitter(x, factors, orders), strict=True):
        for operation in order.tolist():
            image = functions[operation](image, float(factor[operation]))
        torch.testing.assert_close(ours, image, atol=2e-6, rtol=0)


def test_colour_jitter_draws_each_factor_and_order():
    x = torch.full((2000, 3, 2, 2), 0.5)
    brightness = ColorJitter(0.25, 0, 0)(x, draws(2000))[:, 0, 0, 0] / 0.5
    assert 0.75 <= brightness.min() < 0.76
    assert 1.24 < brightness.max() <= 1.25
    assert torch.equal(ColorJitter(0, 0, 0)(x, draws(2000)), x)
    x = images(1, 8).expand(600, -1, -1, -1)
    factors = torch.tensor([1.6, 0.5, 1.5]).expand(600, 3)
    order = draws(600).bits("colour jitter order", 3).argsort(1)
    assert len(colours.jitter(x / 255, factors, order).flatten(1).round(decimals=4).unique(dim=0)) > 3
    assert (order.unique(dim=0, return_counts=True)[1] > 60).all()


def test_the_policy_is_torchvisions():
    operations, probabilities, levels = colours.policy()
    expected = reference_policy.AutoAugment(reference_policy.AutoAugmentPolicy.CIFAR10).policies
    assert len(expected) == len(operations) == 25
    for i, pair in enumerate(expected):
        for j, (name, p, level) in enumerate(pair):
            assert colours.OPERATIONS[operations[i, j]] == name
            assert probabilities[i, j] == pytest.approx(p)
            assert level is None or levels[i, j] == level


@pytest.mark.parametrize("fill", [0, 128])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", colours.OPERATIONS)
def test_operations_equal_torchvision(name, sign, fill):
    magnitudes, signed = reference_policy.AutoAugment()._augmentation_space(10, (32, 32))[name]
    x = images(10)
    x[0] = 77  # one level: nothing to stretch or to even out
    operation = torch.full((10,), colours.OPERATIONS.index(name))
    value = colours.amounts(32)[colours.OPERATIONS.index(name)] * (sign if signed else 1)
    ours = colours.operate(x.float(), operation, value, torch.ones(10, dtype=torch.bool), fill)
    assert torch.equal(ours, ours.round())
    for level in range(10):
        m = float(magnitudes[level]) * (sign if signed else 1) if magnitudes.ndim else 0.0
        expected = reference_policy._apply_op(x[level], name, m, reference.InterpolationMode.NEAREST, [float(fill)] * 3)
        error = (ours[level] - expected.float()).abs().amax(0)
        if name in ("ShearX", "ShearY", "Rotate"):
            assert (error > 0).float().mean() < 0.02  # ties of the nearest pixel
        elif name in colours.BLENDS:
            assert error.max() <= 1  # rounding just below or above a whole number
            assert (error > 0).float().mean() < 0.02
        else:
            assert error.max() == 0


def test_autoaugment_applies_each_images_own_pair():
    x, d = images(200), draws(200)
    ours = AutoAugment()(x, d) * 255
    policies = reference_policy.AutoAugment(reference_policy.AutoAugmentPolicy.CIFAR10)
    which, chance = d.integers("autoaugment policy", 25), d.uniform("autoaugment chance", 2)
    negative = d.bits("autoaugment sign", 2) >= 0
    space, different = policies._augmentation_space(10, (32, 32)), []
    for i, image in enumerate(x):
        for slot, (name, p, level) in enumerate(policies.policies[which[i]]):
            if chance[i, slot] <= p:
                m = float(space[name][0][level]) if level is not None else 0.0
                m = -m if space[name][1] and negative[i, slot] else m
                image = reference_policy._apply_op(image, name, m, reference.InterpolationMode.NEAREST, None)
        different.append(((ours[i] - image.float()).abs() > 8).float().mean())
    assert len(which.unique()) == 25
    assert torch.stack(different).mean() < 0.005
    assert (ours != x).flatten(1).any(1).float().mean() > 0.5


def test_lighting_adds_one_colour_of_the_covariance_of_imagenet():
    """deviation^2 times the covariance whose axes and deviations are ImageNet's, the same for all pixels of an image."""
    x = torch.full((4000, 3, 2, 2), 0.5)
    added = Lighting(0.1)(x, draws(4000)) - 0.5
    assert (added == added[:, :, :1, :1]).all()
    axes, deviations = torch.tensor(colours.PCA_AXES).double(), torch.tensor(colours.PCA_DEVIATIONS).double()
    assert axes.T @ axes == pytest.approx(torch.eye(3).double(), abs=2e-3)
    expected = 0.1**2 * axes @ deviations.square().diag() @ axes.T
    assert added[:, :, 0, 0].T.double().cov() == pytest.approx(expected, rel=0.06)
    assert Lighting(30.0)(x[:50], draws(50)).unique().numel() < 100  # clipped to [0, 1]


def test_pixel_noise_is_bounded_and_spread():
    x = torch.full((50, 3, 8, 8), 0.5)
    noise = PixelNoise(0.1)(x, draws(50)) - 0.5
    assert noise.abs().max() <= 0.1 + 1e-6
    assert noise.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.03)


def test_random_boxes_are_distributed_as_torchvisions():
    crop, tries = RandomResizedCrop(), RandomResizedCrop().tries(draws(3000)).tolist()
    ours = torch.tensor([crop.box(300, 200, t) for t in tries]).float()
    image = torch.empty(1, 200, 300)
    theirs = [TorchvisionCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(3000)]
    top, left, h, w = torch.tensor(theirs).float().unbind(1)
    theirs = torch.stack((left, top, left + w, top + h), 1)
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, 2] <= 300).all()
    assert (ours[:, 3] <= 200).all()
    torch.testing.assert_close(ours.mean(0), theirs.mean(0), atol=4, rtol=0)
    torch.testing.assert_close(ours.std(0), theirs.std(0), atol=4, rtol=0)


@pytest.mark.parametrize(("width", "height"), [(1000, 10), (10, 1000)])
def test_where_no_box_fits_the_central_one_is_taken(width, height):
    box = RandomResizedCrop((1.0, 1.0)).box(width, height, RandomResizedCrop().tries(draws(1))[0].tolist())
    top, left, h, w = TorchvisionCrop.get_params(torch.empty(1, height, width), [1.0, 1.0], [3 / 4, 4 / 3])
    assert box == (left, top, left + w, top + h)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Crop(-1),
        lambda: Cutout(0),
        lambda: Cutout(4, fill=(2.0,)),
        lambda: Rotation(-1),
        lambda: Rotation(3, mode="cubic"),
        lambda: PixelNoise(1.5),
        lambda: ColorJitter(-0.1, 0, 0),
        lambda: RandomResizedCrop((0, 1)),
        lambda: RandomResizedCrop(ratio=(2, 1)),
    ],
)
def test_values_out_of_range_are_named(make):
    with pytest.raises(ValueError, match="allowed"):
        make()
