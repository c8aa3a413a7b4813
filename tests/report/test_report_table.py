"""Tables, collections and overviews: what is in the files, read back by other programs."""

import copy
import itertools
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from PIL import Image
from pypdf import PdfReader

from leanat.plan.item import Filled, Row, Value, from_json
from leanat.report import layout as laid
from leanat.report import published, style, table
from leanat.report.collect import collect
from leanat.report.layout import number
from leanat.report.notes import notes, row_note
from leanat.report.overview import draw, overview
from leanat.report.plots.page import reading
from leanat.report.plots.points import points

PUBLISHED = Path(__file__).parents[2] / "published"
NASTY = r"#let $x$ *b* _i_ <lab> @ref \n `r` [c] {d} ~ // /* & % ^ = - + 1. \u{41}"
poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler is not installed")


def of_json(work):
    return lambda item, *others: work(from_json(Filled, item), *others)


check, frame, render, write_table = map(of_json, (table.check, table.frame, table.render, table.write_table))
layout = of_json(laid.layout)


def cell(values=(), published=None, replicated=None, missing=None):
    values = list(values)
    return {"published": published, "replicated": replicated, "values": values, "n": len(values), "missing": missing}


def column(group="CIFAR-10", label="Accuracy (%)", stand_in=None, skipped=None, better="high", digits=2, **other):
    told = {"group": group, "label": label, "unit": "%", "digits": digits, "better": better}
    return told | {"stand_in": stand_in, "skipped": skipped} | other


def small(**changes):
    """Two rows, two columns; every number below is worked out from these by hand."""
    item = {
        "paper": "qtart",
        "item": "table1",
        "title": "Table 1.",
        "caption": "Test accuracy.",
        "scale": "demo",
        "provenance": {"seeds": [0, 1, 2], "device": "CPU", "date": "2026-11-20", "revision": "abc1234"}
        | {"factors": ["epochs × 1/20"], "assumptions": ["The paper names no batch size."]},
        "rows": [
            {"group": "VGG16", "label": "Baseline", "note": None},
            {"group": "VGG16", "label": "Q-TART", "note": "ours"},
        ],
        "columns": [column(stand_in="digits", n_test=1197), column("STL-10", skipped="needs data_dir")],
        "cells": [
            [cell([90, 92, 94], 94.04), cell(published=82.75)],
            [cell([], 94.47, missing="loss not finite in epoch 7"), cell(published=83.01)],
        ],
    }
    return item | changes


def realistic():
    """Q-TART's Table 1: the paper's numbers as published, ours made up; 4 networks, 5 data sets, 2 of them run."""
    rows, cells = [], []
    runs = {"CIFAR-10": ("digits", 95), "CIFAR-100": ("shapes20", 71)}
    for network in ("VGG16", "MobileNet", "DenseNet", "ResNet50"):
        for k, name in enumerate(("Baseline", "Random", "DIHCL", "Q-TART (Ours)")):
            rows.append({"group": network, "label": name, "note": "ours" if "Ours" in name else None})
            line = []
            for data in ("CIFAR-10", "CIFAR-100", "STL-10", "miniImagenet", "ILSVRC2012"):
                paper = published.lookup("qtart", "table1", f"{network} | {name}", data, PUBLISHED).value
                level = runs[data][1] if data in runs else None
                line.append(cell([level + k / 7, level - k / 9, level + 0.4] if level else [], paper))
            cells.append(line)
    columns = [
        column(data, stand_in=runs.get(data, (None,))[0], skipped=None if data in runs else "needs data_dir")
        for data in ("CIFAR-10", "CIFAR-100", "STL-10", "miniImagenet", "ILSVRC2012")
    ]
    return small(rows=rows, columns=columns, cells=cells, caption="Q-TART against SGD, DIHCL and a random subset.")


def text_of(pdf):
    return "\n".join(page.extract_text() for page in PdfReader(pdf).pages)


def pages_of(pdf):
    return [(float(page.mediabox.width), float(page.mediabox.height)) for page in PdfReader(pdf).pages]


def words(text):
    return " ".join(text.split())


# --- CSV -------------------------------------------------------------------------------------------------------------


