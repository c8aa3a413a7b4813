"""The ledger: that every claim names cells that exist, that it reads items as they are, and that it shows what it found."""

import csv
import dataclasses
import importlib
import inspect
import json
import math
import statistics
from dataclasses import replace
from pathlib import Path

import mine
import numpy as np
import pytest
from grids import grid_of

from leanat import cli
from leanat.core.files import write_json
from leanat.evaluation import outcome
from leanat.evaluation.measured import Measure
from leanat.evaluation.outcome import Outcome
from leanat.experiments.claim import PAPER, Claim, Expect, above_all, every, mean, most, several, some
from leanat.experiments.scales import SCALES
from leanat.plan import item as planned
from leanat.plan import structure
from leanat.plan.components import SLOTS
from leanat.report import (
    claims,
    decidable,
    examples,
    items,
    ledger,
    ledger_text,
    measures,
    page_claims,
    published,
    replicated,
    typeset,
)
from leanat.report.cells import Cell, Items, by_seed
from leanat.report.variance import Prior
from leanat.report.verdict import Effect, gap, out_of_reach

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "published"
CLAIMS = {paper: claims.load(paper) for paper in structure.all_papers()}
ALL = [claim for part in CLAIMS.values() for claim in part]
TESTED = [claim for claim in ALL if claim.expect]
with open(PUBLISHED / "claims.csv", newline="") as file:
    LISTED = list(csv.DictReader(file))
# The papers' numbers that a claim is about and no cell of it shows: item, row, column of published/<paper>.csv
QUOTES = {
    "advprune-01": [("text", "CIFAR-10", "speed-up (up to)"), ("text", "CIFAR-10", "speed-up (up to), sec. 1")],
    "advprune-02": [("text", "CIFAR-100", "speed-up (up to)"), ("text", "CIFAR-100", "speed-up (up to), sec. 1")],
    "advprune-03": [
        ("text", "CIFAR-10 | TRADES + Bullet", "speed-up"),
        ("text", "CIFAR-10 | MART + Bullet", "speed-up"),
        ("text", "CIFAR-10 | + Bullet-Train", "speed-up, sec. 1"),
    ],
    "advprune-04": [
        ("text", "CIFAR-100 | TRADES + Bullet", "speed-up"),
        ("text", "CIFAR-100 | MART + Bullet", "speed-up"),
        ("text", "CIFAR-100 | + Bullet-Train", "speed-up, sec. 1"),
    ],
    "advprune-06": [("text", "CIFAR-10 | Bullet-Train [22]", "PGD | 16/255")],
    "advprune-12": [("figure2", "subset size range", "smallest"), ("figure2", "subset size range", "largest")],
    "advprune-13": [("text", "subset size", "appropriate choice for CIFAR-10")],
    "advprune-16": [
        ("text", "AT vs standard training", "cost (times)"),
        ("text", "PGD-based AT vs standard training", "cost (times)"),
    ],
    "coreset-01": [
        ("text", "adversarial coreset selection", "speed-up (times)"),
        ("text", "adversarial coreset selection", "training time reduction (times)"),
        ("text", "adversarial coreset selection", "training time reduction (fold)"),
        ("text", "adversarial coreset selection", "training time reduction (more than, times)"),
    ],
    "coreset-02": [("text", "Table 1, all cases", "training time reduction (more than a factor of)")],
    "coreset-03": [("text", "Table 2", "training time reduction (at least a factor of)")],
    "coreset-15": [("text", "FAT [41]", "robust accuracy after catastrophic overfitting")],
    "coreset-17": [("hyper", "Table 1", "runs averaged")],
    "qtart-16": [
        ("text", "Q-TART alongside adversarial training", "training time reduction (up to)"),
        ("text", "Q-TART + [7]", "training time reduction (up to)"),
    ],
    "qtart-18": [
        ("text", "Q-TART vs adversarial training regimes | MIFGSM and FFGSM", "gap in adversarial accuracy (within)")
    ],
    "qtart-27": [
        ("text", "all experiments", "trials"),
        ("text", "Table 1 ILSVRC2012", "trials"),
        ("text", "Figure 3 methods using [7]", "trials"),
        ("text", "Table 3 timing", "epochs timed / trials"),
    ],
    "qtart-28": [("text", "Q-TART alongside adversarial training", "robustness increase (over)")],
    "saliency-05": [
        ("text", "OURS", "training effort relative to AT"),
        ("text", "OURS", "training time relative to AT"),
        ("text", "OURS", "training cost relative to AT"),
    ],
    "saliency-06": [
        ("text", "OURS | CIFAR-10", "PGD-20"),
        ("text", "OURS | CIFAR-10", "PGD-50"),
        ("text", "OURS | CIFAR-10", "PGD-70"),
        ("text", "OURS | CIFAR-10", "PGD-100"),
    ],
    "saliency-07": [("text", "OURS | random restarts", "variation of results")],
    "saliency-08": [
        ("text", "OURS | CIFAR10", "best k (top-k % of teacher saliency)"),
        ("text", "OURS | CIFAR100", "best k (top-k % of teacher saliency)"),
        ("figure3", "OURS | CIFAR10", "best top-k % (PGD-20)"),
        ("figure3", "OURS | CIFAR100", "best top-k % (PGD-20)"),
    ],
    "saliency-09": [
        ("text", "OURS | CIFAR10", "best γ (second phase)"),
        ("text", "OURS | CIFAR100", "best γ (second phase)"),
        ("figure2", "OURS", "number of γ values plotted"),
    ],
    "saliency-10": [("text", "OURS after first phase vs teacher", "improvement in natural and adversarial accuracy")],
    "sat-01": [
        ("text", "CIFAR-10 | CSAT A=car", "robust accuracy on all remaining classes"),
        ("text", "CIFAR-10 | CSAT A=car", "robust accuracy gain on the remaining classes (minimum over classes)"),
        ("text", "CIFAR-10 | CSAT A=cat", "robust accuracy gain on the remaining classes (maximum over classes)"),
        ("figure1", "CIFAR-10 | CSAT A=cat", "robust accuracy on B"),
        ("figure1", "CIFAR-10 | CSAT A=car", "robust accuracy on B"),
        ("figure2", "CIFAR-10 | CSAT A=cat", "gain in robust accuracy on non-adv. trained classes (B)"),
        ("figure2", "CIFAR-10 | CSAT A=car", "gain in robust accuracy on non-adv. trained classes (B)"),
    ],
    "sat-02": [
        ("text", "CIFAR-10 | CSAT A=cat", "robust accuracy on the remaining classes"),
        ("text", "CIFAR-10 | CSAT A=car", "robust accuracy on the remaining classes"),
    ],
    "sat-03": [
        ("text", "CIFAR-10 | baseline trained without AT", "robust accuracy (practically)"),
        ("figure2", "CIFAR-10 | without AT", "robust accuracy, all classes (close to)"),
    ],
    "sat-05": [
        ("text", "CIFAR-10 | CSAT A=car", "robust accuracy on bird, cat, deer, dog (lowest)"),
        ("text", "CIFAR-10 | CSAT A=car", "robust accuracy on bird, cat, deer, dog (highest)"),
    ],
    "sat-09": [("text", "CIFAR-10 | CSAT hardest-first", "subset size at which it draws even with random")],
    "sat-13": [
        ("text", "ImageNet | ESAT", "AEs on this share of training data recover most of baseline AT"),
        ("text", "SAT", "share of training data sufficient to recover the baseline performance with vanilla AT"),
        ("text", "ESAT", "share of training data"),
        ("text", "ESAT | CIFAR", "size of 50% of training data"),
    ],
    "sat-17": [("text", "ESAT | random ranking", "example of a small |A| at which random is similar to hardest-first")],
    "sat-23": [
        ("text", "transfer to target task | S-SAT", "AEs on this share of data can recover baseline robustness"),
        ("text", "transfer | S-SAT", "share of AEs that can recover baseline AT performance on the target task"),
        ("text", "S-ESAT", "share of training data"),
        ("text", "S-ESAT", "share of the training set with AEs"),
        ("text", "S-ESAT | CIFAR-100", "size of 30% of training data"),
        ("figure8", "S-ESAT", "share of source data that recovers baseline AT"),
    ],
}


@pytest.fixture(scope="module")
def grids():
    return {scale: grid_of(scale) for scale in SCALES}


# --- the papers' claims.py --------------------------------------------------------------------------------------------


def test_every_claim_of_the_papers_is_there():
    for paper, own in CLAIMS.items():
        assert [c.id for c in own] == [r["id"] for r in LISTED if r["id"].startswith(paper)]
    assert len(ALL) == 130


@pytest.mark.parametrize("scale", SCALES)
def test_every_cell_that_a_claim_names_exists(grids, scale):
    names = {
        key: ({r.name for r in item.rows}, {c.name for c in item.columns}) for key, item in grids[scale].items.items()
    }
    faults = []
    for claim in TESTED:
        assert set(claim.scales) <= set(SCALES)
        for item, row, column in {where for case in claim.cases for where in case.values()}:
            rows, columns = names.get(f"{claim.paper}/{item}", (set(), set()))
            faults += [f"{claim.id}: {item} has no row {row!r}"] if row not in rows else []
            faults += [f"{claim.id}: {item} has no column {column!r}"] if column not in columns else []
    assert not faults, "\n".join(faults)


def test_accuracy_that_rises_with_the_subset_is_followed_up_to_all_data():
    """Section 4.3 of the pruning paper: from 10 to 70 %, "robust accuracy gradually increases to that of the full dataset"."""
    (claim,) = [c for c in CLAIMS["advprune"] if c.id == "advprune-12"]
    rises = [tuple(int(case[name][1].split(" | ")[0]) for name in ("less", "more")) for case in claim.cases]
    assert sorted(set(rises)) == [(10, 30), (30, 50), (50, 70), (70, 100)]
    assert all(case["less"][1].split(" | ")[1] == case["more"][1].split(" | ")[1] for case in claim.cases)


