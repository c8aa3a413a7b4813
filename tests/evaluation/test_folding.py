"""A network is attacked through a copy with BatchNorm folded away: the same logits and gradients, and the same outcome."""

import copy

import pytest
import torch
import torch.nn.functional as F
from attack_bed import digits, network, same, standard
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from leanat import models
from leanat.attacks.autoattack import Ensemble
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.evaluation import evaluate as evaluation
from leanat.evaluation.folding import folded
from leanat.models import names

SMALL = [name for name in names.BODIES if name.endswith("_small")]


def randomised(net):
    """Statistics and weights of BatchNorm that are not those of a new network."""
    generator = torch.Generator().manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, _BatchNorm):
            layer.running_mean.normal_(0, 0.3, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.normal_(0, 0.3, generator=generator)
    return net.eval()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("standardise", ["channel", "image"])
def test_logits_and_gradients_are_those_of_the_network(name, standardise):
    net = randomised(models.build(name, 10, 16, 3, 0, (0.5,) * 3, (0.25,) * 3, standardise)).double()
    x = torch.rand(6, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    copied = folded(net, x)
    assert copied is not net
    before, after = (sum(isinstance(m, _BatchNorm) for m in one.modules()) for one in (net, copied))
    assert after < before or not before
    grads = []
    for one in (net, copied):
        at = x.clone().requires_grad_(True)
        z = one(at)
        grads.append((z.detach(), torch.autograd.grad(F.cross_entropy(z, torch.arange(6)), at)[0]))
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_network_stays_as_it_is():
    net = randomised(network())
    before, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    folded(net, digits()[1].x[:8])
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    assert [m.training for m in net.modules()] == modes
    assert all(p.requires_grad for p in net.parameters())


class Branching(nn.Module):
    """Its path depends on its input, which cannot be traced."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x) if x.mean() < 2 else -self.net(x)


class Noisy(Branching):
    def forward(self, x):
        return self.net(x) + torch.randn(1)


class Broken(Branching):
    def forward(self, x):
        return self.net(x) * torch.nan


def test_what_cannot_be_folded_is_attacked_as_it_is():
    x = digits()[1].x[:8]
    branching = Branching(randomised(network()))
    torch.testing.assert_close(folded(branching, x)(x), branching(x), rtol=1e-5, atol=1e-5)
    assert any(isinstance(m, _BatchNorm) for m in folded(branching, x).modules())
    for kind in (Noisy, Broken):
        net = kind(randomised(network()))
        assert folded(net, x) is net


@pytest.mark.parametrize(
    "attack",
    [
        PGD(Linf(0.15), 10, 0.03, "uniform", restarts=2, only_correct=True),
        Ensemble(Linf(0.15), ("apgd-ce", "apgd-t", "square"), steps=5, targets=3, queries=20),
    ],
    ids=["pgd", "ensemble"],
)
def test_the_outcome_is_that_of_the_network(attack, monkeypatch):
    net, test = standard(), digits()[1]
    ours = evaluation.evaluate(net, test, attack, seed=0, limit=150)
    monkeypatch.setattr(evaluation, "folded", lambda net, x: net)
    same(ours, evaluation.evaluate(net, test, attack, seed=0, limit=150), tolerance=1e-4)
    assert 0 < ours.correct.sum() < ours.clean_correct.sum()


def test_attacks_that_read_layers_or_take_the_statistics_of_a_batch_get_the_network(monkeypatch):
    net, test = standard(), digits()[1]
    monkeypatch.setattr(evaluation, "folded", lambda net, x: pytest.fail("folded"))
    own = PGD(Linf(0.15), 1, 0.1, "uniform", training_mode=True)
    evaluation.evaluate(net, test, own, seed=0, limit=20)
    plain = PGD(Linf(0.15), 1, 0.1, "uniform")
    evaluation.evaluate(net, test, plain, seed=0, limit=20, statistics="batch")
    evaluation.evaluate(net, test, plain, seed=0, limit=20, precision="bf16")