def test_csv_holds_the_numbers_worked_out_by_hand(tmp_path):
    write_table(small(), tmp_path / "t")
    got = pandas.read_csv(tmp_path / "t.csv")
    assert list(got["row"]) == ["VGG16 | Baseline"] * 2 + ["VGG16 | Q-TART"] * 2
    assert list(got["column"]) == ["CIFAR-10 | Accuracy (%)", "STL-10 | Accuracy (%)"] * 2
    first = got.iloc[0]
    half = 4.302652729911275 * 2 / math.sqrt(3)  # t(0.975, 2), standard deviation 2
    assert (first["mean"], first["n"], first["published"]) == (92, 3, 94.04)
    assert (first["low"], first["high"]) == pytest.approx((92 - half, 92 + half))
    assert json.loads(first["values"]) == [90, 92, 94]
    assert got["mean"].notna().tolist() == [True, False, False, False]
    assert got["missing"].fillna("").tolist() == ["", "needs data_dir", "loss not finite in epoch 7", "needs data_dir"]
    assert set(got["scale"]) == {"demo"}
    assert set(got["seeds"]) == {"[0, 1, 2]"}


def test_one_seed_has_a_mean_and_no_interval():
    item = small()
    item["cells"][0][0] = cell([93.25], 94.04)
    got = frame(item)
    assert got["mean"][0] == 93.25
    assert got[["low", "high"]].loc[0].isna().all()


def of_runs(values, seeds):
    """A cell with a value for each of as many random subsets of each seed."""
    draws = len(values) // len(seeds)
    runs = [f"digits-net-random-s{seed}-{draw:08x}" for seed in seeds for draw in range(draws)]
    return cell(values) | {"runs": runs}


def test_random_subsets_drawn_again_are_no_further_seeds():
    """Nine subsets of three seeds: the interval is over three means, as that of claims is."""
    rows, columns = [{"group": "", "label": name, "note": None} for name in "ab"], [column(digits=1)]
    nine = of_runs([10, 11, 12, 20, 21, 22, 33, 34, 35], (0, 1, 2))
    item = small(rows=rows, columns=columns, cells=[[nine], [cell([5, 6, 7])]])
    item["provenance"] |= {"draws": True}
    first = frame(item).iloc[0]
    half = 4.302652729911275 * statistics.stdev([11, 21, 34]) / math.sqrt(3)
    assert (first["mean"], first["n"]) == (22, 3)
    assert (first["low"], first["high"]) == pytest.approx((22 - half, 22 + half))
    assert json.loads(first["values"]) == nine["values"]
    assert (printed(item, 0, 0)["pm"], printed(item, 0, 0)["n"]) == (f"± {half:.1f}", "")
    (point, _) = points(from_json(Filled, item))
    assert (point.ours.n, point.ours.half) == (3, pytest.approx(half))
    assert (
        "interval over n = 3 seeds. Random subsets that are drawn several times within a seed are averaged first. "
        in notes(from_json(Filled, item))[0]["body"]
    )
    said = " ".join(reading(from_json(Filled, item), "Lines", "bars: 95 % t interval over seeds"))
    assert said.startswith(
        "Lines: this run, mean over n = 3 seeds; bars: 95 % t interval over seeds. Random subsets that"
    )


def test_the_subsets_of_one_seed_have_an_interval_and_the_foot_says_whose():
    rows, columns = [{"group": "", "label": "a", "note": None}], [column(digits=1)]
    item = small(rows=rows, columns=columns, cells=[[of_runs([1, 2, 3], (0,))]])
    item["provenance"] |= {"draws": True, "seeds": [0]}
    assert (printed(item, 0, 0)["mean"], printed(item, 0, 0)["pm"]) == ("2.0", "± 2.5")
    said = notes(from_json(Filled, item))[0]["body"]
    assert "over n = 3 random subsets." in said
    assert "averaged first" not in said


def test_no_difference_to_the_paper_is_ever_given():
    got = frame(small())
    assert not [name for name in got.columns if re.search("delta|diff|gap", name)]


# --- layout ----------------------------------------------------------------------------------------------------------


def printed(item, r, c):
    rows = [row for block in layout(item)["blocks"] for row in block["rows"]]
    return rows[r]["cells"][c]


