"""The foot of a table: how to read its numbers, where they were made, and what is missing and why."""

from __future__ import annotations

import itertools
import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from leanat.experiments.scales import SCALES
from leanat.plan.item import Column, Filled, Item, Provenance, Replicated, Row, Value
from leanat.report.statistics import over_images

# What a composed time includes and what it leaves out (cost.timing, cost.predict).
TIMES = (
    "Composed of measured steps, updates of discriminators, and selections, at the paper's own settings, on random images "
    "in memory; reading and decoding files is not in them. All images count as classified rightly, so that an attack works "
    "on all; the attack on a validation part, where a selection makes one, is taken to cost what that of the training does."
)
GREY = "Grey: the paper's values."
SUBSETS = "Random subsets that are drawn several times within a seed are averaged first."
UNATTACKED = {"clean", "natural", "clean_batch"}  # metrics of clean images
WHOLE_TIMES = ("minutes",)  # units of whole trainings, which are compared with the baseline as a ratio


def marks(item: Filled) -> dict[str, str]:
    """A letter for each reason of a missing cell and each note of a row, in order of appearance."""
    letter_by_text: dict[str, str] = {}
    letters = itertools.chain.from_iterable(itertools.product(string.ascii_lowercase, repeat=n) for n in (1, 2))
    for row, cells in item.by_row:
        blank = [c for c, column in zip(cells, item.columns, strict=True) if not c.values and not column.skipped]
        for text in [row.note, *(cell.missing for cell in blank)]:
            if text not in (None, "ours", *letter_by_text):
                letter_by_text[text] = "".join(next(letters))
    return letter_by_text


def of_seeds(item: Filled) -> list[int]:
    """The number of seeds of each number of this run; without times and choices by all runs together, if there are others."""
    shown = [cell for _, _, cell in item.flat if cell.values]
    return [c.n for c in shown if not c.composed and len(c.values) >= len(c.runs)] or [c.n for c in shown]


def usual_n(item: Filled) -> int | None:
    """The most frequent number of seeds, given in the foot; other numbers are printed in their cells. None without numbers."""
    return _commonest(of_seeds(item))


def usual_n_replicated(item: Filled) -> int | None:
    """The most frequent number of seeds of the replicated numbers."""
    return _commonest([cell.replicated.n for _, _, cell in item.flat if cell.replicated])


def _commonest(ns: Sequence[int]) -> int | None:
    counts = Counter([n for n in ns if n > 1] or ns)
    return min(counts, key=lambda n: (-counts[n], -n), default=None)


def notes(item: Filled) -> list[dict[str, str]]:
    """Paragraphs {head, body}, in reading order."""
    columns, provenance, n = item.columns, item.provenance, usual_n(item)
    paragraphs = [("", _reading(item, n))]
    if item.of_a_paper:
        values = "its values are there " * item.has_published
        paragraphs.append(
            scale_note(item, f"Smaller than the paper's: {values}for the ordering of methods, not to compare levels.")
        )
    stand_ins = _by_value(columns, lambda column: None if column.skipped else column.stand_in)
    everywhere = len(stand_ins) == 1 and all(column.stand_in and not column.skipped for column in columns)
    data_sets = (
        f"{data} {'throughout' if everywhere else '(' + ', '.join(names) + ')'}" for data, names in stand_ins.items()
    )
    paragraphs.append(("Stand-ins.", _list(data_sets)))
    sizes = _by_value(columns, lambda column: column.n_test)
    facts = [*[f"scale {item.scale}"] * item.of_a_paper, *_seeds(provenance.seeds)]
    if len(sizes) == 1:
        facts.append(f"{next(iter(sizes)):,} test examples")
    elif sizes:
        facts.append("test examples: " + ", ".join(f"{size:,} ({', '.join(names)})" for size, names in sizes.items()))
    fewer = _by_value(columns, lambda column: _fewest(item, column))
    facts += [f"{size} of them ({', '.join(names)})" for size, names in fewer.items()]
    facts += [part for part in (provenance.device, provenance.date) if part]
    facts += [f"revision {provenance.revision}"] if provenance.revision else []
    facts += [provenance.attacks] if provenance.attacks else []
    paragraphs.append(("This run.", "; ".join(facts) + "."))
    paragraphs.append(("Not checked.", unrecorded(provenance)))
    unless = None if item.options.get("plot") else usual_n_replicated(item)
    real = _origins([cell.replicated for _, _, cell in item.flat if cell.replicated], unless)
    paragraphs.append(("Replicated.", "Real data, mean ± half-width: " + "; ".join(real) + "." if real else ""))
    paragraphs.append(("Scaled.", _list(provenance.factors)))
    paragraphs.append(("Not finite.", _not_finite(item)))
    paragraphs.append(("Times.", TIMES if provenance.composed else ""))
    skipped = _by_value(columns, lambda column: column.skipped)
    paragraphs.append(("Not run.", _list(f"{', '.join(names)}: {reason}" for reason, names in skipped.items())))
    paragraphs += [(f"({mark})", reason) for reason, mark in marks(item).items()]
    return [{"head": head, "body": body} for head, body in paragraphs if body]