def test_what_is_said_of_all_attacks_and_methods_is_tested_on_all():
    """Sections 1 and 6 of the saliency paper: "natural as well as adversarial accuracies", "compared to other robust models"."""
    own = {claim.id: claim for claim in CLAIMS["saliency"]}
    for name in ("saliency-10", "saliency-16"):
        columns = {column for case in own[name].cases for _, _, column in case.values()}
        assert columns == {"Clean", "FGSM", "PGD-5", "PGD-10", "PGD-20"}, name
    others = {case["other"][1] for case in own["saliency-17"].cases}
    first = {row for case in own["saliency-01"].cases for name, (_, row, _) in case.items() if name != "ours"}
    assert others == first, "the methods that saliency-01 compares with"


def test_every_two_warm_starts_are_compared():
    """Section 4.4 of the coreset paper: "not very sensitive", "a longer warm-start is generally beneficial"."""
    for claim in (c for c in CLAIMS["coreset"] if c.id in ("coreset-10", "coreset-19")):
        pairs = [tuple(float(case[name][1].split(" | ")[1]) for name in ("short", "long")) for case in claim.cases]
        assert set(pairs) == {(a, b) for a in (0.2, 0.4, 0.6, 0.8) for b in (0.4, 0.6, 0.8) if a < b}


def test_a_network_is_within_five_points_under_both_attacks_and_of_both_trainings():
    """Section 5 of Q-TART: "within 5% of each other, across three of the four DNNs"."""
    (claim,) = [c for c in CLAIMS["qtart"] if c.id == "qtart-18"]
    assert (len(claim.cases), claim.expect.needed(4)) == (4, 3)
    assert all(len({row.partition(" | ")[0] for _, row, _ in case.values()}) == 1 for case in claim.cases)
    near = dict.fromkeys(claim.names, 30.0)
    assert [claim.value(near | {name: 24.0}) for name in claim.names] == [6.0] * 6


def test_sat_s_claims_are_of_all_that_their_sentences_name():
    claim = {c.id: c for c in CLAIMS["sat"]}
    parts = [part.value(dict.fromkeys(part.names, 30.0) | {"over_on_a": 31.0}) for part in claim["sat-22"].parts()]
    assert parts == [0, 0, 1, 1, 0], "improved on A_val, low on B_val, high in transfer"
    assert {where[1].partition(" | ")[0] for case in claim["sat-22"].cases for where in case.values()} == {
        "on A", "on B", "on CIFAR-10"}  # fmt: skip
    variants = [case["third"][1] for case in claim["sat-27"].cases]
    assert all(any(word in name for name in variants) for word in ("FGSM-RS", "S-CSAT", "SVHN"))
    sizes = {int(case["other"][1].rpartition(" | ")[2]) for case in claim["sat-28"].cases}
    assert sizes == set(range(10, 100, 10))
    harder = claim["sat-35"].value(dict.fromkeys(claim["sat-35"].names, 90.0) | {"cat": 60.0})
    assert harder == -5 < claim["sat-35"].expect.bound == 0


def test_a_gap_that_shrinks_is_asked_of_each_data_set_for_classes_and_for_examples():
    """SAT's abstract: the tendency of hard examples "to diminish with increasing complexity of datasets"."""
    (claim,) = [c for c in CLAIMS["sat"] if c.id == "sat-33"]
    level = dict.fromkeys(claim.names, 30.0)
    gaps = {"classes_c10": 4, "classes_c100": 3, "classes_in200": 1}
    gaps |= {"examples_c10": 20, "examples_c100": 12, "examples_in200": 15}
    found = [
        part.value(level | {f"hardest_{name}": 30.0 + gap for name, gap in gaps.items()}) for part in claim.parts()
    ]
    assert found == [1, 3, 8, 5]
    for case in claim.cases:
        of = {(item, row.split(" | ")[0]) for item, row, _ in case.values()}
        assert of == {
            (item, data) for item in ("figure5", "figure6") for data in ("CIFAR-10", "CIFAR-100", "ImageNet-200")
        }


# The paper's own numbers contradict them: note-sat-13, and the errata and claims of published/claims.csv that say so.
CONTRADICTED = {
    "advprune-05", "coreset-02", "coreset-03", "qtart-04", "qtart-05", "qtart-17", "qtart-29", "saliency-11", "sat-25", "sat-32",
}  # fmt: skip


def test_the_papers_own_numbers_support_what_they_claim(grids):
    """A perfect replication: of each claim whose numbers are printed, the decisive one is as far beyond the bound as matters."""
    printed = {
        (item.paper, item.item, row.name, column.name): published.printed(item.paper, cell.published, PUBLISHED)
        for item in grids["paper"].items.values()
        for row, column, cell in item.flat
        if cell.published
    }
    short = {}
    for claim in TESTED:
        gaps = []
        for part in claim.parts():
            values = [_printed_effect(part, case, printed) for case in claim.cases]
            values = [value for value in values if value is not None]
            if claim.expect.of == "mean":
                values = [statistics.fmean(values)] if len(values) == len(claim.cases) else []
            of = sorted((gap(value, claim.expect) for value in values), reverse=True)
            gaps += of[claim.expect.needed(len(of)) - 1 :][:1] if of else []
        if gaps and min(gaps) < claim.expect.least - 1e-9:
            short[claim.id] = min(gaps)
    assert set(short) == CONTRADICTED, short


def _printed_effect(part, case, printed):
    """None where a number that the effect depends on is not printed."""
    known = {name: printed.get((part.paper, *place)) for name, place in case.items()}
    effects = []
    for draw in (np.random.default_rng(1), np.random.default_rng(2)):  # in the place of what is not printed
        numbers = {name: draw.uniform(1, 99) if value is None else value for name, value in known.items()}
        effects.append(part.value(numbers | {name + PAPER: number for name, number in numbers.items()}))
    return effects[0] if effects[0] == effects[1] else None


def test_what_a_claim_quotes_is_published():
    assert set(QUOTES) <= {claim.id for claim in ALL}
    for claim, quotes in QUOTES.items():
        for item, row, column in quotes:
            published.lookup(claim.partition("-")[0], item, row, column, PUBLISHED)


def test_a_level_is_of_full_scale_alone():
    for claim in TESTED:
        if claim.kind == "level":
            (line,) = claims.ledger([claim], Items(ROOT / "nowhere", "demo"))
            assert line.verdict == "not tested at demo"
        if claim.kind == "time":
            assert claim.expect.bound, "times are compared as ratios"
        if any(name.endswith("_paper") for name in claim.names):
            assert claim.kind in ("arithmetic", "time"), f"{claim.id} compares an accuracy with the paper's"


GOOD = {
    "says": "s",
    "source": "t",
    "kind": "ordering",
    "cases": [{"a": ("table1", "r", "c"), "b": ("table1", "r", "d")}],
    "effect": lambda a, b: a - b,
    "expect": every(above=0),
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "orderign"}, "did you mean ordering"),
        ({"effect": lambda a, c: a - c}, "the effect is of a, c, its cells are a, b"),
        ({"effect": lambda a, *others: above_all(a, *others)}, "the effect is of a, others, its cells are a, b"),
        ({"effect": lambda a, b: (a, b), "expect": most(above=0)}, "parts are for every case or their mean"),
        ({"effect": lambda a, b: (a, b), "kind": "time"}, "parts are for every case or their mean"),
        ({"effect": None}, "or untestable"),
        ({"cases": []}, "or untestable"),
        ({"untestable": "x"}, "beside a reason"),
    ],
)
def test_a_wrong_claim_is_one_clear_line(change, said):
    assert Claim("qtart-01", **GOOD).paper == "qtart"
    with pytest.raises(ValueError, match="^qtart-01: .*" + said) as error:
        Claim("qtart-01", **GOOD | change)
    assert len(str(error.value).splitlines()) == 1


def test_a_paper_may_have_no_claims(monkeypatch, tmp_path):
    mine.write_paper(tmp_path / "mine")
    mine.make_importable(monkeypatch, tmp_path)
    assert claims.load("mine") == []


def test_a_paper_s_claims_have_its_name(monkeypatch):
    module = importlib.import_module("leanat.papers.qtart.claims")
    monkeypatch.setattr(module, "CLAIMS", [Claim("sat-01", **GOOD)])
    with pytest.raises(ValueError, match="not sat-01"):
        claims.load("qtart")


@pytest.mark.parametrize("bound", [{}, {"over": 0}, {"above": 0, "below": 1}, {"within": -1}])
def test_other_expectations_are_refused(bound):
    for of in (every, most, some, mean):
        with pytest.raises(ValueError, match=f"^{of.args[0]}"):
            of(**bound)


def test_what_matters_is_said_or_as_usual():
    assert Claim("qtart-01", **GOOD).expect == Expect("every", ">", 0.0, 0.5)
    assert Claim("qtart-01", **GOOD, least=0).expect == Expect("every", ">", 0.0, 0.0)
    assert Claim("qtart-01", **GOOD, unit="share").expect == Expect("every", ">", 0.0, 0.0)
    assert Claim("qtart-01", **GOOD | {"kind": "level"}).expect == Expect("every", ">", 0.0, 0.0)
    assert Claim("qtart-01", **GOOD | {"expect": mean(within=2)}).expect == Expect("mean", "within", 2.0, 0.0)


def test_an_effect_is_of_the_numbers_that_it_names():
    values = {"a": 3.0, "b": 2.0, "b_paper": 4.0}
    assert Claim("qtart-01", **GOOD).value(values) == 1
    ratio = Claim("qtart-01", **GOOD | {"effect": lambda a, b, b_paper: a / (b_paper - 2 * b)})
    assert (ratio.names, math.isnan(ratio.value(values))) == (["a", "b", "b_paper"], True)


