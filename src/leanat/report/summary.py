"""One page on all items of all papers: at which scale each is replicated, and how far the papers' orderings hold.

The groups that are compared are the rows of one column within each block of a table (a network, a data set), and the lines of
a figure at each x, as far as both the paper and we have numbers. Each group gets Kendall's tau-b (1: the paper's order, 0:
chance, -1: the reverse). For each pair of rows the page says whether our seeds distinguish them, that is, whether the 95 % t
interval of the paired difference excludes 0. Levels are compared only at the papers' own scale, and never between times of
different devices.
"""

from __future__ import annotations

import itertools
import json
import re
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas
from matplotlib.axes import Axes
from scipy.stats import kendalltau

from leanat.core.files import write_text
from leanat.plan.item import Item
from leanat.report import item_csv, replicated, style
from leanat.report.cells import by_seed
from leanat.report.overview import TIMES, plain
from leanat.report.plots.points import flat
from leanat.report.statistics import told_apart

TEXT = "row column missing unit stand_in row_group row_label column_group note".split()  # noqa: SIM905
ROW = 0.185  # inches
HEADS = {  # column: (heading, left edge in inches, alignment)
    "item": ("item", 0.1, "left"),
    "scale": ("scale", 5.65, "left"),
    "cells": ("cells run /\nalso printed", 7.15, "right"),
    "tau": ("τ median\n(mean)", 7.95, "right"),
    "pairs": ("pairs in\ngroups", 8.7, "right"),
    "apart": ("as printed, of\nthose told apart", 9.55, "right"),
    "levels": ("median absolute\ndifference", 11.6, "left"),
}
AXIS = (9.8, 1.6)  # inches: left edge and width of the panel of taus
WIDE = 13.3


class Cell(NamedTuple):
    """A cell for which both the paper and we have a number; ``values`` by seed, empty if only a mean is known."""

    block: str
    printed: float
    mean: float
    values: Mapping[int, float]


class Agreement(NamedTuple):
    """How far our ordering of cells agrees with the paper's.

    ``taus``: Kendall's tau of each group of cells. ``thin``: for each group, whether its tau says little, since it has only one
    pair or a cell with one seed. Of ``pairs`` pairs of cells our seeds distinguish ``apart``, ``agree`` of them as printed.
    """

    taus: tuple[float, ...]
    thin: tuple[bool, ...]
    pairs: int
    apart: int
    agree: int


def agreement(groups: Iterable[Sequence[Cell]]) -> Agreement:
    """The agreement over groups of cells. A group whose printed values or whose own values are all equal has no tau."""
    taus, thin, pairs, apart, agree = [], [], 0, 0, 0
    for cells in groups:
        printed, ours = [c.printed for c in cells], [c.mean for c in cells]
        if len(set(printed)) > 1 and len(set(ours)) > 1:
            taus.append(float(kendalltau(printed, ours).statistic))
            thin.append(len(cells) == 2 or any(len(cell.values) < 2 for cell in cells))
        for a, b in itertools.combinations(cells, 2):
            if a.printed == b.printed:
                continue
            pairs += 1
            if gap := told_apart(a.values, b.values):
                apart += 1
                agree += (gap.mean > 0) == (a.printed > b.printed)
    return Agreement(tuple(taus), tuple(thin), pairs, apart, agree)


def rows(item: Item, csv: Path, real: Path) -> list[dict[str, Any]]:
    """One entry for this run, and one per scale of replicated numbers. ``csv``: the item's tidy CSV; ``real``: replicated/.

    If there is no CSV, or one with other runs than the item names, the item counts as not made yet. Rows that replace the
    paper's rows only by their position, such as classes of drawn shapes for those of CIFAR-10, are not compared.
    """
    about = {k: getattr(item, k) for k in ("paper", "item", "title")}
    if not item_csv.of_these_runs(csv, item):
        return [about | _entry({}, (0, 0, 0), item.scale, "not made yet")]
    cells = item_csv.frame(csv, *TEXT).fillna(dict.fromkeys(TEXT, ""))
    cells["block"] = cells["row"].map(_blocks(item)).fillna(cells["row_group"])
    kept = replicated.load(item.paper, item.item, real)
    metrics = {(row.name, column.name): cell.metric for row, column, cell in item.flat}  # the CSV has only labels
    names = zip(cells["row"], cells["column"], strict=True)
    there = [kept.get((*name, metrics.get(name))) for name in names]
    cells["replicated_values"] = [cell.values if cell else {} for cell in there]
    if kept:  # read again, since the CSV may be older
        cells["replicated_mean"] = [cell.interval().mean if cell else None for cell in there]
        cells["replicated_scale"] = [cell.scale if cell else None for cell in there]
    in_order = cells[~cells["row_label"].isin(item.labels)]
    scale = "no training" if item.kind == "formula" else item.scale
    entries = [_entry(_groups(in_order, ""), _counts(cells, ""), scale, _levels(cells, "", scale))]
    for at in sorted(set(cells["replicated_scale"].dropna())):
        some = cells[cells["replicated_scale"] == at]
        entries.append(_entry(_groups(some, "replicated_"), _counts(some, "replicated_"), f"{at}, replicated",
                            _levels(some, "replicated_", at)))  # fmt: skip
    return [about | entry for entry in entries]


