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
from collections.abc import Mapping, Sequence
from pathlib import Path

from leanat.core.files import write_csv, write_text
from leanat.experiments.claim import Claim
from leanat.plan import looks
from leanat.plan.item import Item
from leanat.report import ledger, ledger_text, published
from leanat.report.cells import Items
from leanat.report.claims import load
from leanat.report.findings import Cells, Findings, Values
from leanat.report.photographs import photographs

BEGIN, END = '<!-- {}: written by "leanat readme" -->', "<!-- end of {} -->"
LEDGERS = {False: "docs/claims_all.csv", True: "docs/claims_verdicts.csv"}  # whether seeds were added where they decide
DECIDABLE = ("supported", "not supported", "inconclusive", "not decidable")
COLUMNS = ["item", "row", "column", "values"]


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


def write(cells: Cells, path: Path) -> None:
    write_csv(path, [COLUMNS, *([*where, json.dumps(values)] for where, values in sorted(cells.items()))])


def read(path: Path) -> Cells:
    rows = _read(path)
    return {(r["item"], r["row"], r["column"]): {int(k): v for k, v in json.loads(r["values"]).items()} for r in rows}


def with_block(text: str, name: str, lines: list[str]) -> str:
    """The document with a block's entries replaced, wrapped. Raises ValueError where it has not got both marks once."""
    begin, end = BEGIN.format(name), END.format(name)
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"README.md: the lines {begin} and {end} must stand there once each")
    wrapped = (textwrap.fill(line, 130, subsequent_indent="  ", break_on_hyphens=False) for line in lines)
    block = "\n".join([begin, *wrapped, end])
    return re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: block, text, flags=re.S)


def update(root: Path, results: Path, asked: Mapping[str, Item]) -> None:
    """Writes the files of the checkout ``root``. Raises ValueError, naming the cell, for a number that is not there: then
    nothing is written.

    ``asked``: the items by name, as the settings have them at scale demo.
    """
    found, real = of_items(Items(results, "demo", asked=asked)), root / "replicated"
    told = {"demo": demo(found), "photographs": photographs(real, root / "published")}
    own = {paper: load(paper) for paper in published.papers(root / "published")}
    lines = ledger.lines(own, results, real, "demo", asked)
    name = LEDGERS[bool(looks.read(results, "demo"))]
    _write(root, told, {name: ledger.rows(lines, ledger.price(lines, results))})
    write(found.used, root / "docs" / "demo.csv")


def update_replicated(root: Path) -> None:
    """Writes what is read from ``replicated/`` alone; what the demo showed, here or elsewhere, stays as it is."""
    real, ledgers = root / "replicated", {}
    every = ledger.lines({paper: load(paper) for paper in published.papers(root / "published")}, Path(), real, "demo")
    fresh = {paper: [line for line in own if line.origin == "replicated"] for paper, own in every.items()}
    for name in LEDGERS.values():
        if (root / name).is_file():
            kept, ledgers[name] = [row for row in _read(root / name) if row["origin"] == "this run"], []
            for paper, own in fresh.items():
                ledgers[name] += [
                    tuple(row.get(c, "") for c in ledger.COLUMNS) for row in kept if row["paper"] == paper
                ]
                ledgers[name] += ledger.rows({paper: own}, {})
    _write(root, {"photographs": photographs(real, root / "published")}, ledgers)


def _write(root: Path, told: Mapping[str, list[str]], ledgers: Mapping[str, list[tuple[object, ...]]]) -> None:
    """Ledgers by file name, and README.md with these blocks and that of the ledgers."""
    text = (root / "README.md").read_text(encoding="utf-8")
    for name, entries in told.items():
        text = with_block(text, name, entries)
    for name, rows in ledgers.items():
        ledger.write_rows(rows, root / name)
    write_text(root / "README.md", with_block(text, "claims", claims(root)))


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def claims(root: Path) -> list[str]:
    """How many claims have which verdict, after ``make all`` and with the seeds added since, and the clearest rejections."""
    tests = {claim.id: claim for paper in published.papers(root / "published") for claim in load(paper)}
    counts, verdicts, last, real, changed = [], {}, [], [], []
    for name, planned in ((LEDGERS[False], False), (LEDGERS[True], True)):
        if not (root / name).is_file():
            continue
        every = _read(root / name)
        own = [row for row in every if row["origin"] == "this run"]
        last = rows = [row for row in own if _same_test(row, tests.get(row["claim"]))]
        changed = sorted(tests.keys() - {row["claim"] for row in rows})
        real = [row for row in every if row["origin"] == "replicated"]
        of = Counter(row["verdict"] for row in rows)
        part = sum(r["verdict"] == "supported" and r["cases"] != r["cases_in_all"] for r in rows)
        when = "with the seeds that `leanat decide` has added so far" if planned else "after `make all`"
        verdicts[when] = Counter((row["paper"], _kind(row["verdict"])) for row in rows)
        counts.append(
            f"{when}: {of['supported']} supported ({part} of them in some of their cases alone), "
            f"{of['not supported']} not supported, {of['inconclusive']} inconclusive, {of['not decidable']} "
            f"with too few seeds to be tested, {len(rows) - sum(of[v] for v in DECIDABLE)} not for this scale or not testable"
        )
    against = [row for row in last if row["verdict"] == "not supported" and row["p_reject"]]
    clearest = sorted(against, key=lambda row: float(row["p_reject"]))[:5]
    return [
        *_table(verdicts),
        f"- Of {len(last)} claims, {'; '.join(counts)}.",
        *(
            [f"- Not among them, since their tests were written or changed after these runs: {', '.join(changed)}."]
            if changed
            else []
        ),
        f"- The clearest of those that are not supported: {'; '.join(map(_told, clearest))}.",
        *_on_photographs(real),
    ]


