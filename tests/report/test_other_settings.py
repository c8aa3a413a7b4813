"""Numbers of other settings are not shown as those asked for: the runs that a CSV names are those that the item names."""

import csv
import json
from pathlib import Path

import pytest

from leanat import cli
from leanat.experiments.claim import Claim, every
from leanat.plan.item import Candidate, Cell, Column, Item, Row
from leanat.report import claims, item_csv, summary
from leanat.report.cells import Items

ROOT = Path(__file__).parents[2]
CLAIM = Claim("qtart-01", "A beats B", "Table 1", "ordering", [{"a": ("table1", "A", "c"), "b": ("table1", "B", "c")}],
              lambda a, b: a - b, every(above=0), "points")  # fmt: skip


def runs(method, seeds=3, digest="0"):
    return tuple(f"digits-net-{method}-s{seed}-{digest * 8}" for seed in range(seeds))


def item(seeds=3, digest="0", candidates=()):
    cells = [[Cell(runs=runs("a", seeds, digest), candidates=candidates)], [Cell(runs=runs("b", seeds))]]
    about = ("qtart", "table1", "table", "A title", "", "demo", (Row("", "A"), Row("", "B")), (Column("", "c"),))
    return Item(*about, tuple(map(tuple, cells)))


@pytest.fixture
def made(tmp_path):
    """The item of three seeds, as its CSV."""
    path = tmp_path / "items" / "demo" / "qtart" / "table1.csv"
    path.parent.mkdir(parents=True)
    columns = ["row", "column", "published", "values", "missing", "runs", "seeds"]
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        for row, values in (("A", [90, 91, 92]), ("B", [50, 51, 53])):
            rows.writerow([row, "c", "", json.dumps(values), "", " ".join(runs(row.lower())), "[0, 1, 2]"])
        rows.writerow(["B", "d", "", "[]", "needs data_dir", "", "[0, 1, 2]"])
    return tmp_path


def verdict(made, asked):
    (line,) = claims.ledger([CLAIM], Items(made, "demo", asked=asked))
    return line.verdict, line.reason


def test_claims_count_what_the_settings_ask_for(made):
    other = "not run yet", "not made yet from the runs of these settings: figures/qtart/table1.pdf"
    assert verdict(made, {"qtart/table1": item()})[0] == "supported"
    assert verdict(made, None)[0] == "supported"
    assert verdict(made, {"qtart/table1": item(digest="1")}) == other, "a changed setting"
    assert verdict(made, {"qtart/table1": item(seeds=1)}) == other
    assert verdict(made, {"qtart/table1": item(seeds=5)}) == other, "seeds that were added and are not there yet"


def test_the_best_of_several_trainings_is_one_of_them(made):
    path = made / "items" / "demo" / "qtart" / "table1.csv"
    chosen = tuple(Candidate(runs("a", digest=digest), value=digest) for digest in "10")
    assert not item_csv.of_other_runs(item_csv.rows(path), item(digest="2", candidates=chosen))
    assert item_csv.of_other_runs(item_csv.rows(path), item(digest="2", candidates=chosen[:1]))


def test_the_page_of_all_items_says_that_it_is_not_made_yet(made):
    path = made / "items" / "demo" / "qtart" / "table1.csv"
    (row,) = summary.rows(item(seeds=1), path, made / "nowhere")
    assert (row["levels"], row["cells_run"]) == ("not made yet", 0)


def test_a_page_of_one_table_is_refused(tmp_path, capsys):
    path = tmp_path / "items" / "demo" / "qtart" / "table1.csv"
    path.parent.mkdir(parents=True)
    path.write_text(f"row,column,published,values,missing,runs\nVGG16 | Baseline,CIFAR-10,,[90],,{runs('sgd')[0]}\n")
    where = ["--config-dir", str(ROOT / "config"), "--results", str(tmp_path), "--out", str(tmp_path / "x.pdf")]
    assert cli.main(["overview", "qtart/table1", *where, "--set", "papers=[qtart]"]) == 1
    said = f"leanat: overview: {path} is not of the runs of these settings; make figures/qtart/table1.pdf"
    assert said in capsys.readouterr().err


def test_the_findings_are_not_told_of_other_settings_runs(tmp_path, capsys):
    (tmp_path / "config").symlink_to(ROOT / "config")
    for name in ("published", "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = tmp_path / "items" / "demo" / "coreset" / "gradient_error.csv"
    path.parent.mkdir(parents=True)
    path.write_text(f"row,column,published,values,missing,runs\nr,c,,[90],,{runs('x')[0]}\n")
    assert cli.main(["readme", "--config-dir", str(tmp_path / "config"), "--results", str(tmp_path)]) == 1
    said = "not made yet from the runs of these settings: figures/coreset/gradient_error.pdf"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "docs").exists()
