"""The smallest paper, that of docs/adding.md, in a project of its own."""

import re
import shutil
import sys
import textwrap
from pathlib import Path

import leanat.papers
from leanat.plan import cache

ROOT = Path(__file__).parents[1]


def blocks(page, language):
    """The code of a page in one language."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page.read_text(), re.M | re.S)
    return [textwrap.dedent(text) for _, text in found]


def write_paper(folder):
    """``experiments.py`` and ``scales.py`` of the paper ``mine`` as the guide has them, in ``folder``."""
    written = blocks(ROOT / "docs" / "adding.md", "python")
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "experiments.py").write_text(next(text for text in written if text.startswith('"""My paper')))
    (folder / "scales.py").write_text(next(text for text in written if text.startswith('"""What the scales do')))


def write_project(root):
    """A project of the paper ``mine`` alone, with its published numbers; ``root/papers`` is where it stands."""
    for folder in ("config", "published"):
        (root / folder).mkdir(parents=True)
    config = (ROOT / "config" / "config.yaml").read_text().replace("papers: null", "papers: [mine]")
    (root / "config/config.yaml").write_text(config)
    shutil.copy(ROOT / "config" / "datasets.yaml", root / "config")
    write_paper(root / "papers" / "mine")
    rows = [
        f"mine,table1,{row},{column},50,%," for row in ("All data", "A random half") for column in ("Clean", "PGD-20")
    ]
    (root / "published/mine.csv").write_text("\n".join(["paper,item,row,column,value,unit,note", *rows]) + "\n")
    return root


def make_importable(monkeypatch, folder):
    """The papers in ``folder`` beside the package's own; written anew, they are read anew."""
    monkeypatch.setattr(leanat.papers, "__path__", [*leanat.papers.__path__, str(folder)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget(monkeypatch)


def forget(monkeypatch):
    """What was imported of the paper ``mine``, before and after a test."""
    cache._code.cache_clear()
    for name in [name for name in sys.modules if name.startswith("leanat.papers.mine")]:
        monkeypatch.delitem(sys.modules, name)
