"""Captions and lists of runs: plain text stays text, and the report itself is built and read back."""

import csv
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import docutils.core
import docutils.utils
import pytest
from grids import grid_of
from toys import record

from leanat.plan import caption, walk
from leanat.report import runs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def grid():
    return grid_of()


@pytest.mark.parametrize(
    "text", ["*a* and **b**", "`x` |y| z_", "http://a.b/c_", "l_inf <8/255>: ok", r"back\slash", ""]
)
def test_escaped_text_is_read_as_it_stands(text):
    tree = docutils.core.publish_doctree("- " + caption.escape(text), settings_overrides={"report_level": 5})
    assert tree.astext().strip() == text
    assert not list(tree.findall(lambda n: n.tagname in ("emphasis", "strong", "reference", "problematic")))


@pytest.mark.parametrize("trimmed", [False, True])
def test_every_caption_is_clean(grid, trimmed):
    """The item's caption as the report renders it, of every item: no warning, and every assumption is in it."""
    from jinja2 import Template

    text = (ROOT / "workflow" / "report" / "item.rst").read_text()
    source = Template(text, trim_blocks=trimmed, lstrip_blocks=trimmed)  # Snakemake trims
    for name, item in grid.items.items():
        about = caption.about(item)
        text = source.render(snakemake={"params": {"about": about}, "wildcards": {"item": name}})
        settings = {"report_level": 2, "halt_level": 2}  # a warning is an error
        shown = " ".join(docutils.core.publish_doctree(text, settings_overrides=settings).astext().split())
        for line in [*item.assumptions, *item.factors]:
            assert " ".join(line.split()) in shown, name


def metrics(run, **others):
    return record({"data": {"name": "digits"}, "model": {"name": "<net>"}, "seed": 1}) | {
        "run": run, "epochs": 3,
        "examples": {"forward": 12000, "backward": 9000}, "wall_seconds": 12.34, "peak_memory_mb": 800.6,
        "device": "CPU", "threads": 1, "revision": "abc", "date": "2026-01-01", "versions": {"torch": "2"},
    } | others  # fmt: skip


def test_the_list_of_runs_has_what_the_files_say(tmp_path):
    folder = tmp_path / "runs" / "a-run"
    (folder / "suites").mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics("a-run")))
    attacks = {"p": {"accuracy": 0.5, "seconds": 1.5}, "q": {"accuracy": 0.4, "seconds": 2}}
    (folder / "suites" / "x.json").write_text(json.dumps({"attacks": attacks}))
    runs.write(["a-run"], tmp_path, tmp_path / "out" / "runs.csv")
    (row,) = csv.DictReader((tmp_path / "out" / "runs.csv").open())
    assert (row["training (s)"], row["attacks (s)"], row["examples forward"]) == ("12.3", "3.5", "12000")
    with pytest.raises(FileNotFoundError, match=r"other.metrics\.json"):
        runs.write(["other"], tmp_path, tmp_path / "out" / "runs.csv")


def test_runs_of_papers_are_all_runs(grid):
    found, suites = walk.by_paper(grid)
    assert {r for part in found.values() for r in part} == set(grid.runs)
    assert {e for part in suites.values() for e in part} == set(grid.evaluations)


@pytest.mark.slow
def test_a_report_that_needs_no_network(tmp_path):
    """One item, made and reported on: the pictures, numbers and captions are in the archive, and no address is asked."""
    words = ["figures/qtart/table9.pdf", "figures/qtart/table9.overview.pdf", "--cores", "1"]
    words += ["--report-after-run", "--report", "report.zip", "--directory", str(tmp_path)]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = [Path(name).name for name in archive.namelist()]
        page = archive.read(next(n for n in archive.namelist() if n.endswith("report.html"))).decode()
    assert {"table9.pdf", "table9.png", "table9.csv", "table9.overview.png"} <= set(names)
    assert "Iterations that Q-TART saves" in page
    assert "replicated at scale" in page
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.https?:", page)
