"""Every mark of the configuration is printed in the foot of the items it touches, and of no other."""

import ast
import dataclasses
from pathlib import Path

import pytest

from leanat.experiments.spec import Assumed
from leanat.plan import marks as marking
from leanat.plan import structure
from leanat.plan.formulas import FORMULAS, READS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
PAPERS = sorted(structure.all_papers())


@pytest.fixture(scope="module")
def grid():
    return structure.load(CONFIG, {"scale": "paper"})


@pytest.fixture(scope="module")
def demo():
    return structure.load(CONFIG, {"scale": "demo"})


def feet(grid):
    return {name: item.assumptions for name, item in grid.items.items()}


def test_a_choice_without_a_value_is_in_the_foot_of_the_items_it_names_alone(monkeypatch):
    def choices(cell):
        if cell.get("method") == "mart_glister":
            yield "the order of ties", "as they come", "not in the paper"
        if cell.get("attack") == "nothing":
            yield "never", "as they come", "not in the paper"
        if cell.get("attack") == "pgd50_10_16":
            yield "of an attack", "as they come", "not in the paper"

    paper = structure.all_papers(["advprune"])["advprune"]
    monkeypatch.setattr(
        structure, "all_papers", lambda names: {"advprune": dataclasses.replace(paper, choices=choices)}
    )
    grid = structure.load(CONFIG, {"scale": "lite"})
    found = feet(grid)
    printed = {name for name, lines in found.items() if "the order of ties = as they come: not in the paper" in lines}
    assert printed == {name for name, item in grid.items.items() if any("mart_glister-" in r for r in item.all_runs)}
    assert "advprune/table2" in printed
    assert "advprune/table1" not in printed
    assert not any(line.startswith("never") for lines in found.values() for line in lines)
    assert any(line.startswith("of an attack") for line in found["advprune/table1"])


def reasons(paper):
    """The texts of all ``assumed(value, reason)`` and of the choices in a paper's ``experiments.py``."""
    tree = ast.parse((ROOT / "src/leanat/papers" / paper / "experiments.py").read_text())
    for node in ast.walk(tree):
        text = None
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "assumed":
            text = node.args[1]
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            text = node.value.elts[2]
        if isinstance(text, ast.Constant):
            yield text.value


@pytest.mark.parametrize("paper", PAPERS)
def test_every_reason_is_in_the_foot_of_an_item(grid, demo, paper):
    at = [*feet(grid).items(), *feet(demo).items()]  # some items are the demo's alone
    lines = {line for name, lines in at if name.startswith(f"{paper}/") for line in lines}
    assert len(set(reasons(paper))) > 5
    assert not [reason for reason in reasons(paper) if not any(line.endswith(f": {reason}") for line in lines)]


def test_marks_of_suites_items_and_seeds_reach_the_items_they_touch_and_no_other(grid):
    found = feet(grid)

    def where(reason):
        return {name for name, lines in found.items() if any(line.endswith(reason) for line in lines)}

    assert where("taken as trained by the target's own method and seed") == {"qtart/figure4", "qtart/figure5"}
    assert where("not in the paper; to choose gamma on") == {"qtart/table2"}
    assert where("what it searched is not said") == {"qtart/table2"}
    seeds = grid.papers["sat"].seeds
    if isinstance(seeds, Assumed):
        assert where(seeds.reason) == {n for n, item in grid.items.items() if n.startswith("sat/") and item.runs}


def test_the_marks_of_a_formula_are_those_of_what_it_reads(grid):
    config = grid.papers["qtart"]
    item, facts = config.items["table9"], {"paper": "qtart", "item": "table9", "data": "cifar10", "method": "qtart"}
    gamma = "appendix B.2 prints 5, Table 2 and the caption of Figure 2 print 25; the appendix is about Table 1"
    found = list(marking._of_cell(grid, config, item, facts | {"model": "resnet50"}))
    assert found == [("vars.gamma", 5, gamma)]
    assert list(marking._of_cell(grid, config, item, facts | {"model": "vgg16"})) == []


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_formula_reads_what_it_says(name):
    inputs = {"vars": {}, "recipe": {}}
    for path in READS[name]:
        part, _, key = path.partition(".")
        inputs[part][key] = 1
    FORMULAS[name](inputs)
    for path in READS[name]:
        part, _, key = path.partition(".")
        with pytest.raises(KeyError):
            FORMULAS[name]({**inputs, part: {k: v for k, v in inputs[part].items() if k != key}})
