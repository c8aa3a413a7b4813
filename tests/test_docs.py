"""What the documents tell a newcomer to write is what the package reads, and every file that they name is there."""

import re
from pathlib import Path

import mine
import pytest

from leanat import checking
from leanat.experiments import scales
from leanat.plan import components, structure

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_paper_of_the_guide_is_read_as_written(tmp_path, monkeypatch):
    mine.make_importable(monkeypatch, tmp_path / "papers")
    mine.write_project(tmp_path)
    grid = structure.load(tmp_path / "config")
    assert list(grid.items) == ["mine/table1"]
    assert len(grid.runs) == 2 * 2  # methods x seeds
    for run in grid.runs.values():
        spec = components.read(run.spec)
        assert (spec.data.name, spec.model.name, spec.recipe.epochs) == ("digits", "resnet_tiny", 3)


def test_the_scale_of_the_guide_is_read_as_written(tmp_path, monkeypatch):
    code = next(text for text in mine.blocks(ROOT / "docs" / "adding.md", "python") if "class Quick" in text)
    scope = dict(vars(scales))
    exec(code, scope)
    monkeypatch.setitem(scales.SCALES, "quick", scope["Quick"]())
    mine.make_importable(monkeypatch, tmp_path / "papers")
    mine.write_project(tmp_path)
    grid = structure.load(tmp_path / "config", {"scale": "quick"})
    assert {run.spec["recipe"]["epochs"] for run in grid.runs.values()} == {6}
    assert "six epochs" in grid.items["mine/table1"].factors
    monkeypatch.undo()
    monkeypatch.setitem(scales.SCALES, "quick", scope["Quick"]())
    every = structure.load(ROOT / "config", {"scale": "quick"})
    assert checking.problems(every, ROOT / "published") == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_files_that_are_named_exist(page):
    text = page.read_text()
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    for name in re.findall(r"`((?:src|config|published|docs|tests|workflow)/[\w./-]+\.\w+)`", text):
        assert (ROOT / name).exists(), name


def test_every_file_of_the_map_is_there_and_no_walk_is_longer_than_six():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`([a-z_]+/[\w/]+\.\w+)`", text):
        assert (ROOT / "src" / "leanat" / name).is_file() or (ROOT / name).is_file(), name
    walks = [line for line in text.splitlines() if " -> " in line and line.startswith("|")]
    assert len(walks) == 4
    assert max(line.count(" -> ") for line in walks) < 6


def test_the_suites_of_the_page_on_attacks_are_there():
    papers = structure.load(ROOT / "config").papers
    rows = re.findall(r"^\| `([\w/]+)` \| .* \| l_", (ROOT / "docs/attacking.md").read_text(), re.M)
    assert len(rows) == 7
    for paper, _, suite in (row.partition("/") for row in rows):
        assert (suite or "main") in papers[paper].suites
