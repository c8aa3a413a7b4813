"""The jobs behind a target are those that Snakemake would run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from grids import grid_of

from leanat.core.errors import ConfigError
from leanat.plan import walk

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def grid():
    return grid_of()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all dry runs, so that the configuration's values are checked once."""
    return tmp_path_factory.mktemp("workflow")


@pytest.mark.parametrize("target", ["figures/coreset/table3.pdf", "qtart"])
def test_as_many_jobs_as_snakemake_counts(target, grid, folder):
    words = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), target, "-n"]
    said = subprocess.run([sys.executable, "-m", "snakemake", *words], capture_output=True, text=True).stdout
    counts = {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", said, re.M)}
    jobs = walk.Walk(grid).behind(walk.items_of(target, grid))
    assert len(jobs.train) == sum(n for name, n in counts.items() if name.startswith("train_"))
    assert len(jobs.attack) == sum(n for name, n in counts.items() if name.startswith("attack_"))
    assert (len(jobs.time), len(jobs.items)) == (counts.get("time", 0), counts["item"])


def test_upstream_runs_come_along(grid):
    jobs = walk.Walk(grid).behind(["coreset/table2"])
    made = {run for shard in jobs.train for run in shard}
    assert all(need in made for run in made for need in grid.runs[run].needs)
    assert any(grid.runs[run].needs for run in made)


@pytest.mark.parametrize(
    ("target", "items"),
    [
        ("figures/qtart/table9.pdf", ["qtart/table9"]),
        ("figures/qtart/table9.overview.png", ["qtart/table9"]),
        ("figures/table1.pdf", ["advprune/table1", "coreset/table1", "qtart/table1"]),
    ],
)
def test_items_of_a_target(target, items, grid):
    assert set(items) <= set(walk.items_of(target, grid))
    assert all(item.split("/")[1] == items[0].split("/")[1] for item in walk.items_of(target, grid))


def test_whole_papers_and_everything(grid):
    assert {i.split("/")[0] for i in walk.items_of("qtart", grid)} == {"qtart"}
    assert walk.items_of("qtart", grid) == walk.items_of("figures/qtart/claims.pdf", grid)
    assert walk.items_of("all", grid) == walk.items_of("figures/overview.pdf", grid) == list(grid.items)


@pytest.mark.parametrize(
    "target", ["site", "site/index.html", "archive", "leanat-demo.zip", "figures/claims.json", "figures/overview.csv"]
)
def test_what_is_made_of_all_items(target, grid):
    """Their data sets are looked for before the first job, and their cost is told."""
    assert walk.items_of(target, grid) == list(grid.items)


@pytest.mark.parametrize("target", ["figures/qtart/runs.csv", "figures/qtart/claims.json"])
def test_what_is_made_of_a_paper(target, grid):
    assert walk.items_of(target, grid) == walk.items_of("qtart", grid)


@pytest.mark.parametrize("target", ["bench", "figures/bench/digits.pdf"])
def test_the_trial_has_no_items(target, grid):
    assert walk.items_of(target, grid) == []


def test_a_target_that_is_none(grid):
    with pytest.raises(ConfigError, match="did you mean table1"):
        walk.items_of("figures/qtart/tabel1.pdf", grid)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("figures/qtart/table1.html", "figures are made as .pdf, .png and .csv"),
        ("figures/qtart/table1.json", "it is made as .pdf, .png, .csv"),
        ("figures/qtart/table1.overview.csv", "it is made as .pdf, .png"),
        ("figures/table1.png", "it is made as .pdf"),
        ("figures/qtart/runs.pdf", "it is made as .csv"),
        ("figures/claims.html", "figures are made as"),
        ("leanat-paper.zip", "at this scale leanat-demo.zip"),
    ],
)
def test_a_kind_of_file_that_no_rule_makes(target, said, grid):
    with pytest.raises(ConfigError, match=f"^{target}: no such target; {said}"):
        walk.items_of(target, grid)


def test_every_kind_of_file_that_the_rules_make_is_a_target(grid):
    """As the rules say it themselves."""
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    made = set(re.findall(r'(?<=")figures/[^"]+\.(?:pdf|png|csv|json)(?=")', rules))
    assert len(made) > 12
    targets = [name.format(item="qtart/table1", paper="qtart") for name in made if "bench" not in name]
    assert all(walk.items_of(target, grid) for target in targets)
