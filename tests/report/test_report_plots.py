"""Figures: what is drawn is what was given."""

import copy
import math
from pathlib import Path

import figure_items as made
import numpy as np
import pytest
from figure_items import PRINTED, SEEDS, draw, drawn, grid_item, write_figure
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text
from scipy.stats import rankdata, t

from leanat.plan import structure
from leanat.plan.item import Cell, Column, Filled, Item, Row, StandIn, from_json
from leanat.report import item_csv, items, plots, summary
from leanat.report.pictures import pictured
from leanat.report.plots import page
from leanat.report.plots.points import Point, looks, made_on, title


def curves(axis):
    """(x, y, face colour) of every drawn line of markers."""
    return [(list(line.get_xdata()), list(line.get_ydata()), line.get_markerfacecolor()) for line in axis.lines]


# --- lines -----------------------------------------------------------------------------------------------------------


def test_lines_draw_means_intervals_and_the_paper_s_values():
    axis = draw(grid_item(SEEDS, {"plot": "lines", "x": "step"}, "paper", PRINTED)).axes[0]
    a, b = axis.containers
    assert (list(a[0].get_xdata()), list(a[0].get_ydata())) == ([1, 2, 4], [2, 4, 7])
    assert (list(b[0].get_xdata()), list(b[0].get_ydata())) == ([1, 4], [20, 50])  # 2 is missing
    ends = np.array([bar[:, 1] for bar in a[2][0].get_segments()])
    means, half = np.array([2, 4, 7]), t.ppf(0.975, 2) * np.array([1, 0, 2]) / math.sqrt(3)
    assert ends == pytest.approx(np.array([means - half, means + half]).T)
    one_seed = b[2][0].get_segments()[1]
    assert one_seed[0, 1] == one_seed[1, 1] == 50
    open_ = [(x, y) for x, y, face in curves(axis) if face == "white"]
    assert open_ == [([1, 4], [1.5, 6.5]), ([2], [33.0])]
    edges = [line.get_markeredgecolor() for line in axis.lines if line.get_markerfacecolor() == "white"]
    assert edges == [a[0].get_color(), b[0].get_color()]


def test_many_points_have_a_band():
    axis = drawn("radius_lines").axes[0]
    band = axis.collections[0].get_paths()[0].vertices
    cells = [row[0]["values"] for row in made.radius_lines()["cells"]]
    low, high = (
        np.mean(cells[0]) + sign * t.ppf(0.975, 2) * np.std(cells[0], ddof=1) / math.sqrt(3) for sign in (-1, 1)
    )
    at_zero = band[band[:, 0] == 0][:, 1]
    assert (at_zero.min(), at_zero.max()) == pytest.approx((low, high))


def test_panels_share_an_axis_where_they_measure_the_same():
    axes = drawn("sat_lines").axes
    robust, clean = axes[:5], axes[5:]
    said = [" ".join(axis.get_title(loc="left").split()) for axis in robust]
    sets = ("CIFAR-10", "CIFAR-10", "CIFAR-100", "CIFAR-100", "ImageNet-200")
    whose = ("this run, shapes10", "paper", "this run, shapes20", "paper", "paper")
    assert said == [f"{data}, robust accuracy {who}" for data, who in zip(sets, whose, strict=True)]
    limits = [axis.get_ylim() for axis in axes]
    assert limits[0] == limits[2] != limits[5] == limits[7]
    assert len(clean) == len(robust)
    item = grid_item([[[20.0], [60], [90]], [[84.0], [85], [86]]], {"plot": "lines", "x": "step", "panel": "method"})
    for column in item["columns"]:
        column["entry"]["metric"] = "same"
    first, second = (list(axis.get_yticks()) for axis in draw(item).axes)
    assert first == second  # also below what is drawn in the second
    assert min(second) < 30


