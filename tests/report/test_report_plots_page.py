"""Figures as pages and files: nothing overlaps, the foot says what is shown, the same item gives the same bytes."""

import json
import os
import re
import subprocess
import sys

import figure_items as made
import pandas
import pytest
from figure_items import CELLS, PRINTED, SEEDS, around, draw, drawn, grid_item, page_of, write_figure
from PIL import Image
from pypdf import PdfReader

from leanat.report import style
from leanat.report.plots.page import broken

# --- every figure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_nothing_lies_outside_the_plot_or_on_the_legend(name):
    figure = drawn(name)
    page, renderer = figure.bbox, figure.canvas.get_renderer()
    legends = [legend.get_window_extent(renderer) for legend in figure.legends]
    panels = [axis.get_tightbbox(renderer) for axis in figure.axes if axis.get_visible()]
    for box in [*legends, *panels]:
        assert box.x0 >= -1, box
        assert box.x1 <= page.x1 + 1, box
        assert box.y0 >= -1, box
        assert box.y1 <= page.y1 + 1, box
    apart = [*panels, *legends]
    for k, box in enumerate(apart):  # a pixel of line width may touch
        grown = [other for other in apart[:k] if box.padded(-1).overlaps(other.padded(-1))]
        assert not grown, box


def test_the_foot_says_scale_seeds_stand_ins_reasons_and_assumptions():
    said = " ".join(around(CELLS["sat_bars"]()))
    for words in (
        "scale: demo", "sat / figure2", "Robustness transfers", "mean over n = 3 seeds", "95 % t interval over seeds",
        "Open markers: the paper's values.", "not to compare levels", "seeds 0, 1, 2", "shapes10 (A, B)",
        "epochs × 1/20", "frog / B: loss not finite in epoch 7.", *made.ASSUMPTIONS,
    ):  # fmt: skip
        assert words in said, words


def test_the_paper_s_markers_are_named_with_their_data_and_warned_of_only_off_its_scale():
    for scale, label in (("demo", "paper, CIFAR-10 (not at this scale)"), ("paper", "paper, CIFAR-10")):
        item = grid_item(SEEDS, {"plot": "lines", "x": "step"}, scale, PRINTED)
        figure = draw(item)
        assert figure.legends[0].get_texts()[-1].get_text() == label
        assert ("not to compare levels" in " ".join(around(item))) == (scale == "demo")


def test_methods_that_stand_at_one_place_alone_stand_beside_one_another():
    """As full training does, to which no subset leads by a line: of two with the same number both are seen."""
    lone = [[[], [], [5.0, 5.1, 4.9]]] * 2
    axis = draw(grid_item(lone, {"plot": "lines", "x": "step"})).axes[0]
    places = sorted({float(x) for bars in axis.containers for x in bars.lines[0].get_xdata()})
    assert len(places) == 2
    assert max(abs(x - 4) for x in places) < 0.1
    both = [[[5.0, 5.1, 4.9]] * 3] * 2
    axis = draw(grid_item(both, {"plot": "lines", "x": "step"})).axes[0]
    assert {float(x) for bars in axis.containers for x in bars.lines[0].get_xdata()} == {1, 2, 4}


def test_titles_break_after_commas():
    assert broken("all epochs, cosine, last layer", 24) == ["all epochs, cosine,", "last layer"]
    assert broken("gain in transferred robust accuracy, shapes", 20) == [
        "gain in transferred",
        "robust accuracy,",
        "shapes",
    ]
    assert broken("PGD", 24) == ["PGD"]
    assert broken("", 24) == []


def test_without_values_of_the_paper_nothing_is_said_of_it():
    item = grid_item(SEEDS, {"plot": "lines", "x": "step"})
    figure = draw(item)
    assert "the paper's" not in " ".join(around(item))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_one_seed_says_so_and_has_no_bars():
    item = grid_item([[[1], [2], [3]], [[4], [5], [6]]], {"plot": "lines", "x": "step"})
    figure = draw(item)
    assert "this run, one seed." in " ".join(around(item))
    assert [container.has_yerr for container in figure.axes[0].containers] == [False, False]
    item["provenance"]["seeds"] = []
    item["rows"][1]["note"] = "not in the paper: our own reference"
    item["rows"][1]["group"] = "2"
    said = around(item)
    assert "computed, no training" in " ".join(said)
    assert "Not in the paper. 2" in said


