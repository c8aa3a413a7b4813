"""The resolved grid that is kept on disk is the grid; another configuration or a damaged file is never taken for it."""

import shutil
from pathlib import Path

import pytest

from leanat.plan import cache, structure
from leanat.plan.grid import Grid

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    return results, structure.load(CONFIG, results=results)


def test_a_kept_grid_is_the_resolved_one(made, monkeypatch):
    results, grid = made
    monkeypatch.setattr(structure, "resolve", lambda *_: pytest.fail("resolved again"))
    again = structure.load(CONFIG, results=results)
    for name in ("items", "runs", "evaluations"):
        assert list(getattr(again, name).items()) == list(getattr(grid, name).items()), name
    assert {name: run.assumed for name, run in again.runs.items()} == {n: run.assumed for n, run in grid.runs.items()}
    assert (again.shards(), again.evaluation_shards()) == (grid.shards(), grid.evaluation_shards())


def test_a_kept_grid_has_the_changes_of_the_user(tmp_path, monkeypatch):
    settings = {"papers": ["qtart"], "change": {"qtart": {"sgd": {"recipe.lr.lr": 0.05}}}}
    made = structure.load(CONFIG, settings, tmp_path)
    changed = {name: run.changes for name, run in made.runs.items() if run.changes}
    assert changed
    monkeypatch.setattr(structure, "resolve", lambda *_: pytest.fail("resolved again"))
    again = structure.load(CONFIG, settings, tmp_path)
    assert {name: run.changes for name, run in again.runs.items() if run.changes} == changed


def test_another_setting_or_another_file_has_a_plan_of_its_own(made, tmp_path):
    results, grid = made
    paths = {cache.path_of(grid, results)}
    paths.add(cache.path_of(Grid(CONFIG, grid.settings | {"seeds": 1}, {}, {}, {}), results))
    folder = shutil.copytree(CONFIG, tmp_path / "config")
    paths.add(cache.path_of(Grid(folder, grid.settings, {}, {}, {}), results))
    with open(folder / "datasets.yaml", "a") as file:
        file.write("# a word\n")
    paths.add(cache.path_of(Grid(folder, grid.settings, {}, {}, {}), results))
    assert len(paths) == 3  # a copy of the folder is the same configuration


def test_a_plan_belongs_to_the_code_that_made_it(tmp_path, monkeypatch):
    """A process of hours, such as leanat decide, kept its plan under the name of the code that had replaced its own by then."""
    paper = tmp_path / "papers" / "mine.py"
    paper.parent.mkdir()
    paper.write_text("EPOCHS = 1\n")
    monkeypatch.setattr(cache.leanat.papers, "__path__", [str(paper.parent)])
    grid = Grid(CONFIG, {}, {}, {}, {})
    before = cache.path_of(grid, tmp_path)
    paper.write_text("EPOCHS = 2\n")
    assert cache.path_of(grid, tmp_path) == before
    cache._code.cache_clear()  # as a new process
    assert cache.path_of(grid, tmp_path) != before


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"runs": [], "items": {}}', '{"runs": [[1]], "items": {}, "evaluations": []}', b"\xff"]
)
def test_a_damaged_plan_is_no_plan(damage, tmp_path):
    grid, path = Grid(CONFIG, {}, {}, {}, {}), tmp_path / "plan.json"
    path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    assert not cache.read(grid, path)
    assert not cache.read(grid, tmp_path / "none.json")
    assert [grid.runs, grid.items, grid.evaluations] == [{}, {}, {}]


def test_nothing_is_made_where_there_are_no_results(made, tmp_path):
    _, grid = made
    cache.write(grid, cache.path_of(grid, tmp_path / "results"))
    assert not (tmp_path / "results").exists()


def test_few_plans_are_kept(tmp_path):
    grid = Grid(CONFIG, {}, {}, {}, {})
    for number in range(cache.MOST + 3):
        cache.write(grid, tmp_path / ".plans" / f"{number:016x}.json")
    assert len(list((tmp_path / ".plans").iterdir())) == cache.MOST
