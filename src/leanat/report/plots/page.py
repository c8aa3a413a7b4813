"""What the plots share: panels, legend, and the paragraphs that explain the marks and their origin."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy import array, ndarray

from leanat.plan.item import Filled
from leanat.report import style
from leanat.report.notes import SUBSETS, notes, of_seeds, over_subsets, scale_note, trials
from leanat.report.overview import plain
from leanat.report.plots.missing import missing, missing_along, own_rows
from leanat.report.plots.points import Key, Point, SeriesStyle, made_on, name, split
from leanat.report.statistics import Interval

LETTER = 0.085  # inches per letter of a panel's title
TITLE = 0.17  # inches per additional line of a panel's title
MARGIN = 0.08  # inches, beside the legend
WIDEST = 7.2  # inches
INTERVAL = "95 % t interval over seeds"
PAPER = {"mfc": "white", "mew": 1.1, "ms": 5.5, "zorder": 4}  # open markers
REAL = {"marker": "x", "mew": 1.3, "ms": 5, "capsize": 2, "elinewidth": 0.9, "zorder": 5}


def grid(count: int) -> tuple[int, int]:
    """The number of rows and of columns for ``count`` panels."""
    across = count if count <= 3 else 2 if count == 4 else 3 if count <= 9 else 4
    return math.ceil(count / across), across


def page(shape: tuple[int, int], panel: tuple[float, float], **subplots: Any) -> tuple[Figure, ndarray]:
    """A figure and its axes [rows, columns]; ``panel`` is a panel's size in inches, labels included, if there is room."""
    figure = _sheet(shape, panel)
    return figure, figure.subplots(*shape, squeeze=False, **subplots)


def _sheet(shape: tuple[int, int], panel: tuple[float, float]) -> Figure:
    width = min(max(WIDEST, 1.9 * shape[1]), max(style.WIDTH, shape[1] * panel[0]))
    figure = Figure(figsize=(width, shape[0] * panel[1]))
    FigureCanvasAgg(figure)
    return figure


def page_with_strips(
    shape: tuple[int, int], panel: tuple[float, float], below: float, **upper: Any
) -> tuple[Figure, ndarray, ndarray]:
    """Like ``page``, with a plain axis of ``below`` inches under each panel; ``upper``: keyword arguments of the upper panels."""
    figure = _sheet(shape, (panel[0], panel[1] + below))
    places = figure.add_gridspec(2 * shape[0], shape[1], height_ratios=[panel[1], below] * shape[0])
    axes = [
        [
            [figure.add_subplot(places[2 * r + low, c], **({} if low else upper)) for c in range(shape[1])]
            for r in range(shape[0])
        ]
        for low in (0, 1)
    ]
    return figure, array(axes[0]), array(axes[1])


def panels_of(item: Filled, item_points: Sequence[Point], panel: Key) -> tuple[tuple[int, int], dict]:
    """The shape of the grid and, by position, each panel's title and points. Panels without any number are left out."""
    if not isinstance(panel, str) and panel and len(panel) == 2:
        down, across = split(item, item_points, panel[0]), split(item, item_points, panel[1])
        down, across = _with_numbers(down), _with_numbers(across)
        places = {
            (r, c): (", ".join(filter(None, (column, row))), [p for p in ours if p in theirs])
            for r, (row, ours) in enumerate(down.items())
            for c, (column, theirs) in enumerate(across.items())
        }
        if len(across) == 1 and len(down) <= 3:  # side by side, since the other columns have no number
            return apart(item, (1, len(down)), {(0, r): part for (r, _), part in places.items()})
        return apart(item, (len(down), len(across)), places)
    parts = _with_numbers(split(item, item_points, panel)) if panel else {"": item_points}
    (_, count), places = apart(item, (1, len(parts)), {(0, k): part for k, part in enumerate(parts.items())})
    shape = grid(count)
    return shape, {divmod(c, shape[1]): part for (_, c), part in places.items()}


def anything(item_points: Sequence[Point]) -> bool:
    """Whether at least one of the points has something to draw."""
    return any(p.ours or p.real or p.paper is not None for p in item_points)


