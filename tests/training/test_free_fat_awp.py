"""Free-AT, FAT and AWP against independent loops and the authors' formulas."""

import copy
import dataclasses
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from attack_bed import EPS, digits, network, robust, step_on
from torch import nn
from toys import Small, make_run, same, split, toy, weights

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import L2, Linf
from leanat.core import loop, nouns
from leanat.core.loop import train
from leanat.core.nouns import Hook, Step
from leanat.plan import components
from leanat.runs import checkpoint
from leanat.training.awp import AWP
from leanat.training.fat import FAT
from leanat.training.free import Free
from leanat.training.objectives import TRADES, CrossEntropy

PLAIN = CrossEntropy()


# -- Free


def free_run(net, epochs=2, batch=7, replays=1, threat=None, **options):
    free = Free(threat or Linf(0.1), 0.1)
    run = make_run(net, epochs=epochs, batch=batch, attack=free, extras=(free,), **options)
    run.method = dataclasses.replace(run.method, replays=replays)
    return run


@pytest.mark.parametrize("replays", [1, 3])
def test_free_is_fgsm_training_with_the_carried_perturbation(replays):
    data, eps = toy(), 0.1
    run = free_run(Small(), replays=replays)
    net = copy.deepcopy(run.net)
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    train(run, split(data))

    delta = torch.zeros(7, 1, 6, 6)  # 24 examples: the last batch has 3
    for epoch in range(2):
        everyone = nouns.Subset(torch.arange(24), torch.ones(24))
        order = loop.shuffled(SimpleNamespace(draws=lambda i, e=epoch: run.draws(i, epoch=e)), everyone).index
        for index in order.split(7):
            for _ in range(replays):
                x, y = data.batch(index, epoch)
                d = delta[: len(x)]
                z = (x + d).clamp(0, 1).requires_grad_()
                net.train()
                opt.zero_grad()
                F.cross_entropy(net(z), y).backward()
                moved = (d + eps * z.grad.sign()).clamp(-eps, eps)
                delta[: len(x)] = torch.min(torch.max(moved, -x), 1 - x)
                opt.step()
    assert torch.allclose(run.memory["free"]["delta"], delta, atol=1e-6)
    for (name, a), b in zip(run.net.named_parameters(), net.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5), name


class Watch(Hook):
    name = "watch"

    def __init__(self):
        self.seen = []

    def start(self, run, split):
        return None

    def on_epoch(self, run, split):
        pass

    def after_backward(self, run, step):
        pass

    def after_step(self, run, step):
        self.seen.append((step.x, step.x_adv.detach().clone(), run.memory["free"]["delta"].clone()))


@pytest.mark.parametrize("threat", [Linf(0.1), L2(0.5)], ids=repr)
def test_free_carries_delta_across_batches_and_epochs_and_leaves_the_rows_beyond_a_small_batch(threat):
    run, watch = free_run(Small(), threat=threat), Watch()
    run.method = dataclasses.replace(run.method, extras=(*run.method.extras, watch))
    train(run, split(toy()))
    assert [len(x) for x, _, _ in watch.seen] == [7, 7, 7, 3] * 2
    before = torch.zeros(7, 1, 6, 6)
    for x, x_adv, delta in watch.seen:
        assert torch.equal(x_adv, threat.project(x + before[: len(x)], x))
        assert torch.equal(delta[len(x) :], before[len(x) :])
        assert not torch.equal(delta, before)
        size = delta.abs().amax() if isinstance(threat, Linf) else delta.flatten(1).norm(dim=1).amax()
        assert size <= threat.eps + 1e-6
        assert x_adv.min() >= 0
        assert x_adv.max() <= 1
        before = delta


