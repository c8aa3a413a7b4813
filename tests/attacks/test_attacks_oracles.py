import copy
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from attack_bed import EPS, digits, robust, step_on
from torch import nn

from leanat.attacks.mifgsm import DI2FGSM, MIFGSM
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import L2, Linf
from leanat.core.rng import Draws

LINF = Linf(EPS)
FGSM = PGD(LINF, 1, EPS, "none")
DI2 = DI2FGSM(LINF, 5, 0.03, 0.5, 0.7, 0.5, True)


@pytest.fixture(scope="module")
def bed():
    net, (_, test) = robust(), digits()
    return net, test.x[:100], test.labels[:100]


def torchattacks(name, net, *args, **kwargs):
    return getattr(pytest.importorskip("torchattacks"), name)(net, *args, **kwargs)


@dataclass(frozen=True)
class GlobalDraws(Draws):
    """Draws from torch's global generator in the order in which torchattacks draws."""

    def uniform(self, purpose, *shape):
        if purpose.startswith("start"):
            return (torch.empty(len(self.index), *shape).uniform_(-EPS, EPS) / EPS + 1) / 2
        if purpose.startswith("coin"):
            return torch.rand(1)
        room = SIDE - self.size[-1]  # places: any point of the k-th of ``room`` equal parts of [0, 1)
        return (torch.randint(0, room, (1,)) + 0.5) / room

    def integers(self, purpose, high, *shape):
        drawn = torch.randint(SIDE - high, SIDE, (1,), dtype=torch.int32)
        self.size.append(int(drawn))
        return drawn - (SIDE - high)

    size = []  # noqa: RUF012
    of = lambda self, index: self  # noqa: E731


SIDE = 8


def with_global_draws(x, y):
    step = step_on(x, y)
    step.draws = GlobalDraws(0, 0, step.index)
    return step


# its floor under the gradient's norm is felt where an example is confident: the loss is a mean
PLAIN_L2 = {"random_start": False, "eps_for_division": 1e-30}


@pytest.mark.parametrize(
    ("ours", "theirs", "options", "atol"),
    [
        (FGSM, "FGSM", {"eps": EPS}, 1e-6),
        (PGD(LINF, 20, 0.02, "none"), "PGD", {"eps": EPS, "alpha": 0.02, "steps": 20, "random_start": False}, 1e-6),
        (PGD(LINF, 1, 0.12, "uniform"), "FFGSM", {"eps": EPS, "alpha": 0.12}, 1e-6),
        (PGD(LINF, 20, 0.02, "uniform"), "PGD", {"eps": EPS, "alpha": 0.02, "steps": 20, "random_start": True}, 1e-6),
        (PGD(L2(0.5), 20, 0.1, "none"), "PGDL2", {"eps": 0.5, "alpha": 0.1, "steps": 20, **PLAIN_L2}, 1e-5),
        (MIFGSM(LINF, 5, 0.03, 0.9), "MIFGSM", {"eps": EPS, "alpha": 0.03, "steps": 5, "decay": 0.9}, 1e-6),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_equals_torchattacks(bed, ours, theirs, options, atol):
    net, x, y = bed
    torch.manual_seed(7)
    expected = torchattacks(theirs, net, **options)(x, y)
    torch.manual_seed(7)
    if theirs == "FFGSM":
        torch.randn_like(x)  # which it draws and overwrites
    got = ours(net, with_global_draws(x, y))
    assert not torch.equal(got, x)
    torch.testing.assert_close(got, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("rate", [0.6, 0.9])
def test_diverse_inputs_equal_torchattacks_draw_for_draw(bed, rate):
    net, x, y = bed
    options = {"eps": EPS, "alpha": 0.03, "steps": 10, "decay": 0.5, "resize_rate": rate, "diversity_prob": 0.7}
    torch.manual_seed(7)
    expected = torchattacks("DIFGSM", net, **options, random_start=True)(x, y)
    torch.manual_seed(7)
    got = DI2FGSM(LINF, 10, 0.03, 0.5, rate, 0.7, True, per_batch=True)(net, with_global_draws(x, y))
    assert ((got - expected).abs() > 1e-6).float().mean() < 1e-3  # a sign may turn where a gradient is nearly 0
    assert torch.equal(net(got).argmax(1), net(expected).argmax(1))


@pytest.mark.parametrize("threat", [LINF, L2(0.5)], ids=repr)
def test_equals_foolbox(bed, threat, monkeypatch):
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")
    fb = pytest.importorskip("foolbox")
    net, x, y = copy.deepcopy(bed[0]), *bed[1:]
    kind = fb.attacks.LinfPGD if isinstance(threat, Linf) else fb.attacks.L2PGD
    attack = kind(steps=20, abs_stepsize=threat.eps / 5, random_start=False)
    expected = attack(fb.PyTorchModel(net, (0, 1)), x, y, epsilons=threat.eps)[1]
    got = PGD(threat, 20, threat.eps / 5, "none")(net, step_on(x, y))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6 if isinstance(threat, Linf) else 1e-4)
    assert torch.equal(net(got).argmax(1), net(expected).argmax(1))


def test_momentum_of_an_example_without_gradient_stays_finite():
    class Flat(nn.Module):
        def forward(self, x):
            return torch.cat([x.flatten(1)[:, :1], torch.zeros(len(x), 1)], 1) * (x.mean() > -1)

    x, y = torch.rand(2, 1, 4, 4), torch.tensor([0, 0])
    x_adv = MIFGSM(LINF, 3, 0.03, 1.0)(Flat(), step_on(x, y))
    assert x_adv.isfinite().all()
    assert torch.equal(x_adv[..., 1:], x[..., 1:])


def test_every_image_has_its_own_diversity():
    x = torch.rand(1, 3, 16, 16).expand(64, -1, -1, -1)
    seen = DI2.diversify(x, Draws(0, 0, torch.arange(64)), 0)
    assert len({tuple(image.flatten().tolist()) for image in seen}) > 12
    same = (seen == x).flatten(1).all(1).float().mean()
    assert 0.3 < same < 0.7
    shared = DI2.diversify(x, Draws(0, 0, torch.tensor([5])), 0)
    assert (shared == shared[:1]).all()
    for image in seen[~(seen == x).flatten(1).all(1)]:
        rows = (image[0] != 0).any(1).nonzero().flatten()
        size = len(rows)
        assert 11 <= size <= 15  # int(16 * 0.7) to 15
        columns = (image[0] != 0).any(0).nonzero().flatten()
        inner = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        expected = F.interpolate(x[:1], size=(size, size), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(inner, expected)