def scale_note(item: Filled, smaller: str) -> tuple[str, str]:
    """The paragraph on a scale other than the paper's; ``smaller`` is its text if the item has trainings."""
    trained, has_values = bool(item.provenance.seeds), any(cell.values for _, _, cell in item.flat)
    body = smaller if trained else "Nothing is trained for this: all of it is at the paper's own settings." * has_values
    return f"Scale {item.scale}.", body * (item.scale != "paper")


def _fewest(item: Filled, column: Column) -> str | None:
    """The number of test examples behind a column's accuracies; None if all of its data set are used."""
    k = item.columns.index(column)
    counts = [row[k].tested for row in item.cells if row[k].tested]
    if not counts or not column.n_test or min(counts) >= column.n_test:
        return None
    # Some numbers, such as differences, have no count of images.
    others = any(row[k].values and not row[k].tested for row in item.cells)
    return ("accuracies on " if others else "") + _span(counts)


def unrecorded(provenance: Provenance) -> str:
    """A sentence about runs that do not record what they were made from; empty if there are none."""
    old, runs = provenance.unrecorded
    clause = f"{old} of {runs} run{'s' * (runs > 1)} without a record of what it was made from"
    return f"{clause}: whether data and networks belong together is not checked." if old else ""


def _not_finite(item: Filled) -> str:
    """The rows and columns with NaN or infinite logits, and the number of such images in the worst run."""
    rows = []
    for row, cells in item.by_row:
        bad = [(c.label, cell.not_finite) for c, cell in zip(item.columns, cells, strict=True) if cell.not_finite]
        if bad:
            rows.append(f"{row.words} ({', '.join(f'{label} {count:,}' for label, count in bad)})")
    return _list(
        ["Images whose logits are NaN or infinite count as wrong, in the worst run of " + "; ".join(rows)] * bool(rows)
    )


def trials(item: Filled) -> str:
    """The trials over which the intervals of this run are taken: its seeds, or the random subsets of a single seed."""
    return "random subsets" if item.provenance.draws and len(item.provenance.seeds) == 1 else "seeds"


def over_subsets(item: Filled) -> bool:
    """Whether a cell has more values than seeds, that is several values per seed, from several random subsets."""
    return any(len(cell.values) > cell.n for _, _, cell in item.flat)


def _reading(item: Filled, n: int | None) -> str:
    """The sentences on how to read the numbers."""
    sentences = [GREY] * item.has_published
    several = any(cell.n > 1 for _, _, cell in item.flat)
    if n is not None and several:
        unless = " unless shown" * (len(set(of_seeds(item))) > 1)
        of = trials(item)
        sentences.append(
            f"This run: mean ± half-width of the 95 % t interval over n = {n} {of if n > 1 else of[:-1]}{unless}."
        )
        sentences += [SUBSETS] if over_subsets(item) else []
    elif n is not None and not item.provenance.seeds:
        sentences.append("This run: computed, no training.")
    elif n is not None:
        sentences.append("This run: one seed, so no interval over seeds.")
    if any(over_images(cell, column.unit) for _, column, cell in item.flat):
        which = " of a number of one seed" * several
        sentences.append(
            f"[ ]{which}: Wilson's 95 % interval over its test examples, which says nothing of other seeds."
        )
    if within := _best_of(item):
        sentences.append(
            f"Bold: best of its {within}, and told apart from the next by the 95 % interval of the paired difference over "
            "seeds; another test set is not in it."
        )
    if item.options.get("baseline"):
        name = item.options["baseline"]
        if any(len(cell.by_seed) > 1 for _, _, cell in item.flat):
            sentences.append(f"−: less {name} of the block, paired by seed, with its 95 % interval.")
        sentences += [f"÷: of the time of {name}."] * any(column.unit in WHOLE_TIMES for column in item.columns)
        if _repeats(item, name):
            sentences.append(f"Same run: with the settings of {name}, so that there is nothing to compare.")
    if any(row.note == "ours" for row in item.rows):
        sentences.append("†: the paper's own method.")
    beside = [k for k in range(len(item.columns)) if has_papers(item, k)]
    if item.of_a_paper and any(row[k].published is None for row in item.cells for k in beside):
        sentences.append("–: no value in the paper, or none legible.")
    return " ".join(sentences)


def has_papers(item: Filled, k: int) -> bool:
    """Whether a column shows the paper's values beside ours."""
    return bool(item.columns[k].skipped) or any(row[k].published is not None for row in item.cells)


def _best_of(item: Filled) -> str:
    """The part of the table in which a bold number is the best, in words. It is empty if no number can be bold: that takes two
    rows with two seeds.
    """
    several: Counter[tuple[int, str]] = Counter()
    for row, cells in item.by_row:
        for k, (column, cell) in enumerate(zip(item.columns, cells, strict=True)):
            several[k, "" if item.one_block else row.group] += bool(column.better) and len(cell.by_seed) > 1
    if max(several.values(), default=0) < 2:
        return ""
    whole = item.one_block or len({row.group for row in item.rows}) == 1
    return "column" if whole else "column and block"


