"""The findings in README.md: sentences whose numbers are read from finished items, the ledger and ``replicated/``.

``leanat readme`` writes them between marks of README.md, each cell of the demo that they use into docs/demo.csv, and the ledger
into docs/claims_all.csv, or docs/claims_verdicts.csv once ``leanat decide`` has added seeds; from these files
tests/report/test_readme.py writes them again.
"""

from __future__ import annotations

import csv
import json
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from leanat.core.files import atomic_write
from leanat.plan import looks
from leanat.report import ledger, published, replicated
from leanat.report.cells import Items
from leanat.report.claims import load
from leanat.report.statistics import Interval, paired_difference, t_interval

BEGIN, END = '<!-- {}: written by "leanat readme" -->', "<!-- end of {} -->"
LEDGERS = {False: "docs/claims_all.csv", True: "docs/claims_verdicts.csv"}  # whether seeds were added where they decide
DECIDABLE = ("supported", "not supported", "inconclusive", "not decidable")
COLUMNS = ["item", "row", "column", "values"]
Values = dict[int, float]  # by seed
Cells = dict[tuple[str, str, str], Values]  # by item, row, column


class Findings:
    """Numbers of cells as text; it remembers which cells it was asked for.

    ``read``: the values of a cell; ValueError, saying why, where it has none.
    """

    def __init__(self, read: Callable[[str, str, str], Values]):
        self._read, self.used = read, Cells()

    def values(self, item: str, row: str, column: str) -> Values:
        self.used[item, row, column] = self._read(item, row, column)
        return self.used[item, row, column]

    def mean(self, item: str, row: str, column: str, digits: int = 0) -> str:
        """The mean over seeds, such as ``62``."""
        return f"{self._interval(item, row, column).mean:.{digits}f}"

    def level(self, item: str, row: str, column: str, digits: int = 1) -> str:
        """The mean with the half-width of its 95 % interval over seeds, such as ``62.1 ± 0.9``; one seed has none."""
        found = self._interval(item, row, column)
        half = "" if found.half is None else f" ± {found.half:.{digits}f}"
        return f"{found.mean:.{digits}f}{half}"

    def interval(self, item: str, row: str, column: str, digits: int = 2) -> str:
        """A cell that is a difference itself: ``+0.04 [-0.08, 0.15]``."""
        return _text(self._interval(item, row, column), digits)

    def gap(self, item: str, row: str, other: str, column: str, digits: int = 1) -> str:
        """Row less other row, paired over seeds, with its 95 % interval: ``+0.4 [-0.8, 1.5]``."""
        return _text(paired_difference(self.values(item, row, column), self.values(item, other, column)), digits)

    def _interval(self, item: str, row: str, column: str) -> Interval:
        return t_interval(list(self.values(item, row, column).values()))


def _text(found: Interval, digits: int) -> str:
    text = f"{found.mean:+.{digits}f}"
    return text if found.low is None else f"{text} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def of_items(items: Items) -> Findings:
    """The findings of finished items."""

    def read(item: str, row: str, column: str) -> Values:
        cell = items.cell(*item.split("/"), row, column)
        if not cell.values:
            raise ValueError(f"README: {item}, {row!r}, {column!r}: {cell.missing or 'no number'}")
        return dict(cell.values)

    return Findings(read)


def of_cells(cells: Cells) -> Findings:
    """The findings of the cells in docs/demo.csv."""

    def read(item: str, row: str, column: str) -> Values:
        if (item, row, column) not in cells:
            raise ValueError(f"README: {item}, {row!r}, {column!r}: not in docs/demo.csv; write it: leanat readme")
        return cells[item, row, column]

    return Findings(read)


def of_replicated(folder: Path) -> Findings:
    """The findings of ``replicated/``."""

    def read(item: str, row: str, column: str) -> Values:
        found = replicated.load(*item.split("/"), folder).items()
        values = next((cell.values for (r, c, _), cell in found if (r, c) == (row, column)), None)
        if values is None:
            raise ValueError(f"README: {folder}/{item}.csv has no cell {row!r}, {column!r}")
        return values

    return Findings(read)


