import copy
import itertools
import math
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import Small, Toy, clean, make_run, same, split, toy, weights

from leanat import models
from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core.errors import ConfigError
from leanat.core.loop import make_step, one_step, train, train_epoch
from leanat.core.meter import Passes
from leanat.core.nouns import Hook, Method, Split, Subset
from leanat.cost.held import most_bytes
from leanat.papers.coreset.lengths import Phases, epochs_for, phases_of
from leanat.papers.coreset.method import WarmStart
from leanat.plan import components
from leanat.selection.basic import Every, Everything, Once, Random, everyone, unweighted
from leanat.selection.craig import Craig
from leanat.selection.facility import facility_location
from leanat.selection.glister import Glister
from leanat.selection.grad_match import GradMatch
from leanat.selection.last_layer import AllLayers, at_last_layer, gradients, logit_gradients, random_order
from leanat.training.awp import AWP
from leanat.training.objectives import MART, TRADES, CrossEntropy

OBJECTIVES = [CrossEntropy(), CrossEntropy(0.3), TRADES(6.0), MART(5.0)]
SELECTORS = [
    Craig(0.5, "example"),
    GradMatch(0.5, "example"),
    Glister(0.5, "example", eta=0.1),
]
ATTACK = PGD(Linf(0.1), 3, 0.04, "uniform")


@dataclass
class Watch:
    """An attack that remembers which examples it was given, and what they looked like."""

    attack: object = Clean()

    def __post_init__(self):
        self.seen = []

    def __call__(self, net, step):
        self.seen.append((step.index, step.x))
        return self.attack(net, step)

    def views(self):
        return {int(i): image for index, x in self.seen for i, image in zip(index, x, strict=True)}


@dataclass(frozen=True)
class Note(Hook):
    """Keeps the gradient of every step."""

    kept: list
    name: str = "note"

    def after_backward(self, run, step):
        self.kept.append(torch.cat([p.grad.flatten() for p in run.net.parameters()]).clone())


def parts(n=24, held_out=9, **options):
    data = toy(n + held_out, **options)
    train, validation = (
        Toy(data.images[i], data.labels[i], 3, augmented=a) for i, a in ((slice(n), True), (slice(n, None), False))
    )
    return Split(train, validation)


def batches(run, data):
    return random_order(run, data).split(run.recipe.batch)


# -- last-layer gradients


