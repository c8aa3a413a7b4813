"""The one page on all items: agreement by hand, what is compared with what, and what is never compared."""

import json
import math

import pandas
import pytest

from leanat.plan import item as planned
from leanat.plan.item import Item, Row
from leanat.report import replicated, summary
from leanat.report.summary import Cell, agreement

EMPTY = ("runs", "seeds", "replicated_mean", "replicated_scale", "stand_in", "column_group", "note")
COLUMNS = {"metric": "Clean"} | dict.fromkeys(EMPTY)


def cell(printed, *values, block=""):
    return Cell(block, printed, sum(values) / len(values), dict(enumerate(values)))


def row(label, published, values, block="", column="Clean", unit="%", **others):
    mean = sum(values) / len(values) if values else None
    line = {"row": f"{block} | {label}", "row_label": label, "row_group": block, "column": column, "unit": unit}
    line |= {"published": published, "mean": mean, "values": json.dumps(values), "missing": None if values else "why"}
    return COLUMNS | line | others


def item(kind="table", scale="demo", **others):
    about = {"paper": "qtart", "item": "table1", "title": "A title (Table 1)", "kind": kind, "scale": scale}
    cells = [()] * len(others.get("rows", ()))
    return Item(**{"caption": "", "rows": (), "columns": (), "cells": cells} | about | others)


def csv(tmp_path, rows):
    path = tmp_path / "qtart" / "table1.csv"
    path.parent.mkdir(exist_ok=True)
    pandas.DataFrame(rows).to_csv(path, index=False)
    return path


def test_tau_by_counting_pairs():
    """Of three pairs two agree: tau = (2 - 1) / 3."""
    found = agreement([[cell(1, 10), cell(2, 30), cell(3, 20)]])
    assert found.taus == (pytest.approx(1 / 3),)
    assert (found.pairs, found.apart) == (3, 0)  # one seed tells nothing apart


def test_ties_are_those_of_tau_b():
    """Printed 1 1 2, ours 1 2 3: both pairs that the paper orders agree; tau-b = 2 / sqrt(2 * 3)."""
    found = agreement([[cell(1, 1), cell(1, 2), cell(2, 3)]])
    assert found.taus == (pytest.approx(2 / math.sqrt(6)),)
    assert found.pairs == 2


def test_told_apart_is_by_the_paired_difference():
    """Seeds differ by 10 points, methods by 1 in every seed: paired, they are told apart, and against the paper's order."""
    found = agreement([[cell(90, 50, 60, 70), cell(80, 51.1, 60.9, 71)]])
    assert (found.pairs, found.apart, found.agree) == (1, 1, 0)
    noise = agreement([[cell(90, 50, 60, 70), cell(80, 60, 50, 75)]])
    assert (noise.apart, noise.taus) == (0, (-1.0,))


def test_pairs_are_of_the_same_seed_wherever_it_stands():
    """Of seeds 0 and 2, and 0, 1, 2: one point apart in both, which pairing by place would hide."""
    a, b = {0: 50.0, 2: 70.0}, {0: 51.0, 1: 60.0, 2: 71.1}
    found = agreement([[Cell("", 90, 60.0, a), Cell("", 80, 60.7, b)]])
    assert (found.apart, found.agree) == (1, 0)


def test_nothing_to_order_has_no_tau():
    assert agreement([[cell(1, 5)], [cell(1, 5), cell(1, 6)], []]) == ((), (), 0, 0, 0)


def test_what_says_little_is_marked():
    """One pair, or one seed: hollow dots."""
    two, one_seed = [cell(1, 10, 11), cell(2, 30, 31)], [cell(1, 10), cell(2, 30), cell(3, 40)]
    assert agreement([two, one_seed, [*two, cell(3, 40, 41)]]).thin == (True, True, False)


def test_rows_that_stand_for_others_by_number_alone_are_in_no_order(tmp_path):
    """Drawn squares are no planes."""
    rows = [row("plane", 90, [70.0, 71.0]), row("car", 80, [60.0, 61.0]), row("full AT", 85, [65.0, 66.0])]
    shapes = item(labels={"plane": "square", "car": "ring"})
    assert summary.rows(item(), csv(tmp_path, rows), tmp_path / "real")[0]["pairs"] == 3
    assert summary.rows(shapes, csv(tmp_path, rows), tmp_path / "real")[0]["pairs"] == 0


def test_lines_are_compared_at_each_x(tmp_path):
    """The first line rises as the paper's does; at x = 1 it lies above the second, at x = 2 below, as printed only there."""
    lines = {"a": [(1, 10, 6.0), (2, 20, 7.0)], "b": [(1, 30, 5.0), (2, 40, 8.0)]}
    options = {"plot": "lines", "x": "share", "panel": ["measure", "data"]}
    named = [Row(name, str(x), {"data": "d", "share": x}) for name, at in lines.items() for x, *_ in at]
    made = item(kind="figure", options=options, rows=named)
    rows = [row(str(x), printed, [ours], name) for name, at in lines.items() for x, printed, ours in at]
    (found,) = summary.rows(made, csv(tmp_path, rows), tmp_path / "real")
    assert json.loads(found["taus"]) == [-1, 1]
    (found,) = summary.rows(item(), csv(tmp_path, rows), tmp_path / "real")
    assert json.loads(found["taus"]) == [1, 1]