def test_an_effect_of_several_numbers_is_as_many_claims():
    both = {"effect": lambda a, b: (a - b, a + b), "expect": mean(below=1)}
    first, second = Claim("qtart-01", **GOOD | both).parts()
    assert (first.value({"a": 3.0, "b": 2.0}), second.value({"a": 3.0, "b": 2.0})) == (1, 5)
    assert first.expect == Expect("every", "<", 1.0, 0.5)
    assert first.names == ["a", "b"]
    one = Claim("qtart-01", **GOOD)
    assert one.parts() == [one]


# --- reading items ---------------------------------------------------------------------------------------------------


def write_item(folder, rows, scale="demo", item="table1"):
    path = folder / "items" / scale / "qtart" / f"{item}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["row", "column", "published", "values", "missing", "tested"])
        for row, column, shown, values, missing, tested in rows:
            out.writerow([row, column, shown, json.dumps(values), missing, tested])


def minus(a, b):
    return a - b


def claim(expect=None, effect=minus, kind="ordering", names=("A", "B"), columns=("c",), **more):
    cells = {name: row for name, row in zip("ab", names, strict=True) if name in inspect.signature(effect).parameters}
    cases = [{name: ("table1", row, column) for name, row in cells.items()} for column in columns]
    expect = expect or every(above=0)
    return Claim("qtart-01", "A beats B", "Table 1", kind, cases, effect, expect, "points", **more)


def test_a_verdict_worked_out_by_hand(tmp_path):
    write_item(tmp_path, [("A", "c", 94, [94, 95, 96], "", 400), ("B", "c", 90, [90, 90.5, 91], "", 400)])
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert line.effect == pytest.approx(4.5)
    seeds, examples = (
        0.25 / 3,
        (95 * 5 + 90.5 * 9.5) / 400,
    )  # variances of the mean of 4, 4.5, 5, and of the draw of images
    from scipy import stats

    half = (stats.t.ppf(0.975, 2) ** 2 * seeds + stats.norm.ppf(0.975) ** 2 * examples) ** 0.5
    assert (line.low, line.high) == pytest.approx((4.5 - half, 4.5 + half), rel=1e-4)
    assert (line.verdict, line.n, line.used) == ("supported", 3, 1)


def test_seeds_are_paired_and_only_common_ones_count(tmp_path):
    write_item(tmp_path, [("A", "c", "", [50, 70, 90, 10], "", ""), ("B", "c", "", [45, 65, 85], "", "")])
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert (line.effect, line.low, line.high, line.n) == (5, 5, 5, 3), "the differences are 5, 5, 5"


def test_what_is_missing_is_said(tmp_path):
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert (line.verdict, line.reason) == ("not run yet", "not made yet: figures/qtart/table1.pdf")
    write_item(tmp_path, [("A", "c", "", [], "needs data_dir", ""), ("B", "c", "", [90], "", "")])
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert (line.verdict, line.reason) == ("not tested at demo", "needs data_dir")
    write_item(
        tmp_path,
        [
            (n, c, "", v, "" if v else "no", "")
            for n, v0 in (("A", 9), ("B", 5))
            for c, v in (("c", [v0, v0 + 0.1, v0 - 0.1 * (n == "A")]), ("d", []))
        ],
    )
    (line,) = claims.ledger([claim(columns=("c", "d"))], Items(tmp_path, "demo"))
    assert (line.verdict, line.used) == ("supported", 1)
    assert ledger_text.of_cases(line) == "1 case, 1 not tested"


def test_a_verdict_on_some_of_the_cases_says_which_are_not_made_yet(tmp_path):
    write_item(tmp_path, [("A", "c", "", [94, 95, 96], "", ""), ("B", "c", "", [90, 90.5, 91], "", "")])
    other = {"a": ("table2", "A", "c"), "b": ("table2", "B", "c")}
    for kind in ("ordering", "time"):
        both = replace(claim(kind=kind), cases=[*claim().cases, other])
        (line,) = claims.ledger([both], Items(tmp_path, "demo"))
        assert ledger_text.named(line) == "supported (in 1 of 2 cases)"
        assert "not made yet: figures/qtart/table2.pdf" in ledger_text.why(line)


@pytest.mark.parametrize(
    ("effect", "low", "high", "printed"),
    [
        (0.1234, 0.0634, 0.1834, "0.12 [0.06, 0.18] points"),
        (-18.04, -21.44, -14.64, "−18.0 [−21.4, −14.6] points"),
        (31.96, 8.6, 55.3, "32 [9, 55] points"),
        (0.0049, -0.0001, 0.0099, "0.00 [0.00, 0.01] points"),
        (3.0, 3.0, 3.0, "3 [3, 3] points"),
        (3.306, None, None, "3.31 points"),
        (0.0, None, None, "0 points"),
    ],
)
def test_an_effect_has_no_more_digits_than_its_interval_gives(tmp_path, effect, low, high, printed):
    write_item(tmp_path, [("A", "c", "", [99], "", ""), ("B", "c", "", [1], "", "")])
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert ledger_text.measured(replace(line, effect=effect, low=low, high=high)) == printed


def test_one_trial_decides_nothing(tmp_path):
    write_item(tmp_path, [("A", "c", "", [99], "", ""), ("B", "c", "", [1], "", "")])
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert (line.verdict, line.reason, line.effect, line.n) == ("not decidable", "one seed", 98, 1)


def test_a_claim_that_waits_shows_the_case_that_its_words_name(tmp_path):
    rows = [(n, c, "", [v], "", "") for n, c, v in (("A", "c", 90), ("B", "c", 66), ("A", "d", 60), ("B", "d", 82))]
    write_item(tmp_path, rows)
    (weakest,) = claims.ledger([claim(columns=("c", "d"))], Items(tmp_path, "demo"))
    assert (weakest.effect, ledger_text.of_cases(weakest)) == (-22, "weakest of 2 cases")
    (strongest,) = claims.ledger([claim(some(above=0), columns=("c", "d"))], Items(tmp_path, "demo"))
    assert (strongest.effect, ledger_text.of_cases(strongest)) == (24, "strongest of 2 cases")


def test_what_the_mean_of_the_cases_rejects_shows_that_mean(tmp_path):
    """Eight cases of 1 point too little, none clear by itself; by chance of the seeds they differ, their mean does not."""
    noise = np.random.default_rng(1).normal(0, 1.5, (8, 8))
    columns = tuple("cdefghij")
    rows = [("B", c, "", [50.0] * 8, "", "") for c in columns]
    rows += [("A", c, "", (49.0 + noise[k]).tolist(), "", "") for k, c in enumerate(columns)]
    write_item(tmp_path, rows)
    (line,) = claims.ledger([claim(columns=columns)], Items(tmp_path, "demo"))
    assert (line.verdict, line.by_mean) == ("not supported", True)
    assert line.effect == pytest.approx(-1 + noise.mean())
    assert ledger_text.of_cases(line) == "mean of 8 cases"
    assert line.signs == (sum(-1 + noise.mean(0) > 0), 8)  # of the mean, as the effect is
    said = "the variance of this mean borrows nothing"
    assert said not in ledger_text.remarks(line)
    assert said in ledger_text.remarks(replace(line, prior=Prior(4.0, 3.0)))


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_rejected_has_an_interval_short_of_what_was_expected(tmp_path, sign):
    """0.1 point surely, where 0.5 matters: the interval holds 0, and the place that is drawn is that of 0.5."""
    rows = [("A", "c", "", [50 + sign * gap for gap in (0.3, -0.1, 0.1)], "", ""), ("B", "c", "", [50.0] * 3, "", "")]
    write_item(tmp_path, rows)
    own = claim(every(above=0) if sign > 0 else every(below=0), least=2)
    (line,) = claims.ledger([own], Items(tmp_path, "demo"))
    assert line.verdict == "not supported"
    assert line.low < 0 < line.high
    drawn = ledger._plot(line)
    assert drawn["high"] < drawn["bound"] if sign > 0 else drawn["bound"] < drawn["low"]
    assert (drawn["bound"] - drawn["mean"]) / (drawn["high"] - drawn["low"]) == pytest.approx(
        (sign * 2 - line.effect) / (line.high - line.low)
    )
    assert ledger_text.expected(own) == f"{'>' if sign > 0 else '<'} 0, by 2 or more"
    assert ledger_text.expected(claim()) == "> 0, by 0.5 or more"
    assert ledger_text.expected(claim(kind="mechanism")) == "> 0"


def test_a_claim_that_a_case_of_one_seed_keeps_from_support_says_so(tmp_path):
    rows = [(n, "c", "", v, "", "") for n, v in (("A", [50, 54, 58]), ("B", [50, 51, 52]))]
    write_item(tmp_path, [*rows, ("A", "d", "", [60], "", ""), ("B", "d", "", [61], "", "")])
    (line,) = claims.ledger([claim(columns=("c", "d"))], Items(tmp_path, "demo"))
    assert line.verdict == "inconclusive"
    assert line.more.startswith("one seed in 1 of 2 cases, so that it cannot become 'supported'; ")


def test_the_heading_of_a_paper_counts_its_claims_once(tmp_path):
    own = [claims.Line(claim(), "demo", verdict) for verdict in ("not decidable", "supported", "not decidable")]
    real = [claims.Line(claim(), "cpu", "inconclusive", origin="replicated")]
    assert ledger_text.summary(own) == "1 supported, 2 not decidable"
    assert ledger_text.summary(own + real) == "1 supported, 2 not decidable; replicated: 1 inconclusive"


def test_support_that_later_seeds_turn_round_is_a_rejection(tmp_path):
    rows = [("A", "c", "", [85, 85.1, 84.9] + [75.0] * 17, "", ""), ("B", "c", "", [80.0] * 20, "", "")]
    write_item(tmp_path, rows)
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert line.verdict == "not supported"