@pytest.mark.parametrize("adversarial", [True, False])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_closed_form_equals_autograd_of_the_last_layer(objective, adversarial):
    data = toy(10)
    data = replace(data, images=data.images.double())
    run = make_run(Small().double(), objective=objective, attack=ATTACK, batch=4, epochs=3)
    train(run, split(data))  # BatchNorm has statistics, p is no longer uniform
    run.epoch = 1
    found = gradients(run, data, adversarial)
    bias = gradients(run, data, adversarial, features=False)

    net = run.net.eval()
    step = make_step(run, data, unweighted(everyone(data)), slice(None))
    x_adv = ATTACK(net, step) if adversarial else step.x
    head = net.head
    for i in range(len(data)):
        z, z_adv = net(step.x[i : i + 1]), net(x_adv[i : i + 1])
        if adversarial:
            assert not z.equal(z_adv)
        loss = objective.of_logits(z, z_adv, step.y[i : i + 1]).sum()
        w, b = torch.autograd.grad(loss, (head.weight, head.bias))
        torch.testing.assert_close(found.dense()[i], torch.cat([w, b[:, None]], 1).flatten(), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(bias.dense()[i], b, rtol=1e-10, atol=1e-12)


def test_what_an_objective_does_not_read_is_not_computed():
    z, y = torch.randn(2, 5, 3), torch.arange(5) % 3
    assert logit_gradients(CrossEntropy(), *z, y)[0] is None
    assert logit_gradients(TRADES(0.0), *z, y)[0] is not None
    data, attack = toy(10), PGD(Linf(0.1), 3, 0.04, "uniform")
    for objective, forward, n_parts in ((CrossEntropy(), 4, 1), (TRADES(6.0), 5, 2)):
        run, passes = make_run(Small(), objective=objective, attack=attack, batch=4), Passes()
        with passes.of(run.net):
            found = gradients(run, data)
        assert (passes.forward, passes.backward, len(found.parts)) == (forward * 10, 30, n_parts)
    with passes.of(run.net):
        gradients(run, data, adversarial=False)
    assert (passes.forward, passes.backward) == (60, 30)


def test_adversarial_trades_is_cross_entropy_and_two_divergences():
    """Equation 14: the clean term at clean features, the divergence by both of its sides."""
    data = toy(8)
    run = make_run(Small(), objective=TRADES(4.0), attack=ATTACK, batch=8)
    (a, phi), (a_adv, phi_adv) = gradients(run, data).parts
    layer, adv = at_last_layer(run, data, Clean(), ATTACK)
    p, q = layer.z.softmax(1), adv.z.softmax(1)
    ratio = (p / q).log()
    dp = p * (ratio - (p * ratio).sum(1, keepdim=True))
    torch.testing.assert_close(a, p - F.one_hot(data.labels, 3) + 4 * dp)
    torch.testing.assert_close(a_adv, 4 * (q - p))
    assert torch.equal(phi, layer.phi)
    assert torch.equal(phi_adv, adv.phi)
    assert not phi.equal(phi_adv)


def test_rows_are_examples_whatever_the_batches():
    """The mapping that the authors' code got wrong: a row is the example of its number."""
    data = toy(11)
    found = []
    for batch in (3, 4, 11):
        run = make_run(Small(), attack=ATTACK, batch=batch, objective=TRADES(6.0))
        run.epoch = 5
        found.append(gradients(run, data).dense())
    torch.testing.assert_close(found[0], found[2], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[1], found[2], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda s: type(s).__name__)
def test_a_selection_leaves_the_network_as_it_was(selector):
    run = make_run(Small(), attack=replace(ATTACK, training_mode=True), batch=5)
    before, state = weights(run.net), torch.get_rng_state()
    selector(run, parts())
    assert same(before, weights(run.net))
    assert run.net.training
    assert all(p.requires_grad and p.grad is None for p in run.net.parameters())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("objective", OBJECTIVES[1:3], ids=lambda o: type(o).__name__)
def test_gradients_read_the_averages_of_the_training_which_its_attack_moves(objective):
    """An attack in training mode updates BatchNorm's averages; a gradient must not depend on it, nor on the batches before."""
    data, attack = toy(40).plain(), replace(ATTACK, training_mode=True)
    run = make_run(Small(), objective=objective, attack=attack, batch=8)
    train(run, split(data))
    everything, trained, moved = unweighted(everyone(data)), copy.deepcopy(run.net).eval(), copy.deepcopy(run.net)
    clean_z, z, too_late, expected = torch.empty(40, 3), torch.empty(40, 3), torch.empty(40, 3), []
    groups = list(batches(run, data))
    for group in groups:
        own = make_step(run, data, everything, group)
        own.x_adv = attack(moved, own)
        clean_z[group], z[group] = trained(own.x).detach(), trained(own.x_adv).detach()
        too_late[group] = copy.deepcopy(moved).eval()(own.x_adv).detach()
        loss = objective(trained, own).mean()
        expected.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(trained.parameters()))]))
    assert (z - too_late).norm() > 0.02 * z.norm()
    layer, adv = at_last_layer(run, data, Clean(), attack)
    torch.testing.assert_close(layer.z, clean_z)
    torch.testing.assert_close(adv.z, z)
    parts_of_z = [part for part in logit_gradients(objective, clean_z, z, data.labels) if part is not None]
    for found, part in zip(gradients(run, data).parts, parts_of_z, strict=True):
        torch.testing.assert_close(found[0], part)
    torch.testing.assert_close(AllLayers(run, data).means(groups), torch.stack(expected), atol=1e-5, rtol=1e-4)


def test_gradients_of_all_layers_are_those_of_training_where_awp_perturbs_the_weights_and_restores():
    data, found = toy(40).plain(), []
    awp = AWP(CrossEntropy(), 0.1)
    run = make_run(Small(), objective=awp, attack=STEADY, batch=8, extras=(Note(found),), lr=0.0, momentum=0.0)
    groups, before = list(batches(run, data)), weights(run.net)
    means = AllLayers(run, data, training_mode=True).means(groups)
    assert same(before, weights(run.net))
    for group in groups:
        one_step(run, make_step(run, data, unweighted(everyone(data)), group))
        run.net.load_state_dict(before)  # BatchNorm's averages
    torch.testing.assert_close(means, torch.stack(found))


