import copy
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from attack_bed import EPS, digits, network, robust, step_on
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from leanat.attacks import LOSSES, PGD, Clean, input_gradient, margin
from leanat.draws import Draws
from leanat.momentum import DI2FGSM, MIFGSM
from leanat.passes import Passes
from leanat.threat import L2, Linf

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


# Independent implementations


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


# Closed forms


def linear(n_classes, seed=0):
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, n_classes))
    return net


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_linear_classifier_is_attacked_optimally(loss):
    net, x = linear(2), torch.full((4, 1, 4, 4), 0.5) + 0.1 * torch.rand(4, 1, 4, 4)
    y = torch.tensor([0, 1, 0, 1])
    w = net[1].weight.detach()
    away = (w[1 - y] - w[y]).view_as(x)
    for threat, rise in ((LINF, away.abs().flatten(1).sum(1) * EPS), (L2(0.3), away.flatten(1).norm(dim=1) * 0.3)):
        x_adv = PGD(threat, 40, threat.eps / 4, "uniform", loss)(net, step_on(x, y))
        gained = margin(net(x_adv), y) - margin(net(x), y)
        torch.testing.assert_close(gained.detach(), rise, rtol=1e-4, atol=0)
    torch.testing.assert_close(FGSM(net, step_on(x, y)), x + EPS * away.sign())


def test_losses_against_their_definitions():
    z, y = torch.randn(6, 4, dtype=torch.float64) * 3, torch.tensor([0, 1, 2, 3, 0, 1])
    p = torch.softmax(torch.randn(6, 4, dtype=torch.float64), 1)
    q = torch.softmax(z, 1)
    torch.testing.assert_close(LOSSES["kl"](z, p.log()), (p * (p / q).log()).sum(1))
    torch.testing.assert_close(LOSSES["ce"](z, y), -q[range(6), y].log())
    best_wrong = torch.stack([max(z[i, k] for k in range(4) if k != y[i]) for i in range(6)])
    torch.testing.assert_close(margin(z, y), best_wrong - z[range(6), y])
    assert (margin(100 * z, y) <= 50).all()
    torch.testing.assert_close(margin(z - 100, y), margin(z, y))


