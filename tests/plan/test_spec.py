"""Specs laid over each other, marks of what is assumed, and what a wrong YAML file says."""

import pytest

from leanat.core.errors import ConfigError, did_you_mean
from leanat.experiments.spec import (
    Assumed,
    assumed,
    assumptions,
    ball_of,
    field_names,
    merge,
    part,
    plain,
    upstream,
    with_field,
)
from leanat.plan.settings import load_yaml


def written(tmp_path, text, name="x.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_fractions_and_exponents(tmp_path):
    found = load_yaml(written(tmp_path, "eps: 8/255\nlr: 1e-3\nname: a/b\n"))
    assert found == {"eps": 8 / 255, "lr": 0.001, "name": "a/b"}


def test_the_ball_of_an_attack():
    assert ball_of(part("pgd", threat=part("l2", eps=0.5), steps=3)) == ("l2", 0.5)
    assert [ball_of(attack) for attack in ("clean", None, {"clean": None}, part("lpa", bound=0.5))] == [None] * 4


def test_marks_are_found_and_taken_off():
    spec = {"recipe": {"momentum": assumed(0.9, "not said"), "drops": assumed([1, 2], "ours")}}
    assert plain(spec) == {"recipe": {"momentum": 0.9, "drops": [1, 2]}}
    assert list(assumptions(spec)) == [("recipe.momentum", 0.9, "not said"), ("recipe.drops", [1, 2], "ours")]
    other = {"init": upstream("at", seed=0, settings={"epochs": assumed(3, "short")})}
    assert list(assumptions(other)) == [("init.epochs", 3, "short")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2\nb: 3\n", "x.yaml:2: not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: not valid YAML: key 'a' twice"),
        ("- 1\n", "a mapping of keys to values is expected, got list"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path, text, said):
    with pytest.raises(ConfigError) as error:
        load_yaml(written(tmp_path, text))
    assert len(error.value.problems) == 1
    assert said in str(error.value)
    assert "x.yaml" in str(error.value)


def test_a_missing_file_names_the_ones_there_are(tmp_path):
    written(tmp_path, "a: 1", "demo.yaml")
    with pytest.raises(ConfigError, match=r"no such file; did you mean demo\?; allowed: demo"):
        load_yaml(tmp_path / "dmeo.yaml")


def test_merging():
    below = {"recipe": {"epochs": 10, "lr": {"steps": {"lr": 0.1, "drops": [5]}}}, "n": 1}
    above = {"recipe": {"lr": {"steps": {"lr": 0.2}}}}
    assert merge(below, above) == {"recipe": {"epochs": 10, "lr": {"steps": {"lr": 0.2, "drops": [5]}}}, "n": 1}
    other = merge(below, {"recipe": {"lr": {"cosine": {"lr": 0.3}}}})
    assert other["recipe"]["lr"] == {"cosine": {"lr": 0.3}}, "another component replaces the whole"
    assert below["recipe"]["lr"] == {"steps": {"lr": 0.1, "drops": [5]}}, "what was below is untouched"


def test_a_field_is_set_through_the_components_around_it():
    spec = {"recipe": {"lr": {"steps": {"lr": 0.1, "drops": [5]}}, "batch": Assumed(128, "why")}, "init": None}
    assert with_field(spec, ["recipe", "lr", "lr"], 0.5)["recipe"]["lr"] == {"steps": {"lr": 0.5, "drops": [5]}}
    assert with_field(spec, ["recipe", "batch"], 64)["recipe"]["batch"] == 64
    assert with_field(spec, ["init"], None)["init"] is None
    assert with_field(spec, ["recipe", "bacth"], 64) is None
    assert with_field(spec, ["recipe", "lr", "warmup"], 64) is None
    assert spec["recipe"]["lr"]["steps"]["lr"] == 0.1, "what was below is untouched"
    names = list(field_names(plain(spec)))
    assert names == ["recipe.lr.lr", "recipe.lr.drops", "recipe.batch", "init"]


def test_an_assumption_is_gone_once_its_value_is_replaced():
    below = {"a": Assumed({"x": 1}, "why"), "b": Assumed(2, "because")}
    assert list(assumptions(merge(below, {"a": [], "c": 1}))) == [("b", 2, "because")]


def test_near():
    assert did_you_mean("digts", ["digits", "shapes"]) == "; did you mean digits?; allowed: digits, shapes"
    assert did_you_mean("zzz", []) == "; allowed: none"
