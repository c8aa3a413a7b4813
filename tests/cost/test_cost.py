"""What a training costs, composed: against sums written out by hand, and against the selectors' own plan."""

from pathlib import Path

import pytest

from leanat.cost import predict
from leanat.papers.coreset import method as coreset
from leanat.papers.qtart import dihcl
from leanat.plan import structure

P = {"step": 3.0, "bare": 1.0, "look": 0.25, "select": 2.5, "solve": 7.0}


def spec(selector, epochs=100, batch=100, validation=None, budget=None):
    method = {"selector": selector, "attack": {"pgd": {"steps": 10}}, "budget": budget}
    return {"method": method, "recipe": {"epochs": epochs, "batch": batch}, "data": {"validation": validation}}


def test_full_training_is_batches_times_steps():
    assert predict.seconds_per_epoch(spec("everything"), P, 50_000, None) == pytest.approx(500 * 3.0)


def test_selections_are_amortised():
    """A random 30 % for 20 epochs, then four selections of 30 % in 100 epochs: the paper's 9 in 200."""
    every = {"period": 20, "warmup": 20, "inner": {"glister": {"fraction": 0.3}}}
    every["before"] = {"once": {"tau": 0, "inner": {"random": {"fraction": 0.3}}}}
    found = predict.seconds_per_epoch(spec({"every": every}, validation=0.1), P, 50_000, None)
    training = 0.3 * (45_000 / 100) * 3.0
    selecting = 4 * (500 * 2.5 + 7.0) / 100
    assert found == pytest.approx(training + selecting)
    assert sum(e.selects for e in predict.plan(spec({"every": every}, epochs=200))) == 9
    every["inner"] = {"grad_match": {"fraction": 0.3}}  # attacks the training part alone
    found = predict.seconds_per_epoch(spec({"every": every}, validation=0.1), P, 50_000, None)
    assert found == pytest.approx(training + 4 * (450 * 2.5 + 7.0) / 100)


