"""Layers, variables, assumptions, and what a wrong YAML file says."""

import pytest

from leanat.experiments.resolve import (
    Assumed,
    ConfigError,
    assumptions,
    layered,
    load_yaml,
    matches,
    merge,
    near,
    plain,
    substitute,
)


def written(tmp_path, text, name="x.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_fractions_exponents_and_assumptions(tmp_path):
    text = "eps: 8/255\nlr: 1e-3\nname: a/b\nmomentum: {value: 0.9, assumption: not said}\n"
    found = load_yaml(written(tmp_path, text))
    assert found["eps"] == 8 / 255
    assert found["lr"] == 0.001
    assert found["name"] == "a/b"
    assert found["momentum"] == Assumed(0.9, "not said")
    assert plain(found)["momentum"] == 0.9
    assert list(assumptions(found)) == [("momentum", 0.9, "not said")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1, 2\nb: 3\n", "x.yaml:2: not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3: not valid YAML: key 'a' twice"),
        ("- 1\n", "a mapping of keys to values is expected, got list"),
        ("a: {assumption: why}\n", "a: an assumption is written {value: ..., assumption: reason}"),
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


def test_rules_apply_in_order_where_they_match():
    rules = [
        {"when": {"data": ["a", "b"]}, "set": {"x": 1}},
        {"when": {"data": "b", "model": "m"}, "set": {"x": 2, "y": 3}},
    ]
    assert layered(rules, {"data": "a", "model": "m"}, {}) == {"x": 1}
    assert layered(rules, {"data": "b", "model": "m"}, {}) == {"x": 2, "y": 3}
    assert layered(rules, {"data": "c", "model": "m"}, {"x": 0}) == {"x": 0}
    assert matches({}, {"anything": 1})


def test_variables():
    problems = []
    assert substitute({"a": ["$g", 1], "b": {"c": "$g"}}, {"g": 5}, "here", problems) == {"a": [5, 1], "b": {"c": 5}}
    assert not problems
    substitute({"a": "$gama"}, {"gamma": 5}, "here", problems)
    assert problems == ["here.a: no variable $gama; did you mean gamma?; allowed: gamma"]


def test_an_assumption_is_gone_once_its_value_is_replaced():
    below = {"a": Assumed({"x": 1}, "why"), "b": Assumed(2, "because")}
    assert list(assumptions(merge(below, {"a": [], "c": 1}))) == [("b", 2, "because")]


def test_near():
    assert near("digts", ["digits", "shapes"]) == "; did you mean digits?; allowed: digits, shapes"
    assert near("zzz", []) == "; allowed: none"