def test_bars_of_real_data_and_of_the_paper_have_the_paper_s_names():
    """A drawn cross stands for cats in this run alone."""
    item = made.sat_bars()
    item["labels"] = item["labels"] | {"cat": "cross"}
    item["cells"][3][0]["replicated"] = dict(made.REAL)
    axes = [axis for axis in draw(item).axes if axis.get_visible()]
    assert [axis.get_title(loc="left").split(",")[0] for axis in axes] == ["this run", "replicated", "paper"]
    assert [axis.get_xticklabels()[3].get_text() for axis in axes] == ["cross", "cat", "cat"]


@pytest.mark.parametrize("scale", ["demo", "paper"])
@pytest.mark.parametrize("plot", ["lines", "bars", "scatter", "polar"])
def test_replicated_values_have_panels_and_axes_of_their_own_and_their_series_colours(plot, scale):
    """Ours are 1 to 7, those of real data 80 to 86: on one axis the first would be flat."""
    options = {"lines": {"x": "step"}, "bars": {}, "scatter": {"x": "a", "y": "b", "series": "data"}}
    options["polar"] = {"series": "method", "axis": "step", "panel": "data"}
    item = grid_item([SEEDS[0], [[2, 3, 4]] * 3], {"plot": plot} | options[plot], scale)
    for k, line in enumerate(item["cells"]):
        for m, one in enumerate(line):
            one["replicated"] = made.REAL | {
                "mean": 80.0 + 2 * k + m,
                "low": 79.0 + 2 * k + m,
                "high": 81.0 + 2 * k + m,
            }
    title = "center" if plot == "polar" else "left"
    ours, real = [axis for axis in draw(item).axes if axis.get_title(loc=title)][:2]
    assert real.get_title(loc=title).split("\n")[-1] == f"replicated, {'real data' if plot == 'polar' else 'CIFAR-10'}"
    crosses = [{line.get_color() for line in axis.lines if line.get_marker() == "x"} for axis in (ours, real)]
    assert not crosses[0]
    assert len(crosses[1]) == (1 if plot == "scatter" else 2)
    assert "black" not in crosses[1]
    if plot != "polar":  # one radius in every panel
        assert ours.get_ylim()[1] < 20
        assert real.get_ylim()[1] > 80
    assert not [line for line in real.lines if 1 <= max(line.get_ydata(), default=0) <= 9]


def test_fourteen_series_have_colours_markers_dashes_and_hatches_of_their_own():
    found = list(looks(str(k) for k in range(14)).values())
    assert [len(set(column)) for column in zip(*found, strict=True)] == [14] * 4
    assert len(set(looks(str(k) for k in range(28)).values())) == 28


def test_below_its_scale_the_paper_s_values_have_panels_of_their_own():
    """No axis holds both: what is drawn in ours is ours alone, and the paper's open markers stand beside, in its."""
    for plot in ({"plot": "lines", "x": "step"}, {"plot": "bars"}):
        ours, paper = draw(grid_item(SEEDS, plot, printed=PRINTED)).axes
        open_ = {axis: [y for _, y, face in curves(axis) if face == "white"] for axis in (ours, paper)}
        assert not open_[ours]
        assert sorted(value for values in open_[paper] for value in values) == [1.5, 6.5, 33.0]
        assert (ours.get_title(loc="left"), paper.get_title(loc="left")) == ("this run", "paper, CIFAR-10")


@pytest.mark.parametrize("printed", [None, PRINTED])
def test_a_panel_names_the_stand_in_of_its_own_numbers(printed):
    """Not the column's first, and whether or not the paper prints values; what differs within a panel is in the foot."""
    item = grid_item(SEEDS, {"plot": "lines", "x": "step", "panel": "method"}, printed=printed)
    for k, line in enumerate(item["cells"]):
        line[0]["stand_in"], line[1]["stand_in"] = ["shapes10u", ["2/255"]], ["digits", [f"{k}/255"]]
    heads = [axis.get_title(loc="left").split("\n") for axis in draw(item).axes if axis.get_visible()]
    ours = [["a", "this run, shapes10u, 2/255"], ["b", "this run, digits"]]
    assert [head for head in heads if head[1] != "paper, CIFAR-10"] == ours
    assert len(heads) == (4 if printed else 2)


