"""fp32 is fp32: on a GPU whose convolutions round to TF32 where torch's flag lets them, reported numbers do not change.

The GPU's rounding is emulated: operands of convolutions keep 10 of their 23 bits of mantissa while the flag allows it.
"""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from test_perceptual import batch, step_of, trained  # noqa: F401 - a fixture

from leanat import networks
from leanat.attacks import PGD
from leanat.core import Method, Recipe, Run, Split, train
from leanat.distance import Lpips
from leanat.evaluate import evaluate
from leanat.objectives import CrossEntropy
from leanat.perceptual import PPGD
from leanat.precision import exact_fp32
from leanat.selection import Everything
from leanat.threat import Linf
from leanat.timing import images


def tf32(x):
    """Rounded to nearest, ties to even, as Ampere's tensor cores read their operands; gradients pass through."""
    bits = x.detach().float().contiguous().view(torch.int32)
    bits = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    return x + (bits.view(torch.float32) - x).detach()


@pytest.fixture
def gpu(monkeypatch):
    """Convolutions as on an Ampere GPU, with torch's flag as torch sets it."""
    conv = F.conv2d

    def conv2d(x, weight, *rest, **options):
        if torch.backends.cudnn.allow_tf32:
            x, weight = tf32(x), tf32(weight)
        return conv(x, weight, *rest, **options)

    assert torch.backends.cudnn.allow_tf32, "torch's default"
    monkeypatch.setattr(F, "conv2d", conv2d)


class Pictures:
    n_classes = 4

    def __init__(self, x, y):
        self.x, self.labels = x, y

    def __len__(self):
        return len(self.labels)

    def batch(self, index, epoch, view=0):
        return self.x[index], self.labels[index]


class WithDistance:
    def __init__(self, attack, net):
        self.attack, self.lpips = attack, Lpips(net)

    def __call__(self, net, step):
        step.aux["lpips"] = self.lpips
        return self.attack(net, step)


def test_perceptual_attacks_measure_as_in_fp32(trained, gpu):  # noqa: F811
    net, alexnet, x, y = trained
    attack = WithDistance(PPGD(0.05, 10), alexnet)
    found = evaluate(net, Pictures(x, y), attack, seed=0)
    with exact_fp32():
        x_adv = attack(net, step_of(x, y))
        right = net(x_adv).argmax(1) == y
        exact = attack.lpips.distance(x, x_adv)
    rounded = attack(net, step_of(x, y))
    assert (found.correct == (right & (net(x).argmax(1) == y)).numpy()).all()
    assert (rounded - x_adv).abs().max() > 1e-3, "the emulation does something"
    assert (exact <= 0.05 * 1.001).all()


def test_a_training_in_fp32_has_the_bits_of_fp32(gpu):
    def trained_weights():
        data = images({"classes": 4, "channels": 3, "size": 8, "train": 32}, 32, torch.device("cpu"), ())
        net = networks.build("resnet_tiny", "channel", networks.describe(data), 0)
        method = Method(CrossEntropy(), PGD(Linf(0.03), 2, 0.02, "uniform"), Everything())
        run = Run(net, method, Recipe(1, 16, lambda epoch, epochs: 0.1, 0.9, True, 0.0), 0)
        train(run, Split(data, None))
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    on_gpu = trained_weights()
    with exact_fp32():
        assert torch.equal(on_gpu, trained_weights())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leanat.core.exact_fp32", nullcontext)
        assert not torch.equal(on_gpu, trained_weights()), "the emulation does something"


def test_the_flags_are_put_back():
    flags = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [flag.allow_tf32 for flag in flags]
    with exact_fp32():
        with exact_fp32():
            pass
        assert not any(flag.allow_tf32 for flag in flags)
    assert [flag.allow_tf32 for flag in flags] == before