def test_what_is_missing_along_a_line_is_named_by_panel_series_and_places():
    """Of two panels one is not run at all; in the other one place is missing of both series, and a level."""
    rows = [
        made.row(where, str(x), where=where, order="ranked", step=x) for where in ("left", "right") for x in (1, 2, 4)
    ]
    rows += [made.row("left", "plain", where="left", order="plain")]
    columns = [made.column(name, part=name) for name in ("on A", "on B")]
    none, some = made.cell(missing="one is enough"), made.cell([1, 2])
    cells = [[some, some], [made.cell(missing="not at demo")] * 2, [some, some], *[[none, none]] * 3]
    cells.append([some, made.cell(missing="no such number")])
    options = {"plot": "lines", "x": "step", "series": "order", "panel": ["part", "where"], "x_label": "steps (n)"}
    said = " ".join(around(made.item(rows, columns, cells, options)))
    assert (
        "Missing. on A / left, on B / left: ranked at steps (n) = 2: not at demo. "
        "on A / right, on B / right: one is enough. on B / left: plain: no such number." in said
    )
    cells[0] = cells[3] = [made.cell(missing="not at demo")] * 2
    cells[4] = [made.cell(missing="not at demo")] * 2
    cells[5] = [some, some]
    said = " ".join(around(made.item(rows, columns, cells, options)))
    assert "Missing. all panels: ranked at steps (n) = 1, 2: not at demo. " in said


def pale(figure):
    """Bars of an interval over test examples that are drawn."""
    return [line for axis in figure.axes for line in axis.lines if line.get_alpha() == 0.25]


@pytest.mark.parametrize("plot", ["lines", "bars"])
def test_pale_bars_and_small_dots_are_explained_exactly_where_they_are_drawn(plot):
    """One series has three seeds, the other one; a level without x has no such bar."""
    item = grid_item([[[50.0], [60.0], [70.0]], SEEDS[0]], {"plot": plot} | ({"x": "step"} if plot == "lines" else {}))
    for tested in (None, 100):
        for line in item["cells"]:
            line[0]["tested"] = tested
        figure, said = page_of(item)
        said = " ".join(said)
        assert len(pale(figure)) == (3 if tested else 0)
        assert ("Pale bars where n = 1: Wilson's 95 % interval over its test examples" in said) == bool(tested)
        assert "mean over n = 1 to 3 seeds" in said
        assert "95 % t interval over seeds where n is more than 1." in said
        assert "Small dots: the seeds, one by one." in said


@pytest.mark.parametrize("name", ["sat_matrix", "sat_scatter", "qtart_polar", "advprune_areas"])
def test_what_is_not_drawn_is_not_explained(name):
    for seeds in (3, 1):
        item = CELLS[name]()
        for line in item["cells"]:
            for cell in line:
                cell |= {"values": cell["values"][:seeds], "tested": 100}
        figure, said = page_of(item)
        assert not pale(figure)
        said = " ".join(said)
        assert not re.search("Pale bars|Small dots", said)


@pytest.mark.parametrize("name", ["radius_lines", "sat_bars", "sat_matrix", "coreset_scatter", "qtart_polar"])
def test_with_every_value_missing_the_reason_is_in_each_panel_or_the_foot(name):
    item = CELLS[name]()
    item["cells"] = [[made.cell(missing="needs data_dir") for _ in row] for row in item["cells"]]
    said = " ".join(around(item))
    assert "all: needs data_dir." in said
    assert "No run of ours is shown." in said


def test_a_long_foot_is_never_cut(tmp_path):
    item = grid_item(SEEDS, {"plot": "lines", "x": "step"})
    item["provenance"]["factors"] = [f"factor {k} of the many that there are" for k in range(60)]
    said = around(item)
    assert all(f"factor {k} of" in " ".join(said) for k in range(60))
    write_figure(item, tmp_path / "f")
    first = pandas.read_csv(tmp_path / "f.csv").iloc[0]
    assert "factor 50" in first["factors"]
    assert first["assumptions"].split("; ") == made.ASSUMPTIONS


