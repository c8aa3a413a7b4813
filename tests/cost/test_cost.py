"""What a training costs, composed: against sums written out by hand, and against the selectors' own plan."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from grids import grid_of

from leanat.attacks.autoattack import FAB, AutoAttack, Square
from leanat.attacks.perceptual import PPGD, Perceptual
from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core.nouns import Method
from leanat.cost import predict
from leanat.papers.advprune.method import Bullet
from leanat.papers.coreset.lengths import phases_of
from leanat.papers.coreset.method import WarmStart
from leanat.papers.qtart import dihcl
from leanat.papers.qtart.method import Instability
from leanat.papers.sat.method import AtRandom, AttackOnlySubset, NamedClasses, RankedSubset, SubsetAttack
from leanat.plan.components import read
from leanat.selection.basic import Every, Everything, Once, Random
from leanat.selection.craig import Craig
from leanat.selection.glister import Glister
from leanat.selection.grad_match import GradMatch
from leanat.training.early_stop import EarlyStop
from leanat.training.fat import FAT
from leanat.training.objectives import CrossEntropy

P = {"step": 3.0, "bare": 1.0, "look": 0.25, "select": 2.5, "solve": 7.0}
EVERYTHING = Everything()
Q_TART = Instability(208, filters=4)


def pgd(steps, **fields):
    return PGD(Linf(8 / 255), steps, 2 / 255, "uniform", **fields)


def spec(selector, epochs=100, batch=100, validation=None, budget=None, extras=(), early_stop=None):
    """What a forecast reads of a run's spec."""
    method = Method(CrossEntropy(), pgd(10), selector, budget, extras)
    recipe, data = SimpleNamespace(epochs=epochs, batch=batch), SimpleNamespace(validation=validation)
    return SimpleNamespace(method=method, recipe=recipe, data=data, early_stop=early_stop)


def test_friendly_training_makes_a_part_of_the_attack():
    """Its images stop soon after they are fooled: 6.2 of 10 steps per image over a training of the demo."""
    whole = spec(EVERYTHING, epochs=10)
    some = spec(EVERYTHING, epochs=10)
    some.method = replace(some.method, attack=FAT(Linf(8 / 255), 10, 2 / 255, patience=0))
    full, less = (predict.training(one, MORE, examples=1000, test=0, classes=10) for one in (whole, some))
    assert full - less == pytest.approx(10 * 10 * (3.0 - 1.0) * (1 - 0.62))


def test_full_training_is_batches_times_steps():
    assert predict.seconds_per_epoch(spec(EVERYTHING), P, 50_000, None) == pytest.approx(500 * 3.0)


def test_selections_are_amortised():
    """A random 30 % for 20 epochs, then four selections of 30 % in 100 epochs: the paper's 9 in 200."""
    before = Once(0, Random(0.3))
    every = Every(20, 20, Glister(0.3, "example", eta=0.02), before)
    found = predict.seconds_per_epoch(spec(every, validation=0.1), P, 50_000, None)
    training = 0.3 * (45_000 / 100) * 3.0
    selecting = 4 * (500 * 2.5 + 7.0) / 100
    assert found == pytest.approx(training + selecting)
    assert sum(e.selects for e in predict.plan(spec(every, epochs=200), 50_000)) == 9
    every = Every(20, 20, GradMatch(0.3, "example"), before)  # attacks the training part alone
    found = predict.seconds_per_epoch(spec(every, validation=0.1), P, 50_000, None)
    assert found == pytest.approx(training + 4 * (450 * 2.5 + 7.0) / 100)


def test_bullet_train_costs_what_its_groups_do():
    bullet = spec(EVERYTHING, budget=Bullet())
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
    warm_start = WarmStart(kappa, 20, Craig(fraction, "batch"), idle)
    found = predict.plan(spec(warm_start, epochs=120), 50_000)
    phases = phases_of(120, kappa, fraction, idle)
    assert [e.share for e in found] == [1.0] * phases.full + [0.0] * phases.idle + [fraction] * phases.coreset
    assert all(not e.selects for e in found[: phases.full + phases.idle])


def test_files_are_decoded_once_a_pass_and_once_more_for_a_look_at_everything():
    """100 epochs on 1,000 files, from epoch 15 on without 208 of them, and what Q-TART's selection sees."""
    once = Once(15, Q_TART)
    files = 15 * 1000 + 85 * (1000 - 208)
    assert predict.decoding(spec(once), P | {"decode": 0.01}, 1000) == pytest.approx(0.01 * (files + 1000))
    assert predict.decoding(spec(EVERYTHING), P | {"decode": 0.01}, 1000) == pytest.approx(0.01 * 100_000)
    assert predict.decoding(spec(once), P, 1000) is None


def test_a_rule_that_plans_nothing_is_taken_to_choose_whenever_it_is_asked():
    def rule(run, split):
        raise AssertionError("a plan trains nothing")

    assert predict.plan(spec(Every(2, 1, rule), epochs=4), 50_000) == [
        (1.0, False),
        (1.0, True),
        (1.0, False),
        (1.0, True),
    ]
    rule.fraction = 0.2
    assert predict.plan(spec(Once(1, rule), epochs=3), 50_000) == [(1.0, False), (0.2, True), (0.2, False)]


