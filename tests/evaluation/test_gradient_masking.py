import pytest
import torch
from attack_bed import digits, robust, standard
from torch import nn

from leanat.attacks.threat import Linf
from leanat.evaluation.gradient_masking import masking_report

LINF = Linf(0.15)


@pytest.fixture(scope="module")
def bed():
    return standard(), digits()[1]


class Changed(nn.Module):
    def __init__(self, net, change):
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x):
        return self.change(self.net, x)


MASKS = {
    "rounding": (lambda net, x: net((x * 6).round() / 6), ("exactly 0", "Square")),
    "saturated": (lambda net, x: 100 * net(x), ("on the margin",)),
    "probabilities": (lambda net, x: net(x).softmax(1), ("probabilities",)),
    "random": (lambda net, x: net(x + 0.05 * torch.randn_like(x)), ("random",)),
    "jagged": (lambda net, x: net(x + 0.03 * torch.sin(400 * x)), ("Square",)),
}


@pytest.mark.parametrize("mask", MASKS)
def test_masking_is_noticed(bed, mask):
    change, words = MASKS[mask]
    reasons = masking_report(Changed(bed[0], change), bed[1], LINF, seed=0, limit=120, steps=10, queries=150)
    for word in words:
        assert any(word in reason for reason in reasons), reasons


@pytest.mark.parametrize("net", [robust, standard])
@pytest.mark.parametrize("eps", [0.05, 0.2])
def test_an_honest_network_raises_no_alarm(bed, net, eps):
    assert masking_report(net(), bed[1], Linf(eps), seed=0, limit=120, steps=20, queries=150) == []