def write(cells: Cells, path: Path) -> None:
    with atomic_write(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows([*where, json.dumps(values)] for where, values in sorted(cells.items()))


def read(path: Path) -> Cells:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {(r["item"], r["row"], r["column"]): {int(k): v for k, v in json.loads(r["values"]).items()} for r in rows}


def with_block(text: str, name: str, lines: list[str]) -> str:
    """The document with a block's entries replaced, wrapped. Raises ValueError where it has not got both marks once."""
    begin, end = BEGIN.format(name), END.format(name)
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"README.md: the lines {begin} and {end} must stand there once each")
    wrapped = (textwrap.fill(line, 130, subsequent_indent="  ", break_on_hyphens=False) for line in lines)
    block = "\n".join([begin, *wrapped, end])
    return re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: block, text, flags=re.S)


def update(root: Path, results: Path, papers: Iterable[str]) -> None:
    """Writes the files of the checkout ``root``. Raises ValueError, naming the cell, for a number that is not there."""
    found, path = of_items(Items(results, "demo")), root / "README.md"
    real = root / "replicated"
    text = with_block(path.read_text(encoding="utf-8"), "demo", demo(found))
    text = with_block(text, "photographs", photographs(real, root / "published"))
    lines = ledger.lines({paper: load(paper) for paper in papers}, results, real, "demo")
    ledger.write_csv(lines, ledger.price(lines, results), root / LEDGERS[bool(looks.read(results, "demo"))])
    text = with_block(text, "claims", claims(root))
    write(found.used, root / "docs" / "demo.csv")
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8")


WHERE = {"subset": "On a tenth of CIFAR-10 with smaller networks, a scale that is no longer there."}
Printed = Callable[[str, str, str], str]  # an item, row and column to what the paper prints there


def photographs(real: Path, papers: Path) -> list[str]:
    """What training on real photographs shows, an item of ``real`` an entry; ``papers``: the folder of their numbers."""

    def printed(item: str, row: str, column: str) -> str:
        return published.lookup(*item.split("/"), row, column, papers).text

    of, made = of_replicated(real), {f"{path.parent.name}/{path.stem}" for path in real.glob("*/*.csv")}
    told = {
        "coreset/table3": _fast_coresets,
        "coreset/autopsy": _autopsy,
        "qtart/decomposition": _removal,
        "sat/figure2": _classes,
        "sat/autopsy": _slips_of_sat,
        "saliency/phase1": _first_phase,
        "saliency/autopsy": _batch_statistics,
        "advprune/variants": _pruned,
    }
    entries = []
    for item, tell in told.items():
        if item in made:
            scale = next(iter(replicated.load(*item.split("/"), real).values())).scale
            entries.append(f"{tell(of, printed)} {WHERE.get(scale, f'Scale {scale}.')}")
    return entries


def _seeds(of: Findings, item: str, row: str, column: str) -> str:
    count = len(of.values(item, row, column))
    return "one seed" if count == 1 else f"{count} seeds"


def _fast_coresets(of: Findings, printed: Printed) -> str:
    item, full = "coreset/table3", "Fast Adv. Training"
    rows = {
        "GRAD-MATCH": "+ Adv. GradMatch (Ours)",
        "CRAIG": "+ Adv. Craig (Ours)",
        "GRAD-MATCH by class": "Adv. GradMatch, by class",
        "CRAIG by class": "Adv. Craig, by class",
    }
    chance = "Random, drawn again"

    def both(row: str) -> str:
        own = f"{of.level(item, row, 'ACC')} and {of.level(item, row, 'RACC')}"
        if row == chance:
            return own
        return f"{own} (the paper: {printed(item, row, '↑ ACC (%)')} and {printed(item, row, '↑ RACC (%)')})"

    against = "; ".join(
        f"{name} {of.gap(item, row, chance, 'ACC')} and {of.gap(item, row, chance, 'RACC')}"
        for name, row in rows.items()
    )
    return (
        f"- `coreset` Table 3, Fast AT and half of the data ({_seeds(of, item, full, 'ACC')}). Clean and robust accuracy "
        f"(PGD-50-10): full training {both(full)}, GRAD-MATCH {both(rows['GRAD-MATCH'])}, CRAIG {both(rows['CRAIG'])}, "
        f"random subsets of as many images {both(chance)}. Against random subsets, clean and robust: {against}."
    )


