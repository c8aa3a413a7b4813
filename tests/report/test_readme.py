"""The findings of README.md are those of the numbers beside it, and those numbers are the items'."""

import csv
import os
import re
import shutil
from pathlib import Path

import pytest
from grids import grid_of

from leanat.report import readme
from leanat.report.cells import Items
from leanat.report.findings import Findings
from leanat.report.photographs import SENTENCES, photographs
from leanat.report.statistics import paired_difference

ROOT = Path(__file__).parents[2]
NUMBERS = ROOT / "docs" / "demo.csv"
PAPERS = ("advprune", "coreset", "qtart", "saliency", "sat")


def test_the_block_is_what_the_numbers_say():
    text = (ROOT / "README.md").read_text()
    assert readme.with_block(text, "demo", readme.demo(readme.of_cells(readme.read(NUMBERS)))) == text
    assert readme.with_block(text, "claims", readme.claims(ROOT)) == text
    assert readme.with_block(text, "photographs", photographs(ROOT / "replicated", ROOT / "published")) == text


def test_what_is_replicated_can_be_told_anew_without_the_demo(tmp_path):
    """Nothing changes where nothing has changed; without a paper's runs, its sentences and claims go and all else stays."""
    names = ["README.md", *(name for name in readme.LEDGERS.values() if (ROOT / name).is_file())]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("replicated", "published"):
        shutil.copytree(ROOT / name, tmp_path / name)
    files = [tmp_path / name for name in names]
    before = [path.read_text().splitlines() for path in files]
    readme.update_replicated(tmp_path)
    assert [path.read_text().splitlines() for path in files] == before
    shutil.rmtree(tmp_path / "replicated" / "saliency")
    readme.update_replicated(tmp_path)
    for path, old in zip(files[1:], before[1:], strict=True):
        gone = [line for line in old if line.startswith("saliency,") and ",replicated," in line]
        assert gone
        assert path.read_text().splitlines() == [line for line in old if line not in gone]
    assert "`saliency`, the first phase" not in files[0].read_text()
    assert "`saliency`: networks that never see an attack" in files[0].read_text()
    lost = tmp_path / "replicated" / "qtart" / "decomposition.csv"
    lost.write_text("".join(line for line in lost.open() if not line.startswith("0.25 | Random")))
    before = [path.read_bytes() for path in files]
    with pytest.raises(ValueError, match=r"has no cell '0\.25 \| Random'"):
        readme.update_replicated(tmp_path)
    assert [path.read_bytes() for path in files] == before