def test_text_of_the_user_is_never_mathematics(tmp_path):
    item = grid_item(SEEDS, {"plot": "bars", "y_label": "cost"})
    item |= {"title": "Cost $5 of $x_i$ and \\frac", "caption": "ℓ_∞ and $"}
    item["columns"][0]["label"] = "a $x$ b"
    assert draw(item).legends[0].get_texts()[0].get_text() == "a \\$x\\$ b"
    write_figure(item, tmp_path / "f")
    assert "Cost $5 of $x_i$ and \\frac" in PdfReader(tmp_path / "f.pdf").pages[0].extract_text().replace("\n", " ")


# --- files -----------------------------------------------------------------------------------------------------------


def test_csv_is_the_tidy_one_with_x(tmp_path):
    item = grid_item(SEEDS, {"plot": "lines", "x": "step"}, printed=PRINTED)
    write_figure(item, tmp_path / "deep" / "f")
    cells = pandas.read_csv(tmp_path / "deep" / "f.csv")
    assert list(cells["x"]) == [1, 1, 2, 2, 4, 4]
    assert list(cells["column"]) == ["a", "b"] * 3
    assert cells["mean"].fillna(-1).tolist() == [2, 20, 4, -1, 7, 50]
    assert cells["published"].fillna(-1).tolist() == [1.5, -1, -1, 33, 6.5, -1]
    assert [json.loads(values) for values in cells["values"]] == [SEEDS[m][k] for k in range(3) for m in range(2)]
    assert cells["missing"].fillna("").tolist() == ["", "", "", "not run", "", ""]
    with Image.open(tmp_path / "deep" / "f.png") as image:
        assert image.width == pytest.approx((style.WIDTH + 22 / 25.4) * style.DPI, abs=2)  # margins of 11 mm
    assert (tmp_path / "deep" / "f.pdf").read_bytes().startswith(b"%PDF")


def test_csv_of_images_tells_which_are_missing(tmp_path):
    write_figure(made.saliency_images(), tmp_path / "f")
    cells = pandas.read_csv(tmp_path / "f.csv").set_index(["row", "column"])
    assert cells.loc[("FGSM | square", "difference"), "missing"] == "not in the file"
    assert cells["mean"].notna().sum() == 2 * (3 * 5 - 1)


def test_same_item_same_bytes_in_another_process(tmp_path):
    item = grid_item(SEEDS, {"plot": "bars"}, printed=PRINTED)
    (tmp_path / "item.json").write_text(json.dumps(item))
    code = (
        "import json; from leanat.plan.item import Filled, from_json; from leanat.report.plots import write_figure; "
        "write_figure(from_json(Filled, json.load(open('item.json'))), 'a/f')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONHASHSEED": "4"}, check=True)
    write_figure(item, tmp_path / "b/f")
    there, here = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab")
    assert sorted(there) == ["f.csv", "f.pdf", "f.png", "f.svg"]
    assert there == here


def test_the_pdf_holds_the_text(tmp_path):
    write_figure(made.sat_bars(), tmp_path / "f")
    text = "\n".join(page.extract_text() for page in PdfReader(tmp_path / "f.pdf").pages)
    for words in ("Robustness transfers among classes", "paper, CIFAR-10", "scale: demo", "loss not finite in epoch 7"):
        assert words in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"plot": "line"}, "no plot is called 'line'; did you mean lines"),
        ({}, "no plot is called None"),
        ({"plot": "lines"}, "plot lines needs the option x"),
        ({"plot": "lines", "x": "step", "panels": "method"}, "no option 'panels'; did you mean panel"),
        ({"plot": "lines", "x": "stap"}, "no row or column has the key 'stap'; did you mean step"),
        ({"plot": "bars", "series": ["method", "dato"]}, "key 'dato'; did you mean data"),
    ],
)
def test_a_wrong_option_is_one_line_with_the_nearest_name(options, said, tmp_path):
    with pytest.raises(ValueError, match=said) as error:
        write_figure(grid_item(SEEDS, options), tmp_path / "f")
    assert str(error.value).startswith("item sat figure6: ")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