def _autopsy(of: Findings, printed: Printed) -> str:
    item = "coreset/autopsy"
    rows = {
        "training on batches that CRAIG did not score": "Craig: batches that were not scored",
        "CRAIG's batches kept whole": "Craig: batches kept whole",
        "GRAD-MATCH's kept whole": "GradMatch: batches kept whole",
        "its early stop and random fill-up": "GradMatch: early stop, fill-up",
        "the idle gap": "GradMatch: idle gap",
        "gradients in training mode": "GradMatch: training mode",
    }
    first, gaps = next(iter(rows.values())), _differences(of, item, rows, "PGD-50-10", 1)
    return (
        "- What the authors' code does otherwise, one change at a time on the same table "
        f"({_seeds(of, item, first, 'clean')}), in points clean and robust: {gaps}."
    )


def _differences(of: Findings, item: str, rows: Mapping[str, str], attack: str, digits: int) -> str:
    """Of each named row the clean difference and that under an attack, which are its cells."""
    return "; ".join(
        f"{name} {of.interval(item, row, 'clean', digits)} and {of.interval(item, row, attack, digits)}"
        for name, row in rows.items()
    )


def _removal(of: Findings, printed: Printed) -> str:
    item = "qtart/decomposition"
    rows = {
        "label smoothing alone": "0 | Baseline + label smoothing",
        "Q-TART's removal alone": "0.25 | Q-TART's removal",
        "random removal": "0.25 | Random",
        "both, which is Q-TART": "0.25 | Q-TART (Ours)",
    }
    gaps = _differences(of, item, rows, "FGSM, radius 2/255", 2)
    before, after = (printed("qtart/table1", f"VGG16 | {name}", "CIFAR-10") for name in ("Baseline", "Q-TART (Ours)"))
    return (
        f"- `qtart`, the blocks of VGG16, standard training ({_seeds(of, item, rows['random removal'], 'clean')}). Points above "
        f"plain SGD, clean and under FGSM of 2/255: {gaps} (clean accuracy in the paper: SGD {before} %, Q-TART {after} %)."
    )


def _classes(of: Findings, printed: Printed) -> str:
    matrix, hard = "sat/figure2", ("cat", "dog", "car", "truck")

    def classes(before: str) -> str:
        found = (
            f"{of.mean(matrix, before + c, 'A')} % and {of.mean(matrix, before + c, 'gain on B')} ({c})" for c in hard
        )
        return ", ".join(found)

    full = of.mean(matrix, "full AT", "A")
    paper = printed("sat/figure6", "CIFAR-10 | hardest | full AT", "robust accuracy (AutoAttack l2)")
    return (
        f"- `sat`, four classes of Figure 2 ({_seeds(of, matrix, 'cat', 'A')}): robust accuracy on the attacked class, and "
        f"points that the nine others gain over a training without attacks. With the authors' weights, w_A = |B|/|A|: "
        f"{classes('')}. With w = 1, as the text says: {classes('w = 1 | ')}. Full adversarial training reaches {full} % (the "
        f"paper: {paper} %)."
    )


def _slips_of_sat(of: Findings, printed: Printed) -> str:
    item = "sat/autopsy"

    def of_trainings(change: str, digits: int) -> str:
        rows = {"full AT": "full AT | full AT"} | {name: f"{name} | CSAT" for name in ("car", "truck", "cat", "dog")}
        found = (f"{of.interval(item, f'{row} | {change}', 'points', digits)} ({name})" for name, row in rows.items())
        return ", ".join(found)

    trained = _seeds(of, item, "full AT | full AT | clean, all 10,000", "points")
    return (
        f"- `sat`, what the authors' code reports otherwise, of the same networks ({trained}): points of robust accuracy on "
        f"8,000 images less that on all 9,000, {of_trainings('robust, 8,000 images', 2)}; of clean accuracy on all 10,000 less "
        f"that on the 9,000, {of_trainings('clean, all 10,000', 2)}."
    )