def test_gradients_of_all_layers_that_cannot_be_taken_leave_the_modes_as_they_were():
    class Failing(CrossEntropy):
        def __call__(self, net, step):
            raise ArithmeticError

    data, run = toy(11), make_run(Small(), objective=Failing())
    run.net.train()
    with pytest.raises(ArithmeticError):
        AllLayers(run, data).means(batches(run, data))
    assert all(module.training for module in run.net.modules())


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda s: type(s).__name__)
def test_a_selection_sees_the_view_that_is_trained_on(selector):
    data, watch = parts(), Watch()
    run = make_run(Small(), selector, attack=watch, batch=5, lr=0.0)
    run.epoch = 3
    train_epoch(run, data)
    n_scored = math.ceil(len(data.train) / 5)
    first = math.ceil(9 / 5) if isinstance(selector, Glister) else 0  # the validation examples
    scored, trained = Watch(), Watch()
    scored.seen, trained.seen = watch.seen[first : first + n_scored], watch.seen[first + n_scored :]
    scored, trained = scored.views(), trained.views()
    assert len(scored) == 24
    assert sorted(trained) == sorted(run.subset.index.tolist())
    assert all(image.equal(scored[i]) for i, image in trained.items())
    plain = data.train.plain().batch(run.subset.index, 3)[0]
    assert any(not trained[int(i)].equal(x) for i, x in zip(run.subset.index, plain, strict=True))


@dataclass(frozen=True)
class Shift:
    """An attack that darkens what it attacks; with only_correct it leaves misclassified examples alone, as Fast-LPA does."""

    only_correct: bool = True

    def __call__(self, net, step):
        right = net(step.x).argmax(1) == step.y
        attacked = right if self.only_correct else torch.ones_like(right)
        return torch.where(attacked[:, None, None, None], step.x * 0.5, step.x)


def test_a_selection_attacks_misclassified_examples_too():
    data = toy(24)
    run = make_run(Small(norm=False), attack=Shift(), batch=5)
    assert 0 < (run.net(data.images).argmax(1) == data.labels).sum() < 24  # some are right, some wrong
    every = make_run(Small(norm=False), attack=Shift(only_correct=False), batch=5)
    assert gradients(run, data).dense().equal(gradients(every, data).dense())
    assert AllLayers(run, data).means(batches(run, data)).equal(AllLayers(every, data).means(batches(run, data)))
    found, wanted = (Glister(0.5, "example", eta=0.1).validation(r, data) for r in (run, every))
    assert found.z.equal(wanted.z)
    inside = make_run(Small(norm=False), attack=Watch(Shift()), batch=5)
    assert gradients(inside, data).dense().equal(gradients(every, data).dense())