def test_stand_ins_of_a_column_are_told_with_the_attack_that_each_has():
    cases = {
        "shapes10 / shapes20, 6/255": [StandIn("shapes10"), StandIn("shapes20", ("6/255",)), StandIn("shapes10")],
        "shapes10 and shapes12, aa-demo": [StandIn("shapes10", ("aa-demo",)), StandIn("shapes12", ("aa-demo",))],
        "pgd-20-2": [StandIn(None, ("pgd-20-2",)), StandIn()],
    }
    for words, found in cases.items():
        assert StandIn.of_several(found) == words
    assert StandIn.of_several([StandIn()]) is None


def test_a_panel_without_any_number_is_left_to_the_foot():
    """Of the other one are replicated values beside its own, so that each panel says whose its numbers are."""
    item = grid_item([[[1, 2]] * 3, [[]] * 3], {"plot": "bars", "group": "step", "panel": "column_label"})
    item["cells"][0][0]["replicated"] = {"mean": 5.0, "low": 4.0, "high": 6.0, "n": 2, "scale": "cpu", "device": "CPU"}
    heads = [axis.get_title(loc="left") for axis in draw(item).axes if axis.get_visible()]
    assert heads == ["a\nthis run", "a\nreplicated, CIFAR-10"]
    assert "b: not run" in " ".join(made.around(item))
    assert made_on([]) == ""


def test_panels_of_one_metric_share_no_axis_that_flattens_them_all():
    """Clean accuracies near 90 beside robust ones near 30, all of one metric's columns."""
    options = {"plot": "lines", "x": "step", "series": "row_group", "panel": "column_label"}
    for levels, alike in ((90, 30), False), ((40, 30), True):
        item = grid_item([[[level], [level + 4], [level - 6]] for level in levels], options)
        limits = {axis.get_ylim() for axis in draw(item).axes}
        assert (len(limits) == 1) == alike


def test_the_legend_has_no_series_without_a_number():
    item = grid_item([[[1], [2], [3]], [[], [], []]], {"plot": "lines", "x": "step"})
    assert [text.get_text() for text in draw(item).legends[0].get_texts()] == ["a"]


@pytest.mark.parametrize(("plot", "made_item"), [("bars", made.sat_bars), ("lines", made.radius_lines)])
def test_whiskers_of_replicated_values_have_caps_where_they_are_over_seeds(plot, made_item):
    """Beside intervals over seeds stood those of one seed, over its test images alone, and nothing told which."""
    item = made_item()
    for row, n in zip(item["cells"], (3, 1), strict=False):
        for one in row:
            one |= {"values": [], "n": 0, "missing": "not run", "replicated": made.REAL | {"n": n, "scale": "cpu"}}
    item["cells"], item["rows"] = item["cells"][:2], item["rows"][:2]
    filled = from_json(Filled, item)
    drawn = plots.drawn(filled)
    errorbars = [box for axis in drawn.figure.axes for box in axis.containers if isinstance(box, ErrorbarContainer)]
    caps = [len(box.lines[1]) for box in errorbars]
    assert sorted(caps) == [0] * len(item["columns"]) + [2] * len(item["columns"])
    said = {note["head"]: note["body"] for note in page.foot(filled, drawn.read)}["Replicated."]
    assert "n = 1 to 3, intervals of n = 1 (without caps) over test images alone" in said


def test_replicated_values_alone_have_no_bars_in_the_legend():
    item = grid_item([[[]] * 3, [[]] * 3], {"plot": "bars", "group": "step"})
    for line in item["cells"]:
        line[0]["replicated"] = line[1]["replicated"] = dict(made.REAL)
    assert {type(mark).__name__ for mark in draw(item).legends[0].legend_handles} == {"Line2D"}


def test_names_of_classes_on_a_map_do_not_cover_each_other():
    item = made.qtart_features()
    for arrays in item["files"].values():
        arrays["points"] = arrays["points"] / 6  # clouds that lie on each other
    for axis in draw(item).axes[3:5]:
        boxes = [box_of(text) for text in axis.texts]
        assert len(boxes) == 10
        assert not [1 for k, box in enumerate(boxes) for other in boxes[:k] if box.overlaps(other)]


