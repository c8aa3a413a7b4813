"""Specs to objects: what may be written, and what a wrong spec says."""

import copy

import pytest
from grids import grid_of

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import L2, Linf
from leanat.core.errors import ConfigError
from leanat.core.nouns import Attack
from leanat.experiments.scales import SCALES
from leanat.plan import components

GLISTER = {"glister": {"fraction": 0.3, "granularity": "example", "eta": 0.1}}


@pytest.fixture(scope="module")
def spec():
    grid = grid_of()
    facts = {"paper": "qtart", "item": "table1", "data": "cifar10", "model": "vgg16", "method": "qtart"}
    return grid.run(facts, 0).spec


def changed(spec, path, value):
    spec = copy.deepcopy(spec)
    inside = spec
    *first, last = path.split(".")
    for key in first:
        inside = inside[key]
    if value is None:
        del inside[last]
    else:
        inside[last] = value
    return spec


def test_a_spec_becomes_objects(spec):
    found = components.read(spec)
    assert found.recipe.epochs == spec["recipe"]["epochs"]
    assert repr(found.method.selector).startswith("Once(tau=4, inner=Instability(gamma=30, filters=8")


@pytest.mark.parametrize("scale", sorted(SCALES))
def test_every_spec_of_every_scale_can_be_built(scale):
    seen = set()
    for run in grid_of(scale).runs.values():
        kind = run.id.rsplit("-", 2)[0]  # the seeds of one method differ in nothing else
        if kind not in seen:
            seen.add(kind)
            components.read(run.spec)


def test_attacks_are_written_by_name():
    pgd = {"pgd": {"threat": {"linf": {"eps": 0.1}}, "steps": 5, "step_size": 0.02, "start": "uniform"}}
    assert components.build(Attack, pgd, "attack") == PGD(Linf(0.1), 5, 0.02, "uniform")
    pgd["pgd"]["threat"] = {"l2": {"eps": 0.5}}
    assert components.build(Attack, pgd, "attack").threat == L2(0.5)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("recipe.epochs", "thirty", "spec.recipe: epochs 'thirty'; allowed: a whole number, 1 or more"),
        ("recipe.epochs", 0, "spec.recipe: epochs 0; allowed: 1 or more"),
        ("recipe.epocs", 3, "spec.recipe: unknown key 'epocs'; did you mean epochs?"),
        ("recipe.batch", None, "spec.recipe: key 'batch' is missing"),
        ("recipe.precision", "fp16", "precision 'fp16'; allowed: fp32, bf16"),
        ("recipe.lr", {"cosin": {"lr": 0.1}}, "no learning rate 'cosin'; did you mean cosine?"),
        ("recipe.lr", {"steps": {"lr": -1, "drops": [], "factor": 0.1}}, "lr -1"),
        ("model.name", "vgg61", "no network 'vgg61'; did you mean vgg16?"),
        ("model.standardise", "images", "standardise 'images'; allowed: channel, image"),
        ("method.attack", "claen", "no attack 'claen'; did you mean clean?"),
        ("method.attack", {"pgd": 3, "clean": 4}, "attack is written as {name: {field: value}}"),
        ("method.selector.once.tau", -2, "tau -2; allowed: 0 or more"),
        ("method.selector.once.inner.instability.gamma", -1, "gamma -1; allowed: 0 or more examples"),
        ("method.selector.once.inner.instability.window", "lats", "lats"),
        ("method.selector.once.inner", GLISTER, "glister needs validation examples"),
        (
            "method.selector",
            {"every": {"period": 2, "warmup": 1, "inner": "everything", "before": GLISTER}},
            "glister needs validation examples",
        ),
        ("method.objective", {"cross_entropy": {"smoothing": 2}}, "smoothing"),
        ("data.augment", "flip", "spec.data.augment: a list is expected"),
        ("data.augment", [{"crop": {"pad": -1}}], "spec.data.augment[0].crop: pad -1; allowed: 0 or more pixels"),
    ],
)
def test_a_wrong_spec_is_one_clear_line(spec, path, value, said):
    with pytest.raises(ConfigError) as error:
        components.read(changed(spec, path, value))
    assert len(error.value.problems) == 1
    assert said in str(error.value)


def test_all_problems_of_a_spec_are_reported_at_once(spec):
    wrong = changed(changed(changed(spec, "recipe.epochs", "x"), "model.name", "vgg61"), "method.attack", "claen")
    with pytest.raises(ConfigError) as error:
        components.read(wrong)
    assert len(error.value.problems) == 3
