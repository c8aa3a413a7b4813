import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from attack_bed import EPS, digits, network, robust, step_on
from hypothesis import given, settings
from hypothesis import strategies as st

from leanat.attacks.mifgsm import DI2FGSM, MIFGSM
from leanat.attacks.pgd import LOSSES, PGD, Clean
from leanat.attacks.threat import L2, Linf
from leanat.core.rng import Draws
from leanat.evaluation.evaluate import evaluate, transfer
from leanat.library.attacks import perturb

LINF = Linf(EPS)
FGSM = PGD(LINF, 1, EPS, "none")
DI2 = DI2FGSM(LINF, 5, 0.03, 0.5, 0.7, 0.5, True)
ATTACKS = [
    Clean(),
    FGSM,
    PGD(LINF, 4, 0.03, "uniform"),
    PGD(L2(0.5), 4, 0.2, "uniform", "margin", restarts=2),
    PGD(LINF, 3, 0.03, "gaussian", "kl"),
    PGD(L2(0.5), 4, 0.2, "none", use_best=True),
    PGD(LINF, 4, 0.03, "uniform", only_correct=True, restarts=2),
    MIFGSM(LINF, 4, 0.03, 1.0),
    DI2,
    replace(DI2, per_batch=True),
]


@pytest.fixture(scope="module")
def bed():
    net, (_, test) = robust(), digits()
    return net, test.x[:100], test.labels[:100]


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), classes=st.integers(2, 5), n=st.integers(0, 4))
def test_promises(attack, seed, classes, n):
    torch.manual_seed(seed)
    net = network(classes, 2).train()
    net[1].eval()  # a part that stays in evaluation mode
    net[0].weight.requires_grad_(False)
    x, y = torch.rand(n, 1, 8, 8).round(decimals=1), torch.randint(classes, (n,))
    before, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    rng, x_before = torch.get_rng_state(), x.clone()
    with torch.no_grad():
        x_adv = attack(net, step_on(x, y, seed))

    assert torch.equal(torch.get_rng_state(), rng)
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    assert all(p.grad is None for p in net.parameters())
    assert [p.requires_grad for p in net.parameters()] == [False] + [True] * (len(list(net.parameters())) - 1)
    assert torch.equal(x, x_before)
    assert x_adv.shape == x.shape
    assert not x_adv.requires_grad
    assert ((x_adv >= 0) & (x_adv <= 1)).all()
    threat = getattr(attack, "threat", LINF)
    delta = (x_adv - x).flatten(1)
    size = delta.abs().max() if n and isinstance(threat, Linf) else delta.norm(dim=1).max() if n else 0
    assert size <= threat.eps + 1e-6
    with torch.no_grad():
        assert torch.equal(attack(net, step_on(x, y, seed)), x_adv)


@pytest.mark.parametrize("attack", [a for a in ATTACKS if not getattr(a, "per_batch", False)], ids=repr)
def test_an_example_is_attacked_alike_in_every_batch(bed, attack):
    net, x, y = bed
    whole = attack(net, step_on(x, y))
    index = torch.tensor([17, 3, 42])
    step = step_on(x[index], y[index])
    step.draws = Draws(0, 0, index)
    torch.testing.assert_close(attack(net, step), whole[index], rtol=0, atol=1e-5)


@pytest.mark.parametrize("attack", ATTACKS[1:], ids=repr)
def test_loss_rises(bed, attack):
    net, x, y = bed
    before = F.cross_entropy(net(x), y, reduction="none")
    after = F.cross_entropy(net(attack(net, step_on(x, y))), y, reduction="none")
    assert after.mean() > 1.5 * before.mean()


@pytest.mark.parametrize("threat", [LINF, L2(0.5)], ids=repr)
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_small_steps_lower_no_loss(bed, threat, loss):
    net, x, y = bed
    x_adv = PGD(threat, 3, threat.eps / 1000, "none", loss)(net, step_on(x, y))
    assert (LOSSES[loss](net(x_adv), y) >= LOSSES[loss](net(x), y) - 1e-6).all()


def test_training_mode_is_a_choice_with_consequences(bed):
    net, x, y = copy.deepcopy(bed[0]), *bed[1:]
    before = net[1].running_mean.clone()
    in_eval = PGD(LINF, 1, EPS, "uniform")(net.train(), step_on(x, y))
    assert torch.equal(net[1].running_mean, before)
    in_training = PGD(LINF, 1, EPS, "uniform", training_mode=True)(net.eval(), step_on(x, y))
    assert not net.training
    assert not torch.equal(net[1].running_mean, before)
    assert not torch.equal(in_eval, in_training)


def test_under_bf16_autocast_it_is_about_as_strong(bed):
    net, x, y = bed
    attack = PGD(Linf(0.15), 10, 0.04, "uniform")
    with torch.autocast("cpu", torch.bfloat16):
        x_adv = attack(net, step_on(x, y))
    assert x_adv.dtype == torch.float32
    assert (x_adv - x).abs().max() <= 0.15 + 1e-6
    share = [float((net(z).argmax(1) == y).float().mean()) for z in (x_adv, attack(net, step_on(x, y)))]
    assert abs(share[0] - share[1]) <= 0.05


@pytest.mark.parametrize(
    "make",
    [
        lambda: PGD(LINF, 0, 0.1, "none"),
        lambda: PGD(LINF, 1, -0.1, "none"),
        lambda: PGD(LINF, 1, 0.1, "zeros"),
        lambda: PGD(LINF, 1, 0.1, "none", "hinge"),
        lambda: PGD(LINF, 1, 0.1, "none", "kl"),
        lambda: PGD(LINF, 1, 0.1, "none", restarts=2),
        lambda: PGD(LINF, 1, 0.1, "uniform", restarts=0),
        lambda: PGD(LINF, 1, 0.1, "uniform", use_best=True, only_correct=True),
        lambda: MIFGSM(LINF, 1, 0.1, -1.0),
        lambda: replace(DI2, resize_rate=1.0),
        lambda: replace(DI2, diversity_prob=1.1),
    ],
)
def test_impossible_values_are_named(make):
    with pytest.raises(ValueError, match=r"allowed|start|exclude"):
        make()


def test_what_takes_no_budget_says_so(bed):
    net, x, y = bed
    for attack in (MIFGSM(LINF, 1, 0.1, 1.0), DI2):
        with pytest.raises(ValueError, match="budget"):
            attack(net, step_on(x, y, steps=torch.ones(len(x), dtype=torch.long)))
    with pytest.raises(ValueError, match="square"):
        DI2.diversify(torch.rand(1, 1, 8, 9), Draws(0, 0, torch.arange(1)), 0)


def test_an_attack_in_training_mode_leaves_no_trace_outside_of_training(bed):
    """Within a training it updates BatchNorm's statistics; an evaluation judged the network with these, and left them moved."""
    (_, data), net = digits(), copy.deepcopy(bed[0])
    attack = PGD(LINF, 2, EPS / 2, "uniform", training_mode=True)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    evaluate(net, data, attack, seed=0, limit=60)
    transfer({"a": net}, {"a": net}, attack, data, seed=0, limit=60)
    perturb(net, *bed[1:], attack, seed=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