def test_a_number_left_out_is_a_share_of_the_examples():
    once = Once(2, Instability(25, filters=4))
    assert predict.plan(spec(once, epochs=4), 100) == [(1.0, False), (1.0, False), (0.75, True), (0.75, False)]


def test_the_bandit_draws_what_its_episodes_say():
    episodes = dihcl.Episodes(bounds=(0, 2, 5, 9, 12), k=0.9, dk=0.2, min_k=0.6)
    found = predict.plan(spec(dihcl.Bandit(episodes, "exp3", "loss"), epochs=12), 50_000)
    shares = [1.0 if e < 2 else episodes.share(e) for e in range(12)]
    assert [e.share for e in found] == pytest.approx(shares)
    assert [e.selects for e in found] == [episodes.opens(e) for e in range(12)]


# --- runs and suites as a forecast has them


MORE = P | {"forward": 0.01, "ascend": 0.1, "keep": 0.5, "size": 0.0, "few": 0.08}


def test_a_run_is_its_epochs_checkpoints_and_the_test():
    found = predict.training(spec(EVERYTHING, epochs=10), MORE, examples=1000, test=200, classes=10)
    assert found == pytest.approx(10 * (10 * 3.0 + 0.5) + 200 * 0.01)


def test_sat_pays_for_the_examples_that_it_attacks():
    some = spec(EVERYTHING, epochs=1, budget=AttackOnlySubset(), extras=(SubsetAttack(NamedClasses((3, 5))),))
    in_proportion = MORE | {"few": 2.0 * predict.FEW / 100}
    found = predict.training(some, in_proportion, examples=1000, test=0, classes=10)
    assert found == pytest.approx(10 * (1.0 + 0.2 * 2.0) + 0.5)


def test_a_part_of_a_batch_costs_more_than_its_share_where_each_operator_takes_its_time():
    """An attack of 0.4 seconds and 0.016 an image: 2 of all 100 images, and 0.72 of 20."""
    fifth = SubsetAttack(RankedSubset(0.2, "example", AtRandom(0)))
    some = spec(EVERYTHING, epochs=1, budget=AttackOnlySubset(), extras=(fifth,))
    found = predict.training(some, MORE | {"few": 0.4 + 0.016 * predict.FEW}, examples=1000, test=0, classes=10)
    assert found == pytest.approx(10 * (1.0 + 0.72) + 0.5)


def test_early_stopping_pays_for_its_checks():
    stopped = spec(EVERYTHING, epochs=1, early_stop=EarlyStop((3, 6), pgd(5), 0.1))
    plain, more = (predict.training(one, MORE, 1000, 200, 10) for one in (spec(EVERYTHING, epochs=1), stopped))
    assert more - plain == pytest.approx(2 * 20 * (predict.RIGHT * 5 * 0.1 + 2 * 0.01))


def test_passes_of_attacks():
    """Every image that is right once; later restarts, and later parts, on those that still stand."""
    found = predict.passes(pgd(20, restarts=3), 10)
    assert found.ascents == pytest.approx(predict.RIGHT * (1 + 2 * predict.STANDING) * 20)
    aa = predict.passes(AutoAttack(Linf(8 / 255)), 5)  # four other classes
    after = predict.STANDING * predict.RIGHT
    assert aa.ascents == pytest.approx(100 * predict.RIGHT + after * (4 * 100 + predict.DEAR[FAB] * 4 * 100))
    assert aa.looks == pytest.approx(predict.RIGHT + after * (2 + 5000))
    assert predict.passes(Clean(), 10) == (0, 0)
    assert predict.passes(Perceptual(Path("x"), PPGD(0.5, 4)), 10) == predict.passes(PPGD(0.5, 4), 10)


def test_batch_sizes_where_images_drop_out():
    assert predict.sizes(pgd(20, restarts=2, only_correct=True), 10) == 40
    assert predict.sizes(pgd(20, restarts=2), 10) == 0
    assert (
        predict.sizes(AutoAttack(Linf(8 / 255)), 10)
        == predict.sizes(Square(Linf(8 / 255)), 10)
        == pytest.approx(5000 / 3)
    )
    fields = {"threat": {"linf": {"eps": 8 / 255}}, "steps": 20, "step_size": 2 / 255, "start": "uniform"}
    entry = {"attack": {"pgd": fields | {"only_correct": True}}, "examples": None}
    with_sizes, without = (predict.evaluation({"a": entry}, MORE | {"size": s}, 1200, 10) for s in (2.0, 0.0))
    assert with_sizes - without == pytest.approx(3 * 20 * 2.0)  # three batches of at most 500


def test_every_attack_and_selector_of_the_configuration_has_a_cost():
    """At the papers' own scale: none is unknown, none is free."""
    grid = grid_of("paper")
    for run in grid.runs.values():
        shape = grid.datasets[run.spec["data"]["name"]]
        assert predict.training(read(run.spec), MORE, shape["train"], shape["test"], shape["classes"]) > 0
    for evaluation in grid.evaluations.values():
        assert predict.evaluation(evaluation.attacks, MORE, 100, 10) > 0