def test_numbers_keep_the_paper_s_digits_and_signs():
    assert [number(v, 1) for v in (-0.04, -1.25, 12.0)] == ["0.0", "−1.2", "12.0"]
    item = small()
    item["columns"][0]["digits"] = 1
    assert printed(item, 0, 0)["mean"] == "94.04"  # never rounded to ours
    assert printed(item, 0, 1) | {"bold": None} == {
        "mean": "92.0", "pm": "± 5.0", "n": "", "mark": "", "bold": None, "number": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("better", "values", "bold"),
    [
        ("high", [[1, 2, 3], [5, 6, 7.5], [3, 4, 5]], [False, True, False]),  # differences to the next: 2, 2, 2.5
        ("low", [[1, 2, 3], [5, 6, 7.5], [3, 4, 5]], [True, False, False]),  # exactly 2 in every seed
        (None, [[1, 2, 3], [5, 6, 7.5], [3, 4, 5]], [False] * 3),
        ("high", [[1, 2, 3], [3, 9, 3], [3, 4, 5]], [False] * 3),  # 0, 5, -2 from the next
        ("high", [[1], [9], [3]], [False] * 3),  # one seed tells nothing apart
    ],
)
def test_bold_is_the_best_of_a_block_where_it_is_told_apart_from_the_next(better, values, bold):
    rows = [{"group": "a", "label": str(k), "note": None} for k in range(3)]
    rows += [{"group": "b", "label": "x", "note": None}]
    cells = [[cell(own)] for own in values] + [[cell([99, 99, 99])]]
    item = small(rows=rows, columns=[column(better=better)], cells=cells)
    assert [printed(item, r, 0)["bold"] for r in range(3)] == bold
    assert printed(item, 3, 0)["bold"] is False  # alone in its block: best of nothing
    foot = notes(from_json(Filled, item))[0]["body"]
    said = "best of its column and block, and told apart from the next" in foot
    assert ("of the paired difference over seeds; another test set is not in it." in foot) == said
    assert said == (better is not None and len(values[0]) > 1)
    item["one_block"] = True
    assert ("best of its column, and" in notes(from_json(Filled, item))[0]["body"]) == said
    item |= {"one_block": False, "rows": [row | {"group": row["label"]} for row in rows]}
    assert "Bold" not in notes(from_json(Filled, item))[0]["body"]  # each row alone in its block


def test_what_is_set_against_the_baseline_is_paired_and_times_are_ratios():
    rows = [{"group": "", "label": "full", "note": None}, {"group": "", "label": "half", "note": None}]
    columns = [column(digits=1), column("", "T") | {"unit": "minutes", "better": "low"}]
    cells = [[cell([10, 20, 30]), cell([200.0], 50)], [cell([12, 23, 31]), cell([104.8], 26)]]
    item = small(rows=rows, columns=columns, cells=cells, options={"baseline": "full"})
    heads = [h["text"] for h in layout(item)["header"] if h["small"]]
    assert heads == ["this run", "−", "paper", "paper ÷", "this run", "÷"]
    half = 4.302652729911275 * 1 / math.sqrt(3)  # the differences 2, 3, 1
    assert printed(item, 1, 1) | {"n": ""} == {
        "mean": "+2.0", "pm": f"[−{half - 2:.1f}, {half + 2:.1f}]", "n": "", "mark": "", "bold": False, "number": True,
    }  # fmt: skip
    assert (printed(item, 1, 3)["mean"], printed(item, 1, 5)["mean"]) == ("0.520", "0.524")
    assert printed(item, 0, 1)["mean"] == ""


def test_an_interval_of_two_minus_signs_is_the_widest_of_as_many_letters():
    """A minus is wider than a digit: such an interval broke into two lines, and its row was twice as high."""
    rows = [{"group": "", "label": name, "note": None} for name in ("full", "up", "down", "far")]
    values = [[50, 51, 52], [62.3, 63.1, 64.2], [47.7, 48.5, 49.8], [49, 52, 51]]
    item = small(rows=rows, columns=[column()], cells=[[cell(v)] for v in values], options={"baseline": "full"})
    shown = [printed(item, r, 1)["pm"] for r in (1, 2)]
    assert len(shown[0]) == len(shown[1])
    assert shown[1].count("−") == 2
    assert layout(item)["columns"][1]["pm"] == shown[1]


def test_the_very_same_run_is_not_set_against_itself():
    """Label smoothing of 0 is the baseline under another name: the digests at the end of the runs' names are equal."""
    rows = [{"group": "", "label": name, "note": None} for name in ("full", "smoothed", "half")]
    runs = [
        [f"digits-net-{name}-s{seed}-{seed}abc{k}" for seed in range(3)] for name, k in (("a", 0), ("b", 0), ("c", 1))
    ]
    values = [[10, 20, 30], [10, 20, 30], [10, 20, 30]]
    cells = [[cell(own) | {"runs": of}] for own, of in zip(values, runs, strict=True)]
    item = small(rows=rows, columns=[column(digits=1)], cells=cells, options={"baseline": "full"})
    shown = [printed(item, r, 1) for r in range(3)]
    assert [(one["mean"], one["pm"]) for one in shown] == [("", ""), ("same run", ""), ("0.0", "[0.0, 0.0]")]
    assert "Same run: with the settings of full" in notes(from_json(Filled, item))[0]["body"]
    item["cells"][1][0]["runs"] = [name.replace("abc0", "abc2") for name in runs[1]]
    assert printed(item, 1, 1)["pm"] == "[0.0, 0.0]"
    assert "Same run" not in notes(from_json(Filled, item))[0]["body"]


