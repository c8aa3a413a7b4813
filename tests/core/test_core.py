"""The loop: what it promises to every paper."""

import copy
import dataclasses
from contextlib import suppress

import pytest
import torch
from torch import nn
from toys import Losses, Small, Toy, make_run, same, split, toy, weights

from leanat.core.loop import shuffled, train, train_epoch
from leanat.core.meter import NonFiniteLoss, Passes
from leanat.core.nouns import Hook, Recipe, Run, Split, Step, Subset, eval_without_param_grad
from leanat.core.rng import Draws
from leanat.selection.basic import Everything, unweighted
from leanat.training.objectives import TRADES, CrossEntropy
from leanat.training.schedules import Constant, Cosine
from leanat.training.teacher import Teacher, teaching


def fixed(index, weight=None):
    index = torch.tensor(index)
    weight = torch.ones(len(index)) if weight is None else torch.tensor(weight)
    return lambda run, split: Subset(index, weight)


def double(net):
    return net.double()


class Doubled(Toy):
    def batch(self, index, epoch, view=0):
        x, y = super().batch(index, epoch, view)
        return x.double(), y


def as_double(data):
    return Doubled(data.images, data.labels, data.n_classes)


def test_weights_act_as_repetition():
    """In one batch, without BatchNorm: weight 3 is the example three times; only ratios count."""
    data = as_double(toy())

    def after(selector):
        run = make_run(double(Small(norm=False)), selector, epochs=3, batch=64)
        train(run, split(data))
        return weights(run.net)

    weighted, repeated = after(fixed([2, 5, 9], [3.0, 1.0, 2.0])), after(fixed([2, 2, 2, 5, 9, 9]))
    scaled, plain = after(fixed([2, 5, 9], [6.0, 2.0, 4.0])), after(fixed([2, 5, 9]))
    for k in weighted:
        assert torch.allclose(weighted[k], repeated[k], atol=1e-6)
        assert torch.allclose(weighted[k], scaled[k], atol=1e-6)
    assert not torch.allclose(weighted["head.weight"], plain["head.weight"], atol=1e-4)


def test_thinning_keeps_the_order_of_what_remains():
    run = make_run(Small(), seed=5)
    full = shuffled(run, unweighted(torch.arange(200))).index.tolist()
    kept = sorted(full[::3])
    thin = shuffled(run, unweighted(torch.tensor(kept))).index.tolist()
    assert thin == [i for i in full if i in set(kept)]
    assert full != sorted(full)
    run.epoch = 1
    assert shuffled(run, unweighted(torch.arange(200))).index.tolist() != full


def test_weights_travel_with_their_examples():
    run = make_run(Small())
    subset = shuffled(run, Subset(torch.arange(50), torch.arange(50).float()))
    assert subset.index.tolist() == subset.weight.tolist()
    assert subset.index.tolist() != list(range(50))


def recorded(selector, batch, epochs=2):
    """(epoch, example) -> the image and the start of the attack it got."""
    seen = {}

    def attack(net, step):
        start = step.draws.uniform("attack", *step.x.shape[1:])
        for i, x, s in zip(step.index.tolist(), step.x, start, strict=True):
            seen[step.epoch, i] = (x.clone(), s)
        return step.x

    train(make_run(Small(), selector, epochs=epochs, batch=batch, attack=attack), split(toy()))
    return seen


def test_crops_and_attack_starts_are_paired_whatever_the_subset_and_batch():
    full, thin = recorded(Everything(), 8), recorded(fixed([1, 4, 6, 20, 23]), 3)
    assert len(full) == 48
    assert len(thin) == 10
    for k, (x, start) in thin.items():
        assert x.equal(full[k][0])
        assert start.equal(full[k][1])
    assert any(not full[0, i][0].equal(full[1, i][0]) for i in range(24))
    assert not full[0, 3][1].equal(full[1, 3][1])


def test_same_seed_same_bits_other_seed_other():
    def after(seed):
        run = make_run(Small(), epochs=3, seed=seed)
        train(run, split(toy()))
        return weights(run.net)

    assert same(after(0), after(0))
    assert not same(after(0), after(1))


class Dropping(Small):
    def forward(self, x):
        return self.head(nn.functional.dropout(self.body(x), 0.5, self.training))


def test_training_leaves_the_global_generator_alone_and_dropout_is_reproducible():
    def after():
        run = make_run(Dropping())
        train(run, split(toy()))
        return weights(run.net)

    state = torch.get_rng_state()
    first = after()
    assert torch.get_rng_state().equal(state)
    torch.rand(7)
    assert same(first, after())


