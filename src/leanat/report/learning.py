"""Learning curves of runs: as text for a terminal, as CSV, and as a picture."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from leanat.core.files import write_csv
from leanat.report import style
from leanat.report.run_files import CLEAN, COUNTS, LOSS, ROBUST, columns, curve, folder_of, history

BARS = "▁▂▃▄▅▆▇█"
LINES, LETTERS = 12, 60  # maximum for a terminal: rows of the table of epochs, letters of a line of bars
Rows = list[dict[str, float | None]]
PANELS = {  # column: heading of its panel
    LOSS: "training loss",
    CLEAN: "clean accuracy on 200 test images (%)",
    ROBUST: "accuracy under 5 steps of PGD on the same images (%)",
}
OLD = "none; trained before the history had them, or too short for them to cost little"


def make(runs: Sequence[str], results: Path, out: Path | None) -> str:
    """Returns the curves as text; ``out``: also writes them as PDF, with PNG, SVG and CSV beside it."""
    folders = list(dict.fromkeys(folder_of(run, results) for run in runs))
    names = [folder.name for folder in folders]
    # runs with the same name, such as those of two machines, are named by their paths
    rows_by_run = {str(f) if names.count(f.name) > 1 else f.name: history(f) for f in folders}
    if out is not None:
        write(rows_by_run, out.with_suffix(""))
    return "\n\n".join(text(name, rows) for name, rows in rows_by_run.items())


def text(name: str, rows: Rows) -> str:
    """A line of bars for the loss and each accuracy, and a table of some epochs, including the last."""
    lines = [name]
    for column, title in PANELS.items():
        if values := [value for _, value in curve(rows, column)]:
            lines.append(f"  {bars(values)}  {title}: {values[0]:.4g} to {values[-1]:.4g}")
    if CLEAN not in columns(rows):
        lines.append(f"  accuracies: {OLD}")
    every = max(1, math.ceil(len(rows) / LINES))
    epochs = [row for k, row in enumerate(rows, 1) if k % every == 0 or k == len(rows)]
    table = [columns(rows), *([cell(c, row[c]) for c in columns(rows)] for row in epochs)]
    aligned = tabulate(table, tablefmt="plain", disable_numparse=True, stralign="right")
    return "\n".join([*lines, textwrap.indent(aligned, "  ")])


def cell(column: str, value: float | None) -> str:
    """A number of a history as text."""
    if value is None:
        return ""
    return f"{value:.0f}" if column in COUNTS else f"{value:.4g}"


def bars(values: Sequence[float]) -> str:
    """A letter per value, whose height shows the value between the least and the greatest; at most LETTERS letters, by averaging
    neighbours.
    """
    size = math.ceil(len(values) / LETTERS)
    values = [sum(part) / len(part) for part in (values[k : k + size] for k in range(0, len(values), size))]
    low, high = min(values), max(values)
    return "".join(BARS[round((v - low) / ((high - low) or 1) * (len(BARS) - 1))] for v in values)


def write(rows_by_run: dict[str, Rows], stem: Path) -> None:
    """``stem``.csv with a row for each run and epoch; ``stem``.pdf, .png and .svg with a panel for each curve."""
    names = list(dict.fromkeys(name for rows in rows_by_run.values() for name in columns(rows)))
    lines = [[run, *(row.get(n) for n in names)] for run, rows in rows_by_run.items() for row in rows]
    write_csv(Path(f"{stem}.csv"), [["run", *names], *lines])
    style.save(draw(rows_by_run), stem)


def draw(rows_by_run: dict[str, Rows]):
    """A panel for the loss and for each accuracy that at least one run has, with one line per run."""
    style.apply()
    from matplotlib import pyplot

    panels = [c for c in PANELS if any(c in columns(rows) for rows in rows_by_run.values())]
    figure, axes = pyplot.subplots(1, len(panels), figsize=(3.0 * len(panels) + 0.6, 2.6), squeeze=False)
    for axis, column in zip(axes.flat, panels, strict=True):
        for rows in rows_by_run.values():
            points = curve(rows, column)
            axis.plot([epoch for epoch, _ in points], [value for _, value in points])
        axis.set_title(PANELS[column].replace(" on ", "\non ").replace(" under ", "\nunder "))
        axis.set_xlabel("epoch")
    figure.legend(axes.flat[0].lines, list(rows_by_run), loc="outside lower left", ncols=1)
    return figure