def test_sub_columns_are_shown_only_where_there_is_something_to_show():
    item = realistic()
    real = {"mean": 95.0, "low": 94.0, "high": 96.0, "n": 3, "scale": "paper", "device": "NVIDIA H200"}
    item["cells"][2][1]["replicated"] = real
    heads = [h["text"] for h in layout(item)["header"] if h["y"] == 2]
    heads = [h for h in heads if h in ("paper", "replicated", "this run")]
    assert heads == ["paper", "this run", "paper", "replicated", "this run", "paper", "paper", "paper"]
    assert printed(item, 2, 3)["pm"] == "± 1.00"
    assert printed(item, 1, 3) == {"mean": "", "pm": "", "n": "", "mark": "", "bold": False, "number": False}


def test_a_column_of_composed_times_says_no_number_of_seeds():
    rows = [{"group": "", "label": name, "note": None} for name in "ab"]
    columns = [column(digits=1), column("", "T") | {"unit": "minutes", "better": "low"}]
    item = small(rows=rows, columns=columns, cells=[[cell([10, 20, 30]), cell([20.0])], [cell([12, 23]), cell([10.5])]])
    assert [printed(item, r, 1)["n"] for r in (0, 1)] == ["", ""]
    assert printed(item, 1, 0)["n"] == "n=2"


def test_a_composed_time_is_no_number_of_fewer_seeds():
    """It has no run and a single value. The foot said that some numbers have other seeds, or n = 1 to 3, and none had."""
    columns = [column(), column("", "T") | {"unit": "minutes", "better": "low"}]
    item = small(columns=columns, cells=[[cell([10, 20, 30]), cell([20.0]) | {"composed": True}] for _ in range(2)])
    assert "over n = 3 seeds. " in notes(from_json(Filled, item))[0]["body"]
    assert "mean over n = 3 seeds; bars." in reading(from_json(Filled, item), "Dots", "bars")[0]
    only_times = small(columns=columns[1:], cells=[[cell([20.0]) | {"composed": True}]] * 2)
    assert "one seed" in reading(from_json(Filled, only_times), "Dots", "bars")[0]


def test_another_number_of_seeds_is_shown_beside_the_cell():
    item = realistic()
    item["cells"][1][0] = cell([95.0, 96.0], 93.19)
    assert printed(item, 1, 1)["n"] == "n=2"
    assert printed(item, 0, 1)["n"] == ""
    assert "n = 3 seeds unless shown" in notes(from_json(Filled, item))[0]["body"]


def test_another_number_of_seeds_is_shown_beside_a_replicated_number():
    """Of one seed the interval is over test images: beside those over seeds nothing told it from them."""
    item = realistic()
    real = {"mean": 50.0, "low": 49.0, "high": 51.0, "scale": "cpu", "device": "CPU (x86_64)"}
    for row, n in zip(item["cells"], (3, 3, 1), strict=False):
        row[0]["replicated"] = real | {"n": n}
    column = [h["text"] for h in layout(from_json(Filled, item))["header"] if h["small"]].index("replicated")
    assert [printed(item, r, column)["n"] for r in range(3)] == ["", "", "n=1"]
    assert "n = 3 unless shown, intervals of n = 1 over test images alone" in foot(item)["Replicated."]
    item["cells"][2][0]["replicated"]["n"] = 3
    assert "trainings, CPU, n = 3, attacks on" in foot(item)["Replicated."]


def foot(item):
    return {note["head"]: note["body"] for note in notes(from_json(Filled, item))}


def test_the_foot_says_on_how_many_images_replicated_numbers_are():
    item = small()
    real = {"mean": 50.0, "low": None, "high": None, "n": 1, "scale": "cpu", "device": "CPU (x86_64)"}
    item["cells"][0][0]["replicated"] = real | {"tested": 10000, "metric": "clean"}
    item["cells"][1][0]["replicated"] = real | {"tested": 225, "metric": "clean"}
    assert "attacks" not in foot(item)["Replicated."]
    item["cells"][1][0]["replicated"] |= {"metric": "autoattack@A"}
    said = foot(item)["Replicated."]
    assert (
        "accuracies on 225 to 10,000 test images, attacks on 2,000 of the 10,000 test images, AutoAttack by aa-sho"
        in said
    )
    item["cells"][0][0]["replicated"] = item["cells"][1][0]["replicated"] = real  # differences, say
    assert "accuracies on" not in foot(item)["Replicated."]