def test_input_gradient_is_that_of_each_example_and_can_be_differentiated_again():
    net = network(3, 2).double().eval()
    x, y = torch.rand(4, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    gradient = input_gradient(net, x, y)
    shift = torch.zeros_like(x)
    shift[2, 0, 3, 4] = 1e-5
    change = F.cross_entropy(net(x + shift), y, reduction="none") - F.cross_entropy(net(x - shift), y, reduction="none")
    assert gradient[2, 0, 3, 4].item() == pytest.approx(change[2].item() / 2e-5, rel=1e-4, abs=1e-10)
    assert change[[0, 1, 3]].abs().max() == 0
    assert all(p.grad is None for p in net.parameters())
    input_gradient(net, x, y, create_graph=True).square().sum().backward()
    assert any((p.grad != 0).any() for p in net.parameters())
    with pytest.raises(ValueError, match="loss"):
        input_gradient(net, x, y, "kl")


# The loop against the plain way to write it


def plain_pgd(net, x, y, z, steps, step_size):
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (grad,) = torch.autograd.grad(F.cross_entropy(net(z), y, reduction="sum"), z)
        z = (z + step_size * grad.sign()).clamp(x - EPS, x + EPS).clamp(0, 1)
    return z.detach()


def test_budgets_equal_example_by_example_and_cost_their_sum(bed):
    net, x, y = bed
    steps = torch.randint(0, 6, (len(x),))
    sizes = torch.rand(len(x)) * 0.05
    step = step_on(x, y, steps=steps, step_size=sizes)
    with Passes().of(net) as passes:
        got = PGD(LINF, 99, 9.0, "uniform")(net, step)
    assert passes.forward == passes.backward == int(steps.sum())
    start = LINF.start(x, step.draws, "start/0")
    for i in range(len(x)):
        one = slice(i, i + 1)
        expected = plain_pgd(net, x[one], y[one], start[one], int(steps[i]), float(sizes[i])) if steps[i] else x[one]
        torch.testing.assert_close(got[one], expected, rtol=0, atol=1e-6)
    assert torch.equal(got[steps == 0], x[steps == 0])


def test_shrinking_prefix_gives_the_pixels_of_the_masked_full_batch(bed):
    net, x, y = bed
    steps = torch.randint(0, 6, (len(x),))
    got = PGD(LINF, 5, 0.03, "none")(net, step_on(x, y, steps=steps))
    z = x.clone()
    for t in range(5):
        z = torch.where((steps > t).view(-1, 1, 1, 1), plain_pgd(net, x, y, z, 1, 0.03), z)
    assert torch.equal(got, z)


@pytest.mark.parametrize("extra", [{}, {"use_best": True}, {"only_correct": True}], ids=str)
@pytest.mark.parametrize("budget", [0, 3])
def test_uniform_budget_is_the_plain_attack(bed, extra, budget):
    net, x, y = bed
    attack = PGD(LINF, max(1, budget), 0.03, "uniform", **extra)
    got = attack(net, step_on(x, y, steps=torch.full((len(x),), budget)))
    assert torch.equal(got, attack(net, step_on(x, y)) if budget else x)


def test_use_best_returns_the_highest_loss_before_the_last_step(bed):
    net, x, y = bed
    threat, size = L2(1.5), 1.5  # steps too long, so that the loss goes up and down
    assert torch.equal(PGD(threat, 1, size, "none", use_best=True)(net, step_on(x, y)), x)
    iterates = [x]
    for t in range(1, 7):
        iterates.append(PGD(threat, t, size, "none")(net, step_on(x, y)))
    losses = torch.stack([F.cross_entropy(net(z), y, reduction="none") for z in iterates])
    best = losses[:6].argmax(0)
    assert len(best.unique()) > 2
    got = PGD(threat, 6, size, "none", use_best=True)(net, step_on(x, y))
    torch.testing.assert_close(got, torch.stack(iterates)[best, torch.arange(len(x))], rtol=0, atol=1e-5)


def test_only_correct_stops_at_the_first_misclassified_iterate(bed):
    net, x, y = bed
    threat = Linf(0.2)
    got = PGD(threat, 8, 0.03, "none", only_correct=True)(net, step_on(x, y))
    expected = x.clone()
    for _ in range(8):
        right = net(expected).argmax(1) == y
        one = PGD(threat, 1, 0.03, "none")
        moved = one(net, step_on(expected, y))
        expected = torch.where(right.view(-1, 1, 1, 1), threat.project(moved, x), expected)
    assert 0.1 < right.float().mean() < 0.9
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_restarts_keep_the_highest_loss(bed):
    net, x, y = bed
    attack = PGD(LINF, 2, 0.03, "uniform", "margin", restarts=4)
    runs = torch.stack([attack.restart(net, step_on(x, y), i) for i in range(4)])
    losses = torch.stack([margin(net(z), y) for z in runs])
    best = losses.argmax(0)
    assert len(best.unique()) == 4
    assert torch.equal(attack(net, step_on(x, y)), runs[best, torch.arange(len(x))])
    for i, part in enumerate(attack.parts(10).values()):
        assert torch.equal(part(net, step_on(x, y)), runs[i])


def test_trades_inner_loop(bed):
    net, x, y = copy.deepcopy(bed[0]).double(), bed[1].double(), bed[2]  # at x the gradient is nearly 0
    step = step_on(x, y)
    got = PGD(LINF, 5, 0.02, "gaussian", "kl")(net, step)
    p = net(x).softmax(1).detach()
    z = (x + 0.001 * step.draws.normal("start/0", 1, 8, 8)).clamp(0, 1)
    for _ in range(5):
        z.requires_grad_()
        (grad,) = torch.autograd.grad(F.kl_div(net(z).log_softmax(1), p, reduction="sum"), z)
        z = (z.detach() + 0.02 * grad.sign()).clamp(x - EPS, x + EPS).clamp(0, 1)
    torch.testing.assert_close(got, z, rtol=0, atol=1e-6)


def test_margin_attack_ignores_a_shift_of_the_logits(bed):
    net, x, y = bed

    class Shifted(nn.Module):
        def forward(self, x):
            return net(x) - 64.0

    attack = PGD(LINF, 10, 0.03, "uniform", "margin")
    a, b = attack(net, step_on(x, y)), attack(Shifted(), step_on(x, y))
    assert torch.equal(net(a).argmax(1), net(b).argmax(1))


def test_confident_examples_move_in_a_large_batch_as_they_do_alone():
    net = linear(2)
    net[1].weight.data[:] = torch.tensor([0.0, -120.0])[:, None] * (torch.arange(16) == 0)
    x, y = torch.full((400, 1, 4, 4), 0.5), torch.zeros(400, dtype=torch.long)
    x[:, 0, 0, 0] = torch.linspace(0.6, 1, 400)  # margins 72 to 120: gradients from 1e-31 to 0
    together = FGSM(net, step_on(x, y)) != x
    alone = torch.cat([FGSM(net, step_on(a, b)) != a for a, b in zip(x.split(1), y.split(1), strict=True)])
    assert torch.equal(together, alone)
    assert 0 < together.sum() < 400


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


# Promises that every attack makes


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