def _blocks(item: Item) -> dict[str, str]:
    """The block of each row within which it is compared, if that is not its group: panel and x of lines, or the whole column."""
    names = {row.name: row.entry for row in item.rows}
    if item.one_block:
        return dict.fromkeys(names, "")
    options = item.options
    if options.get("plot") != "lines":
        return {}
    keys = [*flat([options.get("panel")]), options["x"]]
    return {
        name: " | ".join(str(entry.get(key, "")) for key in keys)
        for name, entry in names.items()
        if options["x"] in entry
    }


def _groups(cells: pandas.DataFrame, kind: str) -> dict[str, list[Cell]]:
    """The cells that the paper prints too, by column and block."""
    groups: dict[str, list[Cell]] = {}
    for _, cell in cells[cells["published"].notna() & cells[f"{kind}mean"].notna()].iterrows():
        runs = cell["runs"] if isinstance(cell["runs"], str) else ""
        seeds = cell["seeds"] if isinstance(cell["seeds"], str) else "[]"
        values = cell["replicated_values"] if kind else by_seed(cell["values"], runs, seeds)
        printed_cell = Cell(cell["block"], float(cell["published"]), float(cell[f"{kind}mean"]), values)
        groups.setdefault(f"{cell['column']} / {cell['block']}", []).append(printed_cell)
    return groups


def _counts(cells: pandas.DataFrame, kind: str) -> tuple[int, int, int]:
    """The numbers of cells that we have, that the paper prints, and that both have."""
    ours, printed = cells[f"{kind}mean"].notna(), cells["published"].notna()
    return int(ours.sum()), int(printed.sum()), int((ours & printed).sum())


def _levels(cells: pandas.DataFrame, kind: str, scale: str) -> str:
    """The median absolute difference, or the reason why there is none."""
    both = cells[cells["published"].notna() & cells[f"{kind}mean"].notna()]
    if both.empty:
        return "the paper prints no number" if cells["published"].isna().all() else "not run"
    if scale not in ("paper", "no training"):
        return "not comparable"
    both = both[~both["unit"].isin(TIMES)]
    if both.empty:
        return "not comparable: times of other devices"
    shares = both[both["unit"] == "%"]
    both = both if shares.empty else shares
    gap = float((both["published"].astype(float) - both[f"{kind}mean"].astype(float)).abs().median())
    return f"{gap:.2f} {'points' if len(shares) else 'in its unit'}, {len(both)} cells"


def _entry(groups: Mapping[str, list[Cell]], counts: tuple[int, int, int], scale: str, levels: str) -> dict[str, Any]:
    concordance = agreement(groups.values())
    return {
        "scale": scale,
        **dict(zip(("cells_run", "cells_printed", "cells_both"), counts, strict=True)),
        "tau_median": statistics.median(concordance.taus) if concordance.taus else None,
        "tau_mean": statistics.fmean(concordance.taus) if concordance.taus else None,
        "taus": json.dumps([round(tau, 4) for tau in concordance.taus]),
        "thin": json.dumps(concordance.thin),
        "columns": len(concordance.taus),
        "pairs": concordance.pairs,
        "told_apart": concordance.apart,
        "as_printed": concordance.agree,
        "levels": levels,
    }


def write(items: Iterable[Item], kept: Path, real: Path, stem: Path | str) -> None:
    """Writes ``stem``.csv, .pdf and .png; ``kept``: the folder of the items' CSVs, <paper>/<item>.csv; ``real``: replicated/."""
    entries = [entry for item in items for entry in rows(item, kept / f"{item.name}.csv", real)]
    table = pandas.DataFrame.from_records(entries)
    write_text(Path(f"{stem}.csv"), table.to_csv(index=False, lineterminator="\n"))
    style.save(draw(table), stem)