def test_the_foot_counts_the_images_of_accuracies_alone():
    """Beside an accuracy on 50 images stand differences, whose images are not counted."""
    item = small()
    item["cells"][0][0]["tested"] = 50
    assert "1,197 test examples; 50 of them (CIFAR-10);" in foot(item)["This run."]
    item["cells"][1][0] = cell([1.0])
    assert "accuracies on 50 of them (CIFAR-10);" in foot(item)["This run."]


def test_foot_of_items_with_one_seed_and_without_runs():
    rows, columns = [{"group": "", "label": "a", "note": None}], [column()]
    one = small(rows=rows, columns=columns, cells=[[cell([1.0])]])
    assert "one seed, so no interval over seeds." in notes(from_json(Filled, one))[0]["body"]
    one["provenance"] = one["provenance"] | {"seeds": []}
    assert "computed, no training" in notes(from_json(Filled, one))[0]["body"]


def test_the_foot_explains_only_what_the_page_has():
    rows, columns = [{"group": "", "label": "a", "note": None}], [column(), column("", "T", unit="minutes")]

    def said(*cells, **changes):
        return from_json(Filled, small(rows=rows, columns=columns, cells=[list(cells)], **changes))

    bare = said(cell([1.0, 2.0]), cell([3.0, 4.0]), options={"baseline": "a"})
    first = notes(bare)[0]["body"]
    assert not re.search("Grey|–: no value", first)
    assert "÷: of the time of a." in first
    assert "its values" not in notes(bare)[1]["body"]
    first = notes(said(cell([1.0, 2.0], 3.0), cell([3.0])))[0]["body"]
    assert "Grey" in first
    assert "–: no value" not in first  # the second column has none of the paper's
    columns[1] |= {"unit": "min/epoch"}
    for values in [1.0, 2.0], [1.0]:  # the difference is paired over two seeds or more
        first = notes(said(cell(values, 3.0), cell([3.0]), options={"baseline": "a"}))[0]["body"]
        assert ("−: less a" in first) == (len(values) > 1)
        assert "÷" not in first


def test_what_is_composed_or_computed_is_not_called_smaller_than_the_paper_s():
    """No run is read, so there are no seeds; times are composed at the paper's settings, whatever the scale."""
    item = small(rows=[{"group": "", "label": "a", "note": None}], columns=[column()], cells=[[cell([1.0], 2.0)]])
    for seeds, words in ([0], "Smaller than the paper's"), ([], "at the paper's own settings"):
        item["provenance"] |= {"seeds": seeds}
        said = {note["head"]: note["body"] for note in notes(from_json(Filled, item))}
        assert words in said["Scale demo."]
    item["cells"] = [[cell([], 2.0, missing="not run at demo")]]
    assert not [note for note in notes(from_json(Filled, item)) if note["head"] == "Scale demo."]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda i: i["cells"].pop(), "2 rows x 2 columns"),
        (lambda i: i["cells"][0].pop(), "2 rows x 2 columns"),
        (lambda i: i["cells"][0][0].update(values=[1, 2, math.nan]), "must be finite"),
        (lambda i: i["cells"][1][0].update(missing=None), "neither values nor a reason"),
        (lambda i: i["cells"][0][1].update(values=[1], n=1), "is skipped"),
        (lambda i: i["rows"][1].update(label="Baseline"), "two rows"),
    ],
)
def test_a_broken_item_is_refused_in_one_line(break_it, said):
    item = copy.deepcopy(small())
    check(item)
    break_it(item)
    with pytest.raises(ValueError, match=said) as error:
        check(item)
    assert "\n" not in str(error.value)


# --- PDF and PNG -----------------------------------------------------------------------------------------------------


def test_pdf_says_everything_there_is_to_know(tmp_path):
    write_table(small(), tmp_path / "t")
    text = words(text_of(tmp_path / "t.pdf"))
    for said in (
        "scale: demo", "Table 1.", "VGG16", "CIFAR-10", "Q-TART †", "94.04", "92.00", "± 4.97", "82.75", "digits",
        "n = 3 seeds", "1,197 test examples", "seeds 0, 1, 2", "2026-11-20", "abc1234", "digits (CIFAR-10)",
        "epochs × 1/20", "STL-10: needs data_dir", "(a) loss not finite in epoch 7", "The paper names no batch size.",
        "Grey: the paper's values.",
    ):  # fmt: skip
        assert said in text, said
    assert "2.04" not in text  # 94.04 - 92.00: levels of a demo run are not compared with the paper's