def _with_numbers(parts: dict[str, list[Point]]) -> dict[str, list[Point]]:
    """The parts that have something to draw, or all if none has; the foot explains the missing ones."""
    return {title: own for title, own in parts.items() if anything(own)} or parts


def apart(item: Filled, shape: tuple[int, int], panels: dict) -> tuple[tuple[int, int], dict]:
    """Moves values with other data or another scale than ours to panels of their own, whose heads name the data.

    These are replicated values, and the paper's values at smaller scales. A panel with only one kind of values stays one panel.
    """
    columns: dict[int, list[str]] = {}
    for c in range(shape[1]):
        own = [p for (_, at), (_, part) in panels.items() if at == c for p in part]
        columns[c] = [kind for kind in KINDS if any(_has(item, p, kind) for p in own)] or ["ours"]
    if all(kinds == ["ours"] for kinds in columns.values()):
        return shape, {at: (_alone(head, part), part) for at, (head, part) in panels.items()}
    order = [(c, kind) for c, kinds in columns.items() for kind in kinds]
    panels_apart = {}
    for (r, c), (head, part) in panels.items():
        for kind in columns[c]:
            if kind == "ours" or any(_has(item, p, kind) for p in part):
                panels_apart[r, order.index((c, kind))] = _headed(item, head, part, kind)
    return (shape[0], len(order)), panels_apart


KINDS = ("ours", "real", "paper")  # the kinds of panels


def _has(item: Filled, point: Point, kind: str) -> bool:
    """Whether a point has something to draw in a panel of this kind. At scale paper the paper's values are in our panels."""
    below = item.scale != "paper"
    drawn = {"ours": point.ours, "real": point.real, "paper": point.paper is not None and below}
    return bool(drawn[kind]) or (kind == "ours" and point.paper is not None and not below)


def _alone(head: str, part: Sequence[Point]) -> str:
    """The head of a panel without other kinds beside it. It names a stand-in, but not that the values are this run's."""
    return (
        "\n".join(filter(None, (head, made_on(part)))) if any(any(p.stand_in.names) for p in part if p.ours) else head
    )


def _headed(item: Filled, head: str, part: Sequence[Point], kind: str) -> tuple[str, list[Point]]:
    if kind == "ours":
        own = [p._replace(real=None, paper=None if item.scale != "paper" else p.paper) for p in part]
        return "\n".join(filter(None, (head, made_on(own)))), own
    bare = {"ours": None, "seeds": (), "images": None, "by_seed": {}, "missing": None}
    bare["paper" if kind == "real" else "real"] = None
    own = [p._replace(**bare) for p in part if _has(item, p, kind)]
    where = {name(item.labels, p.keys["data"]) for p in own if "data" in p.keys}
    data_set = ", ".join(where) if len(where) == 1 and not any(place in head for place in where) else ""
    whose = (
        ", ".join(filter(None, ("paper", data_set))) if kind == "paper" else f"replicated, {data_set or 'real data'}"
    )
    return "\n".join(filter(None, (head, whose))), own


def worded(label: str | Mapping[str, str], title: str) -> str:
    """The axis label of a panel, by the first line of its title if panels have their own. Raises ValueError if it has none."""
    if isinstance(label, str):
        return label
    head = title.partition("\n")[0]
    if head not in label:
        raise ValueError(f"y_label: no panel is called {', '.join(set(label))}; one is {head!r}")
    return label[head]


def tidy(axes: Any, panels: Any) -> None:
    """Keeps one axis label where neighbours share it, hides axes without a panel, and makes room for the titles' lines."""
    rows, columns = axes.shape
    figure = axes[0][0].figure
    letters, more = int(figure.get_figwidth() / columns / LETTER), 0
    for r in range(rows):
        most = 1
        labels = {axes[r][c].get_ylabel() for c in range(columns) if (r, c) in panels}
        for c in range(columns):
            if (r, c) not in panels:
                axes[r][c].set_visible(False)
            lines = [line for text in axes[r][c].get_title(loc="left").split("\n") for line in broken(text, letters)]
            axes[r][c].set_title("\n".join(lines))
            most = max(most, len(lines) if (r, c) in panels else 1)
            if (r + 1, c) in panels:
                axes[r][c].set_xlabel("")
            if c and len(labels) == 1:
                axes[r][c].set_ylabel("")
        more += most - 1
    figure.set_figheight(figure.get_figheight() + TITLE * more)