def test_the_search_is_told_as_it_was():
    """Every row of the search for the recipe of scale cpu, and of the hours, stands in its page."""
    text = (ROOT / "docs" / "cpu.md").read_text()
    with (ROOT / "docs" / "cpu_search.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("network", "epochs", "batch", "lr", "precision", "clean", "pgd20", "minutes")
    told = [line for line in text.splitlines() if line.startswith("| resnet")]
    assert sorted(told) == sorted(f"| {' | '.join(row[name] for name in columns)} |" for row in rows)
    with (ROOT / "docs" / "cpu_hours.csv").open(newline="") as file:
        hours = [f"| {' | '.join(text or '–' for text in row.values())} |" for row in csv.DictReader(file)]
    assert hours == [line for line in text.splitlines() if line.startswith(tuple(f"| {name}/" for name in PAPERS))]


def test_every_cell_that_a_sentence_reads_is_there():
    """Also those of items that no machine has run yet: a row may have got another name since."""
    sentences = Findings(lambda item, row, column: {0: 1.0, 1: 2.0}, lambda item, row, column: "1")
    for tell in SENTENCES.values():
        tell(sentences)
    for scale, cells in (("demo", readme.read(NUMBERS)), ("cpu", sentences.used)):
        items = grid_of(scale).items
        for item, row, column in cells:
            assert row in {r.name for r in items[item].rows}, (item, row)
            assert column in {c.name for c in items[item].columns}, (item, column)


def test_changes_of_the_authors_code_that_were_not_run_are_named():
    def read(item, row, column):
        if "early stop" not in row:
            raise ValueError(f"{item} has no cell {row!r}")
        return {0: -0.4}

    told = SENTENCES["coreset/autopsy"](Findings(read))
    assert (
        "(one seed), in points clean and robust: GRAD-MATCH's early stop and random fill-up -0.4 and -0.4. Not run: "
        in told
    )
    assert told.count("the idle gap") == 1


def test_every_number_is_used():
    found = readme.of_cells(readme.read(NUMBERS))
    readme.demo(found)
    assert found.used == readme.read(NUMBERS)


@pytest.mark.skipif(
    "LEANAT_README" not in os.environ,
    reason="asked for by LEANAT_README=1 where README was written: another CPU rounds, and so trains, otherwise",
)
def test_the_numbers_are_those_of_the_items_where_they_are_finished():
    items = Items(ROOT / "results", "demo")
    for (item, row, column), values in readme.read(NUMBERS).items():
        paper, _, name = item.partition("/")
        cell = items.cell(paper, name, row, column)
        assert not cell.values or cell.values == pytest.approx(values), (item, row, column)


def test_a_changed_number_changes_the_block():
    cells = readme.read(NUMBERS)
    where = next(iter(cells))
    other = cells | {where: {seed: value + 17 for seed, value in cells[where].items()}}
    assert readme.demo(readme.of_cells(other)) != readme.demo(readme.of_cells(cells))


def test_texts_of_numbers():
    cells = {("p/t", "a", "c"): {0: 61.0, 1: 63.0, 2: 62.0}, ("p/t", "b", "c"): {0: 60.0, 1: 62.5, 2: 60.0}}
    of = readme.of_cells(cells)
    assert of.mean("p/t", "a", "c") == "62"
    assert of.level("p/t", "a", "c") == "62.0 ± 2.5"  # t(2) = 4.303, sd 1
    gap = paired_difference(cells["p/t", "a", "c"], cells["p/t", "b", "c"])
    assert of.gap("p/t", "a", "b", "c", 2) == f"{gap.mean:+.2f} [{gap.low:.2f}, {gap.high:.2f}]"
    with pytest.raises(ValueError, match="p/t, 'z', 'c'"):
        of.mean("p/t", "z", "c")


def test_a_claim_that_some_of_its_cases_support_says_how_many(tmp_path):
    """For four classes of ten it was told as "whatever the class"."""
    for folder in ("docs", "published"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    told = [" ".join(readme.claims(tmp_path))]
    path = tmp_path / readme.LEDGERS[True]
    rows = list(csv.DictReader(path.open(newline="")))
    partly = [
        r
        for r in rows
        if r["origin"] == "replicated" and r["verdict"] == "supported" and r["cases"] != r["cases_in_all"]
    ]
    for row in partly:
        row["cases"] = row["cases_in_all"]
    with path.open("w", newline="") as file:
        (writer := csv.DictWriter(file, rows[0])).writeheader()
        writer.writerows(rows)
    told.append(" ".join(readme.claims(tmp_path)))
    assert [len(re.findall(r"in \d+ of \d+ cases alone", text)) for text in told] == [len(partly), 0]
    assert partly


def test_an_effect_of_several_cases_says_of_which_it_is():
    """The most extreme of four cases was told as the effect of all."""
    row = {"says": "A beats B", "claim": "qtart-01", "effect": "-14", "low": "-20", "high": "-8", "unit": "points"}
    row |= {"expected": "every > 0", "seeds": "3", "verdict": "not supported", "cases": "4", "cases_in_all": "5"}
    for of, said in (
        ("clearest against it of 4 cases, 1 not tested", " points (clearest against it of 4 cases), expected"),
        ("1 case, 4 not tested", " points, expected"),
        ("", " points, expected"),
    ):
        assert f"[-20.0, -8.0]{said}" in readme._told(row | {"effect_of": of})


def test_the_marks_are_needed():
    with pytest.raises(ValueError, match="must stand there once each"):
        readme.with_block("no marks", "demo", [])
