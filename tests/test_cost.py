"""What a training costs, composed: against sums written out by hand, and against the selectors' own plan."""

import pytest

from leanat.papers import coreset
from leanat.report import cost

P = {"step": 3.0, "bare": 1.0, "look": 0.25, "select": 2.5, "solve": 7.0}


def spec(selector, epochs=100, batch=100, validation=None, budget=None):
    method = {"selector": selector, "attack": {"pgd": {"steps": 10}}, "budget": budget}
    return {"method": method, "recipe": {"epochs": epochs, "batch": batch}, "data": {"validation": validation}}


def test_full_training_is_batches_times_steps():
    assert cost.seconds_an_epoch(spec("everything"), P, 50_000, None) == pytest.approx(500 * 3.0)


def test_selections_are_amortised():
    """A random 30 % for 20 epochs, then four selections of 30 % in 100 epochs: the paper's 9 in 200."""
    every = {"period": 20, "warmup": 20, "inner": {"glister": {"fraction": 0.3}}}
    every["before"] = {"once": {"tau": 0, "inner": {"random": {"fraction": 0.3}}}}
    found = cost.seconds_an_epoch(spec({"every": every}, validation=0.1), P, 50_000, None)
    training = 0.3 * (45_000 / 100) * 3.0
    selecting = 4 * (500 * 2.5 + 7.0) / 100
    assert found == pytest.approx(training + selecting)
    assert sum(e.selects for e in cost.plan(spec({"every": every}, epochs=200))) == 9


def test_bullet_train_costs_what_its_groups_do():
    bullet = spec("everything", budget={"bullet": {}})
    shares = {"boundary": 0.4, "robust": 0.5}
    mean = 0.4 * 10 + 0.5 * 2
    share = cost.attack_share(bullet, shares)
    took = cost.seconds_an_epoch(bullet, P, 50_000, share)
    assert took == pytest.approx(500 * (0.25 + 1.0 + mean / 10 * 2.0))
    assert cost.implied_attack_share(bullet, P, 50_000, took) == pytest.approx(share)
    with pytest.raises(ValueError, match="shares of its groups"):
        cost.seconds_an_epoch(bullet, P, 50_000, None)


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize("kappa", [0.0, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
def test_the_warm_start_is_that_of_the_paper_module(kappa, fraction, idle):
    fields = {"kappa": kappa, "period": 20, "inner": {"craig": {"fraction": fraction}}, "idle": idle}
    found = cost.plan(spec({"warm_start": fields}, epochs=120))
    plan = coreset.plan(120, kappa, fraction, idle)
    assert [e.share for e in found] == [1.0] * plan.full + [0.0] * plan.idle + [fraction] * plan.coreset
    assert all(not e.selects for e in found[: plan.full + plan.idle])


def test_an_unknown_selector_is_said():
    with pytest.raises(ValueError, match="cost of selector 'bandit' is not known"):
        cost.plan(spec({"bandit": {}}))