def test_bullet_train_costs_what_its_groups_do():
    bullet = spec("everything", budget={"bullet": {}})
    shares = {"boundary": 0.4, "robust": 0.5}
    mean = 0.4 * 10 + 0.5 * 2
    share = predict.attack_share(bullet, shares)
    took = predict.seconds_per_epoch(bullet, P, 50_000, share)
    assert took == pytest.approx(500 * (0.25 + 1.0 + mean / 10 * 2.0))
    assert predict.implied_attack_share(bullet, P, 50_000, took) == pytest.approx(share)
    with pytest.raises(ValueError, match="shares of its groups"):
        predict.seconds_per_epoch(bullet, P, 50_000, None)


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize("kappa", [0.0, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
def test_the_warm_start_is_that_of_the_paper_module(kappa, fraction, idle):
    fields = {"kappa": kappa, "period": 20, "inner": {"craig": {"fraction": fraction}}, "idle": idle}
    found = predict.plan(spec({"warm_start": fields}, epochs=120))
    plan = coreset.plan(120, kappa, fraction, idle)
    assert [e.share for e in found] == [1.0] * plan.full + [0.0] * plan.idle + [fraction] * plan.coreset
    assert all(not e.selects for e in found[: plan.full + plan.idle])


def test_files_are_decoded_once_a_pass_and_once_more_for_a_look_at_everything():
    """100 epochs on 1,000 files, from epoch 15 on without 208 of them, and what Q-TART's selection sees."""
    once = {"once": {"tau": 15, "inner": {"instability": {"gamma": 208}}}}
    files = 15 * 1000 + 85 * (1000 - 208)
    assert predict.decoding(spec(once), P | {"decode": 0.01}, 1000) == pytest.approx(0.01 * (files + 1000))
    assert predict.decoding(spec("everything"), P | {"decode": 0.01}, 1000) == pytest.approx(0.01 * 100_000)
    assert predict.decoding(spec(once), P, 1000) is None


def test_an_unknown_selector_is_said():
    with pytest.raises(ValueError, match="cost of selector 'oracle' is not known"):
        predict.plan(spec({"oracle": {}}))


def test_a_number_left_out_is_a_share_of_the_examples():
    once = {"once": {"tau": 2, "inner": {"instability": {"gamma": 25}}}}
    assert predict.plan(spec(once, epochs=4), 100) == [(1.0, False), (1.0, False), (0.75, True), (0.75, False)]
    with pytest.raises(ValueError, match="needs the number of examples"):
        predict.plan(spec(once, epochs=4))


def test_the_bandit_draws_what_its_episodes_say():
    episodes = dihcl.Episodes(bounds=(0, 2, 5, 9, 12), k=0.9, dk=0.2, min_k=0.6)
    fields = {"bounds": [0, 2, 5, 9, 12], "k": 0.9, "dk": 0.2, "min_k": 0.6}
    found = predict.plan(spec({"bandit": {"episodes": fields, "rule": "exp3"}}, epochs=12))
    shares = [1.0 if e < 2 else episodes.share(e) for e in range(12)]
    assert [e.share for e in found] == pytest.approx(shares)
    assert [e.selects for e in found] == [episodes.opens(e) for e in range(12)]


# --- runs and suites as a forecast has them


MORE = P | {"forward": 0.01, "ascend": 0.1, "keep": 0.5, "size": 0.0, "few": 0.08}


def test_a_run_is_its_epochs_checkpoints_and_the_test():
    found = predict.training(spec("everything", epochs=10), MORE, examples=1000, test=200, classes=10)
    assert found == pytest.approx(10 * (10 * 3.0 + 0.5) + 200 * 0.01)


def test_sat_pays_for_the_examples_that_it_attacks():
    some = spec("everything", epochs=1, budget="only_members")
    some["method"]["extras"] = [{"sat": {"members": {"classes": {"classes": [3, 5]}}}}]
    in_proportion = MORE | {"few": 2.0 * predict.FEW / 100}
    found = predict.training(some, in_proportion, examples=1000, test=0, classes=10)
    assert found == pytest.approx(10 * (1.0 + 0.2 * 2.0) + 0.5)


def test_a_part_of_a_batch_costs_more_than_its_share_where_each_operator_takes_its_time():
    """An attack of 0.4 seconds and 0.016 an image: 2 of all 100 images, and 0.72 of 20."""
    some = spec("everything", epochs=1, budget="only_members")
    some["method"]["extras"] = [{"sat": {"members": {"first": {"share": 0.2}}}}]
    found = predict.training(some, MORE | {"few": 0.4 + 0.016 * predict.FEW}, examples=1000, test=0, classes=10)
    assert found == pytest.approx(10 * (1.0 + 0.72) + 0.5)


def test_early_stopping_pays_for_its_checks():
    stopped = spec("everything", epochs=1) | {
        "early_stop": {"checks": [3, 6], "share": 0.1, "attack": {"pgd": {"steps": 5}}}
    }
    more = predict.training(stopped, MORE, 1000, 200, 10) - predict.training(
        spec("everything", epochs=1), MORE, 1000, 200, 10
    )
    assert more == pytest.approx(2 * 20 * (predict.RIGHT * 5 * 0.1 + 2 * 0.01))


def test_passes_of_attacks():
    """Every image that is right once; later restarts, and later parts, on those that still stand."""
    pgd = {"steps": 20, "restarts": 3}
    assert predict.passes({"pgd": pgd}, 10).ascents == pytest.approx(predict.RIGHT * (1 + 2 * predict.STANDING) * 20)
    aa = predict.passes({"autoattack": {}}, 5)  # four other classes
    after = predict.STANDING * predict.RIGHT
    assert aa.ascents == pytest.approx(100 * predict.RIGHT + after * (4 * 100 + predict.DEAR["fab"] * 4 * 100))
    assert aa.looks == pytest.approx(predict.RIGHT + after * (2 + 5000))
    assert predict.passes("clean", 10) == (0, 0)
    assert predict.passes({"perceptual": {"network": "x", "attack": {"ppgd": {"steps": 4}}}}, 10) == predict.passes(
        {"ppgd": {"steps": 4}}, 10
    )


def test_batch_sizes_where_images_drop_out():
    assert predict.sizes({"pgd": {"steps": 20, "restarts": 2, "only_correct": True}}) == 40
    assert predict.sizes({"pgd": {"steps": 20, "restarts": 2}}) == 0
    entry = {"attack": {"pgd": {"steps": 20, "only_correct": True}}, "examples": None}
    with_sizes, without = (predict.evaluation({"a": entry}, MORE | {"size": s}, 1200, 10) for s in (2.0, 0.0))
    assert with_sizes - without == pytest.approx(3 * 20 * 2.0)  # three batches of at most 500


def test_every_attack_and_selector_of_the_configuration_has_a_cost():
    """At the papers' own scale: none is unknown, none is free."""
    grid = structure.load(Path(__file__).parents[2] / "config", {"scale": "paper"})
    for run in grid.runs.values():
        shape = grid.datasets[run.spec["data"]["name"]]
        assert predict.training(run.spec, MORE, shape["train"], shape["test"], shape["classes"]) > 0
    for evaluation in grid.evaluations.values():
        assert predict.evaluation(evaluation.attacks, MORE, 100, 10) > 0