def test_means_over_cases_name_the_cells_and_runs_of_each(tmp_path):
    rows = [(n, c, "", [v, v + 1, v + 2], "", "") for n, v in (("A", 9), ("B", 5)) for c in "cd"]
    write_item(tmp_path, rows)
    lines = {"qtart": claims.ledger([claim(mean(above=0), columns=("c", "d"))], Items(tmp_path, "demo"))}
    ledger.write_json(lines, {}, tmp_path / "claims.json")
    (case,) = json.loads((tmp_path / "claims.json").read_text())["claims"][0]["cases"]
    assert {name: cell["column"] for name, cell in case["cells"].items()} == {
        "a 1": "c",
        "b 1": "c",
        "a 2": "d",
        "b 2": "d",
    }


def test_a_claim_of_one_trial_is_none_of_those_that_are_corrected_for(tmp_path):
    """Fourteen of them beside it would else hide a difference of 30 points over three seeds."""
    write_item(
        tmp_path,
        [("A", "c", "", [61, 64, 66], "", ""), ("B", "c", "", [31, 31, 37], "", "")]
        + [(n, "d", "", [5], "", "") for n in "AB"],
    )
    many = [replace(claim(columns=("d",)), id=f"qtart-{k:02}") for k in range(2, 16)]
    first, *others = claims.ledger([claim(), *many], Items(tmp_path, "demo"))
    assert first.verdict == "supported"
    assert {line.verdict for line in others} == {"not decidable"}


@pytest.mark.parametrize(
    ("trials", "of", "never"),
    [
        ((3,), "every", []),
        ((1,), "every", ["supported", "not supported"]),
        ((3, 1), "every", ["supported"]),
        ((3, 1), "some", ["not supported"]),
        ((3, 3, 1), "most", []),
        ((3, 1, 1), "most", ["supported", "not supported"]),
        ((3, 3, 1, 1), "most", ["supported"]),
    ],
)
def test_what_trials_cannot_decide(trials, of, never):
    for sign in "<>":
        assert out_of_reach(Expect(of, sign, 2.0, 0.5), trials) == never


class Planned:
    """The cells of items that were never run: clear differences, with as many seeds as the configuration plans."""

    real = False

    def __init__(self, grid):
        self.grid, self.scale, self.rng = grid, grid.scale.name, np.random.default_rng(0)
        self.lines = {
            name: [{line.name: k for k, line in enumerate(axis)} for axis in (item.rows, item.columns)]
            for name, item in grid.items.items()
        }

    def cell(self, paper, item, row, column):
        rows, columns = self.lines[f"{paper}/{item}"]
        cell = self.grid.items[f"{paper}/{item}"].cells[rows[row]][columns[column]]
        if cell.missing:
            return Cell({}, cell.missing)
        seeds = {self.grid.runs[run].spec["seed"] for run in cell.runs} or {0}
        return Cell({seed: float(self.rng.uniform(1, 99)) for seed in seeds}, published=1.0)

    def time_spread(self, paper):
        return None


@pytest.mark.parametrize("scale", SCALES)
def test_what_the_configuration_cannot_decide_the_ledger_does_not(grids, scale):
    grid = grids[scale]
    seeds = {run.id: run.spec["seed"] for run in grid.runs.values()}
    for own in CLAIMS.values():
        planned = dict(decidable.undecidable(own, grid.items, seeds, scale))
        lines = claims.ledger(own, Planned(grid))
        never = {line.claim.id for line in lines if line.verdict == "not decidable"}
        assert never == {name for name, reason in planned.items() if reason.startswith("not decidable")}


def test_a_cell_that_a_claim_misspells_is_named_with_the_nearest(grids):
    items, seeds = grids["demo"].items, {run.id: run.spec["seed"] for run in grids["demo"].runs.values()}
    table = items["qtart/table1"]
    row, column = table.rows[0].name, table.columns[0].name
    for cell, said in (
        (("table99", row, column), "there is no item qtart/table99; did you mean qtart/table"),
        (("table1", row + "x", column), f"qtart/table1 has no row {row + 'x'!r}; did you mean {row}?"),
        (("table1", row, column + "x"), f"qtart/table1 has no column {column + 'x'!r}; did you mean {column}?"),
    ):
        wrong = replace(claim(), id="qtart-01", cases=[{"a": ("table1", row, column), "b": cell}])
        assert next(reason for _, reason in decidable.undecidable([wrong], items, seeds, "demo")).startswith(said)
    for paper, own in CLAIMS.items():
        found = decidable.undecidable(own, items, seeds, "demo")
        assert not [reason for _, reason in found if "there is no" in reason or "has no" in reason], paper


def test_a_mean_over_cases_is_a_mean_for_each_seed(tmp_path):
    rows = [("A", "c", "", [10, 20, 30], "", ""), ("B", "c", "", [0, 0, 0], "", "")]
    rows += [("A", "d", "", [30, 20, 10], "", ""), ("B", "d", "", [0, 0, 0], "", "")]
    write_item(tmp_path, rows)
    (line,) = claims.ledger([claim(mean(above=0), columns=("c", "d"))], Items(tmp_path, "demo"))
    assert (line.effect, line.low, line.high) == (20, 20, 20)


def test_cases_without_a_common_seed_have_no_mean(tmp_path):
    """It was the mean of the first case alone, told as that of both."""
    path = tmp_path / "items" / "demo" / "qtart" / "table1.csv"
    path.parent.mkdir(parents=True)
    text = "row,column,published,values,missing,tested,seeds,runs\n"
    for name, column, values, seeds in (
        ("A", "c", [60, 61, 62], (0, 1, 2)), ("B", "c", [50, 51, 52.1], (0, 1, 2)),
        ("A", "d", [30, 31, 32], (3, 4, 5)), ("B", "d", [50, 51, 52.1], (3, 4, 5)),
    ):  # fmt: skip
        runs = " ".join(f"digits-net-{name}-s{seed}-00000000" for seed in seeds)
        text += f'{name},{column},,"{values}",,,"[0, 1, 2, 3, 4, 5]",{runs}\n'
    path.write_text(text)
    (line,) = claims.ledger([claim(mean(above=0), columns=("c", "d"))], Items(tmp_path, "demo"))
    assert (line.verdict, line.effect) == ("not tested at demo", None)
    assert line.reason == "its cases have no seed in common"
    (line,) = claims.ledger([claim(mean(above=0))], Items(tmp_path, "demo"))
    assert line.verdict == "supported"


def test_seeds_that_differ_by_rounding_alone_are_the_sign_test(tmp_path):
    """10.1 in each of three seeds, but for the last digits: p was 1e-12."""
    write_item(tmp_path, [("A", "c", "", [60.2, 70.2, 80.2], "", ""), ("B", "c", "", [50.1, 60.1, 70.1], "", "")])
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert len(set(line.cases[0].by_seed.values())) > 1
    assert (line.verdict, line.decision.support) == ("inconclusive", pytest.approx(0.125 / 0.4))


def test_arithmetic_is_exact_and_times_are_not(tmp_path):
    write_item(tmp_path, [("A", "c", 9.76, [9.76], "", ""), ("B", "c", 4.5, [4.7], "", "")])
    exact = claim(every(within=0.001), lambda a, a_paper: a - a_paper, "arithmetic")
    assert claims.ledger([exact], Items(tmp_path, "demo"))[0].verdict == "supported"
    wrong = claim(every(within=0.001), lambda b, b_paper: b - b_paper, "arithmetic")
    assert claims.ledger([wrong], Items(tmp_path, "demo"))[0].verdict == "not supported"
    for bound, verdict in ((2.0, "inconclusive"), (1.5, "supported"), (3.0, "not supported")):
        assert (
            claims.ledger([claim(every(above=bound), lambda a, b: a / b, "time")], Items(tmp_path, "demo"))[0].verdict
            == verdict
        )


def test_a_time_that_repeats_badly_decides_less(tmp_path):
    """Of 2.4 against a bound of 2, where each time is known to 15 %."""
    write_item(tmp_path, [("A", "c", "", [4.8], "", ""), ("B", "c", "", [2.0], "", "")])
    timed = claim(every(above=2), lambda a, b: a / b, "time")
    assert claims.ledger([timed], Items(tmp_path, "demo"))[0].verdict == "supported"
    (tmp_path / "timings").mkdir()
    (tmp_path / "timings" / "qtart.json").write_text(json.dumps({"spread": 0.15}))
    (line,) = claims.ledger([timed], Items(tmp_path, "demo"))
    assert (line.verdict, line.more) == (
        "inconclusive",
        "within 30 % of the bound, which a measured time does not resolve; repeated measurements differ by ±15.0 %",
    )


def test_a_page_knows_how_well_its_times_repeat(tmp_path, monkeypatch):
    """As the ledger does: of the same 1.89 against a bound of 2 a page said no where the ledger left it open."""
    (tmp_path / "timings").mkdir()
    (tmp_path / "timings" / "qtart.json").write_text(json.dumps({"spread": 0.059}))
    names, column = [planned.Row("", name) for name in "AB"], planned.Column("", "c")
    cells = [(planned.Value(values=(value,)),) for value in (3.78, 2.0)]
    page = planned.Filled(
        "qtart", "table1", "", "", "demo", planned.Provenance(), tuple(names), (column,), tuple(cells)
    )
    told = []
    monkeypatch.setattr(items, "fill", lambda *_: page)
    monkeypatch.setattr(items.table, "write_table", lambda page, stem, claims: told.extend(claims))
    monkeypatch.setattr(page_claims, "load", lambda paper: [claim(every(above=2), lambda a, b: a / b, "time")])
    timed = planned.Item("qtart", "table1", "table", "", "", "demo", (), (), (), timed={"a": None})
    items.make(timed, tmp_path, PUBLISHED, tmp_path, tmp_path / "table1.pdf", None)
    assert [(line["mark"], line["effect"]) for line in told] == [("?", "1.89 points")]