def test_free_resumes_to_the_same_bits(tmp_path):
    whole = free_run(Small(), epochs=4, replays=2)
    train(whole, split(toy()))
    half = free_run(Small(), epochs=4, replays=2)
    train(half, split(toy()), lambda run: run.epoch == 2)
    checkpoint.save(tmp_path / "resume.pt", half, "x")
    again = free_run(Small(), epochs=4, replays=2)
    assert checkpoint.load(tmp_path / "resume.pt", again, "x")
    train(again, split(toy()))
    assert torch.equal(again.memory["free"]["delta"], whole.memory["free"]["delta"])
    assert same(weights(again.net), weights(whole.net))


def test_free_costs_one_forward_and_one_backward_a_replay():
    run = free_run(Small(), epochs=1, replays=4)
    train(run, split(toy()))
    assert run.history[0]["forward"] == run.history[0]["backward"] == 4 * 24


def test_free_says_what_is_missing():
    free = Free(Linf(0.1), 0.1)
    with pytest.raises(RuntimeError, match="only inside a training run"):
        free(Small(), Step(0, torch.arange(2), torch.rand(2, 1, 6, 6), torch.zeros(2), torch.ones(2), None))
    with pytest.raises(ValueError, match="equal fields"):
        train(make_run(Small(), attack=free, extras=(Free(Linf(0.2), 0.1),)), split(toy()))
    steps = (torch.ones(8, dtype=torch.long), torch.ones(8))
    with pytest.raises(ValueError, match="budget"):
        train(make_run(Small(), attack=free, extras=(free,), budget=lambda run, step: steps), split(toy()))
    with pytest.raises(ValueError, match="step_size"):
        Free(Linf(0.1), -1)


# -- FAT


def fat_by_hand(net, x, y, z, threat, steps, step_size, tau):
    """One example at a time, as Algorithm 1 reads; also how many steps were taken, and when the decision flipped."""
    out, taken, flipped = [], [], []
    for i in range(len(x)):
        image, left, count, first = z[i : i + 1], tau, 0, None
        for t in range(steps):
            w = image.clone().requires_grad_()
            logits = net(w)
            if logits.argmax(1) != y[i]:
                first = t if first is None else first
                if left == 0:
                    break
                left -= 1
            (grad,) = torch.autograd.grad(F.cross_entropy(logits, y[i : i + 1]), w)
            image = threat.project(image + step_size * threat.ascend(grad), x[i : i + 1])
            count += 1
        out.append(image)
        taken.append(count)
        flipped.append(first)
    return torch.cat(out), taken, flipped


@pytest.mark.parametrize("tau", [0, 1, 3])
def test_fat_stops_tau_steps_after_the_decision_flips(tau):
    net, (x, y) = robust(), digits()[1].batch(torch.arange(60), 0)
    step, threat = step_on(x, y), Linf(2 * EPS)
    z = threat.start(x, step.draws, "start/0")
    expected, taken, flipped = fat_by_hand(net, x, y, z, threat, 8, EPS / 2, tau)
    got = FAT(threat, 8, EPS / 2, patience=tau)(net, step)
    assert torch.allclose(got, expected, atol=1e-6)
    early = [(n, f) for n, f in zip(taken, flipped, strict=True) if f is not None and f + tau < 8]
    assert len(early) > 5
    # once flipped the examples here stay so, hence exactly tau more steps; one flips back now and then
    assert sum(n == f + tau for n, f in early) > 0.8 * len(early)
    assert any(f is None for f in flipped)


def test_fat_lies_between_stopping_at_once_and_pgd():
    net, (x, y) = robust(), digits()[1].batch(torch.arange(100), 0)
    pgd = PGD(Linf(2 * EPS), 8, EPS / 2, "uniform")
    assert torch.equal(FAT(pgd.threat, 8, EPS / 2, 8)(net, step_on(x, y)), pgd(net, step_on(x, y)))
    first = dataclasses.replace(pgd, only_correct=True)
    assert torch.equal(FAT(pgd.threat, 8, EPS / 2, 0)(net, step_on(x, y)), first(net, step_on(x, y)))


