import math
from dataclasses import dataclass, replace

import pytest
import torch
from test_coresets import OBJECTIVE_SPECS, SELECTOR_SPECS, built, parts
from toys import Small, make_run, same, split, toy, weights

from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core.loop import make_step, one_step, train, train_epoch
from leanat.core.meter import Passes
from leanat.core.nouns import Method
from leanat.papers.advprune.method import GROUPS, Bullet, ByLoss, Groups, bullet_groups
from leanat.selection.basic import Every, Everything, Once, Random, everyone, unweighted
from leanat.selection.glister import Glister
from leanat.selection.grad_match import GradMatch
from leanat.training.objectives import MART, TRADES, CrossEntropy

ATTACK = PGD(Linf(0.1), 10, 0.02, "gaussian")


@dataclass
class Watch:
    """An attack that remembers the steps it was given."""

    attack: object

    def __post_init__(self):
        self.given, self.steps, self.step_size = [], self.attack.steps, self.attack.step_size

    def __call__(self, net, step):
        self.given.append(step)
        return self.attack(net, step)


def bullet_run(attack=ATTACK, net=None, objective=None, selector=None, robust=0.2, **options):
    bullet = Bullet(**options)
    run = make_run(
        net or Small(),
        selector or Everything(),
        objective=objective or TRADES(6.0),
        attack=attack,
        budget=bullet,
        extras=(bullet,),
        epochs=6,
    )
    run.memory["bullet"] = bullet.start(run, None)
    run.memory["bullet"]["robust"].fill_(robust)
    return run


# -- Bullet-Train


@pytest.mark.parametrize("robust", [0.0, 0.1, 0.35, 0.8, 1.0])
def test_groups_by_brute_force(robust):
    z = 3 * torch.randn(40, 5, generator=torch.Generator().manual_seed(1))
    p, y = z.softmax(1), torch.arange(40) % 5
    found = bullet_groups(p, y, torch.tensor(robust))
    scores = []
    for row, label in zip(p.tolist(), y.tolist(), strict=True):
        mean = sum(row) / 5
        std = math.sqrt(sum((v - mean) ** 2 for v in row) / 4)
        scores.append(std if row[label] == max(row) else -std)
    ranked, position = sorted(scores), (1 - robust) * 39
    low = math.floor(position)
    quantile = ranked[low] + (position - low) * (ranked[min(low + 1, 39)] - ranked[low])
    threshold = max(0.0, quantile)
    for score, group in zip(scores, found.tolist(), strict=True):
        if abs(score - threshold) > 1e-6:
            assert GROUPS[group] == ("outlier" if score < 0 else "robust" if score > threshold else "boundary")
    assert set(found.tolist()) >= {0, 1} or robust > 0.3
    if robust == 0:
        assert 2 not in found  # nothing lies above the largest score
    if robust == 1:
        assert 1 not in found  # the quantile is negative, the threshold 0


def test_budgets_of_the_groups():
    data, run = toy(24), bullet_run()
    step = make_step(run, data, unweighted(everyone(data)), slice(None))
    passes = Passes()
    with passes.of(run.net):
        steps, size = run.method.budget(run, step)
    assert (passes.forward, passes.backward) == (24, 0)
    p = run.net.eval()(step.x).softmax(1)
    group = bullet_groups(p, step.y, torch.tensor(0.2))
    assert set(group.tolist()) == {0, 1, 2}
    assert steps.tolist() == [(0, 10, 2)[g] for g in group]
    assert size.tolist() == pytest.approx([(0, 0.02, 0.06)[g] for g in group])
    assert step.aux["bullet"].equal(group)


def test_ten_steps_of_two_are_two_steps_of_six():
    """AttackRider's constants: 10 x 2/255 and 2 x 6/255."""
    run = bullet_run(attack=PGD(Linf(8 / 255), 10, 2 / 255, "gaussian", "kl"))
    data = toy(24)
    steps, size = run.method.budget(run, make_step(run, data, unweighted(everyone(data)), slice(None)))
    found = {(int(s), round(255 * float(z), 4)) for s, z in zip(steps, size, strict=True)}
    assert found == {(0, 0.0), (2, 6.0), (10, 2.0)}


@pytest.mark.parametrize("objective", [TRADES(6.0), MART(5.0), CrossEntropy()], ids=repr)
def test_outliers_are_trained_on_as_they_are(objective):
    watch = Watch(ATTACK)
    run, data = bullet_run(watch, Small(norm=False), objective), toy(24)
    step = make_step(run, data, unweighted(everyone(data)), slice(None))
    one_step(run, step)
    out = step.aux["bullet"] == 0
    assert 0 < out.sum() < 24
    assert step.x_adv[out].equal(step.x[out])
    assert (step.x_adv[~out] != step.x[~out]).flatten(1).any(1).all()
    if isinstance(objective, TRADES):  # without BatchNorm the divergence of outliers is 0
        plain = torch.nn.functional.cross_entropy(step.z, step.y, reduction="none")
        torch.testing.assert_close(step.losses[out], plain[out])
        assert (step.losses[~out] > plain[~out]).all()


