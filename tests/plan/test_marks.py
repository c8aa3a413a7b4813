"""Every mark of the configuration is printed in the foot of the items it touches, and of no other."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
from grids import grid_of

from leanat.experiments.spec import Assumed, nodes
from leanat.plan import marks as marking
from leanat.plan import structure

ROOT = Path(__file__).parents[2]
PAPERS = sorted(structure.all_papers())


@pytest.fixture(scope="module")
def grid():
    return grid_of("paper")


@pytest.fixture(scope="module")
def demo():
    return grid_of()


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
    monkeypatch.setattr(structure, "all_papers", lambda *_: {"advprune": dataclasses.replace(paper, choices=choices)})
    grid = structure.load(ROOT / "config", {"scale": "lite"})
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
        usual = [f"sat/{n}" for n, item in grid.papers["sat"].items.items() if not isinstance(item.seeds, Assumed)]
        assert where(seeds.reason) == {name for name in usual if grid.items[name].runs}


# What the papers leave open or their authors' code does otherwise, and what changes a number: a word of the line, and the items.
OPEN = {
    "advprune": {
        "data that Adv-GLISTER chooses among": "table1 table2 table3 table4 figure1 figure2 variants",
        "ours: one for all rows, that of Adv-GRAD-MATCH": "variants",
        "weights w in a mini-batch": "table1 table2 table3 table4 figure1 figure2 variants",
        "network that is tested": "table1 table2 table3 table4 figure2 variants",
        "attack on the validation data of Adv-GLISTER with MART": "table2 figure2",
        "restarts need a random one": "table1 table2 table3 table4 figure2 variants",
    },
    "coreset": {
        "BatchNorm of TRADES": "table1 figure3 autopsy",
        "second term of equations 4, 14 and 15": "table1 figure3 autopsy",
        "view that a selection attacks": "table1 table2 table3 figure2 figure3 sweeps variants redundancy autopsy",
        "batches that GRAD-MATCH chooses among": "table1 table2 table3 figure2 figure3 sweeps variants redundancy autopsy "
        "gradient_error",
        "solver of GRAD-MATCH": "table1 table2 table3 figure2 figure3 sweeps variants redundancy autopsy gradient_error",
        "network that is tested": "table1 table2 table3 figure2 figure3",
        "the last of PAT's 90 after 80": "table2",
        "code: 0.6, in the configurations that PAT reads": "table2",
        "attack at each radius": "figure2",
        "caption of Table 1; this item does not say": "table2 table3 figure2 figure3",
        "perceptual attacks": "table2",
        "ImageNet's stem of stride 2": "table2",
        "warm start of random subsets": "table1 table3 figure3 sweeps variants autopsy",
        "epochs = 100: in appendix C, which is not in the text; code: default 100": "table1 figure3 autopsy",
        "epochs = 120: in appendix C, which is not in the text; code: default 120": "table1",
        "from memory; code: default 15": "table2",
        "drops = 75, 90: as epochs": "table2",
        "weights gamma in a mini-batch": "table1 table2 table3 figure2 figure3 sweeps variants redundancy autopsy",
        "what a selection is timed with": "table1 table2 table3 figure3",
        "Fast AT of Figure 2": "figure2",
    },
    "qtart": {
        "clips it at a confidence of 50": "",  # so does the margin here
        "size, place and coin of DI2-FGSM": "figure2 figure3 figure4 figure5",
        "apex O2": "table3 figure3 figure4 figure5 overfitting",
        "Figure 1 does not say": "figure1",
        "normalisation in DIHCL": "table1 figure2 figure3",
        "episodes of DIHCL": "table1 figure2 figure3",
        "which may be the loading alone": "table3",
        "has no Nesterov momentum": "table3 figure3 figure4 figure5 overfitting",
        "first mini-batch of the epoch": "overfitting",
        "shears them by bicubic": "table1 figure2 figure3",
        "pooling comes before the next BatchNorm": "table2 planted",
        "on which no claim could be tested": "table1 figure3 figure4 figure5",  # not where times are measured
        "from the first epoch on": "table1 table2 table3 figure1 figure2 figure3 figure4 figure5 "
        "overfitting decomposition planted",
    },
    "saliency": {
        "j* of equations 5 to 7": "alignment bound",
        "adds noise from -8/255 to 8/255": "table1 table2 table3 table4 table5 table6 table7 table8 table9 figure2 figure3 "
        "figure4 figure5 figure6 pgd_steps time phase1 single_k alignment bound weights localisation teachers perturbations "
        "batchnorm autopsy",
        "cw.attack.pgd.steps = 30: not in the paper; as in FAT's code": "table1",
        "takes those of the attacked batch": "table1 table2 table3 table4 table5 table6 table7 table8 table9 figure2 figure3 "
        "figure4 figure5 figure6 pgd_steps phase1 single_k alignment bound weights localisation teachers perturbations "
        "batchnorm autopsy tinyimagenet",
    },
    "sat": {
        "weights w_A and w_B in a mini-batch": "figure2 figure3 figure7 figure8 supplement autopsy trades",
        "normalisation of the trainings without AT": "figure2 figure3 figure4 figure5 figure6 figure7 figure8 supplement",
        "files that no public configuration writes": "figure8 supplement",
        "the last iterate is trained on": "supplement trades",
        "training of the head on SVHN": "supplement",
        "configurations of CSAT and ESAT there are not public": "figure5 figure6",
        "(float16) is no longer made; their configuration of full AT": "figure2 figure5 figure6 figure7 figure8 autopsy",
        "attack of early stopping and of the test =": "figure2 figure3 figure5 autopsy",
        "attack of early stopping and of the test on CIFAR-100": "figure5 figure6 figure7 figure8 supplement",
    },
}


@pytest.mark.parametrize("paper", sorted(OPEN))
def test_what_is_open_is_in_the_feet_of_the_items_it_touches(grid, demo, paper):
    feet_of = {
        name.partition("/")[2]: [*found, *feet(demo)[name]]
        for name, found in feet(grid).items()
        if name.startswith(f"{paper}/")
    }
    found = {words: {name for name, foot in feet_of.items() if words in "\n".join(foot)} for words in OPEN[paper]}
    assert found == {words: set(items.split()) for words, items in OPEN[paper].items()}


def test_a_learning_rate_that_is_marked_is_that_of_a_training_of_the_item(grid):
    """Table 4 of the pruning paper, of 200 epochs, had the drops of 100, from the training whose time it compares with."""
    for name, item in grid.items.items():
        recipes = [grid.runs[run].spec["recipe"] for run in item.all_runs]
        known = {f"{where} = {marking.worded(value)}" for recipe in recipes for where, value in nodes(recipe, "recipe")}
        marked = [line.partition(": ")[0] for line in item.assumptions if line.startswith("recipe.lr")]
        assert not recipes or known.issuperset(marked), name


def test_a_row_that_chooses_gamma_does_not_assume_it(grid):
    assert not [line for line in grid.items["qtart/table2"].assumptions if "gamma = 5:" in line]


def test_a_discriminator_is_described_where_one_is_trained(grid):
    touched = {name for name, foot in feet(grid).items() if any("what a discriminator is" in line for line in foot)}
    assert {"saliency/table1", "saliency/figure2"} <= touched
    assert all(name.startswith("saliency/") for name in touched)


def test_the_gradient_of_equation_15_is_said_where_a_second_phase_is_trained(grid):
    touched = {name for name, foot in feet(grid).items() if any("gradient of equation 15" in line for line in foot)}
    trained = {name for name, item in grid.items.items() if any("-phase2" in run for run in item.all_runs)}
    assert touched == trained | {"saliency/time"}  # which measures steps of it, and trains nothing
    assert "saliency/table1" in trained


def test_the_marks_of_a_formula_are_those_of_what_it_reads(grid):
    config = grid.papers["qtart"]
    item, facts = config.items["table9"], {"paper": "qtart", "item": "table9", "data": "cifar10", "method": "qtart"}
    gamma = "appendix B.2 prints 5, Table 2 and the caption of Figure 2 print 25; the appendix is about Table 1"
    found = list(marking._of_cell(grid, config, item, facts | {"model": "resnet50"}))
    assert found == [("gamma", 5, gamma)]
    assert list(marking._of_cell(grid, config, item, facts | {"model": "vgg16"})) == []


def test_values_are_worded_and_an_item_has_one_number_of_seeds(grid):
    assert marking.worded({"linear": {"lr": 0.1, "lr_end": 0.001}}) == "linear (lr 0.1, lr_end 0.001)"
    assert marking.worded([{"crop": {"pad": 4}}, {"flip": {}}, "cutout"]) == "crop (pad 4), flip, cutout"
    attacks = [{"name": "cw", "attack": {"pgd": {"threat": {"linf": {"eps": 0.031372549}}, "steps": 30}}}]
    assert marking.worded(attacks) == "(name cw, attack (pgd (threat (linf (eps 0.03137)), steps 30)))"
    for name, lines in feet(grid).items():
        assert sum(line.startswith("seeds = ") for line in lines) <= 1, name
        assert not [line for line in lines if re.search(r"[{}]", line.partition(": ")[0])], name
    own = [line for line in feet(grid)["sat/figure7"] if line.startswith("seeds")]
    assert own == [line for line in own if line.startswith("seeds = 3: one run")] != []