def test_fat_works_on_fewer_and_fewer_examples_and_leaves_the_network_alone():
    net, (x, y) = network(), digits()[1].batch(torch.arange(80), 0)
    net.train()
    before, counts = weights(net), []
    net.register_forward_hook(lambda m, inputs, output: counts.append(len(output)))
    FAT(Linf(EPS), 6, EPS / 4, 1)(net, step_on(x, y))
    assert counts[0] == 80
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < 80  # an untrained network is wrong about most
    assert same(before, weights(net))
    assert net.training
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_fat_patience_grows_with_the_epoch_and_omega_belongs_to_the_examples():
    fat = FAT(Linf(EPS), 10, EPS / 4, 0, bounds=(50, 90))
    assert [fat.tau(e) for e in (0, 49, 50, 89, 90, 119)] == [0, 0, 1, 1, 2, 2]
    net, (x, y) = robust(), digits()[1].batch(torch.arange(20), 0)
    noisy = dataclasses.replace(fat, omega=0.05, start="none")
    whole = noisy(net, step_on(x, y))
    assert not torch.equal(whole, dataclasses.replace(noisy, omega=0.0)(net, step_on(x, y)))
    assert (whole - x).abs().max() <= EPS + 1e-6
    assert torch.allclose(noisy(net, step_on(x[:7], y[:7])), whole[:7], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patience": -1}, "patience -1"),
        ({"bounds": (5, 5)}, "bounds"),
        ({"start": "gaussian"}, "uniform, none"),
        ({"omega": -0.1}, "omega"),
        ({"steps": 0}, "steps 0"),
    ],
)
def test_fat_checks_its_fields(change, message):
    with pytest.raises(ValueError, match=message):
        FAT(**{"threat": Linf(EPS), "steps": 3, "step_size": 0.1, "patience": 0, **change})
    with pytest.raises(ValueError, match="budget"):
        FAT(Linf(EPS), 3, 0.1, 0)(nn.Identity(), step_on(torch.zeros(1, 1), torch.zeros(1), steps=torch.ones(1)))


# -- AWP


def awp_run(gamma=0.1, objective=PLAIN, net=None, warmup=0, **options):
    awp = AWP(objective, gamma, warmup)
    return make_run(net or Small(), objective=awp, extras=(awp,), **options)


def proxy_difference(net, loss_of, gamma):
    """The authors' way: a copy of the network takes a step up, and each weight's move is rescaled to its norm."""
    proxy = copy.deepcopy(net).train()
    opt = torch.optim.SGD(proxy.parameters(), lr=0.01)
    opt.zero_grad()
    (-loss_of(proxy)).backward()
    opt.step()
    old, new = net.state_dict(), proxy.state_dict()
    moves = {k: new[k] - old[k] for k in old if old[k].dim() > 1 and "weight" in k}
    return {k: gamma * old[k].norm() / (m.norm() + 1e-20) * m for k, m in moves.items()}


@pytest.mark.parametrize("objective", [PLAIN, TRADES(6.0), TRADES(6.0, training_mode=False)], ids=repr)
def test_awp_step_is_the_authors(objective):
    run = awp_run(0.1, objective, Small().double(), attack=lambda net, step: (step.x + 0.05).clamp(0, 1))
    data = dataclasses.replace(toy(), images=toy().images.double())
    step = loop.make_step(run, data, nouns.Subset(torch.arange(8), torch.ones(8)), slice(0, 8))
    net, x_adv = copy.deepcopy(run.net), (step.x + 0.05).clamp(0, 1)

    def loss_of(network):
        if objective is PLAIN:
            return F.cross_entropy(network(x_adv), step.y)
        network.train(objective.training_mode)
        z, z_adv = network(step.x), network(x_adv)
        kl = F.kl_div(z_adv.log_softmax(1), network(step.x).softmax(1), reduction="batchmean")
        return F.cross_entropy(z, step.y) + 6 * kl

    v = proxy_difference(net, loss_of, 0.1)
    state = {k: p + v.get(k, 0) for k, p in net.state_dict().items()}
    moved = copy.deepcopy(net).train()
    moved.load_state_dict(state)
    loss = loss_of(moved)
    loss.backward()
    assert float(loop.one_step(run, step)) == pytest.approx(loss.item(), rel=1e-6)
    for (name, p), q in zip(run.net.named_parameters(), moved.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-9), name
    for name, buffer in run.net.named_buffers():  # the pass that finds v leaves nothing in BatchNorm
        assert torch.allclose(buffer, dict(moved.named_buffers())[name], rtol=1e-6), name