def draw(table: pandas.DataFrame) -> Any:
    """The page: a line per item, its taus as dots, their median as a bar."""
    style.apply()
    from matplotlib import pyplot

    lines: list[tuple[str | None, Any]] = []
    for paper, part in table.groupby("paper", sort=False):
        lines += [(paper, None), *((None, row) for _, row in part.iterrows())]
    high = (len(lines) + 1) * ROW + 1.7
    figure = pyplot.figure(figsize=(WIDE, high))
    figure.set_layout_engine("none")  # all positions are given explicitly
    page = figure.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, WIDE), ylim=(high, 0))
    page.axis("off")
    top = 0.95
    bottom = top + len(lines) * ROW + 0.08
    taus = figure.add_axes((AXIS[0] / WIDE, 1 - bottom / high, AXIS[1] / WIDE, (bottom - top) / high))
    taus.set(xlim=(-1.12, 1.12), ylim=(bottom, top), xticks=[-1, 0, 1], yticks=[])
    taus.axvline(0, color="#bbbbbb", lw=0.7, zorder=0)
    page.text(0.1, 0.3, "How far the papers' orderings hold here", fontsize=12, weight="bold")
    for heading, x, side in HEADS.values():
        page.text(x, top - 0.1, heading, ha=side, va="bottom", fontsize=7.5, color="#333333", linespacing=1.1)
    page.text(AXIS[0] + AXIS[1] / 2, top - 0.1, "Kendall's τ, a dot\na column and block", ha="center", va="bottom",
              fontsize=7.5, color="#333333", linespacing=1.1)  # fmt: skip
    page.hlines(top - 0.04, 0.1, WIDE - 0.1, color="#333333", lw=0.8)
    for k, (paper, row) in enumerate(lines):
        y = top + (k + 0.7) * ROW
        if paper is not None:
            page.text(0.1, y, paper, fontsize=8.5, weight="bold", va="center")
        else:
            _line(page, taus, y, row)
    page.text(0.1, bottom + 0.28, _FOOT, fontsize=7, va="top", color="#333333", linespacing=1.35)
    return figure


_FOOT = (
    "τ: Kendall's tau-b between the paper's numbers and ours, over the rows of one column in one block of the table, or a "
    "figure's lines at one x; median and mean over such groups. 1: the paper's order, 0: chance, −1: the reverse.\n"
    "Hollow, and a grey bar: of two rows, or of one seed, which says little. Rows that stand for others by their number "
    "alone are in no order.\n"
    "Told apart: pairs of rows that our seeds tell apart (95 % t interval of the paired difference without 0; needs two "
    "seeds or more), not corrected for how many there are.\n"
    "Where few are told apart, τ is mostly noise. Levels at demo, cpu and lite are not comparable with the papers', so no "
    "difference is shown."
)


def _line(page: Axes, taus: Axes, y: float, row: pandas.Series) -> None:
    def put(name: str, text: str, colour: str = "#000000") -> None:
        page.text(HEADS[name][1], y, text, ha=HEADS[name][2], va="center", fontsize=7.5, color=colour)

    title = re.sub(r" \((Table|Figure) \d+\)$", "", row["title"])
    page.text(0.22, y, row["item"], va="center", fontsize=7.5)
    page.text(0.95, y, plain(textwrap.shorten(title, 100, placeholder=" …")), va="center", fontsize=7.5)
    put("scale", row["scale"])
    put("levels", row["levels"], style.GREY)
    if not row["cells_run"]:
        return
    put("cells", f"{row['cells_run']} / {row['cells_both']}")
    if row["pairs"]:
        put("pairs", f"{row['pairs']} in {row['columns']}")
        put("apart", f"{row['as_printed']} of {row['told_apart']}")
    tau_values = json.loads(row["taus"])
    if not tau_values:
        return
    put("tau", f"{row['tau_median']:.2f} ({row['tau_mean']:.2f})".replace("-", "−"))
    colour = style.COLOURS[0]
    thin = json.loads(row["thin"])
    firm = [tau for tau, little in zip(tau_values, thin, strict=True) if not little]
    hollow = [tau for tau, little in zip(tau_values, thin, strict=True) if little]
    taus.plot(firm, [y] * len(firm), "o", ms=3.6, mec="none", mfc=colour, alpha=0.35)
    taus.plot(hollow, [y] * len(hollow), "o", ms=3.2, mec="#999999", mew=0.5, mfc="none")
    taus.vlines(row["tau_median"], y - ROW * 0.42, y + ROW * 0.42, color=colour if firm else "#999999", lw=1.8)
