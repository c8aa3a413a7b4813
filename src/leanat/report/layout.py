"""Converts an item (see table.py) to the strings, spans and rules that item.typ prints; all decisions are made here."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

from leanat.plan.item import Column, Filled, Value
from leanat.report.notes import WHOLE_TIMES, has_papers, usual_n, usual_n_replicated
from leanat.report.notes import marks as marks_of
from leanat.report.statistics import Interval, over_images, paired_difference, t_interval, told_apart

Set = dict[str, Any]  # a cell of the page as item.typ reads it
ABSENT, EMPTY = "—", "–"  # a missing number of ours, whose reason is in the foot; a missing number in the paper
SAME = "same run"  # instead of a difference
LETTERS = dict.fromkeys("−+±=", 1.56) | dict.fromkeys(".,[]", 0.56) | {" ": 0.67, "n": 1.11}  # widths in digits
WIDEST = 24  # maximum number of letters of a stand-in's name in the head of its column; longer names are in the foot
GUTTER = {"stub": 9, "column": 15, "sub": 8}  # points: after a stub, between columns, between the parts of one


def layout(item: Filled) -> dict[str, Any]:
    parts = [_parts(item, c) for c in range(len(item.columns))]
    flat = [(c, part) for c, found in enumerate(parts) for part in found]
    stubs = 2 if any(row.group for row in item.rows) else 1
    marks, usual = marks_of(item), {"this run": usual_n(item), "replicated": usual_n_replicated(item)}
    columns = []
    for c, part in flat:
        cells = [_cell(item, r, c, part, usual, marks) for r in range(len(item.rows))]
        if part == "this run":
            _embolden(item, c, cells)
            if not any(cell["pm"] for cell in cells):  # composed or computed numbers have no seeds
                cells = [cell | {"n": ""} for cell in cells]
        columns.append(cells)
    header, rules, depth = _header(item, parts, stubs)
    blocks = []
    for label, rows in _blocks(item):
        blocks.append({"label": label, "rows": [_row(item, r, [cells[r] for cells in columns], marks) for r in rows]})
    return {
        "stubs": stubs,
        "depth": depth,
        "header": header,
        "rules": rules,
        "gutters": [GUTTER["stub"]] * (stubs - 1)
        + [GUTTER["column"]]
        + [GUTTER["sub" if a[0] == b[0] else "column"] for a, b in itertools.pairwise(flat)],
        "columns": [_widths(cells, part) for (_, part), cells in zip(flat, columns, strict=True)],
        "blocks": blocks,
    }


def _parts(item: Filled, c: int) -> list[str]:
    """The names of a column's sub-columns, as far as there are numbers for them."""
    cells, column = [row[c] for row in item.cells], item.columns[c]
    parts = ["paper"] if has_papers(item, c) else []
    parts += ["replicated"] if any(cell.replicated for cell in cells) else []
    parts += [] if column.skipped else ["this run"]
    if item.options.get("baseline") is None:
        return parts
    if column.unit in WHOLE_TIMES:
        return [name for part in parts for name in (part, *[f"{part} ÷"] * (part in ("paper", "this run")))]
    apart = any(_against_baseline(item, r, c, "this run −") for r in range(len(item.rows)))
    return parts + ["this run −"] * apart


def _against_baseline(item: Filled, r: int, c: int, part: str) -> Interval | None:
    """A row's number compared with its block's baseline: the difference, paired by seed (−), or the ratio (÷)."""
    pair = _beside_baseline(item, r, c)
    if pair is None:
        return None
    own, other = pair
    if part == "this run −":
        if own.is_run_of(other):
            return None
        common = own.by_seed.keys() & other.by_seed.keys()
        return paired_difference(own.by_seed, other.by_seed) if len(common) > 1 else None
    estimates = [_estimate(cell, part.removesuffix(" ÷")) for cell in pair]
    return Interval(estimates[0].mean / estimates[1].mean, None, None, 1) if all(estimates) else None


def _beside_baseline(item: Filled, r: int, c: int) -> tuple[Value, Value] | None:
    """The cells of a row and of its block's baseline; None for the baseline itself, and if the block has no baseline."""
    block = next(rows for _, rows in _blocks(item) if r in rows)
    base = next((o for o in block if item.rows[o].label == item.options["baseline"]), None)
    return None if base is None or base == r else (item.cells[r][c], item.cells[base][c])


def _cell(item: Filled, r: int, c: int, part: str, usual: dict[str, int | None], marks: dict[str, str]) -> Set:
    cell, digits = item.cells[r][c], item.columns[c].digits
    blank = {"mean": "", "pm": "", "n": "", "mark": "", "bold": False, "number": False}
    if part.endswith(("−", "÷")):
        interval, pair = _against_baseline(item, r, c, part), _beside_baseline(item, r, c)
        if part.endswith("−") and pair and pair[0].is_run_of(pair[1]):
            return {**blank, "mean": SAME}
        if interval is None:
            return blank
        if part.endswith("÷"):
            return {**blank, "mean": number(interval.mean, 3), "number": True}
        sign = "+" * (round(interval.mean, digits) > 0)
        pm = f"[{number(interval.low, digits)}, {number(interval.high, digits)}]"
        return {**blank, "mean": sign + number(interval.mean, digits), "pm": pm, "number": True}
    estimate = _estimate(cell, part)
    if part == "paper":
        digits = _printed_digits(item, c)
    if estimate is None:
        if part == "this run":
            return {**blank, "mean": ABSENT, "mark": marks[cell.missing]}
        return {**blank, "mean": EMPTY if part == "paper" else ""}
    pm = "" if estimate.half is None else f"± {number(estimate.half, digits)}"
    if part == "this run" and (images := over_images(cell, item.columns[c].unit)):
        pm = f"[{number(images.low, digits)}, {number(images.high, digits)}]"
    n = f"n={estimate.n}" if part in usual and estimate.n != usual[part] else ""
    return {**blank, "mean": number(estimate.mean, digits), "pm": pm, "n": n, "number": True}