@pytest.mark.parametrize("training_mode", [False, True])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_gradients_of_all_layers_and_their_part_of_the_last(objective, training_mode):
    data = toy(23).plain()
    run = make_run(Small(), objective=objective, attack=STEADY, batch=5)
    before, wanted = weights(run.net), []
    for index in batches(run, data):  # by brute force, in float32
        step = make_step(run, data, unweighted(everyone(data)), index)
        step.x_adv = STEADY(run.net, step)
        run.net.train(training_mode)
        run.net.zero_grad()
        objective(run.net, step).mean().backward()
        wanted.append(torch.cat([p.grad.flatten() for p in run.net.parameters()]))
        run.net.load_state_dict(before)
    run.net.train().zero_grad()
    found = AllLayers(run, data, training_mode=training_mode).means(batches(run, data))
    torch.testing.assert_close(found, torch.stack(wanted), atol=1e-6, rtol=1e-4)
    last = gradients(run, data, training_mode=training_mode).means(batches(run, data)).view(len(found), 3, -1)
    torch.testing.assert_close(found[:, -18:-3].view(-1, 3, 5), last[:, :, :-1], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(found[:, -3:], last[:, :, -1], atol=1e-6, rtol=1e-4)
    assert same(before, weights(run.net))
    assert run.net.training
    assert all(p.grad is None for p in run.net.parameters())


def test_gradients_of_all_layers_are_held_once():
    class Wide(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Flatten(), nn.Linear(36, 4000), nn.ReLU())
            self.head = nn.Linear(4000, 3)

    run, data, found = make_run(Wide(), batch=4), toy(40).plain(), []
    peak = most_bytes(lambda: found.append(AllLayers(run, data).means(batches(run, data))), torch.device("cpu"))
    assert peak < 1.6 * 4 * found[0].numel()


def test_training_mode_changes_the_rows_and_all_layers_the_choice():
    run, data = make_run(Small(), attack=STEADY, batch=4), toy(40)
    assert not gradients(run, data).dense().allclose(gradients(run, data, training_mode=True).dense())
    for kind in (Craig, GradMatch):
        last, whole = (kind(0.3, "batch", all_layers=all_layers)(run, split(data)) for all_layers in (False, True))
        assert len(whole.index) == len(last.index) == 12
        assert set(whole.index.tolist()) != set(last.index.tolist())
        with pytest.raises(ValueError, match="all_layers with granularity 'class'"):
            kind(0.3, "class", all_layers=True)


def test_bf16_gives_single_precision_rows():
    run = make_run(Small(), attack=ATTACK, batch=5)
    exact = gradients(run, toy(10))
    run.recipe = replace(run.recipe, precision="bf16")
    rough = gradients(run, toy(10))
    assert rough.parts[0][0].dtype == rough.parts[0][1].dtype == torch.float32
    assert 0 < (rough.dense() - exact.dense()).abs().max() < 0.05


# -- weighted training


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_weight_two_is_twice_the_example(objective):
    data = toy(12)
    half, rest = torch.arange(6), torch.arange(6, 12)
    twice = unweighted(torch.cat([half, half, rest]))
    weighted = Subset(torch.arange(12), torch.cat([torch.full((6,), 2.0), torch.ones(6)]))
    kept = []
    for subset in (twice, weighted, unweighted(torch.arange(12))):
        run = make_run(Small(norm=False), objective=objective, attack=ATTACK, extras=(Note(kept),))
        one_step(run, make_step(run, data, subset, slice(None)))
    torch.testing.assert_close(kept[0], kept[1], atol=1e-6, rtol=0)
    assert (kept[0] - kept[2]).abs().max() > 1e-4


# -- planted clusters


def planted(sizes, labels, seed=0):
    """Examples that are copies of len(sizes) images, shuffled; cluster int64 [N] says which."""
    cluster = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    cluster = cluster[torch.randperm(len(cluster), generator=torch.Generator().manual_seed(seed))]
    images = torch.rand(len(sizes), 1, 6, 6, generator=torch.Generator().manual_seed(seed + 1))
    return Toy(images[cluster], torch.tensor(labels)[cluster], 3, augmented=False), cluster


def one_of_each(subset, cluster, expected):
    found = dict(zip(cluster[subset.index].tolist(), subset.weight.tolist(), strict=True))
    assert len(subset.index) == len(found) == len(expected)
    for c, weight in enumerate(expected):
        assert found[c] == pytest.approx(weight, rel=1e-3), (c, found)


STEADY = PGD(Linf(0.1), 3, 0.04, "none")  # copies stay copies under attack


@pytest.mark.parametrize("adversarial", [True, False])
@pytest.mark.parametrize("objective", [CrossEntropy(), TRADES(0.5), MART(1.0)], ids=repr)
@pytest.mark.parametrize("granularity", ["example", "class"])
def test_planted_clusters(granularity, objective, adversarial):
    sizes = [6, 2, 3, 5, 1, 7]  # 8 examples and 2 clusters of each class
    data, cluster = planted(sizes, [0, 0, 1, 1, 2, 2])
    run = make_run(Small(), objective=objective, attack=STEADY, batch=7)
    fraction = len(sizes) / len(data)
    for selector in (Craig(fraction, granularity, adversarial), GradMatch(fraction, granularity, adversarial)):
        one_of_each(selector(run, split(data)), cluster, sizes)


@pytest.mark.parametrize("granularity", ["example", "class"])
def test_planted_clusters_glister(granularity):
    """One step on one of a cluster's copies is enough, so that its others are of no more use."""
    data, cluster = planted([4, 4, 4], [0, 1, 2])
    held_out, _ = planted([3, 3, 3], [0, 1, 2])
    run = make_run(Small(), attack=STEADY, batch=5)
    for adversarial in (True, False):
        selector = Glister(3 / 12, granularity, eta=20.0, adversarial=adversarial, variant="naive")
        one_of_each(selector(run, Split(data, held_out)), cluster, [1, 1, 1])


@pytest.mark.parametrize("granularity", ["batch", "whole_batches"])
def test_planted_batches(granularity):
    """Batches 0, 2, 5 are alike, so are 1 and 3; 4 is by itself."""
    kind, size = [0, 1, 0, 1, 2, 0], 4
    data = toy(24)
    run = make_run(Small(), attack=STEADY, batch=size)
    order = torch.cat(batches(run, data))
    images, labels = torch.rand(3, size, 1, 6, 6), torch.tensor([[0, 1, 0, 2], [0, 0, 1, 1], [2, 2, 2, 2]])
    for b, k in enumerate(kind):
        where = order[b * size : (b + 1) * size]
        data.images[where], data.labels[where] = images[k], labels[k]
    data = data.plain()
    for selector in (Craig(0.5, granularity), GradMatch(0.5, granularity)):
        subset = selector(run, split(data))
        found = {}
        for batch, weight in zip(subset.index.split(size), subset.weight.split(size), strict=True):
            number = next(b for b in range(6) if order[b * size : (b + 1) * size].equal(batch))
            assert weight.unique().numel() == 1
            found[kind[number]] = float(weight[0])
        assert found == {k: pytest.approx(kind.count(k), rel=1e-3) for k in range(3)}
        assert subset.shuffle == (granularity == "batch")


# -- per batch


@pytest.mark.parametrize("n", [24, 22])
def test_scored_batches_are_the_chosen_examples(n):
    """The authors' code scores batches in one order and looks their examples up in another."""
    data, watch = toy(n), Watch(STEADY)
    run = make_run(Small(), attack=watch, batch=5, epochs=9)
    run.epoch = 4
    subset = Craig(0.5, "batch")(run, split(data))
    scored = [index for index, _ in watch.seen]
    net, means = run.net.eval(), []
    for index in scored:  # by brute force: the gradient of a batch's mean loss
        x, y = data.batch(index, 4)
        step = replace(make_step(run, data, unweighted(index), slice(None)), x=x)
        loss = F.cross_entropy(net(STEADY(net, step)), y)
        w, b = torch.autograd.grad(loss, (net.head.weight, net.head.bias))
        means.append(torch.cat([w, b[:, None]], 1).flatten())
    chosen, weight = facility_location(torch.stack(means), math.ceil(math.ceil(n / 2) / 5))
    expected = {int(i): float(w) for b, w in zip(chosen, weight, strict=True) for i in scored[b]}
    assert dict(zip(subset.index.tolist(), subset.weight.tolist(), strict=True)) == expected


def trained_with(subset, data, batch=5):
    run = make_run(Small(), lambda run, split: subset, batch=batch, attack=STEADY)
    train_epoch(run, split(data))
    return weights(run.net)


@pytest.mark.parametrize("n", [25, 23])
def test_weights_cancel_in_whole_batches_and_act_when_shuffled(n):
    data, watch = toy(n), Watch()
    run = make_run(Small(), attack=watch, batch=5)
    for granularity, equal in (("whole_batches", True), ("batch", False)):
        subset = Craig(0.8, granularity)(run, split(data))
        assert subset.weight.unique().numel() > 1
        one = subset._replace(weight=torch.ones_like(subset.weight))
        a, b = trained_with(subset, data), trained_with(one, data)
        assert all(torch.allclose(a[k], b[k], atol=1e-5) for k in a) == equal
    whole = Craig(1.0, "whole_batches")(run, split(data))
    watch.seen = []
    run.method = replace(run.method, selector=lambda run, split: whole)
    wanted = batches(run, data)
    train_epoch(run, split(data))
    chosen = [index.tolist() for index, _ in watch.seen]
    assert sorted(chosen) == sorted(index.tolist() for index in wanted)
    assert chosen != [index.tolist() for index in wanted]  # in the order of choice
    assert len(chosen[-1]) == (n % 5 or 5)  # the short batch last


@pytest.mark.parametrize("granularity", ["example", "class", "batch", "whole_batches"])
@pytest.mark.parametrize("n", [24, 17, 22])
def test_sizes(n, granularity):
    data, run = parts(n), make_run(Small(), attack=ATTACK, batch=5)
    budget = math.ceil(0.3 * n)
    for selector in (Craig(0.3, granularity), Glister(0.3, granularity, 0.1), GradMatch(0.3, granularity)):
        subset = selector(run, data)
        index = subset.index.tolist()
        assert len(set(index)) == len(index) == len(subset.weight)
        assert subset.weight.dtype == torch.float32
        assert (subset.weight > 0).all()
        most = budget if granularity in ("example", "class") else 5 * math.ceil(budget / 5)
        if isinstance(selector, GradMatch):
            assert 0 < len(index) <= most
        else:
            assert most - 5 * (most != budget) - (n % 5 and 5) <= len(index) <= most
        if isinstance(selector, Glister):
            assert subset.weight.eq(1).all()
        if isinstance(selector, Craig):
            units = n if granularity in ("example", "class") else math.ceil(n / 5)
            per = subset.weight if units == n else {tuple(w.tolist()) for w in subset.weight.split(5)}
            assert units != n or per.sum() == n


# -- GRAD-MATCH and GLISTER


def test_gradmatch_matches_the_sum_and_its_published_form_fills_up_at_random():
    sizes = [6, 2, 3, 5, 1, 7]
    data, cluster = planted(sizes, [0, 0, 1, 1, 2, 2])
    run = make_run(Small(), attack=STEADY, batch=7)
    rows = gradients(run, data)
    subset = GradMatch(0.5, "example")(run, split(data))  # 12 examples allowed, 6 are enough
    one_of_each(subset, cluster, sizes)
    torch.testing.assert_close(rows[subset.index].sum(subset.weight), rows.sum(), rtol=1e-4, atol=1e-5)
    published = GradMatch(0.5, "example", as_published=True)(run, split(data))
    assert len(set(published.index.tolist())) == 12
    filled = published.weight == 1
    assert filled.sum() >= 6
    assert published.index[filled].numel() + (~filled).sum() == 12
    again = GradMatch(0.5, "example", as_published=True)(run, split(data))
    assert published.index.equal(again.index)
    run.epoch = 1
    later = GradMatch(0.5, "example", as_published=True)(run, split(data))
    assert not published.index.equal(later.index)


def test_gradmatch_as_published_fills_up_whole_batches():
    run, data = make_run(Small(), attack=ATTACK, batch=5), toy(24)
    subset = GradMatch(0.9, "whole_batches", as_published=True)(run, split(data))
    assert len(set(subset.index.tolist())) == len(subset.index) >= 22
    assert subset.shuffle is False


def test_craig_as_published_trains_on_batches_that_it_did_not_score():
    """As many whole batches, with the weights of those that were chosen, but other ones: by the same number in another order."""
    run, data = make_run(Small(), attack=ATTACK, batch=4), toy(40)
    chosen, published = Craig(0.5, "batch")(run, split(data)), Craig(0.5, "batch", as_published=True)(run, split(data))
    assert published.weight.equal(chosen.weight)
    assert len(set(published.index.tolist())) == len(chosen.index) == 20
    other = run.draws(torch.arange(40)).order("batches that were not scored")
    place = {int(i): k // 4 for k, i in enumerate(other)}
    scored = {int(i): k // 4 for k, i in enumerate(torch.cat(batches(run, data)))}
    assert [place[int(i)] for i in published.index] == [scored[int(i)] for i in chosen.index]
    assert set(published.index.tolist()) != set(chosen.index.tolist())
    with pytest.raises(ValueError, match="as_published with granularity 'class'"):
        Craig(0.5, "class", as_published=True)


def test_glister_uses_the_adversarial_validation_loss():
    data, watch = parts(), Watch(STEADY)
    run = make_run(Small(), attack=ATTACK, batch=5, objective=TRADES(6.0))
    selector = Glister(0.3, "example", 0.1, validation_attack=watch)
    selector(run, data)
    assert watch.views().keys() == set(range(9))
    assert all(x.equal(data.validation.images[i]) for i, x in watch.views().items())
    held_out = selector.validation(run, data.validation)
    step = make_step(run, data.validation, unweighted(torch.arange(9)), slice(None), view=1)
    torch.testing.assert_close(held_out.z, run.net.eval()(STEADY(run.net, step)), atol=1e-5, rtol=1e-5)
    plain = replace(selector, adversarial=False).validation(run, data.validation)
    torch.testing.assert_close(plain.z, run.net.eval()(data.validation.images), atol=1e-5, rtol=1e-5)
    own = replace(selector, validation_attack=None).validation(run, data.validation)
    assert not own.z.allclose(held_out.z)


def test_glister_picks_what_lowers_the_validation_loss():
    data = parts(30, 12)
    run = make_run(Small(), attack=STEADY, batch=7)
    losses = {}
    for name, pick in {"glister": Glister(0.1, "example", 1e-3, variant="naive"), "random": Random(0.1)}.items():
        rows, held_out = gradients(run, data.train), Glister(0.1, "example", 0.1).validation(run, data.validation)
        losses[name] = held_out.after(1e-3 * rows[pick(run, data).index].sum()).loss()
    assert losses["glister"] < losses["random"]


@pytest.mark.parametrize("variant", ["rounds", "naive", "stochastic"])
def test_glister_variants_and_classes(variant):
    data, run = parts(24, 9), make_run(Small(), attack=ATTACK, batch=5)
    for granularity in ("example", "class", "batch"):
        subset = Glister(0.25, granularity, 0.1, variant=variant, rounds=3)(run, data)
        assert len(set(subset.index.tolist())) in ((9, 10) if granularity == "batch" else (6,))
        if granularity == "class":
            assert data.train.labels[subset.index].bincount().tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match=r"data\.validation"):
        Glister(0.25, "example", 0.1)(run, data._replace(validation=None))
    of_two = data.validation.labels < 2  # a class without validation examples takes all of them
    few = Toy(data.validation.images[of_two], data.validation.labels[of_two], 3, augmented=False)
    assert len(Glister(0.25, "class", 0.1)(run, Split(data.train, few)).index) == 6


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 1.0])
def test_random_subsets_of_whole_batches_are_as_large_as_chosen_ones(fraction):
    for n, batch in ((600, 32), (40, 8)):
        data, run = toy(n).plain(), make_run(Small(), batch=batch)
        drawn = Random(fraction, whole_batches=True)(run, split(data))
        chosen = Craig(fraction, "batch")(run, split(data))
        short = -n % batch if fraction < 1 else 0  # the one batch that is not full may be among the chosen
        assert len(chosen.index) in (len(drawn.index), len(drawn.index) - short)
    assert len(Random(0.5)(run, split(data)).index) == 20  # without, the share itself
    with pytest.raises(ValueError, match="whole_batches"):
        Random(count=3, whole_batches=True)


