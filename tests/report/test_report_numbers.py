"""Published and replicated numbers as read from their files, and the statistics over seeds."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanat.plan import structure
from leanat.plan.grid import CODE, digest
from leanat.report import ledger, published, replicated
from leanat.report.statistics import paired_difference, t_interval, wilson

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "published"
PAPERS = ["advprune", "coreset", "qtart", "saliency", "sat"]


def test_the_papers_are_all_there():
    assert published.papers(PUBLISHED) == PAPERS


@pytest.mark.parametrize("paper", PAPERS)
def test_published_file_is_sound(paper):
    numbers = published.check(PUBLISHED / f"{paper}.csv")
    keys = [(n.item, n.row, n.column) for n in numbers]
    assert len(keys) == len(set(keys)) > 100
    for n in numbers:
        assert n.value is None or math.isfinite(n.value)
        if n.item.startswith("table") and n.unit == "%" and n.value is not None and "difference" not in n.column:
            assert 0 <= n.value <= 100, n


def test_lookup_of_known_cells():
    def value(*cell):
        return published.lookup(*cell, folder=PUBLISHED).value

    assert value("qtart", "table1", "VGG16 | Baseline", "CIFAR-10") == 94.04
    assert value("qtart", "table1", "VGG16 | Baseline", "ILSVRC2012") is None
    lost = published.lookup("coreset", "table1", "ℓ_2-PGD | SVHN | Full Adv. Training", "↑ RACC (%)", PUBLISHED)
    assert (lost.value, lost.text, lost.unit) == (None, "LOST", "%")
    assert len(published.load("qtart", "table1", PUBLISHED)) == 4 * 4 * 5


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        (("qtrat", "table1", "VGG16 | Baseline", "CIFAR-10"), "'qtart'"),
        (("qtart", "tabel1", "VGG16 | Baseline", "CIFAR-10"), "'table1'"),
        (("qtart", "table1", "VGG16 | Basline", "CIFAR-10"), "'VGG16 | Baseline'"),
        (("qtart", "table1", "VGG16 | Baseline", "CIFAR10"), "'CIFAR-10'"),
        (("qtart", "table1", "VGG16 | Baseline", "zzzz"), "known: 'CIFAR-10'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(cell, hint):
    with pytest.raises(ValueError, match=r"nearest|known") as error:
        published.lookup(*cell, folder=PUBLISHED)
    assert hint in str(error.value)


def csv_of(tmp_path, *lines):
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["paper,item,row,column,value,unit,note", *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("p,table1,r,c,2.0,%,", "stands twice"),
        ("p,table1,r,c,1.0,s,", "stands twice"),
        ("p,table1,r,d,about 3,%,", "neither a number"),
        ("p,table1,r,d,inf,%,", "not finite"),
        ("p,table1,r,d,,%,", "value empty"),
        ("q,table1,r,d,1,%,", "paper 'q'"),
        ("p,table1,r,d,1,%", "6 fields"),
        ("p,table1, r,d,1,%,", "space around row"),
    ],
)
def test_faults_of_a_published_file_are_named_with_their_line(tmp_path, line, fault):
    with pytest.raises(ValueError, match=f"p.csv:3: .*{fault}"):
        published.check(csv_of(tmp_path, "p,table1,r,c,1.0,%,", line))


def test_a_published_file_that_is_cut_in_a_quote_is_named(tmp_path):
    path = csv_of(tmp_path, "p,table1,r,c,1.0,%,", 'p,table1,r,d,1.0,%,"as pri')
    with pytest.raises(ValueError, match=r"^.*p\.csv: damaged: unexpected end of data; it comes with the package.*$"):
        published.check(path)


def test_all_faults_are_told_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"p\.csv:2:.*\n.*p\.csv:3:"):
        published.check(csv_of(tmp_path, "q,table1,r,c,1.0,%,", "p,table1,r,c,x,%,"))


def test_two_sources_that_agree_are_one_number(tmp_path):
    numbers = published.check(csv_of(tmp_path, "p,figure2,r,c,53,%,caption", "p,figure2,r,c,53,%,poster"))
    assert [(n.value, n.note) for n in numbers] == [(53, "caption; poster")]


def test_words_are_kept_where_settings_are_words(tmp_path):
    (n,) = published.check(csv_of(tmp_path, "p,hyper,r,c,8/255,,"))
    assert (n.value, n.text) == (None, "8/255")


def test_reading_published_numbers_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pandas', 'scipy', 'matplotlib', 'typst'}"
    code = (
        "import sys, leanat.report.published, leanat.report.replicated, leanat.report.table, leanat.report.collect, "
        f"leanat.report.overview, leanat.report.style; print(sorted({heavy} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- replicated ------------------------------------------------------------------------------------------------------

HEAD = ",".join(replicated.COLUMNS)
SEEDS = [
    "VGG16 | Baseline,CIFAR-10,clean,0,94.0,run-s0,0123abcd,paper,2,0 1,10000,NVIDIA H200,abc,2026-11-20",
    "VGG16 | Baseline,CIFAR-10,clean,1,95.0,run-s1,4567abcd,paper,2,0 1,10000,NVIDIA H200,abc,2026-11-20",
]


def replicated_of(tmp_path, *lines, head=HEAD):
    (tmp_path / "qtart").mkdir()
    (tmp_path / "qtart" / "table1.csv").write_text("\n".join([head, *lines]) + "\n")
    return replicated.load("qtart", "table1", tmp_path)


def test_replicated_cells_are_summed_up_over_their_seeds(tmp_path):
    cells = replicated_of(tmp_path, *SEEDS)
    cell = cells["VGG16 | Baseline", "CIFAR-10", "clean"]
    assert cell.values == {0: 94.0, 1: 95.0}
    assert cell.runs == {0: "run-s0", 1: "run-s1"}
    half = math.tan(math.pi * 0.475) * 0.5  # one degree of freedom is Cauchy's; standard error 1 / sqrt(2) / sqrt(2)
    summary = cell.summary()
    assert (summary.mean, summary.n, summary.scale, summary.device) == (94.5, 2, "paper", "NVIDIA H200")
    assert summary.high - summary.mean == pytest.approx(half)


def test_nothing_replicated_is_no_error(tmp_path):
    assert replicated.load("qtart", "table1", tmp_path) == {}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (",1,95.0,", ",0,95.0,", "seed 0 stands twice"),
        (",1,95.0,", ",2,95.0,", r"rows of seeds \[0, 2\]"),
        (",95.0,", ",nan,", "no finite number"),
        (",95.0,", ",,", "value empty"),
        ("4567abcd", "xyz", "spec_hash"),
        ("paper,2", "demo,2", "scale 'demo'"),
        ("2026-11-20", "20.11.2026", "date"),
        ("H200", "A100", "device differs"),
        (",2026-11-20", "", "14 fields"),
    ],
)
def test_faults_of_a_replicated_file(tmp_path, old, new, fault):
    with pytest.raises(ValueError, match=fault):
        replicated_of(tmp_path, SEEDS[0], SEEDS[1].replace(old, new))


def test_a_lost_row_and_a_wrong_head_are_noticed(tmp_path):
    with pytest.raises(ValueError, match="n = 2"):
        replicated_of(tmp_path, SEEDS[0])
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="first line"):
        replicated_of(tmp_path / "b", *SEEDS, head=HEAD.replace("metric", "what"))


@pytest.mark.parametrize(
    "text",
    ["\n".join([HEAD, *SEEDS, '"VGG16 | Ba']), HEAD + "\nVGG16", HEAD + "\n" + "\0\n"],
    ids=["quote", "row", "nul"],
)
def test_a_replicated_file_that_is_cut_is_named(tmp_path, text):
    """By what reads its numbers and by what asks which scales are there."""
    path = tmp_path / "qtart" / "table1.csv"
    path.parent.mkdir()
    path.write_text(text)
    for read in (
        lambda: replicated.load("qtart", "table1", tmp_path),
        lambda: ledger.lines({"qtart": []}, tmp_path, tmp_path, "demo"),
    ):
        with pytest.raises(ValueError, match=r"^.*table1\.csv"):
            read()


@pytest.mark.parametrize("path", sorted((ROOT / "replicated").glob("*/*.csv")), ids=str)
def test_committed_replications_are_sound(path):
    """They can be read, and are of runs that the configuration still asks for, where their scale is still there. Runs of an
    earlier version of the training code differ from these in nothing else, and the foot of their item tells of them.
    """
    cells = replicated.load(path.parent.name, path.stem, ROOT / "replicated")
    assert cells
    for scale in {cell.scale for cell in cells.values()} & {"cpu", "lite", "paper"}:
        runs = {run: seed for cell in cells.values() if cell.scale == scale for seed, run in cell.runs.items()}
        settings = {"scale": scale, "data_dir": "data", "seeds": 1 + max(runs.values()), "papers": [path.parent.name]}
        grid = structure.load(ROOT / "config", settings)
        item = grid.items[f"{path.parent.name}/{path.stem}"]
        earlier = {f"{name[:-8]}{digest(grid.runs[name].spec | {'code': CODE})}" for name in item.runs} - set(item.runs)
        assert runs.keys() <= set(item.runs) | earlier
        at_demo = structure.load(ROOT / "config").items[item.name]  # it may show replicated numbers alone
        for shown in (item, at_demo):
            told = "of an earlier version" in f"{shown.caption} {shown.assumptions}"
            assert told == bool(runs.keys() & earlier)


# --- statistics ------------------------------------------------------------------------------------------------------


def test_t_interval_against_tables_and_closed_forms():
    found = t_interval([1.0, 2.0, 3.0])
    assert (found.mean, found.n) == (2.0, 3)
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)  # t(0.975, 2) of the printed tables
    t = (2 * 0.975 - 1) / math.sqrt(2 * 0.975 * 0.025)  # t(p, 2) = (2p - 1) / sqrt(2 p (1 - p))
    assert found.half == pytest.approx(t / math.sqrt(3))


def test_one_value_has_no_interval_and_equal_values_a_point():
    assert t_interval([3.5]) == (3.5, None, None, 1)
    assert t_interval([3.5]).half is None
    assert t_interval([0.1, 0.1, 0.1]).half == pytest.approx(0, abs=1e-15)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8), st.floats(-50, 50), st.floats(0.1, 10))
def test_t_interval_moves_and_scales_with_the_data(values, shift, scale):
    plain, moved = t_interval(values), t_interval([scale * value + shift for value in values])
    for a, b in zip(plain[:3], moved[:3], strict=True):
        assert b == pytest.approx(scale * a + shift, rel=1e-6, abs=1e-6)


def test_t_interval_covers_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(5, 2, (3000, 3))
    covered = [(found := t_interval(row.tolist())).low <= 5 <= found.high for row in draws]
    assert abs(np.mean(covered) - 0.95) < 0.015


def test_paired_difference_uses_common_seeds_only():
    a, b = {0: 80.0, 1: 85.0, 2: 90.0, 7: 1.0}, {2: 89.0, 1: 83.0, 0: 77.0}
    assert paired_difference(a, b) == t_interval([3.0, 2.0, 1.0])
    assert paired_difference(b, a).mean == -2
    with pytest.raises(ValueError, match="no seed in common"):
        paired_difference({0: 1.0}, {1: 1.0})


@pytest.mark.parametrize(("k", "n"), [(153, 200), (0, 10), (10, 10), (4541, 10_000)])
def test_wilson_is_its_closed_form(k, n):
    z, p = 1.959963984540054, k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert wilson(k, n)[:3] == pytest.approx((p, middle - half, middle + half), abs=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: t_interval([]),
        lambda: t_interval([1.0, math.nan]),
        lambda: wilson(3, 2),
        lambda: wilson(0, 0),
        lambda: t_interval([math.inf, 1.0]),
    ],
)
def test_impossible_arguments_are_refused(call):
    with pytest.raises(ValueError, match=r"expected|must"):
        call()
