import sys

import pytest
import torch
from torch import nn

from leanat.models import BODIES, PerChannel, PerImage, build

SMALL = [name for name in BODIES if name.endswith("_small") or "tiny" in name or name == "resnet_78k"]


def make(name, size=8, channels=1, seed=0, n_classes=10, **options):
    return build(name, n_classes, size, channels, seed, [0.3] * channels, [0.4] * channels, **options)


def test_per_channel_is_mean_and_std():
    x = torch.rand(4, 3, 5, 5)
    got = PerChannel([0.1, 0.2, 0.3], [1.0, 0.5, 0.25])(x)
    for c, (m, s) in enumerate([(0.1, 1.0), (0.2, 0.5), (0.3, 0.25)]):
        torch.testing.assert_close(got[:, c], (x[:, c] - m) / s)


def test_per_image_has_mean_zero_and_norm_one_in_any_unit():
    x = torch.rand(4, 3, 5, 5)
    got = PerImage()(x)
    torch.testing.assert_close(got.mean((1, 2, 3)), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(got.flatten(1).norm(dim=1), torch.ones(4))
    torch.testing.assert_close(PerImage()(255 * x), got)


def test_per_image_of_a_constant_image_is_zero_with_finite_gradient():
    x = torch.full((1, 1, 4, 4), 0.5, requires_grad=True)
    out = PerImage()(x)
    assert not out.any()
    (g,) = torch.autograd.grad(out.square().sum(), x)
    assert g.isfinite().all()


def test_forward_is_head_of_body_of_normalised():
    net, x = make("resnet_tiny", standardise="image").eval(), torch.rand(3, 1, 8, 8)
    phi = net.features(x)
    assert phi.shape == (3, net.head.in_features)
    torch.testing.assert_close(phi, net.body(PerImage()(x)))
    torch.testing.assert_close(net(x), phi @ net.head.weight.T + net.head.bias)
    net.head = nn.Sequential(nn.Linear(32, 5), nn.ReLU(), nn.Linear(5, 3))
    assert net(x).shape == (3, 3)


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    a = make("vgg16_small", seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    b, c = make("vgg16_small", seed=3, n_classes=4), make("vgg16_small", seed=4)
    assert all(torch.equal(p, q) for p, q in zip(a.body.parameters(), b.body.parameters(), strict=True))
    assert not torch.equal(a.body.convs[0].weight, c.body.convs[0].weight)
    assert a.training
    assert all(m.training for m in a.modules())


def test_statistics_of_a_new_network_are_untouched():
    for name in ("vgg16_small", "resnet_tiny"):
        norms = [m for m in make(name).modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
        assert norms
        assert all(m.num_batches_tracked == 0 and not m.running_mean.any() for m in norms)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "resnet81"}, "unknown network 'resnet81'; nearest: resnet18; allowed: vgg16, .*timm:<name>"),
        ({"std": [0.0]}, "above 0"),
        ({"mean": [0.1, 0.2, 0.3]}, "need 1 numbers each"),
        ({"n_classes": 0}, "each is at least 1"),
        ({"standardise": "batch"}, "allowed: channel, image"),
        ({"name": "vgg16"}, "vgg16 cannot take 1x8x8 images: "),
    ],
)
def test_errors_say_what_is_wrong(change, message):
    arguments = {"name": "resnet_tiny", "n_classes": 10, "image_size": 8, "channels": 1, "seed": 0}
    arguments |= {"mean": [0.3], "std": [0.4]}
    with pytest.raises(ValueError, match=message) as caught:
        build(**arguments | change)
    assert "\n" not in str(caught.value)


def test_timm_networks_by_name():
    pytest.importorskip("timm")
    net = make("timm:resnet10t", 32, 1)
    assert net(torch.rand(2, 1, 32, 32)).shape == (2, 10)
    assert not any(getattr(m, "inplace", False) for m in net.modules())
    with pytest.raises(ValueError, match="timm has no network 'resnet50x'; nearest: resnet50"):
        make("timm:resnet50x")
    with pytest.raises(ValueError, match="timm:vit_tiny_patch16_224 cannot take 3x32x32 images"):
        make("timm:vit_tiny_patch16_224", 32, 3)


def test_one_line_where_timm_does_not_load(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match="install the torchvision made for it") as caught:
        make("resnet50_imagenet", 64, 3)
    assert "\n" not in str(caught.value)