def test_a_resumed_run_has_the_same_bits():
    whole = make_run(Dropping(), epochs=4, extras=(Teacher(0.9), Losses()))
    train(whole, split(toy()))
    part = make_run(Dropping(), epochs=4, extras=(Teacher(0.9), Losses()))
    train(part, split(toy()), lambda run: run.epoch == 2)
    again = copy.deepcopy(part)
    train(again, split(toy()))
    assert part.epoch == 2
    assert again.epoch == 4
    assert same(weights(whole.net), weights(again.net))
    assert same(whole.memory["teacher"]["state"], again.memory["teacher"]["state"])
    assert same(whole.memory["losses"], again.memory["losses"])


def test_a_loss_that_is_not_finite_is_reported_with_its_batch():
    def attack(net, step):
        x = step.x.clone()
        x[(step.index == victim) & (step.epoch == 1)] = float("nan")
        return x

    run = make_run(Small(), epochs=3, batch=5, seed=7, attack=attack)
    run.epoch = 1
    order, run.epoch = shuffled(run, unweighted(torch.arange(24))).index.tolist(), 0
    victim = order[12]
    with pytest.raises(NonFiniteLoss, match=r"epoch 1, batch 2, seed 7"):
        train(run, split(toy()))
    assert run.epoch == 1


def test_what_is_counted():
    def attack(net, step):
        with eval_without_param_grad(net):
            x = step.x.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(net(x).sum(), x)
        with torch.no_grad():
            net(step.x)
        return step.x + 0 * gradient

    data = split(toy(21))
    assert counts(data, attack=attack) == (3 * 21, 2 * 21)
    assert counts(data) == (21, 21)
    assert counts(data, objective=TRADES(1.0)) == (63, 42)
    assert counts(data, objective=TRADES(1.0, clean_twice=False)) == (42, 42)
    assert counts(data, drop_last=True) == (16, 16)
    assert counts(data, replays=3) == (63, 63)
    assert counts(data, selector=fixed([0, 1, 2])) == (3, 3)
    passes, net = Passes(), Small().eval()
    with passes.of(net):
        net(data.train.images[:4])
    net(data.train.images)
    assert (passes.forward, passes.backward) == (4, 0)


class Flat(nn.Module):
    """BatchNorm of vectors, which cannot be trained on one example alone; ``kept``: in evaluation mode at all times."""

    def __init__(self, kept=False, norm=True):
        super().__init__()
        self.head, self.norm = nn.Linear(36, 3), nn.BatchNorm1d(36) if norm else nn.Identity()
        self.kept = kept
        self.train()

    def forward(self, x):
        return self.head(self.norm(x.flatten(1)))

    def train(self, mode=True):
        super().train(mode)
        self.norm.train(mode and not self.kept)
        return self


def test_a_lone_last_example_is_left_out_only_where_batch_norm_cannot_take_it():
    for n, net, trained_on in [
        (17, Flat(), 16),  # torch: Expected more than 1 value per channel when training
        (18, Flat(), 18),
        (17, Flat(norm=False), 17),
        (17, Flat(kept=True), 17),
        (17, Small(), 17),  # its layers have several values per channel of an image
    ]:
        run = make_run(net, batch=8)
        for _ in range(2):
            row = train_epoch(run, split(toy(n)))
            assert (row["kept"], row["forward"], row["backward"]) == (n, trained_on, trained_on)
    with pytest.raises(ValueError, match="1 examples make no batch of 8, and a BatchNorm of this network takes no"):
        train_epoch(make_run(Flat(), fixed([3]), batch=8), split(toy()))
    with pytest.raises(ValueError, match="24 examples make no batch of 1, and a BatchNorm"):
        train_epoch(make_run(Flat(), batch=1), split(toy()))