def test_random_is_drawn_again_and_differs():
    picks = []
    run = make_run(Small(), Every(2, 0, Random(0.5)), epochs=6)
    train(run, split(toy()), lambda run: picks.append(tuple(run.subset.index.tolist())))
    assert picks[0] == picks[1]
    assert picks[2] == picks[3]
    assert len(set(picks)) == 3
    picks.clear()
    run = make_run(Small(), Once(0, Random(0.5)), epochs=4)
    train(run, split(toy()), lambda run: picks.append(tuple(run.subset.index.tolist())))
    assert len(set(picks)) == 1


# -- the warm start


def test_plan_of_the_authors():
    """120 epochs, kappa 0.5, coreset 50 %: 30 full, 30 idle, 60 on the coreset (their code)."""
    assert phases_of(120, 0.5, 0.5, idle=True) == Phases(30, 30, 60)
    assert phases_of(90, 0.5, 0.5) == Phases(30, 0, 60)
    assert epochs_for(120, 0.5, 0.5) == 90


@pytest.mark.parametrize("epochs", [12, 60, 90, 100, 120, 300])
def test_a_run_costs_the_fraction_of_full_training(epochs):
    for kappa, fraction in itertools.product((0.0, 0.2, 0.5, 0.6, 0.9), (0.1, 0.3, 0.4, 0.5, 1.0)):
        shorter = epochs_for(epochs, kappa, fraction)
        for spent in (phases_of(shorter, kappa, fraction), phases_of(epochs, kappa, fraction, idle=True)):
            assert abs(spent.full + spent.coreset * fraction - fraction * epochs) <= 1.0  # by rounding to epochs
        assert sum(phases_of(shorter, kappa, fraction)) == shorter
        assert sum(phases_of(epochs, kappa, fraction, idle=True)) == epochs
        assert phases_of(shorter, kappa, fraction).idle == 0


