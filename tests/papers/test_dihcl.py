import copy
import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from toys import Small, make_run, same, split, toy, weights

from leanat.core.loop import train
from leanat.core.nouns import Hook, Step
from leanat.core.per_example_loss import per_example_loss
from leanat.core.rng import Draws
from leanat.papers.qtart.dihcl import Bandit, Episodes, Mixup, beta, symmetric_beta, without_replacement
from leanat.training.teacher import Teacher, teaching

PAPER = (0, 5, 10, 15, 20, 30, 40, 60, 90, 140, 210, 300)
SHORT = Episodes((0, 2, 4, 6, 8, 10), explore=3, min_k=0.5)
N = 24


def make(rule="exp3", feedback="loss", epochs=10, episodes=SHORT, teacher=True, mixup=True, seed=0, **options):
    bandit = Bandit(episodes, rule, feedback, **options)
    extras = (Teacher(0.9), bandit) if teacher else (bandit,)
    objective = {"objective": Mixup(episodes)} if mixup else {}
    return make_run(Small(), bandit, epochs=epochs, batch=7, lr=episodes, seed=seed, extras=extras, **objective)


# Episodes, in closed form, against the events one after the other.


@pytest.mark.parametrize("episodes", [Episodes(PAPER), Episodes((0, 2, 3, 5, 9, 14, 20), explore=2, min_k=0.4)])
def test_episodes_against_their_events(episodes):
    e = episodes
    lr_max, lr_min, k, temperature, alpha = e.lr_max, e.lr_min, e.k, e.temperature, e.alpha
    number, epochs = 0, e.bounds[-1]
    for epoch in range(epochs):
        if epoch == e.bounds[number + 1]:
            number += 1
            if number < e.explore:
                lr_max /= e.lr_max_decay
            else:
                lr_max *= e.lr_max_decay
                lr_min *= e.lr_min_decay
            k = max(k * (1 - e.dk), e.min_k)
            temperature = max(1.0, e.temperature_rate * temperature)
            alpha = min(1.0, e.alpha_rate * alpha)
        assert (e.number(epoch), e.opens(epoch)) == (number, epoch in e.bounds and epoch > 0)
        assert e.share(epoch) == pytest.approx(k)
        assert e.sharpness(epoch) == pytest.approx(temperature)
        assert e.mixing(epoch) == pytest.approx(alpha)
        start, end = e.bounds[number], e.bounds[number + 1]
        for part in (0.0, 0.5, 0.999):
            t = (epoch + part - start) / (end - start)
            shape = t if number == 0 else (1 + math.cos(math.pi * t)) / 2
            assert e(epoch + part, epochs) == pytest.approx(lr_min + (lr_max - lr_min) * shape)


def test_the_training_must_end_with_the_last_episode():
    with pytest.raises(ValueError, match="end at epoch 300, the training at 200"):
        Episodes(PAPER)(0.0, 200)


# Draws.


def test_drawing_without_replacement_against_enumeration():
    """Frequency of each pair of 4 examples, drawn one after the other in proportion to p."""
    p = [0.5, 0.25, 0.2, 0.05]
    expected = {frozenset(pair): 0.0 for pair in itertools.combinations(range(4), 2)}
    for a, b in itertools.permutations(range(4), 2):
        expected[frozenset((a, b))] += p[a] * p[b] / (1 - p[a])
    logp, counts, trials = torch.tensor(p).double().log(), dict.fromkeys(expected, 0), 4000
    for seed in range(trials):
        pair = without_replacement(Draws(seed, 0, torch.arange(4)), logp, 2).tolist()
        assert pair == sorted(set(pair))
        counts[frozenset(pair)] += 1
    test = scipy.stats.chisquare(list(counts.values()), [v * trials for v in expected.values()])
    assert test.pvalue > 1e-3


def test_no_probability_underflows():
    logp = torch.tensor([0.0, -5e3, -1e5, -1e5 - 200, -1e300]).double()
    for seed in range(5):
        draws = Draws(seed, 0, torch.arange(5))
        assert without_replacement(draws, logp, 3).tolist() == [0, 1, 2]
        assert without_replacement(draws, logp, 5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.8, 1.0])