def _estimate(cell: Value, part: str) -> Interval | None:
    if part == "paper":
        return None if cell.published is None else Interval(cell.published, None, None, 1)
    if part == "this run":
        return t_interval(cell.trials) if cell.values else None
    real = cell.replicated
    return Interval(real.mean, real.low, real.high, real.n) if real else None


def number(value: float, digits: int) -> str:
    """Fixed point with a true minus sign; numbers that round to zero have no sign."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def _printed_digits(item: Filled, c: int) -> int:
    """The number of decimals with which none of the paper's numbers in a column is rounded; at most four."""
    numbers = [row[c].published for row in item.cells if row[c].published is not None]
    places = (-int(Decimal(repr(float(value))).normalize().as_tuple().exponent) for value in numbers)
    return min(max((0, *places)), 4)


def _embolden(item: Filled, c: int, cells: list[Set]) -> None:
    """Prints the best mean of each block in bold if the interval of its paired difference to the next best excludes zero."""
    better = item.columns[c].better
    blocks = [list(range(len(item.rows)))] if item.one_block else [rows for _, rows in _blocks(item)]
    for rows in blocks if better else []:
        ranking = [(item.cells[r][c], r) for r in rows if item.cells[r][c].values]
        ranking.sort(key=lambda pair: pair[0].mean, reverse=better == "high")
        if len(ranking) > 1 and told_apart(ranking[0][0].by_seed, ranking[1][0].by_seed):
            cells[ranking[0][1]]["bold"] = True


def _blocks(item: Filled) -> list[tuple[str, list[int]]]:
    groups = itertools.groupby(range(len(item.rows)), lambda r: item.rows[r].group)
    return [(label, list(rows)) for label, rows in groups]


def _row(item: Filled, r: int, cells: list[Set], marks: dict[str, str]) -> dict[str, Any]:
    note = item.rows[r].note
    mark = "" if note is None else " †" if note == "ours" else f" ({marks[note]})"
    return {"label": item.rows[r].label + mark, "cells": cells}


def _widths(cells: list[Set], part: str) -> dict[str, Any]:
    """The widest string of each part of a cell (mean, ±, n)."""
    plain = [cell for cell in cells if cell["number"]]
    widest = {key: max((cell[key] for cell in plain), key=_width, default="") for key in ("mean", "pm", "n")}
    return {**widest, "quiet": part.startswith("paper")}


def _width(text: str) -> float:
    """The approximate width of a number, in digits; every digit is as wide as 0."""
    return sum(LETTERS.get(letter, 1.0) for letter in text)


def _header(item: Filled, parts: list[list[str]], stubs: int) -> tuple[list[Set], list[Set], int]:
    """Header cells and partial rules. If each group has one column and all columns have the same label, the label goes on top."""
    upper = [column.group for column in item.columns]
    lower = [_label(column) for column in item.columns]
    if len(set(lower)) == 1 and len(set(upper)) == len(upper) > 1:
        upper, lower = lower, upper
    starts = list(itertools.accumulate(map(len, parts), initial=stubs))
    cells, rules, y = [], [], 0
    if any(upper):
        for name, group in itertools.groupby(range(len(parts)), lambda c: upper[c]):
            columns = list(group)
            start, end = starts[columns[0]], starts[columns[-1] + 1]
            if name:
                cells.append(_heading(name, start, 0, end - start))
                rules.append({"y": 1, "start": start, "end": end})
        y = 1
    for c, label in enumerate(lower):
        cells.append(_heading(label, starts[c], y, len(parts[c])))
        rules.append({"y": y + 1, "start": starts[c], "end": starts[c + 1]})
        for p, part in enumerate(parts[c]):
            stand_in = item.columns[c].stand_in or ""
            stand_in = stand_in if len(stand_in) <= WIDEST else "stand-ins below"
            sub = {"replicated": "real data", "this run": stand_in}.get(part, "")
            if part.endswith(("−", "÷")):
                sub, part = item.options["baseline"], f"{part.removeprefix('this run ')}"
            heading = _heading(part, starts[c] + p, y + 1, 1)
            cells.append({**heading, "sub": sub, "small": True, "quiet": part.startswith("paper")})
    return cells, rules, y + 2


def _heading(text: str, x: int, y: int, span: int) -> dict[str, Any]:
    return {"text": text, "x": x, "y": y, "span": span, "sub": "", "small": False, "quiet": False}


def _label(column: Column) -> str:
    label, unit = column.label, column.unit
    label = label if not unit or unit in label else f"{label} ({unit})"
    arrow = {"high": "↑", "low": "↓", None: ""}[column.better]
    return label if not arrow or arrow in label else f"{label} {arrow}"
