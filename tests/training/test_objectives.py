import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import Small, make_run, toy

from leanat.core.loop import one_step
from leanat.core.nouns import Step
from leanat.core.rng import Draws
from leanat.training.objectives import MART, TRADES, CrossEntropy


def a_step(n=8, eps=0.1):
    data, index = toy(n), torch.arange(n)
    x, y = data.plain().batch(index, 0)
    draws = Draws(0, 0, index)
    step = Step(0, index, x, y, torch.ones(n), draws)
    step.x_adv = (x + eps * draws.normal("toy", *x.shape[1:])).clamp(0, 1)
    return step


def logits(n=7, k=5, scale=3.0):
    draws = Draws(1, 0, torch.arange(n))
    z = scale * draws.normal("z", k).double()
    return z, z + draws.normal("z'", k).double(), torch.arange(n) % k


def softmax(row):
    exps = [math.exp(v - max(row)) for v in row]
    return [e / sum(exps) for e in exps]


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.7, 1.0])
def test_label_smoothing_is_equation_4(epsilon):
    z, z_adv, y = logits()
    target = (1 - epsilon) * F.one_hot(y, 5) + epsilon / 5
    direct = -(target * z_adv.log_softmax(1)).sum(1)
    ours = CrossEntropy(epsilon).of_logits(z, z_adv, y)
    assert torch.allclose(ours, direct, atol=1e-12)
    mean = torch.nn.CrossEntropyLoss(label_smoothing=epsilon)(z_adv, y)
    assert ours.mean() == pytest.approx(float(mean), abs=1e-12)


def test_trades_and_mart_against_plain_arithmetic():
    z, z_adv, y = logits()
    beta, trades, mart = 5.0, [], []
    for row, row_adv, label in zip(z.tolist(), z_adv.tolist(), y.tolist(), strict=True):
        p, q = softmax(row), softmax(row_adv)
        kl = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        trades.append(-math.log(p[label]) + beta * kl)
        wrong = max(b for k, b in enumerate(q) if k != label)
        bce = -math.log(q[label]) - math.log(1.0001 - wrong + 1e-12)
        mart.append(bce + beta * kl * (1.0000001 - p[label]))
    assert TRADES(beta).of_logits(z, z_adv, y).tolist() == pytest.approx(trades, rel=1e-12)
    assert MART(beta).of_logits(z, z_adv, y).tolist() == pytest.approx(mart, rel=1e-12)


def test_trades_of_an_unattacked_example_is_cross_entropy():
    z, _, y = logits()
    assert torch.allclose(TRADES(6.0).of_logits(z, z, y), F.cross_entropy(z, y, reduction="none"))


def test_the_clean_prediction_is_not_detached():
    """The gradient of the KL term with respect to z is p (log p/p' - KL), which detaching would make 0."""
    z, z_adv, y = logits()
    z = z.requires_grad_()
    kl = TRADES(1.0).of_logits(z, z_adv, y) - F.cross_entropy(z, y, reduction="none")
    (gradient,) = torch.autograd.grad(kl.sum(), z)
    p, ratio = z.softmax(1), z.log_softmax(1) - z_adv.log_softmax(1)
    assert torch.allclose(gradient, p * (ratio - (p * ratio).sum(1, keepdim=True)), atol=1e-12)
    assert gradient.abs().max() > 0.1


def official_trades(net, x, x_adv, y, beta):
    """The loss of yaodongyu/TRADES, trades.py, after its attack: three passes in training mode, all with a graph."""
    natural = F.cross_entropy(net(x), y)
    divergence = nn.KLDivLoss(reduction="sum")(net(x_adv).log_softmax(1), net(x).softmax(1))
    return natural + beta * divergence / len(x)


def official_mart(net, x, x_adv, y, beta):
    """The loss of YisenWang/MART, mart.py, after its attack."""
    z, z_adv = net(x), net(x_adv)
    p, p_adv, row = z.softmax(1), z_adv.softmax(1), torch.arange(len(y))
    first, second = p_adv.argsort(1)[:, -1], p_adv.argsort(1)[:, -2]
    other = torch.where(first == y, second, first)
    boosted = F.cross_entropy(z_adv, y) - (1.0001 - p_adv + 1e-12).log()[row, other].mean()
    kl = nn.KLDivLoss(reduction="none")((p_adv + 1e-12).log(), p).sum(1)
    return boosted + beta * (kl * (1.0000001 - p[row, y])).mean()


