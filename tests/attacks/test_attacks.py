import copy

import pytest
import torch
import torch.nn.functional as F
from attack_bed import EPS, digits, network, robust, step_on
from torch import nn

from leanat.attacks.pgd import LOSSES, PGD, ascent, margin
from leanat.attacks.threat import L2, Linf
from leanat.core.meter import Passes

LINF = Linf(EPS)
FGSM = PGD(LINF, 1, EPS, "none")


@pytest.fixture(scope="module")
def bed():
    net, (_, test) = robust(), digits()
    return net, test.x[:100], test.labels[:100]


# Closed forms


def linear(n_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(16, n_classes))


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


def test_the_gradient_of_ascent_is_that_of_each_example():
    net = network(3, 2).double().eval()
    x, y = torch.rand(4, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    gradient, losses, z = ascent(net, x, y)
    shift = torch.zeros_like(x)
    shift[2, 0, 3, 4] = 1e-5
    change = F.cross_entropy(net(x + shift), y, reduction="none") - F.cross_entropy(net(x - shift), y, reduction="none")
    assert gradient[2, 0, 3, 4].item() == pytest.approx(change[2].item() / 2e-5, rel=1e-4, abs=1e-10)
    assert change[[0, 1, 3]].abs().max() == 0
    assert all(p.grad is None for p in net.parameters())
    assert not any(v.requires_grad for v in (gradient, losses, z))


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