def test_awp_perturbs_each_weight_by_gamma_of_its_norm_and_restores_it_bit_for_bit():
    run, seen = awp_run(0.1, lr=0.0, momentum=0.0), []

    class Inner:
        def __call__(self, net, step):
            seen.append({k: p.detach().clone() for k, p in net.named_parameters()})
            return PLAIN(net, step)

        of_logits = PLAIN.of_logits

    awp = AWP(Inner(), 0.1)
    run.method = dataclasses.replace(run.method, objective=awp, extras=(awp,))
    before = {k: p.detach().clone() for k, p in run.net.named_parameters()}
    train(run, split(toy()))
    assert same(before, {k: p.detach() for k, p in run.net.named_parameters()})
    for name, p in before.items():
        assert torch.equal(seen[0][name], p), "where v is found"
        size = (seen[1][name] - p).norm() / p.norm().clamp_min(1e-9)
        assert float(size) == pytest.approx(0.1 if p.dim() > 1 else 0, abs=1e-4)


def test_awp_without_gamma_or_before_its_epochs_is_plain_training():
    plain = make_run(Small())
    train(plain, split(toy()))
    for run in (awp_run(0.0), awp_run(0.5, warmup=2)):
        train(run, split(toy()))
        assert same(weights(run.net), weights(plain.net))
    late = awp_run(0.5, warmup=1)
    train(late, split(toy()))
    assert late.history[0]["loss"] == plain.history[0]["loss"]
    assert not same(weights(late.net), weights(plain.net))


def test_awp_acts_under_autocast():
    losses = {}
    for gamma in (0.0, 0.5):
        run = awp_run(gamma, epochs=1, lr=0.0)
        run.recipe = dataclasses.replace(run.recipe, precision="bf16")

        def forward_first(run, step):  # a budget's clean pass: leaves casts of the weights in autocast's cache
            with torch.no_grad():
                run.net(step.x)

        run.method = dataclasses.replace(run.method, budget=forward_first)
        train(run, split(toy()))
        losses[gamma] = run.history[0]["loss"]
    assert losses[0.5] > losses[0.0] + 0.05


def test_awp_and_the_config():
    built = components.build(AWP, {"objective": {"trades": {"beta": 6}}, "gamma": 0.005, "warmup_epochs": 10}, "s")
    assert built == AWP(TRADES(6.0), 0.005, 10)
    for fields in ({"gamma": -1}, {"gamma": 0.1, "warmup_epochs": -1}):
        with pytest.raises(ValueError, match="allowed"):
            AWP(PLAIN, **fields)
    with pytest.raises(ValueError, match="equal fields"):
        train(make_run(Small(), objective=AWP(PLAIN, 0.1), extras=(AWP(PLAIN, 0.2),)), split(toy()))
    z = torch.randn(4, 3)
    y = torch.tensor([0, 1, 2, 0])
    assert torch.equal(AWP(TRADES(6.0), 0.1).of_logits(z, z + 1, y), TRADES(6.0).of_logits(z, z + 1, y))
    free = components.build(Free, {"threat": {"linf": {"eps": 0.1}}, "step_size": 0.1}, "s")
    assert free == Free(Linf(0.1), 0.1)
    fields = {"threat": {"linf": {"eps": 0.1}}, "steps": 10, "step_size": 0.1, "patience": 0, "bounds": [50, 90]}
    assert components.build(FAT, fields, "s") == FAT(Linf(0.1), 10, 0.1, 0, (50, 90))