def test_symmetric_beta(alpha):
    shares = symmetric_beta(Draws(0, 0, torch.arange(20000)), alpha)
    assert shares.isfinite().all()
    assert scipy.stats.kstest(shares.numpy(), scipy.stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_beta():
    a, b = torch.full((20000,), 7.3).double(), torch.full((20000,), 2.1).double()
    sample = beta(Draws(0, 0, torch.arange(20000)), a, b)
    assert scipy.stats.kstest(sample.numpy(), scipy.stats.beta(7.3, 2.1).cdf).pvalue > 1e-3


# Mixup.


def test_mixup_credits_both_examples():
    data, index = toy(), torch.tensor([4, 9, 2, 17, 11])
    x, y = data.plain().batch(index, 0)
    draws = Draws(0, 3, index)
    step = Step(3, index, x, y, torch.ones(5), draws, x_adv=x)
    net = Small(norm=False).eval()
    losses = Mixup(SHORT)(net, step)
    share = float(symmetric_beta(draws.of(index[:1]), SHORT.mixing(3)))
    partner = draws.bits("mixup partner").argsort().tolist()
    assert 0 < share < 1
    assert partner != list(range(5))
    credit = [0.0] * 5
    for i, j in enumerate(partner):
        z = net((share * x[i] + (1 - share) * x[j])[None])
        assert torch.allclose(step.z_adv[i], z[0], atol=1e-6)
        credit[i] += share * float(F.cross_entropy(z, y[i : i + 1]).detach())
        credit[j] += (1 - share) * float(F.cross_entropy(z, y[j : j + 1]).detach())
    assert losses.tolist() == pytest.approx(credit, rel=1e-5)
    assert losses.requires_grad
    assert Mixup(SHORT).of_logits(x, step.z_adv, y).equal(F.cross_entropy(step.z_adv, y, reduction="none"))


def test_mixup_of_one_example_is_cross_entropy():
    data, index = toy(), torch.tensor([4])
    x, y = data.plain().batch(index, 0)
    net, step = Small().eval(), Step(0, index, x, y, torch.ones(1), Draws(0, 0, index), x_adv=x)
    assert torch.allclose(Mixup(SHORT)(net, step), F.cross_entropy(net(x), y, reduction="none"), atol=1e-6)


# The bandit against a ledger kept example by example in Python.


class Ledger(Hook):
    """Writes down what each step showed, and what each pass over the set found."""

    name = "ledger"

    def __init__(self):
        self.seen, self.lrs, self.surveys, self.p, self.subsets = {}, {}, {}, {}, {}

    def start(self, run, split):
        return {}

    def on_epoch(self, run, split):  # before the bandit's own: the network is as the epoch before left it
        if SHORT.opens(run.epoch):
            with teaching(run):
                self.surveys[run.epoch] = [v.tolist() for v in per_example_loss(run, split.train, 0.4)]

    def after_step(self, run, step):
        e = run.epoch
        hits = (step.z_adv.argmax(1) == step.y).tolist()
        for i, loss, hit in zip(step.index.tolist(), step.losses.tolist(), hits, strict=True):
            self.seen.setdefault(e, {})[i] = (loss, float(hit))
        self.lrs.setdefault(e, []).append(run.opt.param_groups[0]["lr"])
        self.p[e] = run.memory["bandit"]["logp"].exp().tolist()
        self.subsets[e] = run.subset.index.tolist()


def by_hand(ledger, rule, feedback, epochs):
    """Sums of every example at the start of epoch ``epochs``, before that epoch's draw."""
    utility, raw, visits, pace = [0.0] * N, [0.0] * N, [0.0] * N, [0.0] * N
    a, b, old, hit = [2.0] * N, [2.0] * N, [None] * N, [None] * N
    warm_end, last_lr = SHORT.bounds[1], 0.0
    explore = 1e-3 * math.sqrt(2 * math.log(SHORT.bounds[-1]))

    def value(i, loss):
        return loss if feedback == "loss" else min(abs(loss - old[i]), 10.0)

    def feed(which, scales, counts, whole):
        mean = sum(utility) / N
        for i, (loss, _) in which.items():
            raw[i] += value(i, loss)
        if whole and rule == "ucb":
            mean = sum(raw[i] / visits[i] for i in range(N)) / N
        if not counts:
            return
        for i, (loss, correct) in which.items():
            if rule == "exp3":
                utility[i] += value(i, loss) / scales[i][feedback == "change"]
            elif rule == "ucb":
                utility[i] = raw[i] / visits[i] + explore * mean * math.sqrt(1 / visits[i])
            else:
                a[i] += abs(correct - hit[i])
                b[i] += 1 - abs(correct - hit[i])

    for e in range(epochs):
        if e in SHORT.bounds[1:]:
            for sums in (utility, raw, pace, a, b):
                sums[:] = [0.9 * v for v in sums]
            found = dict(enumerate(zip(*ledger.surveys[e], strict=True)))
            feed(found, [(last_lr, v) for v in pace], True, True)
            for i, (loss, correct) in found.items():
                old[i], hit[i], pace[i] = loss, correct, 0.0
        which = ledger.seen[e]
        for i in which:
            visits[i] += 1
        if e and e < warm_end:
            feed(which, [(last_lr, v) for v in pace], True, True)
        elif e:
            scales = [(p + 1e-8, 1e4 * v**0.01 * (p + 1e-8)) for p, v in zip(ledger.p[e], pace, strict=True)]
            feed(which, scales, e not in SHORT.bounds, False)
        for i, (loss, correct) in which.items():
            old[i], hit[i], pace[i] = loss, correct, 0.0
        pace[:] = [v + sum(ledger.lrs[e]) for v in pace]
        last_lr = ledger.lrs[e][-1]
    return {"utility": utility, "raw": raw, "visits": visits, "pace": pace, "a": a, "b": b}


@pytest.mark.parametrize(
    ("rule", "feedback"), [*itertools.product(("exp3", "ucb"), ("loss", "change")), ("thompson", "change")]
)
@pytest.mark.parametrize("epochs", [2, 4, 9])
def test_feedback_against_a_ledger(rule, feedback, epochs):
    run, ledger = make(rule, feedback), Ledger()
    run.method = copy.copy(run.method)
    object.__setattr__(run.method, "extras", (ledger, *run.method.extras))
    train(run, split(toy(N)), lambda run: run.epoch == epochs)
    state = copy.deepcopy(run.memory["bandit"])
    Bandit(SHORT, rule, feedback)._after_epoch(state, epochs - 1)
    for name, direct in by_hand(ledger, rule, feedback, epochs).items():
        if name in ("a", "b") and rule != "thompson":
            continue
        assert state[name].tolist() == pytest.approx(direct, rel=1e-6, abs=1e-12), name
    if rule != "thompson":
        assert state["utility"].std() > 0


def test_probabilities_are_the_softmax_of_the_utility():
    run = make("exp3", "loss")
    train(run, split(toy(N)), lambda run: run.epoch == 5)
    bandit, state = run.method.selector, run.memory["bandit"]
    bandit.on_epoch(run, split(toy(N)))
    subset = bandit(run, split(toy(N)))
    utility = state["utility"].numpy()
    weight = np.exp(SHORT.sharpness(5) * (utility / utility.mean() - (utility / utility.mean()).max()))
    assert state["logp"].exp().numpy() == pytest.approx(weight / weight.sum(), rel=1e-9)
    assert subset.weight.tolist() == [1.0] * len(subset.index)


# A whole training.


def test_how_many_are_drawn():
    run = make()
    train(run, split(toy(N)))
    assert [row["kept"] for row in run.history] == [24, 24] + [21] * 2 + [19] * 2 + [17] * 2 + [15] * 2
    assert all(math.isfinite(row["loss"]) for row in run.history)
    # A pass over the set at the start of each of the four episodes, and nothing else.
    assert [row["forward"] - row["backward"] for row in run.history] == [0, 0, 24, 0, 24, 0, 24, 0, 24, 0]


@pytest.mark.parametrize("rule", ["exp3", "ucb", "thompson"])
@pytest.mark.parametrize("options", [{}, {"teacher": False, "mixup": False}], ids=str)
def test_it_learns(rule, options):
    episodes = Episodes((0, 4, 8, 12, 16, 20), lr_max=0.05, explore=3, min_k=0.5)
    run = make(rule, episodes=episodes, epochs=20, **options)
    train(run, split(toy(60)))
    _, hits = per_example_loss(run, toy(60))
    assert hits.mean() > 0.8
    picks = run.subset.index.tolist()
    assert len(picks) == len(set(picks)) == 39


def test_hard_examples_are_drawn_more_often():
    """Wrong labels keep a high loss."""
    data = toy(60)
    wrong = torch.arange(60)[4::10]
    data.labels[wrong] = (data.labels[wrong] + 1) % 3
    episodes = Episodes((0, 5, 10, 15, 20, 25), explore=3, dk=0.3, min_k=0.25)
    counts = torch.zeros(60)
    run = make("ucb", episodes=episodes, epochs=25)

    def count(run):
        if run.epoch > 10:
            counts[run.subset.index] += 1

    train(run, split(data), count)
    right = torch.ones(60, dtype=torch.bool).index_fill(0, wrong, False)
    assert counts[wrong].mean() > 1.5 * counts[right].mean()


def test_start_again_from_the_teacher_with_noise():
    run = make(noise=0.01)
    train(run, split(toy(N)), lambda run: run.epoch == 4)
    bandit, teacher = run.method.selector, copy.deepcopy(run.memory["teacher"]["state"])
    before = weights(run.net)
    assert run.memory["teacher"]["t"] > 0
    bandit.on_epoch(run, split(toy(N)))
    ratios = torch.cat([(p.detach() / teacher[k]).flatten() - 1 for k, p in run.net.named_parameters()])
    assert ratios.std().item() == pytest.approx(0.01, rel=0.15)
    assert abs(ratios.mean().item()) < 0.002
    assert all(run.net.state_dict()[k].equal(before[k]) for k in before if "running" in k)
    assert run.memory["teacher"]["t"] == 0
    assert same(teacher, run.memory["teacher"]["state"])


def test_the_first_episode_starts_the_teacher_from_the_network():
    run = make()
    train(run, split(toy(N)), lambda run: run.epoch == 2)
    before = weights(run.net)
    run.method.selector.on_epoch(run, split(toy(N)))
    assert same(before, weights(run.net))
    for k, p in run.net.named_parameters():
        assert run.memory["teacher"]["state"][k].equal(p)


@pytest.mark.parametrize("rule", ["exp3", "ucb", "thompson"])
def test_resumed_through_a_file_it_has_the_same_bits(rule, tmp_path):
    whole, part = make(rule, "change"), make(rule, "change")
    train(whole, split(toy(N)))
    train(part, split(toy(N)), lambda run: run.epoch == 5)
    saved = {"net": part.net.state_dict(), "opt": part.opt.state_dict(), "memory": part.memory}
    torch.save(saved, tmp_path / "run.pt")
    loaded = torch.load(tmp_path / "run.pt", weights_only=True)
    again = make(rule, "change")
    again.net.load_state_dict(loaded["net"])
    again.opt.load_state_dict(loaded["opt"])
    again.memory, again.epoch, again.subset = loaded["memory"], 5, part.subset
    train(again, split(toy(N)))
    assert same(weights(whole.net), weights(again.net))
    assert whole.subset.index.equal(again.subset.index)


def test_other_seeds_draw_other_examples():
    picks = []
    for seed in (0, 0, 1):
        run = make(seed=seed)
        train(run, split(toy(N)), lambda run: run.epoch == 4)
        picks.append(run.subset.index.tolist())
    assert picks[0] == picks[1] != picks[2]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Episodes((5, 10)), "bounds"),
        (lambda: Episodes((0, 10, 10)), "bounds"),
        (lambda: Episodes((0, 10), lr_min=0.2), "lr_min"),
        (lambda: Episodes((0, 10), k=0.2), "min_k"),
        (lambda: Episodes((0, 10), alpha=1.5), "alpha"),
        (lambda: Episodes((0, 10), temperature=0.5), "temperature"),
        (lambda: Bandit(SHORT, "greedy", "loss"), "exp3, ucb, thompson"),
        (lambda: Bandit(SHORT, "exp3", "gradient"), "loss, change"),
        (lambda: Bandit(SHORT, "exp3", "loss", decay=0.0), "decay"),
    ],
)
def test_impossible_values(build, words):
    with pytest.raises(ValueError, match=words):
        build()
