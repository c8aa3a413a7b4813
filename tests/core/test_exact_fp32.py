"""TF32 is off in every forward pass behind a reported number, however it is asked for: a hook of the network looks."""

import pytest
import torch
from measures import MEASURES, assessed, few_pictures, network_for
from torch import nn

from leanat.attacks.lpips import Lpips
from leanat.attacks.perceptual import LPA, PPGD, FastLPA
from leanat.attacks.threat import Linf
from leanat.core.nouns import Step
from leanat.core.rng import Draws
from leanat.evaluation.gradient_masking import masking_report
from leanat.evaluation.measured import Measure
from leanat.library import attacks
from leanat.plan.components import SLOTS


@pytest.fixture
def pictures():
    return few_pictures()


@pytest.fixture
def net(pictures):
    return network_for(pictures)


@pytest.fixture
def seen(net):
    """Whether TF32 was on, of each forward pass and, in the same set, of each pass backwards."""
    found = set()

    def look(*_):
        found.add(torch.backends.cudnn.conv.fp32_precision == "tf32")

    def forward(module, inputs, output):
        look()
        if getattr(output, "requires_grad", False):
            output.register_hook(look)

    net.body.register_forward_hook(forward)
    assert torch.backends.cudnn.conv.fp32_precision == "tf32", "torch's default"
    return found


def test_these_are_all_measures():
    assert set(MEASURES) == set(SLOTS[Measure][1])


@pytest.mark.parametrize("name", MEASURES)
def test_measures(name, net, pictures, seen, tmp_path):
    assessed(name, net, pictures, tmp_path)
    assert seen == {False}


def test_the_alarm(net, pictures, seen):
    masking_report(net, pictures, Linf(0.03), seed=0, steps=2, queries=2)
    assert seen == {False}


QUICK = {
    "pgd": {"steps": 1},
    "mi_fgsm": {"steps": 1},
    "di2_fgsm": {"steps": 1},
    "apgd": {"steps": 2},
    "fab": {"steps": 1},
}
QUICK |= {name: {"steps": 1} for name in ("stadv", "recoloradv", "jpeg")} | {"square": {"queries": 2}}


@pytest.mark.parametrize("name", ["fgsm", "fgsm_rs", *QUICK])
def test_attacks_of_the_library(name, net, pictures, seen):
    x, y = pictures.batch(torch.arange(4), 0)
    getattr(attacks, name)(net, x, y, **QUICK.get(name, {}))
    assert seen == {False}


class Logits(nn.Module):
    """A network without the distance's layers of its own."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize("kind", [FastLPA, LPA, PPGD])
def test_perceptual_attacks_by_hand(kind, net, pictures, seen):
    """Their finite differences are of 1e-3, which TF32 rounds away."""
    index = torch.arange(4)
    x, y = pictures.batch(index, 0)
    step = Step(0, index, x, y, torch.ones(4), Draws(0, 0, index), aux={"lpips": Lpips(net)})
    kind(bound=0.5, steps=1)(Logits(net), step)
    assert seen == {False}
