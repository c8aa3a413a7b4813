"""A figure's page: title and scale above, panels, legend, and a foot that says what the marks are and how made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from numpy import ndarray

from leanat.plan.item import Filled
from leanat.report import style
from leanat.report.notes import notes
from leanat.report.overview import plain
from leanat.report.plots.points import Key, Point, name, split

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 0.08  # inches, around the page
ORIGIN = 0.15  # inches, of the line that says item and scale
TITLE, TEXT, FOOT = 9.5, 8, 6.8  # points
LINE = 1.22  # of the type size
WIDEST = 7.2  # inches
INTERVAL = "95 % t interval over seeds"
PAPER = {"mfc": "white", "mew": 1.1, "ms": 5.5, "zorder": 4}  # open markers
REAL = {"marker": "x", "mew": 1.3, "ms": 5, "capsize": 2, "elinewidth": 0.9, "zorder": 5}


def grid(count: int) -> tuple[int, int]:
    """Rows and columns of panels."""
    across = count if count <= 3 else 2 if count == 4 else 3 if count <= 9 else 4
    return math.ceil(count / across), across


def page(shape: tuple[int, int], panel: tuple[float, float], **subplots: Any) -> tuple[Figure, ndarray]:
    """A figure and its axes [rows, columns]; ``panel`` is a panel's size in inches, labels included, if there is room."""
    width = min(WIDEST, max(style.WIDTH, shape[1] * panel[0]))
    figure = Figure(figsize=(width, shape[0] * panel[1]))
    FigureCanvasAgg(figure)
    return figure, figure.subplots(*shape, squeeze=False, **subplots)


def panels_of(item: Filled, found: Sequence[Point], panel: Key) -> tuple[tuple[int, int], dict]:
    """The shape of the grid and, by place, each panel's title and points."""
    if not isinstance(panel, str) and panel and len(panel) == 2:
        down, across = split(item, found, panel[0]), split(item, found, panel[1])
        places = {
            (r, c): (", ".join(filter(None, (column, row))), [p for p in ours if p in theirs])
            for r, (row, ours) in enumerate(down.items())
            for c, (column, theirs) in enumerate(across.items())
        }
        return (len(down), len(across)), places
    parts = split(item, found, panel) if panel else {"": found}
    shape = grid(len(parts))
    return shape, {divmod(k, shape[1]): part for k, part in enumerate(parts.items())}


def tidy(axes: Any, panels: Any) -> None:
    """Labels of an axis once where neighbours share it; no axes where no panel is."""
    rows, columns = axes.shape
    for r in range(rows):
        labels = {axes[r][c].get_ylabel() for c in range(columns) if (r, c) in panels}
        for c in range(columns):
            if (r, c) not in panels:
                axes[r][c].set_visible(False)
            if (r + 1, c) in panels:
                axes[r][c].set_xlabel("")
            if c and len(labels) == 1:
                axes[r][c].set_ylabel("")


def cut(axis: Axes, part: Sequence[Point]) -> None:
    """An axis of accuracies ends at 0 and 100 %, though the interval of a mean over few seeds may go on."""
    if part and all(p.unit == "%" and "reference" not in p.keys for p in part):
        low, high = axis.get_ylim()
        low, high = max(low, -3), min(high, 103)
        axis.set_ylim(low, high)
        axis.set_yticks([tick for tick in axis.get_yticks() if max(low, 0) <= tick <= min(high, 100)])


def finish(figure: Figure, item: Filled, handles: Sequence[Any], read: Sequence[str]) -> Figure:
    """Put the title above the panels, legend and foot below, and make the figure as much taller; lays it out."""
    width, body = figure.get_size_inches()
    inner = width - 2 * MARGIN
    head = _head(item, inner)
    legend = _legend(figure, handles, inner)
    tall = legend.get_window_extent(figure.canvas.get_renderer()).height / figure.dpi + 0.08 if legend else 0.0
    foot = [_paragraph(told, text, inner) for told, text in _foot(item, read)]
    above = ORIGIN + sum(size * LINE / 72 for *_, size in head) + 0.03
    below = sum(len(lines) for _, _, lines in foot) * FOOT * LINE / 72 + MARGIN
    height = MARGIN + above + body + tall + below
    figure.set_size_inches(width, height)
    figure.get_layout_engine().set(rect=(0, (below + tall) / height, 1, body / height))
    _put(figure, f"{item.paper} / {item.item}", MARGIN, height - MARGIN, 7, colour=style.GREY)
    _put(figure, f"scale: {item.scale}", width - MARGIN, height - MARGIN, 7, colour=style.GREY, ha="right")
    y = height - MARGIN - ORIGIN
    for text, weight, size in head:
        _put(figure, text, MARGIN, y, size, weight)
        y -= size * LINE / 72
    if legend:
        legend.set_bbox_to_anchor((0.5, (below + tall - 0.03) / height), figure.transFigure)
    y = below - 0.02
    for told, indent, lines in foot:
        _put(figure, told, MARGIN, y, FOOT, "bold")
        for k, line in enumerate(lines):
            _put(figure, line, MARGIN + (0 if k else indent), y, FOOT)
            y -= FOOT * LINE / 72
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once
    return figure