def test_the_share_called_robust_is_a_running_average():
    watch, data = Watch(ATTACK), toy(24)
    run = bullet_run(watch, robust=0.0)
    train_epoch(run, split(data))
    assert len(watch.given) == 3
    expected = 0.0
    for step in watch.given:
        right = (step.z_adv.argmax(1) == step.y).float().mean().item()
        expected = 0.9 * expected + 0.1 * 0.8 * right
    assert run.memory["bullet"]["robust"].item() == pytest.approx(expected, rel=1e-5)
    assert expected > 0


def test_columns_are_the_shares_of_the_epoch():
    watch, data = Watch(ATTACK), toy(24)
    run = bullet_run(watch, robust=0.4)
    for _ in range(2):
        watch.given.clear()
        train_epoch(run, split(data))
        groups = torch.cat([step.aux["bullet"] for step in watch.given])
        assert run.method.budget.columns(run) == {
            f"bullet_{name}": pytest.approx((groups == i).float().mean().item()) for i, name in enumerate(GROUPS)
        }


def test_bullet_does_less_work_and_counts_its_own_pass():
    data = toy(24)
    run = bullet_run(robust=0.4, objective=CrossEntropy())
    row = train_epoch(run, split(data))
    full = make_run(Small(), objective=CrossEntropy(), attack=ATTACK)
    whole = train_epoch(full, split(data))
    assert whole["forward"] == whole["backward"] == 24 * 11
    steps = run.method.budget.columns(run)
    attacked = round(24 * (10 * steps["bullet_boundary"] + 2 * steps["bullet_robust"]))
    assert row["forward"] == 24 + 24 + attacked  # groups, training, attack
    assert row["backward"] == 24 + attacked < whole["backward"]


def test_resuming_keeps_the_running_average():
    data, whole = split(toy(24)), bullet_run()
    for _ in range(3):
        train_epoch(whole, data)
    again = bullet_run()
    for _ in range(2):
        train_epoch(again, data)
    last = bullet_run(net=again.net)
    last.opt.load_state_dict(again.opt.state_dict())
    last.memory, last.epoch = {"bullet": {k: v.clone() for k, v in again.memory["bullet"].items()}}, again.epoch
    train_epoch(last, data)
    assert same(weights(whole.net), weights(last.net))


def test_bullet_needs_a_training_and_an_attack_with_steps():
    data, run = toy(8), make_run(Small(), attack=ATTACK, budget=Bullet())
    with pytest.raises(ValueError, match="only inside a training run"):
        Bullet()(run, None)
    run = bullet_run(attack=Clean())
    with pytest.raises(ValueError, match="steps and step_size"):
        train_epoch(run, split(data))


@pytest.mark.parametrize("options", [{"robust_steps": -1}, {"robust_stride": -1.0}, {"gamma": 1.1}, {"momentum": 1.0}])
def test_impossible_values(options):
    with pytest.raises(ValueError, match="allowed"):
        Bullet(**options)


def test_a_selection_attacks_without_the_budget():
    watch, data = Watch(ATTACK), parts()
    run = bullet_run(watch, selector=GradMatch(0.5, "batch"))
    before = {k: v.clone() for k, v in run.memory["bullet"].items()}
    run.method.selector(run, data)
    assert all(step.steps is None for step in watch.given)
    assert all(v.equal(before[k]) for k, v in run.memory["bullet"].items())


# -- the schedule


class Counting:
    def __init__(self):
        self.epochs = []

    def __call__(self, run, split):
        self.epochs.append(run.epoch)
        return unweighted(torch.tensor([0, 1]))


@pytest.mark.parametrize(("epochs", "period", "count"), [(200, 20, 9), (200, 40, 4), (100, 20, 4)])
def test_selections_of_the_paper(epochs, period, count):
    """Section 4.3: 9 selections in 200 epochs every 20, 4 every 40; before the first one, one random subset."""
    inner, data = Counting(), split(toy(10))
    selector = Every(period, period, inner, before=Once(0, Random(0.3)))
    run, sizes = make_run(Small(), selector, epochs=epochs), []
    for run.epoch in range(epochs):
        run.subset = selector(run, data)
        sizes.append(tuple(run.subset.index.tolist()))
    assert inner.epochs == list(range(period, epochs, period))
    assert len(inner.epochs) == count
    assert len(set(sizes[:period])) == 1
    assert len(sizes[0]) == 3