def _first_phase(of: Findings, printed: Printed) -> str:
    item = "saliency/phase1"
    rows = {
        "OURS after the first phase": "CIFAR-10 | OURS after phase 1",
        "its teacher (PGD)": "CIFAR-10 | AT (PGD-7), the teacher",
        "standard training": "CIFAR-10 | Standard training",
    }
    told = ", ".join(
        f"{name} {of.level(item, row, 'Clean')} and {of.level(item, row, 'PGD-20')}" for name, row in rows.items()
    )
    trained = _seeds(of, item, next(iter(rows.values())), "Clean")
    return (
        f"- `saliency`, the first phase at the paper's own beta and gamma ({trained}). "
        f"Clean and robust accuracy (PGD-20): {told}. The paper says that it is 1 to 2 points above its teacher in both."
    )


def _batch_statistics(of: Findings, printed: Printed) -> str:
    item = "saliency/autopsy"
    rows = ("OURS after phase 1", "AT (PGD-7), the teacher", "Standard training")
    told = ", ".join(f"{of.interval(item, row, 'PGD-20', 1)} ({row})" for row in rows)
    return (
        f"- `saliency`, BatchNorm with the statistics of 100 attacked test images, as the authors' code evaluates, less running "
        f"statistics, of the same networks ({_seeds(of, item, rows[0], 'PGD-20')}): points under PGD-20 {told}."
    )


def _pruned(of: Findings, printed: Printed) -> str:
    item, column = "advprune/variants", "PGD | ε = 8/255"
    rows = {
        "all data": "beta 1 | TRADES, the pruned runs' beta and learning rate",
        "random subsets": "beta 1 | Random, drawn again",
        "GLISTER": "beta 1 | Adv-GLISTER (Ours)",
        "GRAD-MATCH": "beta 1 | Adv-GRAD-MATCH (Ours)",
    }
    told = ", ".join(
        f"{name} {of.level(item, row, 'Clean')} and {of.level(item, row, column)}" for name, row in rows.items()
    )
    return (
        f"- `advprune`, TRADES with beta 1, 30 % of the data ({_seeds(of, item, rows['GLISTER'], column)}). Clean and robust "
        f"accuracy (PGD-50-10): {told}."
    )


def claims(root: Path) -> list[str]:
    """How many claims have which verdict, after ``make all`` and with the seeds added since, and the clearest rejections."""
    counts, last = [], []
    for name, planned in ((LEDGERS[False], False), (LEDGERS[True], True)):
        if not (root / name).is_file():
            continue
        with (root / name).open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["origin"] == "this run"]
        last = rows
        of = Counter(row["verdict"] for row in rows)
        part = sum(r["verdict"] == "supported" and r["cases"] != r["cases_in_all"] for r in rows)
        when = "with the seeds that `leanat decide` has added so far" if planned else "after `make all`"
        counts.append(
            f"{when}: {of['supported']} supported ({part} of them in some of their cases alone), "
            f"{of['not supported']} not supported, {of['inconclusive']} inconclusive, {of['not decidable']} "
            f"with too few seeds to be tested, {len(rows) - sum(of[v] for v in DECIDABLE)} not for this scale or not testable"
        )
    against = [row for row in last if row["verdict"] == "not supported" and row["p_reject"]]
    clearest = sorted(against, key=lambda row: float(row["p_reject"]))[:5]
    entries = []
    for row in clearest:
        effect, low, high = (f"{float(row[name]):.1f}" for name in ("effect", "low", "high"))
        entries.append(
            f"{row['says']} ({row['claim']}): {effect} [{low}, {high}] {row['unit']}, expected {row['expected']}, "
            f"{row['seeds']} seeds"
        )
    return [
        f"- Of {len(last)} claims, {'; '.join(counts)}.",
        "- The clearest of those that are not supported: " + "; ".join(entries) + ".",
    ]


def demo(of: Findings) -> list[str]:
    """What the demo shows, a paper an entry."""
    return [*_coreset(of), *_qtart(of), *_saliency(of), *_sat(of)]