def _repeats(item: Filled, name: str) -> bool:
    """Whether a row with another label has the same runs as the row ``name`` of its block."""
    bases = {row.group: cells for row, cells in item.by_row if row.label == name}
    others = [(cells, bases[row.group]) for row, cells in item.by_row if row.label != name and row.group in bases]
    return any(a.is_run_of(b) for own, base in others for a, b in zip(own, base, strict=True))


def _seeds(seeds: Sequence[int]) -> list[str]:
    """The seeds in words; an empty list if no run has a seed."""
    return [f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"] if seeds else []


def _origins(cells: Iterable[Replicated], usual: int | None) -> list[str]:
    """The origin of replicated values. A smaller scale is described, so that its levels are not taken for the paper's.

    ``usual``: the number of seeds that is not printed beside a number; None if no number has its seeds beside it.
    """
    parts: dict[tuple[str, str], list[Replicated]] = defaultdict(list)
    for cell in cells:
        parts[cell.scale, cell.device].append(cell)
    origins = []
    for (name, device), own in parts.items():
        scale = f"scale {SCALES[name].title if name in SCALES else name}" if name else ""
        tested = [cell.tested for cell in own if cell.tested]
        images = f"accuracies on {_span(tested)} test images" if tested else ""
        metrics = {one.partition("@")[0] for cell in own for one in re.split(r"[+-]", cell.metric)}
        attacked = SCALES[name].attacked if name in SCALES and metrics - UNATTACKED else ""
        ensemble = SCALES[name].ensemble if name in SCALES and any(m.startswith("auto") for m in metrics) else ""
        ns, drawn = {cell.n for cell in own}, usual is None
        alone = "intervals of n = 1" + " (without caps)" * (drawn and len(ns) > 1) + " over test images alone"
        alone *= any(c.n == 1 and c.low is not None for c in own)
        seeds = f"n = {_span([*ns])}" if drawn or len(ns) == 1 else f"n = {usual} unless shown"
        origins.append(", ".join(filter(None, (scale, seeds, alone, images, attacked, ensemble, device))))
    return origins


def _span(counts: Sequence[int]) -> str:
    """The least and the greatest of some numbers, or the number itself if all are equal."""
    return f"{min(counts):,}" + f" to {max(counts):,}" * (max(counts) > min(counts))


def _by_value(columns: Sequence[Column], of: Callable[[Column], Any]) -> dict[Any, list[str]]:
    """The names of columns by their value: the group's name, or the column's label if the group has several values or no name."""
    names_by_value, groups = defaultdict(list), defaultdict(set)
    for column in columns:
        groups[column.group].add(of(column))
    for column in columns:
        name = column.group if column.group and len(groups[column.group]) == 1 else column.label
        if of(column) and name not in names_by_value[of(column)]:
            names_by_value[of(column)].append(name)
    return dict(names_by_value)


def _list(parts: Iterable[str]) -> str:
    text = "; ".join(parts)
    return text + "." if text and not text.endswith(".") else text


def row_note(
    item: Item, row: Row, cells: Sequence[Value], above: Sequence[tuple[Row, Sequence[Value]]] = ()
) -> str | None:
    """The foot's note on a row: that it is our own, that a stronger attack refutes its robustness, or that all its numbers
    equal those of a row ``above`` although the settings differ.

    The option ``doubt`` lists pairs of metrics, a weaker and a stronger attack. A row is noted if its robust accuracy is 5 % or
    more under the first and at most half of that under the second.
    """
    clauses = ["not in the paper: our own reference"] if row.ours else []
    named_means = {}
    for column, cell in zip(item.columns, cells, strict=True):
        if cell.values:
            name = " of ".join(filter(None, (column.label, column.group)))
            named_means[column.entry.get("metric")] = name, cell.mean
    for pair in item.options.get("doubt", []):
        if set(pair) <= set(named_means):
            (weak, high), (strong, low) = (named_means[metric] for metric in pair)
            if high >= 5 and low <= high / 2:
                falls = "vanishes" if low < 5 else "falls to half or less"
                clauses.append(f"its robustness {falls}: {high:.1f} % by {weak}, {low:.1f} % by {strong}")
    twin = next((other for other, values in above if _same_networks(cells, values)), None)
    clauses += [f"every number as of {twin.words}, of other settings: what differs did not act here"] if twin else []
    return "; ".join(clauses) or None


def _same_networks(a: Sequence[Value], b: Sequence[Value]) -> bool:
    """Whether trainings with different settings have equal numbers in every run and column, for at least two columns."""
    pairs = [both for both in zip(a, b, strict=True) if all(len(v.values) == len(v.runs) > 0 for v in both)]
    return len(pairs) > 1 and all(x.values == y.values and x.specs != y.specs for x, y in pairs)
