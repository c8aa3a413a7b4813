"""Every mark of the configuration is printed in the foot of the items it touches, and of no other."""

from pathlib import Path

import pytest
import yaml

from leanat.experiments import marks as marking
from leanat.experiments import structure
from leanat.experiments.formulas import FORMULAS, READS
from leanat.experiments.resolve import Assumed, ConfigError, assumptions

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
PAPERS = sorted(p.stem for p in (CONFIG / "papers").glob("*.yaml"))


@pytest.fixture(scope="module")
def grid():
    return structure.load(CONFIG, {"scale": "paper"})


def edited(tmp_path, paper, change):
    """The configuration with a paper's YAML changed by ``change(mapping)``."""
    for folder in ("papers", "scales"):
        (tmp_path / folder).mkdir()
    for file in CONFIG.rglob("*.yaml"):
        (tmp_path / file.relative_to(CONFIG)).write_text(file.read_text())
    file = tmp_path / "papers" / f"{paper}.yaml"
    value = yaml.safe_load(file.read_text())
    change(value)
    file.write_text(yaml.safe_dump(value))
    return tmp_path


@pytest.fixture(scope="module")
def demo():
    return structure.load(CONFIG, {"scale": "demo"})


def feet(grid):
    return {name: item["assumptions"] for name, item in grid.items.items()}


def test_a_choice_without_a_value_is_in_the_foot_of_the_items_it_names_alone(tmp_path):
    choice = {"what": "the order of ties", "value": "as they come", "assumption": "not in the paper"}

    def change(paper):
        paper["assumed"] = [
            {"when": {"method": "mart_glister"}} | choice,
            {"when": {"suite": "whitebox", "attack": "nothing"}} | choice | {"what": "never"},
            {"when": {"attack": "pgd50_10_16"}} | choice | {"what": "of an attack"},
        ]

    found = feet(structure.load(edited(tmp_path, "advprune", change), {"scale": "lite"}))
    printed = {name for name, lines in found.items() if "the order of ties = as they come: not in the paper" in lines}
    grid = structure.load(CONFIG, {"scale": "lite"})
    assert printed == {name for name, item in grid.items.items() if any("mart_glister-" in r for r in item["all_runs"])}
    assert "advprune/table2" in printed
    assert "advprune/table1" not in printed
    assert not any(line.startswith("never") for lines in found.values() for line in lines)
    assert any(line.startswith("of an attack") for line in found["advprune/table1"])


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"what": "a", "assumption": "b"}, "key 'value' is missing"),
        ({"when": {"method": "mart_glitter"}, "what": "a", "value": "b", "assumption": "c"}, "mart_glister"),
        ({"when": {"methods": "mart"}, "what": "a", "value": "b", "assumption": "c"}, "did you mean method"),
        ({"what": "a", "value": "b", "reason": "c"}, "'assumption'"),
    ],
)
def test_a_choice_that_is_written_wrong_is_one_clear_line(tmp_path, entry, said):
    with pytest.raises(ConfigError) as error:
        structure.load(edited(tmp_path, "advprune", lambda paper: paper.update(assumed=[entry])))
    assert all("advprune.yaml: assumed[0]" in problem for problem in error.value.problems)
    assert said in str(error.value)


def marks(paper):
    """(value, reason) of everything that a paper's file marks, and of its choices without a value."""
    raw = structure.load_yaml(CONFIG / "papers" / f"{paper}.yaml")
    yield from ((str(c["value"]), c["assumption"]) for c in raw.pop("assumed", []))
    yield from ((shown(value), reason) for _, value, reason in assumptions(raw))


def shown(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_mark_is_in_the_foot_of_an_item(grid, demo, paper):
    at = [*feet(grid).items(), *feet(demo).items()]  # some items are the demo's alone
    lines = {line for name, lines in at if name.startswith(f"{paper}/") for line in lines}
    lost = [
        (value, reason)
        for value, reason in marks(paper)
        if not any(line.endswith(f": {reason}") and ("$" in value or f"= {value}: " in line) for line in lines)
    ]
    assert not lost


def test_marks_of_suites_items_and_seeds_reach_the_items_they_touch_and_no_other(grid):
    found = feet(grid)

    def where(reason):
        return {name for name, lines in found.items() if any(line.endswith(reason) for line in lines)}

    assert where("taken as trained by the target's own method and seed") == {"qtart/figure4", "qtart/figure5"}
    assert where("not in the paper; to choose gamma on") == {"qtart/table2"}
    assert where("what it searched is not said") == {"qtart/table2"}
    seeds = structure.load_yaml(CONFIG / "papers" / "sat.yaml")["seeds"]
    if isinstance(seeds, Assumed):
        assert where(seeds.reason) == {n for n, item in grid.items.items() if n.startswith("sat/") and item["runs"]}


def test_the_marks_of_a_formula_are_those_of_what_it_reads(grid):
    config = grid.papers["qtart"]
    item, facts = config["items"]["table9"], {"paper": "qtart", "item": "table9", "data": "cifar10", "method": "qtart"}
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