def test_blocks_and_columns_are_ordered_apart(tmp_path):
    """Between blocks the order is the reverse of the paper's, inside each it is the paper's: tau is 1 twice."""
    rows = [row("a", 1, [9.0], "net 1"), row("b", 2, [10.0], "net 1")]
    rows += [row("a", 3, [1.0], "net 2"), row("b", 4, [2.0], "net 2")]
    (found,) = summary.rows(item(), csv(tmp_path, rows), tmp_path / "real")
    assert json.loads(found["taus"]) == [1, 1]
    assert (found["pairs"], found["columns"], found["cells_both"]) == (2, 2, 4)
    named = [Row(group, label) for group in ("net 1", "net 2") for label in "ab"]
    (found,) = summary.rows(item(one_block=True, rows=named), csv(tmp_path, rows), tmp_path / "real")
    assert json.loads(found["taus"]) == [pytest.approx(-1 / 3, abs=1e-4)], "of six pairs two are as printed"


def test_levels_are_compared_at_the_papers_scale_alone(tmp_path):
    rows = [row("a", 90, [92.0]), row("b", 80, [81.0]), row("c", None, [5.0])]
    rows += [row("a", 100, [7.0], column="T", unit="minutes")]
    path = csv(tmp_path, rows)
    assert summary.rows(item(), path, tmp_path / "real")[0]["levels"] == "not comparable"
    assert summary.rows(item(scale="lite"), path, tmp_path / "real")[0]["levels"] == "not comparable"
    assert summary.rows(item(scale="paper"), path, tmp_path / "real")[0]["levels"] == "1.50 points, 2 cells"
    times = csv(tmp_path, rows[-1:])
    assert (
        summary.rows(item(scale="paper"), times, tmp_path / "real")[0]["levels"]
        == "not comparable: times of other devices"
    )


def test_what_is_replicated_has_a_line_of_its_own(tmp_path):
    real = {"replicated_scale": "paper", "replicated_mean": 91.0}
    rows = [row("a", 90, [70.0], **real), row("b", 80, [60.0], **real | {"replicated_mean": 80.0})]
    mine, found = summary.rows(item(), csv(tmp_path, rows), tmp_path / "real")
    assert (mine["scale"], mine["levels"]) == ("demo", "not comparable")
    assert (found["scale"], found["levels"], found["tau_median"]) == ("paper, replicated", "0.50 points, 2 cells", 1.0)


def replicated_at_cpu(tmp_path, scale):
    """The line of what is replicated, one point apart in each of three seeds as printed; the item's CSV says ``scale``.

    The CSV calls the column ACC, replicated/ the metric clean.
    """
    head = ",".join(replicated.COLUMNS)
    line = "{},ACC,clean,{},{},{}-s{},01234567,cpu,3,0 1 2,10000,CPU (x86_64),0123456789,2026-11-29"
    values = {"a": (61.0, 52.0, 71.1), "b": (60.0, 51.1, 70.0)}
    kept = [line.format(name, seed, x, name, seed) for name, own in values.items() for seed, x in enumerate(own)]
    path = tmp_path / "real" / "qtart" / "table1.csv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([head, *kept]) + "\n")
    real = {"column": "ACC", "metric": "ACC", "replicated_scale": scale}
    rows = [row(name, 90 - k, [], **real, replicated_mean=61.4 - k) for k, name in enumerate("ab")]
    rows = [r | {"row": name} for r, name in zip(rows, "ab", strict=True)]
    cells = [[planned.Cell(metric="clean")] for _ in "ab"]
    made = item(rows=[Row("", name) for name in "ab"], columns=[planned.Column("", "ACC")], cells=cells)
    _, found = summary.rows(made, csv(tmp_path, rows), tmp_path / "real")
    return found


def test_seeds_that_are_replicated_tell_methods_apart(tmp_path):
    found = replicated_at_cpu(tmp_path, "cpu")
    assert (found["pairs"], found["told_apart"], found["as_printed"]) == (1, 1, 1)


def test_what_is_replicated_is_told_as_it_is_now(tmp_path):
    """Of a CSV that is older than replicated/ the scale was told, and of its seeds none was another's."""
    found = replicated_at_cpu(tmp_path, "lite")
    assert (found["scale"], found["told_apart"], found["as_printed"]) == ("cpu, replicated", 1, 1)


def test_a_page_of_items_made_and_not_made(tmp_path):
    csv(tmp_path, [row("NA", 90, [70.0, 71]), row("None", 80, [60.0, 61]), row("c", 70, [])])
    long = "Dollars $ and a title that goes on and on and on and on and on (Table 2)"
    missing = item(item="table2", title=long)
    summary.write([item(), missing], tmp_path, tmp_path / "real", tmp_path / "out" / "overview")
    found = pandas.read_csv(tmp_path / "out" / "overview.csv")
    assert list(found["levels"]) == ["not comparable", "not made yet"]
    assert list(found["cells_run"]) == [2, 0]
    first = (tmp_path / "out" / "overview.pdf").read_bytes()
    summary.write([item(), missing], tmp_path, tmp_path / "real", tmp_path / "out" / "overview")
    assert (tmp_path / "out" / "overview.pdf").read_bytes() == first


def test_no_text_of_the_page_overlaps_or_leaves_it(tmp_path):
    """Sixty lines, long titles: every text lies on the page, and none on another."""
    rows = [row("a", 90, [70.0, 71]), row("b", 80, [60.0, 61])]
    path = csv(tmp_path, rows)
    made = item(title="Robust accuracy and mean speed-up of every method " * 3)
    entries = [
        e | {"item": "variants", "paper": f"paper{k // 12}"}
        for k in range(60)
        for e in summary.rows(made, path, tmp_path / "real")
    ]
    figure = summary.draw(pandas.DataFrame(entries))
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for axis in figure.axes for t in axis.texts if t.get_text()]
    for k, box in enumerate(boxes):
        assert figure.bbox.x0 - 1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= box.y0 <= box.y1 <= figure.bbox.y1 + 1
        assert not [other for other in boxes[:k] if box.padded(-2).overlaps(other.padded(-2))]