@pytest.mark.parametrize("text", ['{"spread": null}', "{}", "[]", "null", '{"spread": "a"}', '{"spr'])
def test_a_spread_that_is_not_recorded_is_none(tmp_path, text):
    (tmp_path / "timings").mkdir()
    (tmp_path / "timings" / "qtart.json").write_text(text)
    assert Items(tmp_path, "demo").time_spread("qtart") is None


def write_replicated(folder, scale, values, n):
    """``values``: of each method's first seed; every other seed has one point more."""
    path = folder / "real" / "qtart" / "table1.csv"
    path.parent.mkdir(parents=True)
    about = f"r,{'0' * 8},{scale},{n},{' '.join(map(str, range(n)))},10000,GPU,abc,2026-01-01"
    rows = [f"{name},c,clean,{seed},{value + seed},{about}" for name, value in values.items() for seed in range(n)]
    path.write_text("\n".join([",".join(replicated.COLUMNS), *rows]) + "\n")


def test_replications_are_read_beside(tmp_path):
    write_replicated(tmp_path, "paper", {"A": 92, "B": 90.4}, 5)
    found = ledger.lines({"qtart": [claim()]}, tmp_path, tmp_path / "real", "demo")["qtart"]
    assert [(x.verdict, x.scale, x.origin, x.n) for x in found] == [
        ("not run yet", "demo", "this run", None),
        ("supported", "paper", "replicated", 5),
    ]


def test_a_claim_that_is_kept_of_the_scale_in_use_is_told_once(tmp_path):
    """The same runs were two lines of the ledger, and two families of its error."""
    write_item(tmp_path, [("A", "c", 94, [94, 95, 96], "", 400), ("B", "c", 90, [90, 90.5, 91], "", 400)])
    (tmp_path / "items" / "demo").rename(tmp_path / "items" / "cpu")
    write_replicated(tmp_path, "cpu", {"A": 94, "B": 90}, 3)
    for scale, origins in (("cpu", ["this run"]), ("lite", ["this run", "replicated"])):
        found = ledger.lines({"qtart": [claim()]}, tmp_path, tmp_path / "real", scale)["qtart"]
        assert [x.origin for x in found] == origins, scale


def test_random_subsets_drawn_again_are_a_mean_for_each_seed(tmp_path):
    path = tmp_path / "items" / "demo" / "qtart" / "table1.csv"
    path.parent.mkdir(parents=True)
    head = "row,column,published,values,missing,tested,seeds\n"
    path.write_text(head + 'A,c,,"[9, 5]",,,"[0, 1]"\nB,c,,"[1, 2, 3, 4, 5, 6]",,,"[0, 1]"\nC,c,,[7],,,"[0, 1]"\n')
    items = Items(tmp_path, "demo")
    assert items.cell("qtart", "table1", "B", "c").values == {0: 2, 1: 5}
    assert items.cell("qtart", "table1", "C", "c").values == {0: 7}
    (line,) = claims.ledger([claim()], items)
    assert (line.effect, line.n) == (3.5, 2), "9 - 2 and 5 - 5"


def test_what_a_stronger_attack_takes_away_is_a_share_of_the_examples(tmp_path):
    """The same network on the same images: its two accuracies are not independent draws."""
    write_item(tmp_path, [("A", "c", "", [60, 60, 60], "", 1000), ("B", "c", "", [59, 59, 59], "", 1000)])
    nested, free = (
        claims.ledger([claim(every(within=2), nested=n)], Items(tmp_path, "demo"))[0] for n in (True, False)
    )
    assert nested.high - nested.effect == pytest.approx(1.96 * (1 * 99 / 1000) ** 0.5, rel=1e-3)
    assert (nested.verdict, free.verdict) == ("supported", "inconclusive")


def outcomes(folder, run, right, clean, attacks, labels=None):
    """A run's suite with one attack, whose outcome is kept in the run's folder ``attacks``."""
    n = len(right)
    zero = np.zeros(n, dtype=np.float32)
    whole = np.arange(n)
    kept = Outcome(
        whole,
        whole if labels is None else labels,
        whole,
        clean,
        right,
        zero,
        zero,
        zero,
        np.zeros(n, dtype=np.int16),
        ("pgd",),
    )
    for name in (attacks, "suites"):
        (folder / "runs" / run / name).mkdir(parents=True)
    np.savez(folder / "runs" / run / attacks / "pgd.npz", **outcome.arrays(kept))
    spec = {"statistics": "running", "holdout": None}
    summary = {
        "attacks": {"pgd": {"n": n, "accuracy": float(right.mean()), "file": f"{attacks}/pgd.npz", "spec": spec}}
    }
    (folder / "runs" / run / "suites" / "main.json").write_text(json.dumps(summary))


def test_the_best_of_several_is_compared_one_by_one(tmp_path):
    """By seed, the better of a and b is above ours in two of three; each alone is one point below on average."""
    rows = [("O", "c", 10, [10, 10.1, 9.9], "", 10**9), ("A", "c", 9, [11, 8.1, 7.9], "", 10**9)]
    write_item(tmp_path, [*rows, ("B", "c", 9, [8, 11.1, 7.9], "", 10**9)])
    cases = [{name: ("table1", row, "c") for name, row in (("ours", "O"), ("a", "A"), ("b", "B"))}]
    for expect in (every(above=0), mean(above=0)):
        one = replace(claim(expect), cases=cases, effect=lambda ours, a, b: above_all(ours, a, b))
        (line,) = claims.ledger([one], Items(tmp_path, "demo"))
        assert line.effect == pytest.approx(1.0)
        assert (line.n, line.used) == (3, 1)


def test_outcomes_of_the_examples_give_the_error_of_a_difference(tmp_path):
    """Two networks that fail on nearly the same images: a bootstrap over images says how much their difference is sure."""
    rng = np.random.default_rng(0)
    hard = rng.random(400) < 0.3
    rows, cells, values = [], [], {}
    for name, attacks in (("A", "attacks"), ("B", "attacks-after-2")):  # the second of a snapshot
        part = []
        for seed in range(3):
            right = ~hard & (rng.random(400) < 0.95)
            outcomes(tmp_path, f"{name}{seed}", right, right | (rng.random(400) < 0.5), attacks)
            part.append(right)
        values[name] = np.array(part)
        rows.append(planned.Row("", name))
        runs = [f"{name}{seed}" for seed in range(3)]
        cells.append([planned.Cell(runs, [f"{r}/suites/main" for r in runs], metric="pgd")])
        cells[-1] += [planned.Cell(runs, metric="clean"), planned.Cell(runs, metric="history.loss")]
    columns = [planned.Column("", label) for label in ("c", "clean", "loss")]
    evaluations = [e for row in cells for e in row[0].evaluations]
    item = planned.Item("qtart", "table1", "table", "", "", "demo", rows, columns, cells, evaluations=evaluations)
    write_item(tmp_path, [(n, "c", "", (100 * v.mean(1)).tolist(), "", 400) for n, v in values.items()])
    path = tmp_path / "items" / "demo" / "qtart" / "table1.npz"
    examples.write(examples.of_item(item, tmp_path), path)
    assert set(examples.read(path)) == {(n, c) for n in "AB" for c in ("c", "clean")}
    ((_, case),), _ = claims._cases(claim(), Items(tmp_path, "demo"))
    found = examples.error(claim(), [case])

    difference = 100 * (values["A"].mean(0) - values["B"].mean(0))
    resampled = [difference[rng.integers(0, 400, 400)].mean() for _ in range(4000)]
    assert found == pytest.approx(np.std(resampled), rel=0.05)
    bare = {name: cell._replace(right=None) for name, cell in case.items()}
    assert examples.error(claim(), [bare]) > 3 * found, "as if the images were not the same"
    write_item(tmp_path, [(n, "c", "", [1, 2, 3], "", 400) for n in "AB"])
    assert Items(tmp_path, "demo").cell("qtart", "table1", "A", "c").right is None, "another run's outcomes"


def trained(folder, run, right):
    """A run of which nothing but its answers without an attack are kept."""
    n = len(right)
    whole, zero = np.arange(n), np.zeros(n, dtype=np.float32)
    kept = Outcome(whole, whole, whole, right, right, zero, zero, zero, np.full(n, -1, dtype=np.int16), ("Clean",))
    (folder / "runs" / run).mkdir(parents=True)
    np.savez(folder / "runs" / run / "clean.npz", **outcome.arrays(kept))
    write_json(folder / "runs" / run / "metrics.json", {"clean": outcome.accuracy(right)})


def test_outcomes_of_another_training_are_refused(tmp_path):
    for run, right in (("a-s0", 30), ("b-s0", 31)):
        trained(tmp_path, run, np.arange(40) < right)
    (tmp_path / "runs/b-s0/clean.npz").replace(tmp_path / "runs/a-s0/clean.npz")
    cell = planned.Cell(("a-s0",), metric="clean")
    rows, columns = [planned.Row("", "A")], [planned.Column("", "c")]
    item = planned.Item("qtart", "table1", "table", "", "", "demo", rows, columns, [[cell]])
    with pytest.raises(ValueError, match=r"a-s0/clean.npz: .* 31 of 40 right, 30 of 40 recorded"):
        examples.of_item(item, tmp_path)