def broken(text: str, letters: int) -> list[str]:
    """The lines of a title: broken after commas, and between two commas only if that part is too long for a line."""
    *before, last = text.split(", ")
    lines = [""]
    for part in (*(f"{part}," for part in before), last):
        if len(f"{lines[-1]} {part}".strip()) > letters:
            lines.append("")
        *whole, rest = textwrap.wrap(f"{lines[-1]} {part}".strip(), letters) or [""]
        lines[-1:] = [*whole, rest]
    return [line for line in lines if line]


def cut(axis: Axes, part: Sequence[Point], side: Literal["x", "y"] = "y") -> None:
    """Ends an axis of accuracies at 0 and 100 %, although intervals over few seeds may be longer.

    An axis that also has differences of accuracies ends at -100 and 100.
    """
    if not part or any(p.unit != "%" or ("reference" in p.keys and not p.keys.get("difference")) for p in part):
        return
    least = -100 if any("reference" in p.keys for p in part) else 0
    low, high = style.of_shares(*getattr(axis, f"get_{side}lim")(), least)
    ticks = [t for t in getattr(axis, f"get_{side}ticks")() if max(low, least) <= t <= min(high, 100)]
    axis.set(**{f"{side}lim": (low, high), f"{side}ticks": ticks})


class Plot(NamedTuple):
    """Panels and legend, and the sentences that explain the marks."""

    figure: Figure
    read: tuple[str, ...]


def finish(figure: Figure, handles: Sequence[Any], read: Sequence[str]) -> Plot:
    """Puts the legend below the panels, makes the figure taller by its height, and computes the layout once."""
    width, body = figure.get_size_inches()
    legend = _legend(figure, handles, width - 2 * MARGIN)
    tall = legend.get_window_extent(figure.canvas.get_renderer()).height / figure.dpi + 0.08 if legend else 0.0
    height = body + tall
    figure.set_size_inches(width, height)
    figure.get_layout_engine().set(rect=(0, tall / height, 1, body / height))
    if legend:
        legend.set_bbox_to_anchor((0.5, (tall - 0.03) / height), figure.transFigure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return Plot(figure, tuple(read))


def line_handles(drawn: Mapping[str, SeriesStyle]) -> list[Line2D]:
    """The legend's entries for lines with markers."""
    return [Line2D([], [], color=s.colour, marker=s.marker, ls=s.dash, label=label) for label, s in drawn.items()]


def area_handles(drawn: Mapping[str, SeriesStyle]) -> list[Patch]:
    """The legend's entries for bars and areas."""
    return [Patch(fc=s.colour, hatch=s.hatch, ec="white", lw=0, label=label) for label, s in drawn.items()]


def paper_handle(item: Filled, item_points: Sequence[Point]) -> list[Line2D]:
    """The legend's entry for the paper's open markers, if there are any, with the data that they were measured on."""
    paper_points = [point for point in item_points if point.paper is not None]
    data = {name(item.labels, point.keys["data"]) for point in paper_points if "data" in point.keys}
    label = f"paper, {data.pop()}" if len(data) == 1 else "paper"
    label += "" if item.scale == "paper" else " (not at this scale)"
    return [Line2D([], [], ls="", marker="o", mec=style.GREY, label=label, **PAPER)] if paper_points else []


def real_marks(real: Interval) -> dict[str, Any]:
    """The look of a replicated value, whose whiskers have caps where they are over seeds."""
    return REAL | {"capsize": REAL["capsize"] * (real.n > 1)}


def real_handle(item_points: Sequence[Point]) -> list[Line2D]:
    """The legend's entry for replicated values, if there are any."""
    style_ = {key: REAL[key] for key in ("marker", "mew", "ms")}
    handle = Line2D([], [], ls="", color=style.GREY, label="replicated, real data", **style_)
    return [handle] if any(point.real for point in item_points) else []


FEW = 5  # with at most so many seeds, each seed is drawn


def seeds(axis: Axes, point: Point, colour: str, x: float) -> None:
    """Draws each of a few seeds, or the interval over test examples of a single seed, at the ``x`` of the mark."""
    if _few(point):
        where = [x] * len(point.seeds), point.seeds
        axis.plot(*where, ls="", marker=".", ms=2.6, mew=0, color=colour, alpha=0.75, zorder=4)
    elif point.images:
        where = [x] * 2, [point.images.low, point.images.high]
        axis.plot(*where, ls="-", marker="", lw=2.6, color=colour, alpha=0.25, zorder=2, solid_capstyle="butt")


def _few(point: Point) -> bool:
    return 1 < len(point.seeds) <= FEW


def empty(axis: Any, item_points: Sequence[Point]) -> None:
    """Writes into a panel that has nothing to draw the reason why."""
    if not anything(item_points):
        reason = next((p.missing for p in item_points if p.missing), "no value")
        text = textwrap.fill(plain(reason), 28)
        axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color=style.GREY)
        axis.set_yticks([])


