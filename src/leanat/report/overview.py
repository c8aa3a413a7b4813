"""A whole table at a glance, in its order: the paper's values as open markers, ours as filled markers with intervals.

Numbers on a stand-in for the paper's data or attack have a panel of their own, since their levels cannot be compared.
"""

from __future__ import annotations

import math
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from leanat.report import item_csv, style
from leanat.report.statistics import Interval, share_of_images

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 6  # maximum number of panels side by side
ROW, PANEL, LETTER = 0.16, 1.75, 0.065  # inches: a row's height, a panel's width, a letter of a label
TEXT = "row column metric missing unit better stand_in row_group row_label column_group note seeds".split()  # noqa: SIM905
TEXT += ["paper", "item", "title", "scale"]
LABEL = 36  # maximum number of letters per line of a row's label
TIMES = ("minutes", "seconds", "min/epoch")  # units of numbers that depend on the device
RADIUS = re.compile(r"\d/255")


def overview(csv: Path | str, stem: Path | str) -> None:
    """Draws the tidy CSV of a table (see table.py) to ``stem``.pdf and .png."""
    style.save(draw(item_csv.frame(Path(csv), *TEXT)), stem)


def draw(cells: pandas.DataFrame) -> Figure:
    """One line per row of the table, one panel per column, or two if it uses a stand-in. Raises ValueError without cells."""
    if cells.empty:
        raise ValueError("no cell to draw")
    cells = cells.fillna(dict.fromkeys(TEXT, ""))
    style.apply()
    from matplotlib import pyplot

    panels, lines = _panels(cells), _lines(cells)
    heights = {row: height for height, (row, _) in lines.items() if row is not None}
    across = min(PANELS, len(panels))
    down = math.ceil(len(panels) / across)
    letters = max(len(part) for _, label in lines.values() for part in label.split("\n"))
    size = (PANEL * across + LETTER * letters + 0.2, 0.75 + down * ((max(lines) + 1) * ROW + 0.75))
    fig, axes = pyplot.subplots(down, across, figsize=size, squeeze=False, sharey=True)
    for part, axis in zip(panels, axes.flat, strict=False):
        _panel(axis, part, heights)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_yticks(list(lines), [label for _, label in lines.values()])
        axis.set_ylim(max(lines) + 0.7, -0.7)
        for (row, _), tick in zip(lines.values(), axis.get_yticklabels(), strict=True):
            tick.set_fontweight("bold" if row is None else "normal")
    _legend(fig, cells)
    first = cells.iloc[0]
    title = plain(f"{first['title']}  [{first['paper']} / {first['item']}, scale {first['scale']}]")
    fig.suptitle(textwrap.fill(title, max(40, int(size[0] * 14))), x=0.01, ha="left", fontsize=9.5)
    return fig


def _panels(cells: pandas.DataFrame) -> list[pandas.DataFrame]:
    """The cells of each panel: those of a column, or first the paper's and replicated numbers of a column and then ours.

    Our numbers are separate if they are on a stand-in, or times, which depend on the device.
    """
    panels = []
    for _, column in cells.groupby("column", sort=False):
        real = [name for name in column if name == "published" or name.startswith("replicated_")]
        times = column["unit"].isin(TIMES).any()
        alike = column["stand_in"].eq("").all() and not times
        if alike or column["mean"].isna().all() or column[real].isna().all(axis=None):
            panels.append(column)
        else:
            whose, own = ("the paper's device", {"of": "this run's device"}) if times else ("the paper's data", {})
            panels += [column.assign(mean=math.nan, low=math.nan, high=math.nan, stand_in="", of=whose)]
            panels += [column.assign(**dict.fromkeys(real, math.nan), **own)]
    return panels


def _panel(axis: Axes, cells: pandas.DataFrame, heights: dict[str, float]) -> None:
    y, first = cells["row"].map(heights), cells.iloc[0]
    axis.hlines(y, 0, 1, transform=axis.get_yaxis_transform(), color="#dddddd", lw=0.5, zorder=0)
    axis.plot(cells["published"], y, "o", mfc="white", mec=style.GREY, mew=1.1, ms=6, ls="", zorder=2)
    for kind, colour, marker, shift in (("replicated_", style.COLOURS[1], "D", 0.2), ("", style.COLOURS[0], "o", 0)):
        mean, low, high = (cells[f"{kind}{part}"].astype(float) for part in ("mean", "low", "high"))
        if mean.notna().any():
            spread = [(mean - low).fillna(0), (high - mean).fillna(0)]
            axis.errorbar(mean, y + shift, xerr=spread, fmt=marker, color=colour, ms=3.6, elinewidth=1.1, zorder=3)
    for name, own in _over_images(cells).items():
        axis.hlines(y[name], own.low, own.high, color=style.COLOURS[0], alpha=0.25, lw=2.6, zorder=2)
    axis.tick_params(axis="y", length=0)
    axis.margins(x=0.08)
    if cells[["published", "mean", "replicated_mean"]].isna().all(axis=None):
        axis.set_xticks([])
    _cut(axis, cells)
    axis.locator_params(axis="x", nbins=4)
    under = f"this run: {first['stand_in']}" if first["stand_in"] else first.get("of", "")
    if cells["mean"].isna().all() and "of" not in cells:
        reasons = cells["missing"].where(cells["published"].notna()).mode()  # the most frequent among printed cells
        under = next(iter(reasons), first["missing"])
        under = under if under.startswith("not ") else f"not run: {under}"
    title = [*textwrap.wrap(first["column_group"] or first["metric"], 26), *textwrap.wrap(under, 30)]
    axis.set_title(plain("\n".join(title)), fontsize=8)
    unit = first["unit"]
    label = first["metric"] if not unit or unit in first["metric"] else f"{first['metric']} ({unit})"
    if RADIUS.search(first["metric"]) and RADIUS.search(first["stand_in"]):
        label = f"in the place of {label}"
    better = {"high": ", better →", "low": ", ← better"}.get(first["better"], "")
    axis.set_xlabel(plain(textwrap.fill(label + better, 28)))