def test_a_panel_of_pictures_names_what_stands_in_for_its_data():
    class Sources:
        def arrays(self, evaluation, measure):
            return {"rows": np.array(["star"]), "map": np.zeros((1, 2, 2))}

    cells = [
        (Cell(evaluations=("a/m",), metric="maps.map", stand_in=StandIn(data)), Cell(missing="not at this scale"))
        for data in ("shapes20", None)
    ]
    rows, columns = [Row("", name) for name in ("CIFAR-100", "CIFAR-10")], [Column("", "map"), Column("", "other")]
    item = Item("saliency", "figure4", "figure", "", "", "demo", tuple(rows), tuple(columns), tuple(cells))
    files, left_out = pictured(item, Sources())
    assert list(files) == ["CIFAR-100 (shapes20)", "CIFAR-10"]
    assert left_out == ["not at this scale"]


def test_few_seeds_are_drawn_and_one_has_the_interval_of_its_images():
    item = grid_item([[[50.0], [60, 62, 64], [70]], [[1], [2], [3]]], {"plot": "lines", "x": "step"})
    item["cells"][0][0]["tested"] = 100
    axis = draw(item).axes[0]
    assert [60, 62, 64] in [list(line.get_ydata()) for line in axis.lines]
    z, p = 1.959963984540054, 0.5
    half = z / (1 + z * z / 100) * math.sqrt(p * (1 - p) / 100 + z * z / 40000)  # Wilson's, around 50 %
    assert any(list(line.get_ydata()) == pytest.approx([50 - 100 * half, 50 + 100 * half]) for line in axis.lines)


def test_an_axis_of_accuracies_ends_at_0_and_100_whatever_the_intervals_do():
    wide = [[[5.0, 95.0], [40.0], [50.0]], [[60.0], [70.0], [80.0]]]
    item = grid_item(wide, {"plot": "lines", "x": "step"})
    assert draw(item).axes[0].get_ylim() == (-3, 103)
    for column in item["columns"]:
        column["unit"] = "points"
    low, high = draw(item).axes[0].get_ylim()
    assert low < -500
    assert high > 600


def test_a_cell_without_x_is_a_level():
    item = grid_item(SEEDS, {"plot": "lines", "x": "step", "series": "method"}, "paper")
    item["rows"].append(made.row("", "full AT"))
    item["rows"][-1]["entry"] = {}
    item["cells"].append([made.cell([60, 62], 61.5), made.cell([70.0])])
    axis = draw(item).axes[0]
    level = [y[0] for x, y, _ in curves(axis) if x == [0, 1] and len(set(y)) == 1]
    assert level == [61, 61.5, 70]
    assert [text.get_text() for text in axis.figure.legends[0].get_texts()][-1] == "paper"


def test_two_cells_at_one_place_are_refused():
    item = grid_item(SEEDS, {"plot": "lines", "x": "step", "series": "data"})
    with pytest.raises(ValueError, match=r"2 cells at 1\.0 of CIFAR-10 .*series or panel"):
        draw(item)


def test_ticks_and_what_is_no_number():
    item = grid_item(SEEDS, {"plot": "lines", "x": "step"})
    axis = draw(item).axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "2", "4"]
    few = grid_item([[[], [1, 2], []], [[1], [2], [3]]], {"plot": "lines", "x": "step", "panel": "method"})
    assert [axis.get_xlim() for axis in draw(few).axes] == [pytest.approx((0.85, 4.15))] * 2  # no marker on the edge
    item["rows"][0]["entry"]["step"] = "first"
    with pytest.raises(ValueError, match="step must be a number to be drawn, not 'first'"):
        draw(item)


# --- bars, matrix ----------------------------------------------------------------------------------------------------