def _legend(figure: Figure, handles: Sequence[Any], width: float) -> Any:
    """The legend with as few lines as fit, all of about the same length."""
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
    """The order of handles in which a legend reads row by row, since matplotlib fills it column by column."""
    full, rest = divmod(len(handles), columns)
    rows = [handles[k : k + columns] for k in range(0, len(handles), columns)]
    order = [row[c] for c in range(columns) for row in rows if c < len(row)]
    return order if full and (rest == 0 or len(rows) > 1) else handles


def foot(item: Filled, read: Sequence[str]) -> list[dict[str, str]]:
    """The paragraphs {head, body} below a figure, the most important first; ``read``: the sentences on the marks."""
    paragraphs = [("", " ".join(read))]
    if item.has_published:
        text = "Smaller than the paper's, whose values have panels of their own: for the order of methods, not to compare levels."
        paragraphs.append(scale_note(item, text))
    wanted = ("Stand-ins.", "Replicated.", "Not finite.", "This run.", "Not checked.", "Scaled.", "Times.", "Not run.")
    own = {note["head"]: note["body"] for note in notes(item)}
    paragraphs += [(head, own[head]) for head in wanted if head in own]
    along = item.options.get("plot") in ("lines", "areas")
    paragraphs.append(("Missing.", missing_along(item) if along else missing(item)))
    paragraphs.append(("Not in the paper.", own_rows(item)))
    return [{"head": head, "body": body} for head, body in paragraphs if body]


def reading(
    item: Filled, ours: str, interval: str, paper: str = "Open markers", each: Sequence[Point] = ()
) -> list[str]:
    """The sentences that explain the marks: ``ours`` names our marks, ``interval`` says how their interval is drawn.

    ``each``: the points for which ``seeds`` is called.
    """
    cells = [cell for _, _, cell in item.flat]
    counts = sorted(set(of_seeds(item)))
    if not counts:
        sentences = ["No run of ours is shown."]
    elif counts[-1] == 1:
        sentences = [f"{ours}: this run, one seed."]
        if not item.provenance.seeds:
            sentences = [f"{ours}: computed, no training."]
    else:
        n = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else counts[0]
        of = trials(item)
        several = " where n is more than 1" * (counts[0] == 1)
        sentences = [f"{ours}: this run, mean over n = {n} {of}; {interval.replace('seeds', of)}{several}."]
        sentences += [SUBSETS] if over_subsets(item) else []
    if any(_few(p) for p in each):
        sentences.append("Small dots: the seeds, one by one.")
    if any(p.images for p in each):
        which = "Pale bars" + " where n = 1" * (counts[-1] > 1)
        sentences.append(f"{which}: Wilson's 95 % interval over its test examples, which says nothing of other seeds.")
    if item.has_published:
        sentences.append(f"{paper}: the paper's values.")
    if any(cell.replicated for cell in cells):
        sentences.append("Crosses: replicated on real data, in panels of their own.")
    return sentences