class Counting:
    fraction = 0.5

    def __init__(self):
        self.epochs = []

    def __call__(self, run, split):
        self.epochs.append(run.epoch)
        return unweighted(torch.tensor([len(self.epochs), 0]))


def phases(**options):
    inner, picks = Counting(), []
    run = make_run(Small(), WarmStart(inner=inner, **options), epochs=12)
    train(run, split(toy()), lambda run: picks.append(run.subset.index.tolist()))
    return inner.epochs, picks, run


def test_warm_start_in_the_loop():
    asked, picks, run = phases(kappa=0.5, period=3)
    assert asked == [4, 7, 10]
    assert [len(p) for p in picks] == [24] * 4 + [2] * 8
    assert picks[4:7] == [[1, 0]] * 3
    assert picks[7] == [2, 0]
    assert phases_of(12, 0.5, 0.5) == Phases(4, 0, 8)
    assert phases(kappa=0.0, period=5)[0] == [0, 5, 10]
    assert all(math.isfinite(row["loss"]) for row in run.history)


def test_the_idle_gap_in_the_loop():
    asked, picks, run = phases(kappa=0.6, period=4, idle=True)
    assert phases_of(12, 0.6, 0.5, idle=True) == Phases(4, 3, 5)
    assert asked == [8]
    assert [len(p) for p in picks] == [24] * 4 + [0] * 3 + [12] + [2] * 4  # epoch 7: a random half
    assert run.history[4]["forward"] == run.history[5]["backward"] == 0
    nets = []
    run = make_run(Small(), WarmStart(0.6, 4, Counting(), idle=True), epochs=12)
    train(run, split(toy()), lambda run: nets.append(weights(run.net)))
    assert same(nets[3], nets[6])
    assert not same(nets[6], nets[7])