def paper_handle(item: Filled, found: Sequence[Point]) -> list[Line2D]:
    """The legend's entry of the paper's open markers, if there are any, saying what they were measured on."""
    shown = [point for point in found if point.paper is not None]
    data = {name(item.labels, point.keys["data"]) for point in shown if "data" in point.keys}
    label = f"paper, {data.pop()}" if len(data) == 1 else "paper"
    label += "" if item.scale == "paper" else " (not at this scale)"
    return [Line2D([], [], ls="", marker="o", mec=style.GREY, label=label, **PAPER)] if shown else []


def real_handle(found: Sequence[Point]) -> list[Line2D]:
    """The legend's entry of replicated values, if there are any."""
    style_ = {key: REAL[key] for key in ("marker", "mew", "ms")}
    made = Line2D([], [], ls="", color=style.GREY, label="replicated, real data", **style_)
    return [made] if any(point.real for point in found) else []


def empty(axis: Any, found: Sequence[Point]) -> None:
    """Say in a panel that has nothing to draw why it has not."""
    if not any(p.ours or p.real or p.paper is not None for p in found):
        reason = next((p.missing for p in found if p.missing), "no value")
        text = "\n".join(wrap(plain(reason), TEXT, 1.5))
        axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color=style.GREY)
        axis.set_yticks([])


def wrap(text: str, size: float, width: float, first: float = 0.0, weight: str = "normal") -> list[str]:
    """Lines no wider than ``width`` inches as set; ``first`` inches of the first one are taken."""
    lines, line, used, space = [], [], first, 0.34 * size / 72  # a space, and what letters keep free beside their ink
    for word in text.split():
        wide = _width(word, size, weight)
        if used + wide > width and (line or first):
            lines.append(" ".join(line))
            line, used, first = [], 0.0, 0.0
        line.append(word)
        used += wide + space
    return [*lines, " ".join(line)]


@lru_cache(maxsize=4096)
def _width(word: str, size: float, weight: str) -> float:
    """Inches of one word, in the PDF or in the PNG, where letters stand on whole pixels: the wider."""
    font = FontProperties(family=matplotlib.rcParams["font.serif"], weight=weight, size=size)
    drawn = RendererAgg(1, 1, style.DPI).get_text_width_height_descent(word, font, ismath="$" in word)[0] / style.DPI
    return max(drawn, TextPath((0, 0), word, size=size, prop=font).get_extents().width / 72)


def _put(figure, text, x, y, size, weight="normal", colour="black", ha="left") -> None:
    width, height = figure.get_size_inches()
    where = {"ha": ha, "va": "top", "fontsize": size, "fontweight": weight, "color": colour}
    figure.text(x / width, y / height, text, **where)


def _head(item: Filled, width: float) -> list[tuple[str, str, float]]:
    """Lines as (text, weight, size), below the line of origin and scale."""
    lines = [(line, "bold", TITLE) for line in wrap(plain(item.title), TITLE, width, weight="bold")]
    if item.caption:
        lines += [(line, "normal", TEXT) for line in wrap(plain(item.caption), TEXT, width)]
    return lines


