"""Seeds of single items: asked for in the configuration, or kept below the results by ``leanat decide``."""

from pathlib import Path

import pytest

from leanat.core.errors import ConfigError
from leanat.plan import looks, structure

ROOT = Path(__file__).parents[2]


def seeds_of(grid, item):
    return {grid.runs[run].spec["seed"] for run in grid.items[item].runs}


def test_an_item_gets_more_seeds_and_no_other_does():
    usual = structure.load(ROOT / "config", {"papers": ["sat"]})
    more = structure.load(ROOT / "config", {"papers": ["sat"], "more_seeds": {"sat/figure8": 5, "sat/figure2": 2}})
    assert seeds_of(usual, "sat/figure8") == {0}
    assert seeds_of(more, "sat/figure8") == set(range(5))
    for name in ("sat/figure2", "sat/figure7"):  # at least as many as without
        assert seeds_of(more, name) == seeds_of(usual, name)


def test_a_file_in_the_place_of_the_results_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match=r"^results: .*notes.txt is no folder for results.*Not a directory$"):
        structure.load(ROOT / "config", {"papers": ["sat"]}, tmp_path / "notes.txt")


def test_a_link_to_results_that_are_gone_is_one_line(tmp_path):
    """As of a disk that is not mounted: nothing could be made there, and nothing is planned."""
    (tmp_path / "results").symlink_to(tmp_path / "scratch")
    with pytest.raises(ConfigError, match=r"^results: .*results is a link to .*scratch, which is not there$"):
        structure.load(ROOT / "config", {"papers": ["sat"]}, tmp_path / "results")


def test_what_was_decided_stays_beside_what_the_configuration_asks_for(tmp_path):
    looks.write(tmp_path, "demo", {"sat/figure8": 3})
    asked = {"papers": ["sat"]}
    assert seeds_of(structure.load(ROOT / "config", asked, tmp_path), "sat/figure8") == {0, 1, 2}
    asked["more_seeds"] = {"sat/figure7": 2}
    assert seeds_of(structure.load(ROOT / "config", asked, tmp_path), "sat/figure8") == {0, 1, 2}
    looks.write(tmp_path, "paper", {"sat/figure8": 7})
    assert looks.read(tmp_path, "demo") == {"sat/figure8": 3}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"sat/figure88": 3}, "no item 'sat/figure88'; did you mean sat/figure8"),
        ({"sat/figure8": "3"}, "more_seeds.sat/figure8: '3' is not allowed; a whole number from 1"),
        ({"sat/figure8": 0}, "more_seeds.sat/figure8: 0 is not allowed"),
        ([3], "more_seeds: [3] is not allowed"),
    ],
)
def test_what_is_no_number_of_seeds_is_one_line(more, words):
    with pytest.raises(ConfigError) as error:
        structure.load(ROOT / "config", {"papers": ["sat"], "more_seeds": more})
    assert len(error.value.problems) == 1
    assert words in error.value.problems[0]


def test_items_of_papers_that_are_left_out_are_no_mistake():
    structure.load(ROOT / "config", {"papers": ["advprune"], "more_seeds": {"sat/figure8": 5}})


def test_an_item_that_is_no_more_is_told_with_the_file_that_names_it(tmp_path):
    looks.write(tmp_path, "demo", {"sat/figure88": 3})
    with pytest.raises(ConfigError) as error:
        structure.load(ROOT / "config", {"papers": ["sat"]}, tmp_path)
    said = f"{looks.path_of(tmp_path, 'demo')}: there is no item 'sat/figure88'; did you mean sat/figure8"
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("text", ["{", "[]", '{"sat/figure8": "3"}', '{"sat/figure8": 100000000}'])
def test_a_damaged_file_is_one_line(tmp_path, text):
    looks.path_of(tmp_path, "demo").write_text(text)
    with pytest.raises(ConfigError, match="not JSON"):
        structure.load(ROOT / "config", {"papers": ["sat"]}, tmp_path)
