"""What the documents tell a newcomer to write is what the package reads, and every file that they name is there."""

import re
import shutil
import textwrap
from pathlib import Path

import pytest

from leanat.experiments import config, structure

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page.read_text(), re.M | re.S)
    return [textwrap.dedent(text) for _, text in found]


def test_the_paper_and_the_scale_of_the_guide_are_read_as_written(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    for path in (tmp_path / "config" / "papers").iterdir():
        path.unlink()
    written = blocks(ROOT / "docs" / "adding.md", "yaml")
    paper = next(text for text in written if text.startswith("paper: mine"))
    scale = next(text for text in written if text.startswith("scale: quick"))
    without = re.sub(r"^skip:.*\n", "", scale, flags=re.M)  # it names papers that this copy has not
    (tmp_path / "config" / "papers" / "mine.yaml").write_text(paper)
    (tmp_path / "config" / "scales" / "quick.yaml").write_text(without)
    grid = structure.load(tmp_path / "config", {"scale": "quick"})
    assert list(grid.items) == ["mine/table1"]
    assert len(grid.runs) == 2 * 2  # methods x seeds
    for run in grid.runs.values():
        spec = config.read(run.spec)
        assert (spec.data.name, spec.model.name, spec.recipe.epochs) == ("digits", "resnet_tiny", 3)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_files_that_are_named_exist(page):
    text = page.read_text()
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    for name in re.findall(r"`((?:src|config|published|docs|tests|workflow)/[\w./-]+\.\w+)`", text):
        assert (ROOT / name).exists(), name