def test_bars_are_as_high_as_their_means_and_a_missing_one_is_marked():
    axis = draw(grid_item(SEEDS, {"plot": "bars"}, "paper", PRINTED)).axes[0]
    bars = sorted((bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in axis.patches)
    assert [height for _, height in bars] == [2, 20, 4, 7, 50]
    assert [at for at, _ in bars] == pytest.approx([-0.2, 0.2, 0.8, 1.8, 2.2])
    open_ = [(x[0], y[0]) for x, y, face in curves(axis) if face == "white"]
    assert open_ == [(pytest.approx(-0.2), 1.5), (pytest.approx(1.8), 6.5), (pytest.approx(1.2), 33.0)]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "2", "4"]
    lost = drawn("sat_bars").axes[0]
    assert [(text.get_text(), text.get_position()[0]) for text in lost.texts] == [("–", pytest.approx(6.0))]


def test_matrix_prints_every_number_and_the_paper_s_beside():
    item = made.sat_matrix()
    bars, ours, beside, paper = drawn("sat_matrix").axes
    shown = {tuple(text.get_position()): text.get_text() for text in ours.texts}
    for r, row in enumerate(item["cells"]):
        for k, cell in enumerate(row[2:]):
            assert shown[k, r] == (f"{np.mean(cell['values']):.0f}" if cell["values"] else "–")
    printed = {tuple(text.get_position()): text.get_text() for text in paper.texts}
    assert (printed[9, 3], printed[9, 1], printed[7, 5]) == ("53", "35", "49")
    shades = ours.images[0].get_array()
    assert shades.mask.sum() == 1
    assert (shades.min(), shades.max()) == (0, 1)
    assert [bar.get_width() for bar in bars.patches[:2]] == pytest.approx(
        [np.mean(item["cells"][0][0]["values"]), np.mean(item["cells"][1][0]["values"])]
    )
    assert len(beside.patches) >= 2
    assert not [
        line for line in bars.lines if line.get_markerfacecolor() == "white"
    ]  # the paper's have an axis of their own
    for axis in (ours, paper):  # a number is legible on its shade
        for text in axis.texts:
            c, r = text.get_position()
            if text.get_text() != "–":
                assert (text.get_color() == "white") == (axis.images[0].get_array()[r, c] > 0.55)


def test_bars_beside_a_matrix_end_at_100_whatever_their_intervals_do():
    item = made.sat_matrix()
    item["cells"][0][0]["values"] = [60.0, 90.0, 99.0]
    assert draw(item).axes[0].get_xlim()[1] <= 103


def test_matrix_without_the_paper_s_numbers_is_one_panel():
    item = made.sat_matrix()
    item["options"] |= {"bars": [], "diagonal": False}
    for row in item["cells"]:
        for cell in row:
            cell["published"] = None
    assert [axis.get_title(loc="left") for axis in draw(item).axes] == ["this run, shapes10"]
    item["options"]["bars"] = ["A", "C"]
    with pytest.raises(ValueError, match="must be labels of columns"):
        draw(item)


# --- scatter, polar, areas -------------------------------------------------------------------------------------------


def test_scatter_draws_pairs_and_spearman_s_rho():
    item = made.sat_scatter()
    item["cells"][2][0] = made.cell(missing="lost")
    axis = draw(item).axes[0]
    pairs = [[np.mean(cell["values"]) for cell in row] for k, row in enumerate(item["cells"]) if k != 2]
    x, y = np.array(pairs).T
    data = axis.containers[0][0]
    assert (list(data.get_xdata()), list(data.get_ydata())) == (pytest.approx(list(x)), pytest.approx(list(y)))
    rho = np.corrcoef(rankdata(x), rankdata(y))[0, 1]
    stat = rho * math.sqrt(7 / (1 - rho**2))
    p = 2 * t.sf(abs(stat), 7)
    said = axis.get_title(loc="left")
    assert f"ρ = {rho:.2f}".replace("-", "−") in said
    assert ("p < 0.001" if p < 0.001 else f"p = {p:.3f}") in said
    assert "n = 9" in said
    assert sorted(text.get_text() for text in axis.texts) == sorted(set(made.CLASSES) - {"bird"})


def box_of(note):
    """Of the words alone, without the line that leads to them."""
    note.update_positions(note.figure.canvas.get_renderer())
    return Text.get_window_extent(note)