def _legend(figure: Figure, handles: Sequence[Any], width: float) -> Any:
    """The text in as few lines as fit, all about equally long."""
    handles = [handle for handle in handles if handle.get_label()]
    for rows in range(1, len(handles) + 1):
        columns = math.ceil(len(handles) / rows)
        legend = figure.legend(
            handles=_by_row(handles, columns), loc="upper center", ncols=columns, columnspacing=1.4, borderaxespad=0,
            handlelength=2.6, borderpad=0,
        )  # fmt: skip
        legend.set_in_layout(False)
        if columns == 1 or legend.get_window_extent(figure.canvas.get_renderer()).width <= width * figure.dpi:
            return legend
        legend.remove()
    return None


def _by_row(handles: list[Any], columns: int) -> list[Any]:
    """Matplotlib fills a legend column by column; this order makes it read row by row."""
    full, rest = divmod(len(handles), columns)
    rows = [handles[k : k + columns] for k in range(0, len(handles), columns)]
    order = [row[c] for c in range(columns) for row in rows if c < len(row)]
    return order if full and (rest == 0 or len(rows) > 1) else handles


def _paragraph(told: str, text: str, width: float) -> tuple[str, float, list[str]]:
    """Head, the room it takes on the first line, and the lines."""
    indent = sum(_width(word, FOOT, "bold") + 0.3 * FOOT / 72 for word in told.split()) + 0.02 * bool(told)
    lines = wrap(plain(text), FOOT, width, indent)
    return told, indent, lines


def _foot(item: Filled, read: Sequence[str]) -> list[tuple[str, str]]:
    """Paragraphs (head, text) in reading order."""
    printed = any(cell.published is not None for _, _, cell in item.flat)
    said = [("", " ".join(read))]
    if printed and item.scale != "paper":
        text = "Smaller than the paper's: its open markers are there for the order of methods, not to compare levels."
        said.append((f"Scale {item.scale}.", text))
    wanted = ("This run.", "Not checked.", "Replicated.", "Stand-ins.", "Scaled.", "Not finite.", "Times.", "Not run.")
    said += [(note["head"], note["body"]) for note in notes(item) if note["head"] in wanted]
    said.append(("Missing.", missing(item)))
    own = [row.words for row in item.rows if row.note not in (None, "ours")]
    said.append(("Not in the paper.", _some(own)))
    said.append(("Assumptions.", "; ".join(item.provenance.assumptions)))
    return [(told, text) for told, text in said if text]


def missing(item: Filled) -> str:
    """Why cells are empty that were to be run, a reason once, for whole rows and columns where it holds for these."""
    rows, columns = range(len(item.rows)), range(len(item.columns))
    skipped = [column.skipped for column in item.columns]
    reasons: dict[str, set[tuple[int, int]]] = {}
    for r in rows:
        for c in columns:
            cell = item.cells[r][c]
            if not cell.values and not skipped[c]:
                reasons.setdefault(cell.missing, set()).add((r, c))
    said = []
    for reason, cells in reasons.items():
        whole = [r for r in rows if all((r, c) in cells or skipped[c] for c in columns)]
        across = [c for c in columns if not skipped[c] and all((r, c) in cells for r in rows)]
        rest = sorted((r, c) for r, c in cells if r not in whole and c not in across)
        names = [item.columns[c].words for c in across] + [item.rows[r].words for r in whole]
        if len(whole) == len(rows):
            names = ["all"]
        names += [f"{item.rows[r].words} / {item.columns[c].words}" for r, c in rest]
        said.append(f"{_some(names)}: {reason}")
    return "; ".join(said) + "." * bool(said)


def _some(names: Sequence[str]) -> str:
    shown = list(dict.fromkeys(names))
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


def reading(item: Filled, ours: str, interval: str, paper: str = "Open markers") -> list[str]:
    """Sentences that say what the marks are: ``ours`` names our marks, ``interval`` says how their interval is shown."""
    cells = [cell for _, _, cell in item.flat]
    counts = sorted({cell.n for cell in cells if cell.values})
    if not counts:
        said = ["No run of ours is shown."]
    elif counts[-1] == 1:
        said = [f"{ours}: this run, one seed, so no interval."]
        if not item.provenance.seeds:
            said = [f"{ours}: computed, no training."]
    else:
        n = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else counts[0]
        of = "random subsets or seeds" if item.provenance.draws else "seeds"
        said = [f"{ours}: this run, mean over n = {n} {of}; {interval}."]
    if any(cell.published is not None for cell in cells):
        said.append(f"{paper}: the paper's values.")
    if any(cell.replicated for cell in cells):
        said.append("Crosses: replicated on real data.")
    return said
