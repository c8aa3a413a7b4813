"""The text in a figure's foot on missing cells, with the reasons, and on rows that the paper does not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from leanat.plan.item import Filled, Row
from leanat.report.plots.points import flat, name, points, title


def own_rows(item: Filled) -> str:
    """The rows that the paper does not have."""
    return _some([_row(item, row) for row in item.rows if row.note not in (None, "ours")])


def missing(item: Filled) -> str:
    """Why cells that should have been run are empty; each reason once, for whole rows and columns where possible."""
    rows, columns = range(len(item.rows)), range(len(item.columns))
    skipped = [column.skipped for column in item.columns]
    reasons: dict[str, set[tuple[int, int]]] = {}
    for r in rows:
        for c in columns:
            cell = item.cells[r][c]
            if not cell.values and not skipped[c]:
                reasons.setdefault(cell.missing, set()).add((r, c))
    clauses = []
    for reason, cells in reasons.items():
        whole = [r for r in rows if all((r, c) in cells or skipped[c] for c in columns)]
        across = [c for c in columns if not skipped[c] and all((r, c) in cells for r in rows)]
        rest = sorted((r, c) for r, c in cells if r not in whole and c not in across)
        names = [item.columns[c].words for c in across] + [item.rows[r].words for r in whole]
        if len(whole) == len(rows):
            names = ["all"]
        names += [f"{item.rows[r].words} / {item.columns[c].words}" for r, c in rest]
        clauses.append(f"{_some(names)}: {reason}")
    return "; ".join(clauses) + "." * bool(clauses)


def missing_along(item: Filled) -> str:
    """Like ``missing``, for a figure over a number: names panels, series and values of x as its heads, legend and axis do."""
    options = item.options
    x, label = options["x"], options.get("x_label") or options["x"]
    counts: Counter[str] = Counter()
    reasons: dict[str, dict[str, dict[str, list[str]]]] = {}  # by reason, panel and series: the values of x
    for point, (_, column, _) in zip(points(item), item.flat, strict=True):
        if column.skipped:
            continue
        panel = title(item, point, options.get("panel")).replace(", ", " / ")
        counts[panel] += 1
        if not point.ours:
            series = title(item, point, options.get("series", "column_label")) or title(item, point, "row_label")
            places = reasons.setdefault(point.missing or "", {}).setdefault(panel, {}).setdefault(series, [])
            places += [f"{point.keys[x]:g}"] if x in point.keys else [""]
    sentences = []
    for reason, panels in reasons.items():
        alike: dict[str, list[str]] = {}  # panels by their missing part
        for panel, own in panels.items():
            whole = sum(map(len, own.values())) == counts[panel]
            alike.setdefault("" if whole else _places(own, label), []).append(panel)
        parts = []
        for what, panel_names in alike.items():
            heads = ("all" + " panels" * (len(counts) > 1)) if len(panel_names) == len(counts) else _some(panel_names)
            parts.append(": ".join(filter(None, ("" if heads == "all" and what else heads, what))))
        sentences.append(f"{'; '.join(parts)}: {reason}.")
    return " ".join(sentences)


def _places(own: Mapping[str, Sequence[str]], label: str) -> str:
    """The missing series and values of x in words: ``hardest, random at k = 10, 20, and full AT``."""
    by_places: dict[str, list[str]] = {}
    for series, places in own.items():
        by_places.setdefault(", ".join(filter(None, dict.fromkeys(places))), []).append(series)
    return ", and ".join(_some(names) + f" at {label} = {at}" * bool(at) for at, names in by_places.items())


def _row(item: Filled, row: Row) -> str:
    """The name of a row: its panel and series if the figure takes these from the row's entries, else its words."""
    keys = [key for key in flat([item.options.get("panel"), item.options.get("series")]) if key in row.entry]
    if item.options.get("plot") not in ("lines", "areas") or not keys:
        return row.words
    return " / ".join(dict.fromkeys(name(item.labels, row.entry[key]) for key in keys))


def _some(names: Sequence[str]) -> str:
    distinct_names = list(dict.fromkeys(names))
    return ", ".join(distinct_names[:4]) + (f" and {len(distinct_names) - 4} more" if len(distinct_names) > 4 else "")