def test_scatter_labels_do_not_cover_each_other():
    for figure in (drawn("sat_scatter"), drawn("coreset_scatter")):
        found = [[box_of(text) for text in axis.texts] for axis in figure.axes]
        assert sum(map(len, found)) >= 10
        assert not [1 for boxes in found for k, box in enumerate(boxes) for other in boxes[:k] if box.overlaps(other)]


def test_labels_of_crowded_points_stay_apart_and_at_their_points():
    """As the classes of drawn shapes lie: most are at 100 %, two at nearly the same entropy, with wide bars."""
    places = [(0.60, 100), (0.62, 100), (0.72, 99.4), (0.76, 98), (0.79, 99.4), (0.84, 100), (0.98, 98.7), (1.01, 100),
              (1.13, 93.3), (1.23, 88)]  # fmt: skip
    names = ("ring", "crescent", "half-disc", "plus", "triangle", "cross", "star", "square", "disc", "pentagon")
    rows = [made.row("", f"{n} {v}", **{"class": n, "view": v}) for v in ("first", "second", "third") for n in names]
    spread = ((-0.03, -1.2), (0, 0), (0.03, 1.2))
    cells = [[made.cell([x + d for d, _ in spread]), made.cell([y + d for _, d in spread])] for x, y in places * 3]
    columns = [made.column("entropy", unit="nats", metric="x"), made.column("accuracy", metric="y")]
    options = {"plot": "scatter", "x": "x", "y": "y", "series": "row_group", "panel": "view", "label": "class"}
    own = {"first": "accuracy (%)", "second": "robust (%)", "third": "rank"}
    axes = draw(made.item(rows, columns, cells, options | {"y_label": own})).axes
    assert [axis.get_ylabel() for axis in axes] == list(own.values())
    for axis in axes:
        boxes = {text.get_text(): box_of(text) for text in axis.texts}
        points = axis.transData.transform(places)
        for k, name in enumerate(names):
            box = boxes[name]
            assert not [other for other in names[:k] if box.overlaps(boxes[other])], name
            assert not [at for at in points if box.contains(*at)], name
            far = [np.hypot(max(box.x0 - x, x - box.x1, 0), max(box.y0 - y, y - box.y1, 0)) for x, y in points]
            leader = next(text for text in axis.texts if text.get_text() == name).arrow_patch
            assert leader is not None or far[k] <= min(far) + 1.5, (name, far)
            assert far[k] < 34 * axis.figure.dpi / 72, name
    with pytest.raises(ValueError, match="y_label: no panel is called"):
        draw(made.item(rows, columns, cells, options | {"y_label": {"first": "a"}}))


def test_a_word_that_the_next_begins_with_is_not_said_twice():
    """Full training by TRADES is 'TRADES [20]', not 'TRADES, TRADES [20]'."""
    labels = {"trades": "TRADES [20]", "glister": "Adv-GLISTER"}
    item = from_json(Filled, grid_item(SEEDS, {}) | {"labels": labels})
    bare = Point({"objective": "TRADES", "method": "trades"}, None, None, None, None, None)
    assert title(item, bare, ["objective", "method"]) == "TRADES [20]"
    other = bare._replace(keys={"objective": "TRADES", "method": "glister"})
    assert title(item, other, ["objective", "method"]) == "TRADES, Adv-GLISTER"


def test_scatter_without_a_correlation_to_tell():
    item = made.sat_scatter()
    for row in item["cells"]:
        row[1]["values"] = [50.0] * 3
    assert draw(item).axes[0].get_title(loc="left") == ""
    item["options"]["y"] = "entropie"
    with pytest.raises(ValueError, match="'entropie' is no column; did you mean entropy"):
        draw(item)