def test_accuracies_of_trainings_that_nothing_attacks_are_paired_image_by_image(tmp_path):
    """The means over two data sets, each with its own test images, have the mean of both errors."""
    rng = np.random.default_rng(3)
    runs, by_case = {}, []
    for column, n in (("c", 400), ("d", 300)):
        hard, values = rng.random(n) < 0.2, {}
        for name in "AB":
            values[name] = np.array([~hard & (rng.random(n) < 0.97) for _ in range(3)])
            runs[name, column] = [f"{name}{column}-s{seed}" for seed in range(3)]
            for run, right in zip(runs[name, column], values[name], strict=True):
                trained(tmp_path, run, right)
        by_case.append(values)
    columns = [planned.Column("", c) for c in "cd"]
    cells = [[planned.Cell(runs[name, c], metric="clean") for c in "cd"] for name in "AB"]
    rows = [planned.Row("", name) for name in "AB"]
    item = planned.Item("qtart", "table1", "table", "", "", "demo", rows, columns, cells)
    write_item(
        tmp_path,
        [
            (name, c, "", (100 * values[name].mean(1)).tolist(), "", values[name].shape[1])
            for name in "AB"
            for c, values in zip("cd", by_case, strict=True)
        ],
    )
    examples.write(examples.of_item(item, tmp_path), tmp_path / "items" / "demo" / "qtart" / "table1.npz")
    both = claim(mean(above=0), columns=("c", "d"))
    whole, _ = claims._cases(both, Items(tmp_path, "demo"))
    alone = []
    for values, (_, case) in zip(by_case, whole, strict=True):
        difference = 100 * (values["A"].mean(0) - values["B"].mean(0))
        alone.append(np.std(difference, ddof=1) / len(difference) ** 0.5)
        assert examples.error(both, [case]) == pytest.approx(alone[-1])
    assert examples.error(both, [case for _, case in whole]) == pytest.approx(np.mean(alone))


def test_networks_that_answer_every_image_alike_may_not_on_others(tmp_path):
    """Both at 0, or both at 100 %: the error is that of one image, not none."""
    for level in (0, 100):
        write_item(tmp_path, [(n, "c", "", [level] * 3, "", 50) for n in "AB"])
        ((_, case),), _ = claims._cases(claim(), Items(tmp_path, "demo"))
        assert examples.error(claim(), [case]) == pytest.approx(100 * (2 * 0.02 * 0.98 / 50) ** 0.5)
        same = np.array([np.arange(50), np.full(50, level / 100)])
        known = {name: cell._replace(right=same) for name, cell in case.items()}
        assert examples.error(claim(), [known]) == pytest.approx(2**0.5 * 100 / 50)


@pytest.mark.parametrize("difference", [True, False])
def test_a_cell_against_another_training_has_the_error_of_its_images(tmp_path, difference):
    """A difference, and the share in per cent by which A is below B, of three seeds: against a bootstrap over the images."""
    rng = np.random.default_rng(1)
    hard, values, runs = rng.random(500) < 0.4, {}, {}
    for name in "AB":
        values[name] = np.array([~hard & (rng.random(500) < 0.9) for _ in range(3)])
        runs[name] = [f"{name}-s{seed}" for seed in range(3)]
        for run, right in zip(runs[name], values[name], strict=True):
            outcomes(tmp_path, run, right, right, "attacks")
    numbers = {name: planned.Numbers(of, [f"{run}/suites/main" for run in of]) for name, of in runs.items()}
    against = planned.Reference(**vars(numbers["B"]))
    cell = planned.Cell(**vars(numbers["A"]), metric="pgd", against=against, difference=difference)

    def number(a, b):
        return (100 * (a - b) if difference else 100 * (b - a) / b).mean()

    columns, evaluations = [planned.Column("", "c")], list(numbers["A"].evaluations)
    rows = [planned.Row("", "A")]
    item = planned.Item("qtart", "table1", "table", "", "", "demo", rows, columns, [[cell]], evaluations=evaluations)
    means = [v.mean(1) for v in values.values()]
    by_seed = [number(np.array([a]), np.array([b])) for a, b in zip(*means, strict=True)]
    write_item(tmp_path, [("A", "c", "", by_seed, "", "")])
    examples.write(examples.of_item(item, tmp_path), tmp_path / "items" / "demo" / "qtart" / "table1.npz")
    one = replace(claim(), cases=[{"gain": ("table1", "A", "c")}], effect=lambda gain: gain)
    ((_, case),), _ = claims._cases(one, Items(tmp_path, "demo"))
    drawn = [rng.integers(0, 500, 500) for _ in range(4000)]
    resampled = [number(*(v[:, at].mean(1) for v in values.values())) for at in drawn]
    assert examples.error(one, [case]) == pytest.approx(np.std(resampled), rel=0.05)


@pytest.mark.parametrize("difference", [True, False, None])
def test_a_number_of_some_classes_has_the_error_of_their_images(tmp_path, difference):
    """A network's accuracy on the classes that its training left out, and what it gains there over another: a bootstrap over
    all images, of which more or fewer are then of these classes. Each seed leaves out other classes.
    """
    rng = np.random.default_rng(2)
    labels, hard = rng.integers(0, 4, 600), rng.random(600) < 0.4
    values = {
        name: np.array([~hard & (rng.random(600) < 0.8 - 0.3 * (name == "B")) for _ in range(3)]) for name in "AB"
    }
    runs = {name: [f"{name}-s{seed}" for seed in range(3)] for name in "AB"}
    for name in "AB":
        for k, run in enumerate(runs[name]):
            outcomes(tmp_path, run, values[name][k], values[name][k], "attacks", labels)
            spec = {"method": {"attack": "clean"}}
            metrics = {"spec": spec, "classes_attacked": [k]} if name == "A" else {"spec": spec}
            (tmp_path / "runs" / run / "metrics.json").write_text(json.dumps(metrics))
    numbers = {name: planned.Numbers(of, [f"{run}/suites/main" for run in of]) for name, of in runs.items()}
    against = None if difference is None else planned.Reference(**vars(numbers["B"]))
    cell = planned.Cell(**vars(numbers["A"]), metric="pgd@B", against=against, difference=bool(difference))
    inside = np.array([labels != seed for seed in range(3)])

    def number(at):
        a, b = (np.array([v[k, at][inside[k, at]].mean() for k in range(3)]) for v in values.values())
        return {True: a - b, False: (b - a) / b, None: a}[difference] * 100

    columns, evaluations = [planned.Column("", "c")], list(numbers["A"].evaluations)
    rows = [planned.Row("", "A")]
    item = planned.Item("qtart", "table1", "table", "", "", "demo", rows, columns, [[cell]], evaluations=evaluations)
    count = "" if difference is not None else 450
    write_item(tmp_path, [("A", "c", "", number(np.arange(600)).tolist(), "", count)])
    examples.write(examples.of_item(item, tmp_path), tmp_path / "items" / "demo" / "qtart" / "table1.npz")
    one = replace(claim(), cases=[{"gain": ("table1", "A", "c")}], effect=lambda gain: gain)
    ((_, case),), _ = claims._cases(one, Items(tmp_path, "demo"))
    resampled = [number(rng.integers(0, 600, 600)).mean() for _ in range(4000)]
    assert examples.error(one, [case]) == pytest.approx(np.std(resampled), rel=0.05)
    if difference is not None:  # beside an accuracy without outcomes it keeps its own error
        cases = [{name: ("table1", row, "c") for name, row in (("gain", "A"), ("b", "B"))}]
        two = replace(claim(), cases=cases, effect=lambda gain, b: gain - b)
        both = case | {"b": Cell({0: 50.0, 1: 50.0}, tested=400)}
        assert examples.error(two, [both]) == pytest.approx(math.hypot(examples.error(one, [case]), 2.5))


def test_two_cases_at_least_are_several(tmp_path):
    rows = [(n, c, "", [v, v + 0.2, v - 0.3], "", 4000) for n, c, v in (("A", "c", 80), ("A", "d", 50), ("A", "e", 50))]
    rows += [("B", c, "", [60, 60.1, 60.3], "", 4000) for c in "cde"]
    write_item(tmp_path, rows)
    (one,) = claims.ledger([claim(some(above=0), columns=("c", "d", "e"))], Items(tmp_path, "demo"))
    (two,) = claims.ledger([claim(several(above=0), columns=("c", "d", "e"))], Items(tmp_path, "demo"))
    assert (one.verdict, two.verdict) == ("supported", "not supported")
    assert ledger_text.of_cases(two) == "no. 2 against it of 3 cases"


def test_a_collapse_in_a_cell_that_the_effect_does_not_depend_on_is_not_told(tmp_path):
    """Of several rivals the effect shown is against one: another's outlying seed says nothing of it, and the rival is named."""
    rows = [("O", "c", "", [50, 51, 49], "", 500), ("X", "c", "", [58, 59, 57], "", 500)]
    write_item(tmp_path, [*rows, ("Y", "c", "", [40, 41, 9], "", 500)])
    cases = [{name: ("table1", row, "c") for name, row in (("ours", "O"), ("x", "X"), ("y", "Y"))}]
    one = replace(claim(every(above=0)), cases=cases, effect=lambda ours, x, y: above_all(ours, x, y))
    (line,) = claims.ledger([one], Items(tmp_path, "demo"))
    assert (line.outlying, line.shown) == ("", "table1, c: O, X")
    assert "seen in table1, c: O, X" in ledger_text.remarks(line)


class Read:
    """Metrics and suites of a run, in the place of files."""

    def metrics(self, run):
        return {"clean": {"n": 100, "per_class": {"correct": [40, 30], "n": [60, 40]}}, "classes_attacked": [1]}

    def suite(self, evaluation):
        return {"attacks": {"pgd": {"n": 64}, "lpa": {"n": 32}}, "worst": {"n": 30}}


@pytest.mark.parametrize(
    ("metric", "n"),
    [
        ("clean", 100),
        ("clean@A", 40),
        ("clean@B", 60),
        ("clean@0", 60),
        ("pgd", 64),
        ("pgd+lpa", 32),
        ("worst", 30),
        ("history.loss", None),
        ("metrics.x", None),
        ("pgd@sd", None),
    ],
)
def test_how_many_examples_stand_behind_an_accuracy(metric, n):
    assert items.tested(planned.Cell(("r",), ("e",), metric=metric), Read()) == n
    assert items.tested(planned.Cell(metric=metric), Read()) is None