def test_looking_for_a_batch_norm_changes_nothing():
    """The same bits as of a network whose BatchNorm keeps out of the way, an epoch with a lone last example."""
    run, other = make_run(Small(), batch=8), make_run(Small(), batch=8)
    train_epoch(run, split(toy(17)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leanat.core.loop.needs_two", lambda net, data: False)
        train_epoch(other, split(toy(17)))
    assert same(weights(run.net), weights(other.net))


def counts(data, **method):
    row = train_epoch(make_run(Small(), batch=8, **method), data)
    return row["forward"], row["backward"]


def test_one_step_is_sgd_on_the_mean_loss():
    """Against torch's own optimiser, two steps on the whole set."""
    data = toy(12)
    run = make_run(Small(norm=False), epochs=2, batch=12, lr=0.05)
    net = copy.deepcopy(run.net)
    train(run, Split(data, None))
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for epoch in range(2):
        x, y = data.batch(torch.arange(12), epoch)
        opt.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
    for a, b in zip(run.net.parameters(), net.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_weight_decay_of_kernels_spares_biases_and_batchnorm():
    """Against torch's own optimiser in groups, at a learning rate that changes; and unlike decay of everything."""
    data, lr = toy(12), [0.05, 0.02]
    run = make_run(Small(), epochs=2, batch=12, lr=lambda epoch, epochs: lr[int(epoch)])
    run = Run(run.net, run.method, dataclasses.replace(run.recipe, decays="kernels", weight_decay=0.1), 0)
    net = copy.deepcopy(run.net)
    train(run, Split(data, None))
    spared = [p for n, p in net.named_parameters() if n.endswith("bias") or "body.1" in n or "body.4" in n]
    kernels = [p for p in net.parameters() if not any(p is q for q in spared)]
    groups = [{"params": kernels, "weight_decay": 0.1}, {"params": spared, "weight_decay": 0.0}]
    opt = torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)
    for epoch in range(2):
        for group in opt.param_groups:
            group["lr"] = lr[epoch]
        x, y = data.batch(torch.arange(12), epoch)
        opt.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
    assert len(spared) == 7
    for a, b in zip(run.net.parameters(), net.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_the_learning_rate_is_of_the_fractional_epoch_replays_counted():
    asked, used = [], []

    def lr(epoch, epochs):
        asked.append((epoch, epochs))
        return 0.1 / (1 + epoch)

    class Watch(Hook):
        name = "watch"

        def after_step(self, run, step):
            used.append(run.opt.param_groups[0]["lr"])

    train(make_run(Small(), epochs=2, batch=8, lr=lr, replays=2, extras=(Watch(),)), split(toy(16)))
    assert asked == [(i / 4, 2) for i in range(8)]
    assert used == [0.1 / (1 + e) for e, _ in asked]


def test_frozen_restores_every_mode_and_gradient():
    net = Small()
    net.train()
    net.body[1].eval()
    net.head.weight.requires_grad_(False)
    with eval_without_param_grad(net):
        assert not any(m.training for m in net.modules())
        assert not any(p.requires_grad for p in net.parameters())
    with eval_without_param_grad(net, training=True):
        assert all(m.training for m in net.modules())
    with suppress(KeyError), eval_without_param_grad(net):
        raise KeyError
    assert [m.training for m in net.body[:3]] == [True, False, True]
    assert [p.requires_grad for p in net.head.parameters()] == [False, True]
    assert net.body[0].weight.requires_grad


def test_the_teacher_is_the_running_average():
    run = make_run(Small(), epochs=3, batch=8, extras=(Teacher(0.7), Recorder()))
    train(run, split(toy(24)))
    assert len(Recorder.states) == 9
    average = None
    for t, state in enumerate(Recorder.states):
        a = min(1 - 1 / (t + 1), 0.7)
        average = state if t == 0 else {k: a * average[k] + (1 - a) * state[k] for k in state}
    for k, v in run.memory["teacher"]["state"].items():
        assert torch.allclose(v, average[k], atol=1e-6), k
    assert "body.1.running_var" in run.memory["teacher"]["state"]
    own = weights(run.net)
    with suppress(KeyError), teaching(run):
        assert run.net.head.weight.equal(run.memory["teacher"]["state"]["head.weight"])
        raise KeyError
    assert same(own, weights(run.net))


class Recorder(Hook):
    name, states = "recorder", []

    def start(self, run, split):
        self.states.clear()
        return {}

    def after_step(self, run, step):
        self.states.append({k: v for k, v in weights(run.net).items() if v.is_floating_point()})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Recipe(0, 8, Constant(0.1), 0.9, True, 0.0), "epochs"),
        (lambda: Recipe(1, 8, Constant(0.1), 0.0, True, 0.0), "nesterov"),
        (lambda: Recipe(1, 8, Constant(0.1), 0.9, True, 0.0, precision="fp16"), "allowed: fp32, bf16"),
        (lambda: Teacher(1.0), "decay"),
    ],
)
def test_impossible_values(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_it_learns():
    run = make_run(Small(), epochs=15, batch=12, lr=Cosine(0.2))
    train(run, split(toy(60)))
    assert run.history[-1]["loss"] < 0.4 < run.history[0]["loss"]
    assert [row["epoch"] for row in run.history] == list(range(1, 16))


def test_bf16_runs_and_keeps_full_precision_weights():
    recipe = Recipe(2, 8, Constant(0.1), 0.9, True, 0.0, precision="bf16")
    run = make_run(Small(), extras=(Teacher(0.9),))
    run.recipe = recipe
    run.__post_init__()
    train(run, split(toy()))
    assert all(p.dtype == torch.float32 for p in run.net.parameters())
    assert CrossEntropy()(run.net, _step()).isfinite().all()


def _step():
    index = torch.arange(4)
    x, y = toy().batch(index, 0)
    return Step(0, index, x, y, torch.ones(4), Draws(0, 0, index), x_adv=x)
