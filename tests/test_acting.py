"""Values that are written and never act are errors of ``leanat check``, each with its file and rule."""

from pathlib import Path

import pytest
import yaml

from leanat.experiments import acting, structure

CONFIG = Path(__file__).parents[1] / "config"


def edited(tmp_path, file, change):
    for folder in ("papers", "scales"):
        (tmp_path / folder).mkdir()
    for path in CONFIG.rglob("*.yaml"):
        (tmp_path / path.relative_to(CONFIG)).write_text(path.read_text())
    value = yaml.safe_load((tmp_path / file).read_text())
    change(value)
    (tmp_path / file).write_text(yaml.safe_dump(value))
    return acting.problems(structure.load(tmp_path, {"scale": "lite"}))


def test_a_value_of_a_rule_that_the_method_replaces_is_named_with_file_rule_and_method(tmp_path):
    """As PAT's coreset runs once had it: 63 epochs in a rule, 90 in the method."""

    def change(paper):
        rule = {"when": {"method": ["pat_craig", "pat_gradmatch"]}, "set": {"recipe": {"batch": 7}}}
        paper["rules"].append(rule)
        paper["rules"].append({"when": {"data": "cifar10", "model": "resnet19"}, "set": {"recipe": {"batch": 7}}})

    found = edited(tmp_path, "papers/coreset.yaml", change)
    assert len(found) == 2
    assert all("papers/coreset.yaml: rules[" in line for line in found)
    assert "recipe.batch: 7 never acts; methods.pat_craig or a later rule has 50" in found[0]
    assert "matches no cell of any item" in found[1]
    said = acting.overridden(structure.load(tmp_path, {"scale": "lite"}))
    assert [line.partition(": ")[2] for line in said] == [
        f"{found[0].split(': ')[1]}: recipe.batch: 7 never acts; methods.{method} is laid over it and has 50"
        for method in ("pat_craig", "pat_gradmatch")
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s["epochs"].append({"when": {"paper": "sat"}, "factor": 0.5, "minimum": 1}), "epochs[6]"),
        (lambda s: s["rules"].append({"when": {"paper": "qtart", "data": "digits"}, "set": {}}), "rules[3]"),
        (
            lambda s: s["rules"].append({"when": {"paper": "qtart"}, "set": {"recipe": {"epochs": 2}}}),
            "tau 2 never acts in 2",
        ),
        (
            lambda s: s["rules"].append({"when": {"paper": "sat"}, "set": {"early_stop": {"checks": [15, 16]}}}),
            "early_stop.checks 16 never acts in 15 epochs",
        ),
    ],
)
def test_what_a_scale_makes_idle_is_said(tmp_path, change, said):
    found = edited(tmp_path, "scales/lite.yaml", change)
    assert found
    assert any(said in line for line in found)


def test_conditions_that_match_nothing_are_named_in_every_part_of_a_scale(tmp_path):
    nothing = {"when": {"paper": "sat", "item": "figure4", "share": 15}}
    parts = {
        "skip": {"reason": "none"},
        "radii": {"l2": 0.5},
        "attacks": {"set": {"examples": 8}},
        "fields": {"set": {}},
    }
    parts["choices"] = {"values": [1]}

    def change(scale):
        for part, entry in parts.items():
            scale.setdefault(part, []).append(nothing | entry)

    found = edited(tmp_path, "scales/lite.yaml", change)
    assert {line.split(": ")[1].partition("[")[0] for line in found} == set(parts)


def test_conditions_and_suites_of_a_paper_that_touch_nothing_are_named(tmp_path):
    def change(paper):
        paper["skip"].append({"when": {"data": "stl10", "method": "free"}, "reason": "none"})
        paper["trials"].append({"when": {"data": "digits"}, "seeds": 2})
        paper["suites"]["unread"] = {"clean2": {"attack": "clean"}}

    found = edited(tmp_path, "papers/qtart.yaml", change)
    assert [line.split(": ")[1] for line in found] == ["skip[3]", "trials[2]", "suites.unread"]


@pytest.mark.parametrize("scale", ["demo", "lite", "subset", "paper"])
def test_nothing_that_is_written_never_acts(scale):
    grid = structure.load(CONFIG, {"scale": scale})
    assert acting.problems(grid) == []
    assert acting.overridden(grid) == []