def test_no_character_of_a_user_s_text_is_markup(tmp_path):
    item = small(title=NASTY, caption=NASTY)
    item["rows"][0] = {"group": "#g $", "label": NASTY, "note": NASTY}
    item["columns"][0] |= {"group": "<c> @d", "label": r"\#a *b*", "stand_in": "_s_ #t"}
    item["cells"][1][0]["missing"] = "@missing #reason $"
    item["provenance"] |= {"device": "#dev <x>", "factors": ["*f* #"], "assumptions": [NASTY, "= no heading"]}
    write_table(item, tmp_path / "t")
    text = words(text_of(tmp_path / "t.pdf"))
    assert re.sub(r"\s", "", text).count(re.sub(r"\s", "", NASTY)) >= 4  # title, caption, note, assumption at least
    for said in ("#g $", "<c> @d", r"\#a *b*", "_s_ #t", "@missing #reason $", "#dev <x>", "*f* #", "= no heading"):
        assert said in text, said


@poppler
def test_realistic_table_is_one_landscape_page_without_overlap(tmp_path):
    write_table(realistic(), tmp_path / "t")
    ((width, height),) = pages_of(tmp_path / "t.pdf")
    assert width > height
    boxes = re.findall(
        r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">([^<]*)<',
        subprocess.run(
            ["pdftotext", "-bbox", tmp_path / "t.pdf", "-"], capture_output=True, text=True, check=True
        ).stdout,
    )
    boxes = [(*map(float, box[:4]), box[4]) for box in boxes]
    assert len(boxes) > 250
    for x0, y0, x1, y1, word in boxes:
        assert 0 <= x0 < x1 <= width, word
        assert 0 <= y0 < y1 <= height, word
    for k, (x0, y0, x1, y1, word) in enumerate(boxes):
        for u0, v0, u1, v1, other in boxes[k + 1 :]:
            # Boxes are as tall as the font's line, so letters of neighbouring lines may share a third of it.
            assert min(x1, u1) - max(x0, u0) < 0.5 or min(y1, v1) - max(y0, v0) < 0.34 * min(y1 - y0, v1 - v0), (
                word,
                other,
            )


def test_many_columns_make_a_wider_page_and_long_assumptions_a_second(tmp_path):
    groups = [
        (g, label) for g in ("CIFAR-10", "CIFAR-100", "SVHN") for label in ("Clean", "PGD", "AA", "C&W", "FGSM", "T")
    ]
    wide = small(columns=[column(g, label) for g, label in groups[:17]])
    wide["rows"] = [row | {"note": None} for row in wide["rows"]]
    wide["cells"] = [[cell([50, 51, 52], 60.1)] * 17] * 2
    wide["provenance"] = wide["provenance"] | {"assumptions": [f"Choice {k}: " + "so and so " * 60 for k in range(360)]}
    write_table(wide, tmp_path / "w")
    sizes = pages_of(tmp_path / "w.pdf")
    assert len(sizes) > 1
    assert sizes[0][0] > 1000
    text = words(text_of(tmp_path / "w.pdf"))
    assert all(f"Choice {k}:" in text for k in range(360))
    with Image.open(tmp_path / "w.png") as image:
        assert image.height / image.width == pytest.approx(sum(h for _, h in sizes) / sizes[0][0], rel=0.01)