@pytest.mark.parametrize(
    ("objective", "official"), [(TRADES(6.0), official_trades), (MART(5.0), official_mart)], ids=["trades", "mart"]
)
def test_a_step_is_that_of_the_official_code(objective, official):
    """Loss, gradients, the weights after an optimiser step, and BatchNorm's running statistics, in float64."""
    data, index = toy(8), torch.arange(8)
    x, y = data.plain().batch(index, 0)
    x = x.double()
    x_adv = (x + 0.1 * Draws(0, 0, index).normal("toy", *x.shape[1:]).double()).clamp(0, 1)
    theirs = Small().double().train()
    opt = torch.optim.SGD(theirs.parameters(), 0.1, 0.9, 0, 5e-4, nesterov=True)
    expected = official(theirs, x, x_adv, y, objective.beta)
    expected.backward()
    opt.step()
    run = make_run(Small().double(), objective=objective, attack=lambda net, step: x_adv)
    run.opt.param_groups[0]["lr"] = 0.1
    loss = one_step(run, Step(0, index, x, y, torch.ones(8), run.draws(index)))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-7)
    for (name, p), q in zip(run.net.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-9), name
    for name, value in theirs.state_dict().items():
        assert torch.allclose(run.net.state_dict()[name], value, rtol=1e-7, atol=1e-9), name
    assert run.net.body[1].num_batches_tracked == (3 if official is official_trades else 2)


def test_one_clean_pass_differs_in_the_running_statistics_alone():
    once, twice, step = Small().train(), Small().train(), a_step()
    a, b = TRADES(6.0, clean_twice=False)(once, step), TRADES(6.0)(twice, step)
    assert torch.equal(a, b)
    assert once.body[1].num_batches_tracked == 2
    assert not torch.allclose(once.body[1].running_mean, twice.body[1].running_mean, atol=1e-4)


def test_trades_in_evaluation_mode_is_that_of_the_running_statistics_and_leaves_them():
    """As the coreset paper's code trains by a slip; a part that was frozen stays so, and the rest goes on training."""
    net, step = Small().train(), a_step()
    net.body[1].running_mean += 0.3
    before = {k: v.clone() for k, v in net.state_dict().items()}
    losses = TRADES(6.0, training_mode=False)(net, step)
    assert net.training
    assert net.body[1].training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    net.eval()
    assert torch.allclose(losses, TRADES(6.0).of_logits(net(step.x), net(step.x_adv), step.y))
    assert not torch.allclose(losses, TRADES(6.0)(net.train(), step))
    losses.sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters() if p.dim() > 1)


def test_mart_stays_finite_where_the_network_is_sure_and_wrong():
    z = torch.tensor([[200.0, -200.0, 0.0]])
    for y in (0, 1):
        loss = MART(6.0).of_logits(z, z, torch.tensor([y]))
        assert loss.isfinite().all()
    assert torch.allclose(loss, torch.tensor([400.0 - math.log(1e-4)]), rtol=1e-3)


@pytest.mark.parametrize("objective", [CrossEntropy(), CrossEntropy(0.3), TRADES(6.0), MART(5.0)], ids=repr)
def test_call_is_of_logits_of_what_it_leaves_behind(objective):
    net, step = Small().train(), a_step()
    losses = objective(net, step)
    assert losses.shape == (8,)
    assert losses.requires_grad
    z = step.z_adv if step.z is None else step.z
    assert torch.equal(losses, objective.of_logits(z, step.z_adv, step.y))


def test_objectives_see_the_adversarial_image():
    net, step = Small(norm=False).eval(), a_step()
    CrossEntropy()(net, step)
    assert torch.equal(step.z_adv, net(step.x_adv))
    TRADES(1.0)(net, step)
    assert torch.equal(step.z, net(step.x))
    assert not torch.equal(step.z, step.z_adv)


@pytest.mark.parametrize("make", [lambda: CrossEntropy(1.5), lambda: CrossEntropy(-0.1), lambda: TRADES(-1.0)])
def test_impossible_values(make):
    with pytest.raises(ValueError, match="allowed"):
        make()