def _over_images(cells: pandas.DataFrame) -> dict[int, Interval]:
    """The intervals over test examples of the accuracies with one seed, by line of the CSV."""
    some = cells[cells["n"].eq(1) & cells["mean"].notna() & cells["tested"].notna() & cells["unit"].eq("%")]
    intervals = {k: share_of_images(float(cell["mean"]), int(cell["tested"])) for k, cell in some.iterrows()}
    return {k: interval for k, interval in intervals.items() if interval}


def _cut(axis: Axes, cells: pandas.DataFrame) -> None:
    """Ends an axis of percentages at 0 and 100 %, although intervals over few seeds may be longer."""
    values = cells[["published", "mean", "replicated_mean"]].astype(float)
    if cells["unit"].eq("%").all() and not (values.lt(0) | values.gt(100)).any(axis=None):
        axis.set_xlim(style.of_shares(*axis.get_xlim()))


def plain(text: str) -> str:
    """Text for matplotlib: dollar signs, which would begin mathematics, are escaped; ℓ and signs that the text font lacks become
    mathematics.
    """
    text = text.replace("$", r"\$").replace("⁺", "$^{+}$").replace("⟹", r"$\Rightarrow$")  # not in the text font
    for norm, index in (("∞", r"\infty"), ("2", "2"), ("p", "p")):
        text = text.replace(f"ℓ_{norm}", rf"$\ell_{{{index}}}$")
    return text


def _lines(cells: pandas.DataFrame) -> dict[float, tuple[str | None, str]]:
    """Maps the height from the top to (row, its label), or to (None, the name of the block below)."""
    lines: dict[float, tuple[str | None, str]] = {}
    block, height = "", 0.0
    for cell in cells.drop_duplicates("row").itertuples():
        if cell.row_group != block:
            height += 0.4 if lines else 0
            if cell.row_group:
                lines[height] = (None, plain(textwrap.shorten(cell.row_group, LABEL, placeholder=" …")))
                height += 1
            block = cell.row_group
        label = textwrap.fill(cell.row_label, LABEL)
        extra = label.count("\n") * 1.1  # lines of a wrapped label
        lines[height + extra / 2] = (cell.row, plain(label + (" †" if cell.note == "ours" else "")))
        height += 1 + extra
    return lines


def _legend(fig: Figure, cells: pandas.DataFrame) -> None:
    from matplotlib.lines import Line2D

    ring = Line2D([], [], ls="", marker="o", mfc="white", mec=style.GREY, mew=1.1, ms=6, label="paper")
    handles = [ring] if cells["published"].notna().any() else []
    if cells["replicated_mean"].notna().any():
        handles.append(Line2D([], [], ls="", marker="D", color=style.COLOURS[1], ms=3.6, label="replicated, real data"))
    if cells["mean"].notna().any():
        ours = cells[cells["mean"].notna()]
        runs = ours["runs"].fillna("").astype(str).str.split().str.len()
        of_seeds = ours[(ours["n"] > 1) | (runs == 1)]  # without times and choices by all runs together
        counts = sorted(set((ours if of_seeds.empty else of_seeds)["n"].astype(int)))
        several = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else counts[0]
        images = bool(_over_images(cells))
        one = "1 seed" + ", pale: Wilson's interval over its images" * images
        if not cells["seeds"].str.strip("[]").any():
            one = "computed"
        label = one if counts == [1] else f"mean and 95 % interval, n = {several}" + ", of one over images" * images
        label = f"this run ({cells['scale'].iloc[0]}), {label}"
        line = "" if counts == [1] else "-"
        handles.append(Line2D([], [], marker="o", ls=line, color=style.COLOURS[0], ms=3.6, label=label))
    if handles:
        fig.legend(handles=handles, loc="outside lower left", ncols=len(handles))