# -- pruning by the loss


@pytest.mark.parametrize("keep", ["lowest", "highest"])
@pytest.mark.parametrize("fraction", [0.1, 0.3, 1.0])
def test_pruning_by_the_loss_by_brute_force(keep, fraction):
    """Of each class the same share, by the cross-entropy of the examples that the run's attack makes."""
    data, run = toy(30), make_run(Small(), attack=ATTACK, batch=8)
    train_epoch(run, split(data))
    subset = ByLoss(fraction, keep)(run, split(data))
    losses = []
    for i in range(30):
        step = make_step(run, data, unweighted(torch.tensor([i])), slice(None))
        z = run.net.eval()(ATTACK(run.net, step))
        losses.append(torch.nn.functional.cross_entropy(z, step.y).item())
    best = set()
    for label in range(3):
        members = [i for i in range(30) if data.labels[i] == label]
        ranked = sorted(members, key=lambda i: losses[i], reverse=keep == "highest")
        best |= set(ranked[: round(10 * fraction)])
    assert set(subset.index.tolist()) == best
    assert subset.weight.tolist() == [1.0] * len(best)


@pytest.mark.parametrize("make", [lambda: ByLoss(0.0, "lowest"), lambda: ByLoss(0.3, "low")])
def test_impossible_pruning(make):
    with pytest.raises(ValueError, match="allowed"):
        make()


# -- Figure 1


def test_groups_under_an_attack_by_brute_force():
    data, attack = toy(30), PGD(Linf(0.1), 5, 0.05, "uniform")
    groups = Groups(attack)
    run = make_run(Small(), epochs=3, batch=8, extras=(groups,), objective=CrossEntropy(), attack=ATTACK)
    train(run, split(data))
    before = weights(run.net)
    run.epoch = 2
    groups.on_epoch(run, split(data))
    shares = groups.columns(run)
    assert same(before, weights(run.net))
    assert run.net.training
    net, count = run.net.eval(), dict.fromkeys(GROUPS, 0)
    for i in range(30):
        step = make_step(run, data.plain(), unweighted(torch.tensor([i])), slice(None))
        right = (net(step.x).argmax(1) == step.y).item()
        stands = (net(attack(net, step)).argmax(1) == step.y).item()
        count["outlier" if not right else "robust" if stands else "boundary"] += 1
    assert shares == {name: pytest.approx(n / 30) for name, n in count.items()}
    assert sum(n > 0 for n in count.values()) >= 2


def test_groups_change_nothing_of_the_training():
    nets = []
    for extras in ((), (Groups(PGD(Linf(0.1), 5, 0.05, "uniform")),)):
        run = make_run(Small(), epochs=2, attack=ATTACK, extras=extras)
        train(run, split(toy(20)))
        nets.append(weights(run.net))
    assert same(*nets)


def test_groups_of_a_network_that_is_always_wrong():
    data = replace(toy(6), labels=torch.full((6,), 1))
    run = make_run(Small())
    with torch.no_grad():
        run.net.head.weight.zero_()
        run.net.head.bias.copy_(torch.tensor([1.0, 0, 0]))
    groups = Groups(ATTACK)
    groups.on_epoch(run, split(data))
    assert groups.columns(run) == {"outlier": 1.0, "boundary": 0.0, "robust": 0.0}


# -- by config alone


@pytest.mark.parametrize("name", SELECTOR_SPECS)
@pytest.mark.parametrize("objective", ["trades", "mart"])
def test_selectors_with_bullet_run_by_config_alone(objective, name):
    goal, attack = OBJECTIVE_SPECS[objective]
    inner = {name: {**SELECTOR_SPECS[name], "granularity": "batch"}}
    before = {"once": {"tau": 0, "inner": {"random": {"fraction": 0.5}}}}
    spec = {
        "objective": goal,
        "attack": attack,
        "selector": {"every": {"period": 1, "warmup": 1, "inner": inner, "before": before}},
        "budget": {"bullet": {}},
        "extras": [{"groups": {"attack": attack | {"pgd": attack["pgd"] | {"steps": 5}}}}],
    }
    method = built(spec)
    assert isinstance(method, Method)
    run = make_run(Small(), epochs=2, batch=5)
    run.method = method
    train(run, parts(20, 6))
    assert run.history[0]["kept"] == 10
    assert 0 < run.history[1]["kept"] <= 10
    assert run.memory["groups"].keys() == set(GROUPS)


def test_adv_glister_takes_its_share_of_the_training_part():
    """30 % of the 90 %: 27 % of the data (section 4.1)."""
    data = parts(90, 10)
    run = make_run(Small(), attack=ATTACK, batch=16)
    assert len(Glister(0.3, "example", 0.02)(run, data).index) == 27