def test_same_item_same_bytes_in_another_process(tmp_path):
    (tmp_path / "item.json").write_text(json.dumps(realistic()))
    code = (
        "import json; from leanat.plan.item import Filled, from_json; from leanat.report.table import write_table; "
        "from leanat.report.overview import overview; "
        "write_table(from_json(Filled, json.load(open('item.json'))), 'a/t'); overview('a/t.csv', 'a/o')"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    write_table(realistic(), tmp_path / "b/t")
    overview(tmp_path / "b/t.csv", tmp_path / "b/o")
    there, here = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab")
    assert sorted(there) == ["o.pdf", "o.png", "o.svg", "t.csv", "t.pdf", "t.png"]  # and nothing half-written
    assert [name for name in there if there[name] != here.get(name)] == []


# --- collect ---------------------------------------------------------------------------------------------------------


def test_collect_keeps_every_page_and_its_size(tmp_path):
    style.apply()
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(3, 2))
    axis.set_title("A figure")
    style.save(figure, tmp_path / "a figure #1")
    write_table(small(), tmp_path / "t")
    long = small()
    long["provenance"] = long["provenance"] | {"assumptions": ["So and so. " * 40] * 60}
    write_table(long, tmp_path / "long")
    inputs = [tmp_path / name for name in ("t.pdf", "a figure #1.pdf", "long.pdf")]
    sizes = [size for path in inputs for size in pages_of(path)]
    assert collect(inputs, tmp_path / "out" / "all.pdf") == len(sizes) >= 4
    assert pages_of(tmp_path / "out" / "all.pdf") == [pytest.approx(size, abs=0.1) for size in sizes]
    assert words(text_of(tmp_path / "out" / "all.pdf")) == words(" ".join(text_of(path) for path in inputs))
    first = (tmp_path / "out" / "all.pdf").read_bytes()
    collect(inputs, tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == first


def test_collect_refuses_nothing_and_what_is_no_pdf(tmp_path):
    (tmp_path / "x.pdf").write_text("no")
    with pytest.raises(ValueError, match=r"x\.pdf"):
        collect([tmp_path / "x.pdf"], tmp_path / "all.pdf")
    with pytest.raises(ValueError, match="no PDF"):
        collect([], tmp_path / "all.pdf")
    assert not (tmp_path / "all.pdf").exists()


# --- overview --------------------------------------------------------------------------------------------------------


def test_overview_draws_the_paper_open_and_ours_with_intervals_on_a_stand_in_in_a_panel_of_their_own():
    figure = draw(frame(small()))
    left, own, right = [axis for axis in figure.axes if axis.get_visible()]
    paper, none, ours = left.lines[0], own.lines[0], own.lines[1]
    assert list(paper.get_xdata()) == [94.04, 94.47]
    assert paper.get_markerfacecolor() == "white"
    assert not left.containers
    assert not pandas.notna(none.get_xdata()).any()
    assert ours.get_xdata()[0] == 92
    bar = own.containers[0].lines[2][0].get_segments()[0]
    assert bar[:, 0] == pytest.approx([92 - 4.968, 92 + 4.968], abs=1e-3)
    assert [label.get_text() for label in left.get_yticklabels()] == ["VGG16", "Baseline", "Q-TART †"]
    top, bottom = paper.get_ydata()
    assert left.get_ylim()[0] > bottom > top  # the first row is above the second
    assert "needs data_dir" in right.get_title(loc="left")
    assert "the paper's data" in left.get_title(loc="left")
    assert "this run: digits" in own.get_title(loc="left")


def test_overview_without_values_of_the_paper_has_no_marker_of_them():
    item = small()
    for value, labels in ((94.04, ["paper"]), (None, [])):
        item["cells"] = [[cell([90, 92, 94], value), cell()], [cell([1, 2, 3]), cell()]]
        shown = [text.get_text() for text in draw(frame(item)).legends[0].get_texts()]
        assert shown == [*labels, "this run (demo), mean and 95 % interval, n = 3"]


def test_overview_of_the_papers_own_data_sets_both_on_one_axis():
    item = small()
    item["columns"][0]["stand_in"] = None
    both = next(axis for axis in draw(frame(item)).axes if axis.get_visible())
    assert both.containers
    assert pandas.notna(both.lines[0].get_xdata()).all()


def test_overview_of_accuracies_ends_at_100_and_that_of_savings_goes_on():
    item = small()
    item["cells"] = [[cell([60, 90, 99], 94.04), cell()], [cell([2, 5, 8]), cell()]]
    for values, within in ([2, 5, 8], True), ([-2, -5, -8], False):
        item["cells"][1][0] = cell(values)
        low, high = draw(frame(item)).axes[1].get_xlim()
        assert (low >= -3 and high <= 103) == within


def test_overview_has_times_of_other_devices_in_panels_of_their_own():
    """The paper's minutes are those of a GPU, ours of a CPU: on one axis the paper's would all lie at 0."""
    columns = [column("", "T", unit="minutes", better="low"), column("STL-10", skipped="needs data_dir")]
    item = small(columns=columns, cells=[[cell([9000.0], 50), cell()], [cell([4000.0], 25), cell()]])
    heads = [axis.get_title(loc="left").split("\n") for axis in draw(frame(item)).axes[:2]]
    assert heads == [["T", "the paper's device"], ["T", "this run's device"]]
    item["provenance"] |= {"seeds": []}
    assert draw(frame(item)).legends[0].get_texts()[-1].get_text() == "this run (demo), computed"
    limits = [axis.get_xlim()[1] for axis in draw(frame(item)).axes[:2]]
    assert limits[0] < 60
    assert limits[1] > 9000


def test_overview_says_that_another_radius_stands_in_the_place_of_the_paper_s():
    item = small(columns=[column("PGD", "ε = 8/255", stand_in="digits, 40/255"), column("STL-10", skipped="no")])
    labels = [axis.get_xlabel().replace("\n", " ") for axis in draw(frame(item)).axes[:2]]
    assert labels == ["ε = 8/255 (%), better →", "in the place of ε = 8/255 (%), better →"]


def test_one_seed_has_the_interval_over_its_images():
    """80 of 100 images: Wilson's interval is 71.1 to 86.7 % (worked out by its closed form)."""
    item = small()
    item["cells"] = [[cell([80.0], 94.04) | {"tested": 100}, cell()], [cell([80.0]), cell()]]
    assert printed(item, 0, 1)["pm"] == "[71.12, 86.66]"
    assert printed(item, 1, 1)["pm"] == ""  # of how many images is not known
    assert "[ ]: Wilson's 95 % interval over its test examples" in notes(from_json(Filled, item))[0]["body"]
    figure = draw(frame(item))
    (pale,) = [lines for lines in figure.axes[1].collections if lines.get_alpha() == 0.25]
    assert pale.get_segments()[0][:, 0] == pytest.approx([71.12, 86.66], abs=0.005)
    assert figure.legends[0].get_texts()[-1].get_text().endswith("1 seed, pale: Wilson's interval over its images")


def test_overview_reads_the_csv_with_names_that_look_like_numbers_or_nothing(tmp_path):
    item = small(title="Cost $5, ℓ_∞ and a \\ mark")
    item["rows"] = [{"group": "", "label": "None", "note": None}, {"group": "", "label": "30", "note": None}]
    write_table(item, tmp_path / "t")
    overview(tmp_path / "t.csv", tmp_path / "o")
    with Image.open(tmp_path / "o.png") as image:
        assert image.width > 300
    assert (tmp_path / "o.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ValueError, match="no cell"):
        draw(frame(item).iloc[:0])


def test_style_draws_to_files_with_embedded_fonts_that_can_be_told_apart():
    style.apply()
    import matplotlib

    assert matplotlib.get_backend().lower() == "agg"
    assert matplotlib.rcParams["pdf.fonttype"] == 42
    assert len(style.COLOURS) == len(set(style.MARKERS)) == len(set(style.DASHES))
    light = [sum(w * int(c[k : k + 2], 16) for w, k in ((0.299, 1), (0.587, 3), (0.114, 5))) for c in style.COLOURS]
    assert all(abs(a - b) > 25 for a, b in itertools.pairwise(light))  # of 255, neighbours in grey


def test_render_gives_one_png_a_page():
    pdf, pages = render(small())
    assert pdf.startswith(b"%PDF")
    assert [page[:4] for page in pages] == [b"\x89PNG"]


def test_a_change_that_did_not_act_is_named():
    """Two settings with the very same networks; one equal column may be chance, and equal settings are one training."""
    item, plain, stop = from_json(Filled, small()), Row("", "plain"), Row("", "early stop")

    def cells(spec, *columns):
        return [Value(values=own, runs=tuple(f"toy-s{k}-{spec}" for k in range(2))) for own in columns]

    above = [(plain, cells("0a", (95.6, 95.9), (70.2, 64.7)))]
    found = row_note(item, stop, cells("0b", (95.6, 95.9), (70.2, 64.7)), above)
    assert found == "every number as of plain, of other settings: what differs did not act here"
    assert row_note(item, stop, cells("0b", (95.6, 95.9), (70.2, 64.8)), above) is None
    assert row_note(item, stop, cells("0a", (95.6, 95.9), (70.2, 64.7)), above) is None


def test_a_time_composed_for_several_runs_is_no_seed():
    """Its n of 1 is not that of the seeds, which are three everywhere."""
    accuracy, time = cell([90, 92, 94]), cell([7.0])
    for of_runs in (accuracy, time):
        of_runs["runs"] = [f"toy-s{seed}-0a0a0a0a" for seed in range(3)]
    item = from_json(Filled, small(cells=[[accuracy, time], [accuracy, time]]))
    assert "n = 3 seeds" in " ".join(reading(item, "Lines", "bars: 95 % t interval over seeds"))
