"""Architectures: parameter counts, blocks, and the small networks. The contract around them: test_classifier."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import convolutions

from leanat.models import BODIES, build
from leanat.models.residual import BasicBlock, Bottleneck, MadryUnit, PreActBlock

SMALL = [name for name in BODIES if name.endswith("_small") or "tiny" in name or name == "resnet_78k"]
HALF = [name for name in BODIES if "_half" in name]  # for 32 x 32
SHAPES = [(8, 1), (16, 3), (32, 3)]


def make(name, size=8, channels=1, seed=0, n_classes=10, **options):
    return build(name, n_classes, size, channels, seed, [0.3] * channels, [0.4] * channels, **options)


def count(module):
    return sum(p.numel() for p in module.parameters())


def wide(depth_per_stage, k, project):
    """Parameters of a wide ResNet with 10 classes, by hand; the shortcut has weights or not."""
    total, cin = 3 * 16 * 9, 16
    for width in (16 * k, 32 * k, 64 * k):
        for unit in range(depth_per_stage):
            total += (
                2 * cin + 9 * cin * width + 2 * width + 9 * width**2 + (cin * width if project and unit == 0 else 0)
            )
            cin = width
    return total + 2 * cin + 10 * cin + 10


def sat_resnet18():
    total, cin = 3 * 64 * 9, 64
    for width in (128, 256, 512, 512):
        for _ in range(2):
            total += 2 * cin + 9 * cin * width + 2 * width + 9 * width**2 + cin * width
            cin = width
    return total + 2 * 512 + 512 * 10 + 10


PUBLISHED = {
    "vgg16": 14_728_266 + 512 * 512 + 512 + 2 * 512,  # kuangliu's, and MINT's hidden layer
    "mobilenet": 3_217_226,
    "densenet": 1_000_618,
    "resnet18": 11_173_962,
    "resnet50": 23_520_842,
    "preact_resnet18": 11_172_170,
    "preact_resnet18_wide": sat_resnet18(),
    "wrn32_10": wide(5, 10, project=False),
    "wrn34_10": 46_160_474,
    "wrn16_4": wide(2, 4, project=True),
    "alexnet_cifar": 2_251_584 + (1024 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 10,
}
PUBLISHED_IMAGENET = {
    "vgg16_imagenet": 138_365_992,
    "mobilenet_imagenet": 4_231_976,
    "densenet_imagenet": 7_978_856,
    "resnet50_imagenet": 25_557_032,
}


def test_every_network_that_is_not_small_has_a_reference_count():
    assert set(BODIES) == {
        *SMALL,
        *HALF,
        *PUBLISHED,
        *PUBLISHED_IMAGENET,
        "mlp",
    }  # which SAT ranks by, of no stated size
    assert wide(5, 10, project=True) == PUBLISHED["wrn34_10"]


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_parameter_counts_of_cifar_networks(name, parameters):
    with torch.device("meta"):
        assert count(make(name, 32, 3)) == parameters


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED_IMAGENET.items())
def test_parameter_counts_of_imagenet_networks(name, parameters):
    if name != "vgg16_imagenet":
        pytest.importorskip("timm")
    with torch.device("meta"):
        net = make(name, 224, 3, n_classes=1000)
    assert count(net) == parameters
    assert not any(getattr(m, "inplace", False) for m in net.modules())


@pytest.mark.parametrize(("name", "convs"), [("vgg16", 13), ("densenet", 120), ("resnet50", 53), ("alexnet_cifar", 5)])
def test_number_of_convolutions(name, convs):
    with torch.device("meta"):
        assert sum(isinstance(m, nn.Conv2d) for m in make(name, 32, 3).modules()) == convs


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", ["BasicBlock", "Bottleneck"])
def test_residual_blocks_agree_with_torchvision(kind, stride):
    theirs_of = getattr(pytest.importorskip("torchvision.models.resnet"), kind)
    cin, cout = 16, 16 * stride
    ours = {"BasicBlock": BasicBlock, "Bottleneck": Bottleneck}[kind](cin, cout, stride)
    short = None
    if stride > 1:
        short = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
    theirs = theirs_of(cin, cout // theirs_of.expansion, stride, short)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(4, cin, 8, 8)
    torch.testing.assert_close(ours(x), theirs(x))


def test_dense_layers_agree_with_torchvision():
    theirs_of = pytest.importorskip("torchvision.models.densenet")._DenseLayer
    ours = make("densenet_small").body.block2[1]
    cin = ours.norm1.num_features
    theirs = theirs_of(cin, 12, bn_size=4, drop_rate=0.0)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(4, cin, 4, 4)
    torch.testing.assert_close(ours(x), torch.cat([x, theirs(x)], 1))


def test_preact_projection_reads_the_activation_and_identity_the_input():
    x = torch.randn(2, 8, 4, 4)
    for block, wanted in [
        (PreActBlock(8, 8, 1), x),
        (PreActBlock(8, 16, 2), None),
        (PreActBlock(8, 8, 1, project=True), None),
    ]:
        nn.init.zeros_(block.conv2.weight)
        act = F.relu(block.norm1(x))
        torch.testing.assert_close(block(x), wanted if wanted is not None else block.shortcut(act))


def test_madry_shortcut_is_average_pool_and_zero_channels():
    unit, x = MadryUnit(4, 8, 2), torch.randn(2, 4, 6, 6)
    nn.init.zeros_(unit.conv2.weight)
    pooled = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1))
    out = unit(x)
    torch.testing.assert_close(out[:, 2:6], pooled)
    assert not out[:, :2].any()
    assert not out[:, 6:].any()


def test_only_the_first_madry_unit_shares_its_activation():
    with torch.device("meta"):
        units = [m for m in make("wrn32_10", 32, 3).modules() if isinstance(m, MadryUnit)]
    assert [u.shared for u in units] == [True] + [False] * 14
    unit, x = MadryUnit(8, 8, 1), torch.randn(2, 8, 4, 4)
    unit.shared = True
    nn.init.zeros_(unit.conv2.weight)
    torch.testing.assert_close(unit(x), F.leaky_relu(unit.norm1(x), 0.1))


def test_he_initialisation():
    by_fan_out = make("wrn16_4", 32, 3).body.stage2[0].conv1.weight  # 64 to 128 channels
    assert by_fan_out.std().item() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)
    by_fan_in = make("preact_resnet18_wide", 32, 3).body.stage1[0].conv1.weight
    assert by_fan_in.std().item() == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.02)


@pytest.mark.parametrize(("size", "channels"), SHAPES)
@pytest.mark.parametrize("name", SMALL)
def test_small_networks_take_small_images_and_differentiate_twice(name, size, channels):
    net = make(name, size, channels)
    assert count(net) < 80_000
    assert not any(getattr(m, "inplace", False) for m in net.modules())
    x = torch.rand(4, channels, size, size, requires_grad=True)
    z = net(x)
    assert z.shape == (4, 10)
    (g,) = torch.autograd.grad(z[:, 0].softmax(0).square().sum(), x, create_graph=True)
    assert g.abs().sum() > 0
    (z.square().mean() + g.square().sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_see_32_pixels_at_the_cost_of_16(name):
    sides = []
    for size in (16, 32):
        sides.append([shape[2:] for shape in convolutions(make(name, size, 3), torch.rand(1, 3, size, size)).values()])
    assert sides[0] == sides[1]


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_learn_a_batch(name):
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = torch.tensor(digits.images[:64], dtype=torch.float32)[:, None] / 16, torch.tensor(digits.target[:64])
    net = make(name)
    opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for _ in range(50):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
    assert loss < 0.7  # 2.3 by chance


def test_group_norm_variant_treats_examples_alone():
    net, x = make("resnet_tiny_gn"), torch.rand(6, 1, 8, 8)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    torch.testing.assert_close(net(x)[:2], net(x[:2]))


@pytest.mark.parametrize("name", [n for n in PUBLISHED if n not in ("wrn32_10", "wrn34_10", "preact_resnet18_wide")])
@pytest.mark.slow
def test_full_networks_run(name):
    net = make(name, 32, 3)
    out = net(torch.rand(2, 3, 32, 32))
    assert out.shape == (2, 10)
    out.sum().backward()
    assert all(p.grad is not None for p in net.parameters())