def test_polar_has_one_radius_closed_lines_and_a_gap_where_a_value_is_missing():
    item = made.qtart_polar()
    figure = drawn("qtart_polar")
    axes = [axis for axis in figure.axes if axis.name == "polar"]
    heads = [axis.get_title(loc="center").split("\n") for axis in axes if axis.get_visible()]
    assert [name for name, who in heads if not who.startswith("paper")] == [
        "VGG16",
        "MobileNet",
        "DenseNet",
        "ResNet50",
    ]
    highest = max(v for row in item["cells"] for c in row for v in c["values"])
    assert len({axis.get_ylim() for axis in axes if axis.get_visible()}) == 1
    assert axes[0].get_ylim()[1] >= highest
    line = axes[0].lines[0]
    means = [np.mean(c["values"]) for c in item["cells"][0]]
    assert list(line.get_ydata()) == pytest.approx([*means, means[0]])
    assert line.get_xdata()[0] == line.get_xdata()[-1]
    assert np.diff(line.get_xdata()[:-1]) == pytest.approx([2 * math.pi / 7] * 6)
    lines = [line for line in axes[2].lines if len(line.get_xdata()) == 8]
    assert [int(np.isnan(line.get_ydata()).sum()) for line in lines] == [0, 1, 0]
    page = figure.bbox
    for axis in axes:
        for text in axis.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0, text
            assert box.x1 <= page.x1, text
    below = [axis for axis in figure.axes if axis.name != "polar" and axis.get_visible()]
    assert len(below) == 4
    first = sorted(float(line.get_xdata()[0]) for line in below[0].lines if len(line.get_xdata()) == 1)
    means_of = [[np.mean(c["values"]) for c in row] for row in item["cells"][:3]]
    gaps = [b - a for other in means_of[1:] for a, b in zip(means_of[0], other, strict=True)]
    assert first == pytest.approx(sorted(gaps))
    few = copy.deepcopy(item)
    few["columns"], few["cells"] = few["columns"][:2], [row[:2] for row in few["cells"]]
    with pytest.raises(ValueError, match="at least three axes"):
        draw(few)


def test_differences_below_a_circle_stay_nearer_to_their_axis_than_to_the_next():
    """Figure 3 of Q-TART has seven series, so six dots at each attack."""
    item = made.qtart_polar()
    whole = len(item["rows"])
    for k in range(whole):
        for again in ("x", "y"):
            item["rows"].append(item["rows"][k] | {"label": f"{item['rows'][k]['label']} {again}"})
            item["cells"].append(item["cells"][k])
    for axis in (axis for axis in draw(item).axes if axis.name != "polar" and axis.get_visible()):
        heights = [line.get_ydata()[0] for line in axis.lines if len(line.get_ydata()) == 1]
        near = [[y for y in heights if abs(y - k) < 0.45] for k in range(7)]
        assert sum(map(len, near)) == len(heights)
        assert max(map(len, near)) == 8


def test_polar_has_no_difference_of_a_run_to_itself():
    item = grid_item([SEEDS[0], SEEDS[0]], {"plot": "polar", "series": "method", "axis": "step", "panel": "data"})
    for line in item["cells"]:
        for name, one in zip("ab", line, strict=True):
            one["runs"] = [f"digits-net-{name}-s{seed}-{seed}abc" for seed in range(3)]
    figure, said = made.page_of(item)
    assert [axis.name for axis in figure.axes if axis.get_visible()] == ["polar"]
    assert "the very run of the first one" in " ".join(said)
    for line in item["cells"]:
        line[1]["runs"] = [name + "d" for name in line[1]["runs"]]
    figure, said = made.page_of(item)
    assert [axis.name for axis in figure.axes if axis.get_visible()] == ["polar", "rectilinear"]
    assert "the very run" not in " ".join(said)


def test_areas_stack_the_means():
    item = made.advprune_areas()
    axis = drawn("advprune_areas").axes[0]
    rows = [r for r, row in enumerate(item["rows"]) if row["entry"]["method"] == "trades"]
    top = 0.0
    for k, area in enumerate(axis.collections):
        top += np.mean(item["cells"][rows[3]][k]["values"])
        at_six = area.get_paths()[0].vertices
        assert at_six[at_six[:, 0] == 6][:, 1].max() == pytest.approx(top)
    assert top == pytest.approx(100)
    assert [len(area.get_paths()) for area in drawn("advprune_areas").axes[2].collections] == [
        2,
        2,
        2,
    ]  # a gap at the lost epoch