def test_numbers_of_the_training_images_are_of_no_test_images():
    found = {name for name, kind in SLOTS[Measure][1].items() if kind.part == "train"}
    assert found == set(measures.OF_TRAINING)

    class Suites:
        def suite(self, evaluation):
            return {"measures": {name: {"spec": {"measure": {name: {}}}} for name in ("maps", "terms")}}

    of = {m: measures.of_test(planned.Cell(("r",), ("e",), metric=m), Suites()) for m in ("maps.alpha", "terms.ce")}
    assert of == {"maps.alpha": True, "terms.ce": False}
    for metric, shown in {
        "clean-pgd": True,
        "history.loss": False,
        "metrics.difficulty@3": False,
        "pgd@3": True,
    }.items():
        assert measures.of_test(planned.Cell(("r",), metric=metric), Suites()) == shown


def test_a_page_says_what_its_own_claims_come_to_and_names_what_others_need(tmp_path, monkeypatch):
    values = [94, 95, 96] * 2, [90, 90.5, 91] * 2
    write_item(tmp_path, [("A", "c", 94, values[0], "", 4000), ("B", "c", 90, values[1], "", 4000)])
    both = dataclasses.replace(claim(), id="qtart-02", cases=[{"a": ("table1", "A", "c"), "b": ("table2", "B", "c")}])
    other = dataclasses.replace(claim(), id="qtart-03", cases=[{"a": ("table2", "A", "c"), "b": ("table2", "B", "c")}])
    monkeypatch.setattr(page_claims, "load", lambda paper: [claim(), both, other])
    item = planned.Item("qtart", "table1", "table", "", "", "demo", (), (), ())
    own, shared = page_claims.lines(item, tmp_path)
    assert (own["id"], own["mark"], own["quiet"]) == ("qtart-01", "✓", False)
    assert own["effect"].startswith("4.5 [")
    assert (shared["id"], shared["effect"], shared["quiet"]) == ("qtart-02", "needs also figures/qtart/table2", True)


def test_a_page_says_why_a_number_has_no_verdict(tmp_path, monkeypatch):
    write_item(tmp_path, [("A", "c", "", [61], "", ""), ("B", "c", "", [47], "", "")])
    monkeypatch.setattr(page_claims, "load", lambda paper: [claim()])
    (own,) = page_claims.lines(planned.Item("qtart", "table1", "table", "", "", "demo", (), (), ()), tmp_path)
    assert (own["mark"], own["effect"], own["quiet"]) == ("–", "one seed: 14 points", True)


def test_a_page_supports_no_more_than_its_share_of_the_paper(tmp_path, monkeypatch):
    """The only claim of its page, and one of fifteen of the paper."""
    write_item(tmp_path, [("A", "c", "", [61, 64, 66], "", ""), ("B", "c", "", [47, 48, 54], "", "")])
    item = planned.Item("qtart", "table1", "table", "", "", "demo", (), (), ())
    elsewhere = [{"a": ("table2", "A", "c"), "b": ("table2", "B", "c")}]
    many = [dataclasses.replace(claim(), id=f"qtart-{k:02}", cases=elsewhere) for k in range(2, 16)]
    for others, mark in (([], "✓"), (many, "?")):
        monkeypatch.setattr(page_claims, "load", lambda paper, others=others: [claim(), *others])
        assert page_claims.lines(item, tmp_path)[0]["mark"] == mark
    assert (
        "?" in typeset.frame(planned.Filled("qtart", "table1", "", "", "demo", planned.Provenance()), [])["claims-head"]
    )


# --- what it looks like ----------------------------------------------------------------------------------------------


def filled(folder):
    write_item(folder, [("A", "c", 94, [94, 95, 96], "", 400), ("B", "c", 90, [90, 90.5, 91], "", 400)])
    other = Claim("qtart-02", "the first use of $ and # in *markup*", "section 1", untestable="a claim of priority")
    return ledger.lines({"qtart": [claim(), other]}, folder, folder / "replicated", "demo")


@pytest.mark.parametrize("width", [40, 70, 120])
def test_the_terminal_s_width_is_kept(tmp_path, width):
    text = ledger_text.text(
        filled(tmp_path), {"qtart": "Q-TART: a title of many words, longer than a narrow terminal"}, width
    )
    assert max(map(len, text.splitlines())) <= width
    flat = " ".join(text.split())
    assert "✓ qtart-01 supported" in flat
    assert "measured 4.5 [" in flat
    assert "] points, 3 seeds, scale demo; expected > 0" in flat
    assert "a claim of priority" in flat
    assert "they never support an accuracy" in flat


def test_the_csv_says_of_which_case_the_effect_is(tmp_path):
    rows = [(n, c, "", [v, v + 0.2, v + 0.1], "", "") for n, c, v in (("A", "c", 90), ("B", "c", 66), ("A", "d", 60))]
    write_item(tmp_path, [*rows, ("B", "d", "", [82.0, 82.1, 82.3], "", "")])
    found = [claims.ledger([claim(columns=of)], Items(tmp_path, "demo")) for of in (("c", "d"), ("c",))]
    several, one = (dict(zip(ledger.COLUMNS, ledger.rows({"qtart": lines}, {})[0], strict=True)) for lines in found)
    assert (several["effect_of"], one["effect_of"]) == ("clearest against it of 2 cases", "")