# -- by config alone

PGD_SPEC = {"pgd": {"threat": {"linf": {"eps": 0.1}}, "steps": 2, "step_size": 0.05, "start": "gaussian"}}
OBJECTIVE_SPECS = {
    "pgd-at": ({"cross_entropy": {}}, PGD_SPEC),
    "fgsm-rs": ({"cross_entropy": {}}, {"pgd": {**PGD_SPEC["pgd"], "steps": 1, "start": "uniform"}}),
    "trades": ({"trades": {"beta": 6}}, {"pgd": {**PGD_SPEC["pgd"], "loss": "kl"}}),
    "mart": ({"mart": {"beta": 5}}, PGD_SPEC),
}
SELECTOR_SPECS = {
    "craig": {"fraction": 0.5},
    "grad_match": {"fraction": 0.5, "lam": 0.5},
    "glister": {"fraction": 0.5, "eta": 0.05, "validation_attack": PGD_SPEC},
}


def built(spec):
    return components.build(Method, spec, "method")


@pytest.mark.parametrize("granularity", ["example", "class", "batch", "whole_batches"])
@pytest.mark.parametrize("name", SELECTOR_SPECS)
@pytest.mark.parametrize("objective", OBJECTIVE_SPECS)
def test_every_combination_runs_by_config_alone(objective, name, granularity):
    goal, attack = OBJECTIVE_SPECS[objective]
    for adversarial in (True, False):
        inner = {name: {**SELECTOR_SPECS[name], "granularity": granularity, "adversarial": adversarial}}
        selector = {"warm_start": {"kappa": 0.4, "period": 1, "inner": inner}}
        run = make_run(Small(), epochs=2, batch=5)
        run.method = built({"objective": goal, "attack": attack, "selector": selector})
        run.epoch = 1
        row = train_epoch(run, parts(20, 6))
        assert 0 < row["kept"] <= 15
        assert math.isfinite(row["loss"])