def _kind(verdict: str) -> str:
    """The column of a verdict in the table of all papers."""
    return verdict if verdict in DECIDABLE else "other"


def _table(verdicts: Mapping[str, Counter[tuple[str, str]]]) -> list[str]:
    """The claims of each paper by verdict, one number for each ledger."""
    named = {"not decidable": "too few seeds", "other": "not for this scale, or not testable"}
    kinds = (*DECIDABLE, "other")
    papers = sorted({paper for counts in verdicts.values() for paper, _ in counts})
    head = ["paper", *(named.get(kind, kind) for kind in kinds)]
    rows = [
        [f"`{paper}`", *(" → ".join(str(counts[paper, kind]) for counts in verdicts.values()) for kind in kinds)]
        for paper in papers
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return [f"Claims by verdict, {', then '.join(verdicts)}:", "", *lines, ""] if rows else []


def _same_test(row: Mapping[str, str], claim: Claim | None) -> bool:
    """Whether a row of a ledger is of the test as it is now."""
    if claim is None or (row["says"], row["cases_in_all"]) != (claim.says, str(len(claim.cases) or "")):
        return False
    elsewhere = claim.scales and row["scale"] not in claim.scales
    return row["expected"] == ledger_text.expected(claim) and not (elsewhere and row["verdict"] in DECIDABLE)


def _told(row: Mapping[str, str]) -> str:
    effect, low, high = (f"{float(row[name]):.1f}" for name in ("effect", "low", "high"))
    which = row.get("effect_of", "").partition(",")[0]  # how many are not tested is told at the end
    of = f" ({which})" if " of " in which else ""
    partial = row["verdict"] == "supported" and row["cases"] != row["cases_in_all"]
    return (
        f"{row['says']} ({row['claim']}): {effect} [{low}, {high}] {row['unit']}{of}, expected {row['expected']}, "
        f"{row['seeds']} seeds" + (f", in {row['cases']} of {row['cases_in_all']} cases alone" if partial else "")
    )


def _on_photographs(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """What the claims come to on the numbers of ``replicated/``, and what would decide those that are open."""
    told = []
    for verdict in ("supported", "not supported"):
        found = [_told(row) for row in rows if row["verdict"] == verdict]
        told.append(f"{verdict}: {'; '.join(found) or 'none'}")
    unsure = [
        f"{row['claim']} ({row['reason'].partition('; ')[0]})" for row in rows if row["verdict"] == "inconclusive"
    ]
    alone = [row["claim"] for row in rows if row["verdict"] == "not decidable"]
    told += [f"inconclusive: {', '.join(unsure)}"] if unsure else []
    told += [f"trained with too few seeds to be tested: {', '.join(alone)}"] if alone else []
    return [f"- On real photographs {len(rows)} of them have numbers. {'. '.join(t[0].upper() + t[1:] for t in told)}."]


def demo(of: Findings) -> list[str]:
    """What the demo shows, one entry per paper."""
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
        "- `coreset`: how well chosen examples match the gradient of all, and what they gain. The cosine between the gradient "
        "of the coreset and that of all examples (equation 6, trained networks, the last layer, whose gradients are what is "
        "matched): random, "
        f"GRAD-MATCH by batch, by class: {at[10]} at 10 % of the digits, {at[30]} at 30 %, {at[50]} at 50 %. Robust accuracy "
        "above that of random subsets where at most 64 images are kept (5 seeds, 95 % intervals, twelve comparisons, none "
        "corrected): "
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
        "- `qtart`: with one recipe for all rows, removing the 2 noisiest of 600 examples (the paper: 0.25 %) changes clean "
        f"""accuracy and that under FGSM by {effects("0.25 | Q-TART's removal")} points (20 seeds), label smoothing alone by """
        f"{effects('0 | Baseline + label smoothing')}, both together by {effects('0.25 | Q-TART (Ours)')}. Drawn examples "
        "that were planted faint (5 % of all) make up this much of as many that Q-TART would remove, over four networks, by "
        f"the last layer, by the Gaussian window over all layers, by the training loss: {early} at the paper's tau, {late} at "
        "twice that. Blends of two classes "
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