# --- arrays ----------------------------------------------------------------------------------------------------------


def test_features_share_bins_print_ranges_and_draw_every_point_in_its_class():
    item = made.qtart_features()
    axes, attacks = draw(item).axes, item["options"]["attacks"]
    edges = {tuple(patch.get_data().edges) for axis in axes[: len(attacks)] for patch in axis.patches}
    assert len(edges) == 1
    arrays = item["files"]["Baseline"]
    values = arrays["cw"]
    shares = axes[2].patches[0].get_data().values
    assert shares.sum() == pytest.approx(100)
    assert shares == pytest.approx(np.histogram(values, list(*edges))[0] / 10)
    assert f"Baseline: {values.min():.3g} to {values.max():.3g}" in axes[2].get_title(loc="left")
    left = axes[3]
    assert len(left.lines) == 10
    assert left.lines[4].get_xydata() == pytest.approx(arrays["points"][arrays["classes"] == 4])
    assert len({(line.get_color(), line.get_marker()) for line in left.lines}) == 10
    assert [text.get_text() for text in left.texts] == list(made.CLASSES)


def test_images_are_drawn_as_they_are_and_a_missing_one_is_empty():
    item = made.saliency_images()
    top = draw(item).axes[0]
    image, delta = item["files"]["FGSM"]["image"], item["files"]["FGSM"]["difference"]
    assert len(top.images) == 3 * 5 - 1
    assert (top.images[0].get_array() == image[0]).all()
    signed = next(shown for shown in top.images if np.array_equal(shown.get_array(), delta[0]))
    assert signed.get_clim() == (-abs(delta[0]).max(), abs(delta[0]).max())
    assert [text.get_text() for text in top.texts] == ["–"]


@pytest.mark.parametrize(
    ("options", "arrays", "said"),
    [
        ({"plot": "images"}, {"a": np.zeros((2, 4, 4))}, "rows"),
        ({"plot": "images"}, {"rows": np.array(["x"]), "a": np.zeros((2, 4, 4))}, r"a must be \[1, H, W, 3\]"),
        ({"plot": "images"}, {"rows": np.array(["x"]), "a": np.full((1, 4, 4, 3), 255.0)}, r"must lie in \[0, 1\]"),
    ],
)
def test_arrays_of_another_form_are_refused_by_panel(tmp_path, options, arrays, said):
    item = made.array_item(options, {"panel": arrays}, "title")
    with pytest.raises(ValueError, match=said) as error:
        write_figure(item, tmp_path / "f")
    assert str(error.value).startswith(f"item qtart figure1: plot {options['plot']}: panel: ")
    assert not list(tmp_path.iterdir())


def test_arrays_that_are_not_there(tmp_path):
    item = made.array_item({"plot": "images"}, {}, "title")
    with pytest.raises(ValueError, match="no run of the item has left any"):
        write_figure(item, tmp_path / "f")
    item = made.array_item({"plot": "features", "attacks": {"cw": "CW"}}, {"panel": {"cw": np.zeros(3)}}, "title")
    with pytest.raises(ValueError, match="panel: no array classes, points"):
        draw(item)


@pytest.mark.parametrize("name", ["qtart/figure1", "saliency/figure4"])
def test_pictures_of_which_a_scale_runs_nothing_are_a_page_that_says_so(tmp_path, name):
    """Not an error: `all` asks for every page, and its overview, site and archive read what is kept of it."""
    root = Path(__file__).parents[2]
    grid = structure.load(root / "config", {"scale": "cpu", "papers": [name.partition("/")[0]]})
    out, keep = tmp_path / f"{name}.pdf", tmp_path / "items" / f"{name}.csv"
    items.make(grid.items[name], tmp_path, root / "published", tmp_path / "real", out, keep)
    assert out.is_file()
    kept = item_csv.rows(keep, "missing")
    assert len(kept) == len(grid.items[name].flat)
    assert all("not run at cpu" in row["missing"] for row in kept)
    assert summary.rows(grid.items[name], keep, tmp_path / "real")
    assert out.with_suffix(".csv").is_file()