@pytest.mark.parametrize("granularity", ["example", "class", "batch", "whole_batches"])
@pytest.mark.parametrize("name", SELECTOR_SPECS)
def test_perceptual_training_runs_by_config_alone(name, granularity):
    attack = {"fast_lpa": {"bound": 0.5, "steps": 2, "only_correct": True, "self_bounded": True}}
    inner = {name: {**SELECTOR_SPECS[name], "granularity": granularity}}
    inner[name] |= {"validation_attack": attack} if name == "glister" else {}
    net = models.build("resnet_tiny", 3, 8, 1, seed=0, mean=[0.5], std=[0.5])
    run = make_run(net, epochs=1, batch=5)
    selector = {"every": {"period": 1, "warmup": 0, "inner": inner}}
    run.method = built({"objective": "cross_entropy", "attack": attack, "selector": selector})
    row = train_epoch(run, parts(20, 6, size=8))
    assert 0 < row["kept"] <= 10
    assert math.isfinite(row["loss"])


def test_wrong_values_are_said_by_config():
    selector = {"craig": {"fraction": 0.5, "granularity": "batches"}}
    with pytest.raises(ConfigError, match="allowed: example, class, batch, whole_batches") as error:
        components.build(Method, {"objective": "cross_entropy", "attack": "clean", "selector": selector}, "m")
    assert len(error.value.problems) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Craig(0.0, "example"),
        lambda: Craig(1.1, "example"),
        lambda: Craig(0.5, "examples"),
        lambda: GradMatch(0.5, "example", lam=-1.0),
        lambda: Glister(0.5, "example", eta=0.0),
        lambda: Glister(0.5, "example", 0.1, rounds=0),
        lambda: Glister(0.5, "example", 0.1, variant="lazy"),
        lambda: WarmStart(1.0, 20, Random(0.5)),
        lambda: WarmStart(0.5, 0, Random(0.5)),
    ],
)
def test_impossible_values(make):
    with pytest.raises(ValueError, match="allowed"):
        make()


def test_a_warm_start_needs_a_fraction():
    for inner in (Everything(), Random(count=3)):
        with pytest.raises(ValueError, match="fraction"):
            WarmStart(0.5, 20, inner)


def test_clean_is_the_toys_attack():
    run = make_run(Small(), attack=clean)
    assert gradients(run, toy(6)).dense().equal(gradients(run, toy(6), adversarial=False).dense())