def test_csv_and_pdf(tmp_path):
    found = filled(tmp_path)
    ledger.write_rows(ledger.rows(found, {"qtart-01": 1.5}), tmp_path / "claims.csv")
    with open(tmp_path / "claims.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["verdict"], first["effect"], first["seeds"], first["unit"]) == ("supported", "4.5", "3", "points")
    assert (second["verdict"], second["effect"], second["reason"]) == ("not testable", "", "a claim of priority")
    assert (first["look"], first["seeds_for"], first["seeds_not_equal"], first["minutes"]) == ("3", "3", "3", "1.5")
    ledger.write_pdf(found, {"qtart": "Q-TART"}, PUBLISHED, tmp_path / "claims")
    once = (tmp_path / "claims.pdf").read_bytes()
    ledger.write_pdf(found, {"qtart": "Q-TART"}, PUBLISHED, tmp_path / "claims")
    assert once == (tmp_path / "claims.pdf").read_bytes()
    assert (tmp_path / "claims.png").read_bytes().startswith(b"\x89PNG")


def test_json_holds_what_a_verdict_is_made_of(tmp_path):
    """Enough to compute it again: effects by seed, of every case, with the runs and the design."""
    ledger.write_json(filled(tmp_path), {"qtart-01": 1.5}, tmp_path / "claims.json")
    kept = json.loads((tmp_path / "claims.json").read_text())
    assert sum(kept["design"]["shares_of_the_level"]) == pytest.approx(1)
    first, second = kept["claims"]
    assert (first["id"], first["verdict"], first["look"], first["core_minutes"]) == ("qtart-01", "supported", 3, 1.5)
    (case,) = first["cases"]
    assert case["by_seed"] == {"0": 4.0, "1": 4.5, "2": 5.0}
    assert case["cells"]["a"]["by_seed"] == {"0": 94.0, "1": 95.0, "2": 96.0}
    assert first["seeds_for_the_claim"] == {"for": 3, "of": 3, "p": 0.125}
    assert second["cases"] == []


def test_the_record_says_that_a_variance_borrows_only_where_it_does(tmp_path):
    """Twenty-five methods that differ little from seed to seed; one loses 30 points in one, whose variance is not moved."""
    draw, columns = np.random.default_rng(2), [f"c{k}" for k in range(25)]
    gains = {c: draw.normal(3, 1, 3).round(2).tolist() for c in columns} | {"c7": [30.0, 31.0, 1.0]}
    rows = [("A", c, "", [50 + g for g in own], "", "") for c, own in gains.items()]
    write_item(tmp_path, rows + [("B", c, "", [50.0] * 3, "", "") for c in columns])
    tests = [replace(claim(columns=(c,)), id=f"qtart-{k:02}") for k, c in enumerate(columns)]
    lines = claims.ledger(tests, Items(tmp_path, "demo"))
    for entry in ledger.record({"qtart": lines}, {})["claims"]:
        (case,) = entry["cases"]
        assert (entry["borrowed"] is None) == (case["borrowed"] is None) == (entry["id"] == "qtart-07")


def test_the_price_of_a_claim_is_that_of_its_runs_and_attacks(tmp_path):
    for run, seconds in (("a-s0", 60), ("b-s0", 30)):
        (tmp_path / "runs" / run / "suites").mkdir(parents=True)
        (tmp_path / "runs" / run / "metrics.json").write_text(
            json.dumps({"spec": {}, "spec_hash": "0", "wall_seconds": seconds, "threads": 2})
        )
        (tmp_path / "runs" / run / "suites" / "x.json").write_text(
            json.dumps({"attacks": {"pgd": {"accuracy": 0.5, "seconds": 15}}})
        )
    cells = {"a": Cell({0: 1.0}, runs=("a-s0",)), "b": Cell({0: 1.0}, runs=("b-s0", "a-s0"))}
    case = claims.CaseResult(cells, {}, {0: 0.0}, Effect(0.0, 1))
    line = claims.Line(claim(), "demo", "inconclusive", cases=(case,))
    assert ledger.price({"qtart": [line]}, tmp_path) == {"qtart-01": pytest.approx((120 + 60 + 30) / 60)}


def test_a_collapsed_seed_is_printed_with_the_others(tmp_path):
    rows = [("A", "c", "", [91, 90, 12, 92], "", 500), ("B", "c", "", [80, 81, 80, 79], "", 500)]
    write_item(tmp_path, rows)
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert line.outlying == "a: 91.0, 90.0, 12.0, 92.0"
    assert line.signs == (3, 4)
    assert "one seed far from the others" in ledger_text.remarks(line)
    assert "3 of 4 seeds on the claim's side (sign test p = 0.31)" in ledger_text.remarks(line)


def test_means_that_agree_by_chance_reject_nothing(tmp_path):
    """Of six cases a different one collapses in each seed: every seed's mean is 5 points lower, to the digit."""
    rows, columns = [("B", c, "", [90.0] * 3, "", "") for c in "cdefgh"], tuple("cdefgh")
    for k, c in enumerate(columns):
        rows.append(("A", c, "", [90.0 - 30 * (k == seed) for seed in range(3)], "", ""))
    write_item(tmp_path, rows)
    (line,) = claims.ledger([claim(columns=columns, least=0)], Items(tmp_path, "demo"))
    assert line.verdict == "inconclusive"


def test_what_later_seeds_do_not_confirm_is_withheld(tmp_path):
    """Three seeds agree; two of the next ones collapse."""
    rows = [("A", "c", "", [91, 90.5, 91.5, 12, 13], "", ""), ("B", "c", "", [80, 80, 80, 80, 80], "", "")]
    write_item(tmp_path, [(n, c, p, v[:3], m, t) for n, c, p, v, m, t in rows])
    assert claims.ledger([claim()], Items(tmp_path, "demo"))[0].verdict == "supported"
    write_item(tmp_path, rows)
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert line.verdict == "inconclusive"
    assert line.more.startswith("decided at 3 seeds, and not confirmed by all 5")


def test_what_is_supported_has_an_interval_beyond_the_bound(tmp_path):
    """All five are above 0 by p = .04: beside a verdict of support stood an interval with 0 in it."""
    seeds = [5, 5.1, 4.9, -0.5, 1.2]
    write_item(tmp_path, [("A", "c", "", seeds, "", ""), ("B", "c", "", [0] * 5, "", "")])
    (line,) = claims.ledger([claim()], Items(tmp_path, "demo"))
    assert line.low < 0
    assert line.verdict == "inconclusive"
    assert line.more.startswith("decided at 3 seeds, and not confirmed by all 5")


def test_a_verdict_over_seeds_alone_is_that_of_the_case_shown(tmp_path):
    rows = [(n, "c", "", [v, v + 0.2, v + 0.1 * (n == "A")], "", "") for n, v in (("A", 60), ("B", 50))]
    rows += [(n, "d", "", [v, v + 0.2, v + 0.1 * (n == "A")], "", 500) for n, v in (("A", 90), ("B", 50))]
    write_item(tmp_path, rows)
    for expect, said in ((every(above=0), True), (some(above=0), False)):
        (line,) = claims.ledger([claim(expect, columns=("c", "d"))], Items(tmp_path, "demo"))
        assert (line.effect < 20) == said
        assert ("over seeds alone" in ledger_text.remarks(line)) == said


def test_seeds_are_paired_by_their_number_not_by_their_place(tmp_path):
    path = tmp_path / "items" / "demo" / "qtart" / "table1.csv"
    path.parent.mkdir(parents=True)
    a, b = (" ".join(f"digits-net-{m}-s{s}-00000000" for s in seeds) for m, seeds in (("a", (0, 2)), ("b", (0, 1, 2))))
    text = "row,column,published,values,missing,tested,seeds,runs\n"
    path.write_text(
        text + f'A,c,,"[9, 5]",,,"[0, 1, 2]",{a}\nB,c,,"[1, 7, 3]",,,"[0, 1, 2]",{b}\nC,c,,"[1, 2]",,,"[0, 1, 2]",\n'
    )
    items = Items(tmp_path, "demo")
    assert items.cell("qtart", "table1", "A", "c").values == {0: 9, 2: 5}
    unknown = items.cell("qtart", "table1", "C", "c")
    assert unknown.values == {}, "two numbers of three seeds: whose is not known"
    assert unknown.missing == "of which seeds its numbers are is not known"
    (line,) = claims.ledger([claim()], items)
    assert (line.effect, line.n) == (5, 2), "9 - 1 and 5 - 3"


def test_numbers_of_fewer_than_the_runs_are_of_no_known_seeds():
    """Six numbers of nine runs, three of each seed: dealt out two by two, they were those of other seeds."""
    names = " ".join(f"digits-net-a-s{seed}-{draw}0000000" for seed in range(3) for draw in range(3))
    assert by_seed("[1, 1, 1, 2, 2, 3]", names, "[0, 1, 2]") == {}
    assert by_seed("[1, 1, 1, 2, 2, 2, 3, 3, 3]", names, "[0, 1, 2]") == {0: 1, 1: 2, 2: 3}
    assert by_seed("[7]", names, "[0, 1, 2]") == {0: 7}, "chosen by all runs"
    assert by_seed("[7]", "digits-net-a-s2-00000000", "[0, 1, 2]") == {2: 7}
    runs = tuple(names.split())
    assert planned.Value(values=(1, 1, 1, 2, 2, 3), runs=runs).by_seed == {}
    assert planned.Value(values=(7,), runs=runs).by_seed == {0: 7}


def test_what_could_have_been_chosen_is_corrected_for(tmp_path):
    """Where seeds are added by what was seen, claims that were not chosen count too."""
    rows = [("A", "c", "", [61, 64, 66], "", ""), ("B", "c", "", [47, 48, 54], "", "")]
    write_item(tmp_path, rows + [(n, "d", "", [5], "", "") for n in "AB"])
    many = [replace(claim(columns=("d",)), id=f"qtart-{k:02}") for k in range(2, 16)]
    fixed, planned = (claims.ledger([claim(), *many], Items(tmp_path, "demo"), p)[0] for p in (False, True))
    assert (fixed.verdict, fixed.family) == ("supported", 1)
    assert (planned.verdict, planned.family) == ("inconclusive", 15)
    absent = [replace(one, cases=[dict.fromkeys("ab", ("table2", "A", "d"))]) for one in many]
    (line,) = claims.ledger([claim(), *absent], Items(tmp_path, "demo"), True)[:1]
    assert (line.verdict, line.family) == ("inconclusive", 15), "items that are not made yet"
    for more in (False, True):
        found = ledger.lines({"qtart": [claim(), *many]}, tmp_path, tmp_path / "real", "demo", more_seeds=more)
        assert found["qtart"][0].family == (15 if more else 1)


def test_by_hand(tmp_path, capsys):
    write_item(tmp_path, [("VGG16 | Baseline", "CIFAR-10", 94, [90, 91, 92], "", 1197)])
    assert cli.main(["claims", "qtart", "--results", str(tmp_path), "--set", "scale=demo"]) == 0
    text = capsys.readouterr().out
    assert "qtart-01" in text
    assert "advprune-01" not in text
    assert cli.main(["claims", "qtrat", "--results", str(tmp_path)]) == 1
    assert "no paper 'qtrat'; did you mean qtart" in capsys.readouterr().err


# --- every published number is used ----------------------------------------------------------------------------------

SETTINGS = {
    "hyper",
    *(f"table{k}" for k in range(4, 9)),
}  # the tables are Q-TART's; test_settings and test_grid compare them
# of captions, as columns of figures
CAPTIONS = {"γ", "PGD ε", "epochs", "training perturbation norm ‖ε‖_∞ ≤", "evaluation attack", "coreset size"}
DERIVED = "difference with full training"  # printed in parentheses; erratum-coreset-03 computes them all
REBUTTAL = "of the authors' discussion, of trainings that no item makes: two captions name them"
UNUSED = {  # (paper, item, column), with the reason
    **{("sat", "rebuttal", f"robust accuracy {what}"): REBUTTAL for what in ("on A", "on B", "(AutoAttack l2)")},
    **{("sat", "rebuttal", column): REBUTTAL for column in ("clean accuracy", "training time (about)")},
}


def reached(grid):
    """(paper, item, row, column) of every published number that an item shows."""
    found = set()
    for item in grid.items.values():
        for cell in (c for row in item.cells for c in row if c.published):
            where = cell.published
            key = (item.paper, where.item, where.row, where.column)
            if published.lookup(*key, PUBLISHED).text == "LOST":
                key = (key[0], key[1] + "_readme", *key[2:])
            found.add(key)
    return found


def numbers(paper):
    return [(n, (n.paper, n.item, n.row, n.column)) for n in published.check(PUBLISHED / f"{paper}.csv")]


@pytest.mark.parametrize("paper", sorted(CLAIMS))
def test_every_cell_of_a_printed_table_is_in_its_item(grids, paper):
    found = reached(grids["paper"])
    lost = [
        key
        for number, key in numbers(paper)
        if number.item.startswith("table")
        and not (paper == "qtart" and number.item in SETTINGS)
        and number.value is not None
        and not number.column.endswith(DERIVED)
        and key not in found
    ]
    assert not lost, "printed, but no item shows it"


@pytest.mark.parametrize("paper", sorted(CLAIMS))
def test_every_printed_number_is_used(grids, paper, monkeypatch):
    """By an item, a claim or an erratum; settings by tests of the configuration."""
    import test_errata

    found, lookup = reached(grids["paper"]), published.lookup

    def recorded(*cell):
        found.add(cell[:4])
        return lookup(*cell)

    monkeypatch.setattr(published, "lookup", recorded)
    for check in test_errata.CHECKS.values():
        check()
    found |= {(paper, *quote) for c in CLAIMS[paper] for quote in QUOTES.get(c.id, ())}
    unused = [
        key
        for number, key in numbers(paper)
        if not number.item.startswith("table")
        and number.item not in SETTINGS
        and not (number.item.startswith("figure") and number.column in CAPTIONS)
        and key not in found
    ]
    assert unused == [key for key in unused if (*key[:2], key[3]) in UNUSED], "nothing uses it"
    columns = {(n.paper, n.item, n.column) for n, _ in numbers(paper)} - {(*key[:2], key[3]) for key in unused}
    assert not columns & set(UNUSED), "used after all"


def test_a_row_of_a_table_is_the_paper_s_or_marked_as_ours(grids):
    for name, item in grids["paper"].items.items():
        printed = {n.item for n, _ in numbers(item.paper)}
        if item.kind == "table" and item.item in printed:
            for row, cells in zip(item.rows, item.cells, strict=True):
                assert row.ours or any(c.published for c in cells), f"{name}, row {row.name!r}"