def _coreset(of: Findings) -> list[str]:
    error, share = "coreset/gradient_error", "cosine, last layer | all epochs | {}"
    chosen = ("Random", "GradMatch, by batch", "GradMatch, by class")
    kinds = ("500 near-copies of 25 digits, 100 others", "40 % wrong labels", "long tail of classes")

    def above(kind: str) -> str:
        """Of one kind of data, what each selection has over random subsets."""
        names = {"GRAD-MATCH by batch": "GradMatch, by batch", "by class": "GradMatch, by class"}
        names |= {"CRAIG by batch": "Craig, by batch", "by class ": "Craig, by class"}
        found = {
            n: of.gap("coreset/redundancy", f"{kind} | {row}", f"{kind} | Random, drawn again", "RACC")
            for n, row in names.items()
        }
        return f"{kind}: " + ", ".join(f"{name.strip()} {gap}" for name, gap in found.items())

    at = {k: ", ".join(of.mean(error, share.format(k), name, 2) for name in chosen) for k in (10, 30, 50)}
    return [
        "- `coreset`: whole random batches are alike, so batch-wise selection, which the paper uses, has little to choose from. "
        "The cosine between the gradient of the coreset and that of all examples (equation 6, trained networks): random, "
        f"GRAD-MATCH by batch, by class: {at[10]} at 10 % of the digits, {at[30]} at 30 %, {at[50]} at 50 %. Robust accuracy "
        "above that of random subsets where 64 images are kept (5 seeds, 95 % intervals, twelve comparisons, none corrected): "
        f"{'; '.join(map(above, kinds))}.",
    ]


def _qtart(of: Findings) -> list[str]:
    nets = ("VGG16", "MobileNet", "DenseNet", "ResNet50")

    def effects(row: str) -> str:
        return " and ".join(of.interval("qtart/decomposition", row, c) for c in ("clean", "FGSM, radius 2/255"))

    def among(tau: int, kind: str, column: str) -> str:
        found = sorted(float(of.mean("qtart/planted", f"{tau} | {net}", f"{kind} | {column}")) for net in nets)
        return f"{found[0]:.0f} to {found[-1]:.0f} %"

    windows = ("last layer", "gaussian", "training loss")
    early, late = (", ".join(among(tau, "faint", window) for window in windows) for tau in (50, 100))
    blends = among(100, "blends", "training loss"), among(100, "blends", "gaussian")
    return [
        "- `qtart`: with one recipe for all rows, removing the 0.25 % noisiest examples changes clean accuracy and that under "
        f"""FGSM by {effects("0.25 | Q-TART's removal")} points (20 seeds), label smoothing alone by """
        f"{effects('0 | Baseline + label smoothing')}, both together by {effects('0.25 | Q-TART (Ours)')}. Drawn examples "
        "that were planted faint (5 % of all) make up this much of as many that are removed, over four networks, by the last "
        f"layer, by all layers, by the training loss: {early} at the paper's tau, {late} at twice that. Blends of two classes "
        f"(2 %) are found by the loss alone: {blends[0]} against {blends[1]}.",
    ]


def _saliency(of: Findings) -> list[str]:
    table, column = "saliency/table1", "PGD-20"
    ours, teacher = "Non-iterative methods, curriculum | OURS", "Iterative methods, no curriculum | AT(PGD-7)[3]"
    standard = "Our references | Standard training"
    own = of.level("saliency/weights", "The paper's own weights | OURS, own weights", column)
    robust, plain = of.level(table, ours, column), of.level(table, standard, column)
    return [
        f"- `saliency`: networks that never see an attack in training become robust, {robust} % under PGD-20 where standard "
        f"training has {plain} %. Their adversarially trained teacher is {of.gap(table, teacher, ours, column)} points above. "
        f"With the paper's own beta and gamma, at this scale, OURS has {own} % (`weights`).",
    ]


def _sat(of: Findings) -> list[str]:
    matrix, classes = "sat/figure2", ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def span(before: str, column: str, unit: str) -> str:
        found = sorted(float(of.mean(matrix, before + name, column)) for name in classes)
        return f"{found[0]:.0f} to {found[-1]:.0f} {unit}"

    weighted, plain = (
        f"{span(before, 'A', '%')}, and {span(before, 'gain on B', 'points')}" for before in ("", "w = 1 | ")
    )
    full = of.mean(matrix, "full AT", "A")
    return [
        "- `sat`: where one class of ten is attacked in training, robust accuracy on it, and what the other nine gain over a "
        f"training without attacks, from class to class: {weighted} with the authors' weights, {plain} with w = 1 (full "
        f"adversarial training: {full} % on all; Figure 2).",
    ]
