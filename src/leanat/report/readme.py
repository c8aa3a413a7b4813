"""The findings in README.md: sentences and tables whose numbers are read from finished items, the ledger and ``replicated/``.

``leanat readme`` writes them between marks of README.md, each cell of the demo that they use into docs/demo.csv, and the ledger
into docs/claims_all.csv, or docs/claims_verdicts.csv once ``leanat decide`` has added seeds; from these files
tests/report/test_readme.py writes them again.
"""

from __future__ import annotations

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
from leanat.report.findings import Cells, Findings, Values, rows_of
from leanat.report.photographs import photographs
from leanat.runs import records

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
    rows = records.rows(path, *COLUMNS, again=records.COMMITTED)
    return {(r["item"], r["row"], r["column"]): {int(k): v for k, v in json.loads(r["values"]).items()} for r in rows}


def with_block(text: str, name: str, lines: list[str]) -> str:
    """The document with the lines of a block replaced; what is no row of a table is wrapped under its own indent.

    Raises ValueError unless both marks of the block stand in the document once each.
    """
    begin, end = BEGIN.format(name), END.format(name)
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"README.md: the lines {begin} and {end} must stand there once each")
    block = re.sub(r"\n{2,}", "\n\n", "\n".join([begin, *map(_wrapped, lines), end]))
    return re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: block, text, flags=re.S)


def _wrapped(line: str) -> str:
    if line.lstrip().startswith("|"):
        return line
    indent = " " * (len(line) - len(line.lstrip()) + (2 if line.lstrip().startswith("-") else 0))
    return textwrap.fill(line, 130, subsequent_indent=indent, break_on_hyphens=False)


def update(root: Path, results: Path, asked: Mapping[str, Item]) -> None:
    """Writes the files of the checkout ``root``. Raises ValueError, naming the cell, for a number that is not there: then
    nothing is written.

    ``asked``: the items by name, as the settings have them at scale demo.
    """
    findings, real = of_items(Items(results, "demo", asked=asked)), root / "replicated"
    blocks = {"demo": demo(findings), "photographs": photographs(real, root / "published")}
    own = {paper: load(paper) for paper in published.papers(root / "published")}
    lines = ledger.lines(own, results, real, "demo", asked)
    name = LEDGERS[bool(looks.read(results, "demo"))]
    _write(root, blocks, {name: ledger.rows(lines, ledger.price(lines, results))})
    write(findings.used, root / "docs" / "demo.csv")


def update_replicated(root: Path) -> None:
    """Writes what is read from ``replicated/`` alone; what the demo showed, here or elsewhere, stays as it is."""
    real, ledgers = root / "replicated", {}
    every = ledger.lines({paper: load(paper) for paper in published.papers(root / "published")}, Path(), real, "demo")
    fresh = {paper: [line for line in own if line.origin == "replicated"] for paper, own in every.items()}
    for name in LEDGERS.values():
        if (root / name).is_file():
            kept, ledgers[name] = records.rows(root / name, again=records.COMMITTED), []
            for paper, own in fresh.items():
                here = (row for row in kept if (row["paper"], row["origin"]) == (paper, "this run"))
                ledgers[name] += [tuple(row.get(c, "") for c in ledger.COLUMNS) for row in here]
                ledgers[name] += ledger.rows({paper: own}, {})
    _write(root, {"photographs": photographs(real, root / "published")}, ledgers)


def _write(root: Path, blocks: Mapping[str, list[str]], ledgers: Mapping[str, list[tuple[object, ...]]]) -> None:
    """Ledgers by file name, and README.md with these blocks and that of the ledgers."""
    text = (root / "README.md").read_text(encoding="utf-8")
    for name, entries in blocks.items():
        text = with_block(text, name, entries)
    for name, rows in ledgers.items():
        ledger.write_rows(rows, root / name)
    write_text(root / "README.md", with_block(text, "claims", claims(root)))


def claims(root: Path) -> list[str]:
    """How many claims have which verdict, after ``make all`` and with the seeds added since, and the clearest rejections."""
    tests = {claim.id: claim for paper in published.papers(root / "published") for claim in load(paper)}
    verdicts, last, real, changed = {}, [], [], []
    for planned, name in LEDGERS.items():
        if not (root / name).is_file():
            continue
        every = records.rows(root / name, again=records.COMMITTED)
        last = [row for row in every if row["origin"] == "this run" and _same_test(row, tests.get(row["claim"]))]
        changed = sorted(tests.keys() - {row["claim"] for row in last})
        real = [row for row in every if row["origin"] == "replicated"]
        when = "with the seeds that `leanat decide` has added so far" if planned else "after `make all`"
        verdicts[when] = Counter((row["paper"], kind) for row in last for kind in _kinds(row))
    against = [row for row in last if row["verdict"] == "not supported" and row["p_reject"]]
    clearest = sorted(against, key=lambda row: float(row["p_reject"]))[:5]
    entries = [f"- The verdicts on {len(last)} claims, {', then '.join(verdicts)}:", *_table(verdicts)]
    if changed:
        entries.append(
            f"- Not among them, since their tests were written or changed after these runs: {', '.join(changed)}."
        )
    entries.append(
        "- The clearest of those that are not supported, each with its effect, what the claim expects, and the seeds:"
    )
    entries += [f"  - {_told(row)}." for row in clearest]
    return entries + _on_photographs(real)


def _kinds(row: Mapping[str, str]) -> list[str]:
    """The columns that a verdict counts in, in the table of all papers."""
    if row["verdict"] == "supported" and row["cases"] != row["cases_in_all"]:
        return ["supported", "partly"]
    return [row["verdict"] if row["verdict"] in DECIDABLE else "other"]


def _table(verdicts: Mapping[str, Counter[tuple[str, str]]]) -> list[str]:
    """The claims of each paper and of all by verdict, one number for each ledger."""
    kinds = {"supported": "supported", "partly": "of these, in some of their cases only"}
    kinds |= {kind: kind for kind in DECIDABLE[1:3]}
    kinds |= {"not decidable": "too few seeds", "other": "not for this scale, or not testable"}
    papers = sorted({paper for counts in verdicts.values() for paper, _ in counts})

    def cells(name: str, of: Sequence[str]) -> list[str]:
        numbers = ([sum(counts[paper, kind] for paper in of) for counts in verdicts.values()] for kind in kinds)
        return [name, *(" → ".join(map(str, found)) for found in numbers)]

    return rows_of(["paper", *kinds.values()], [*(cells(f"`{p}`", [p]) for p in papers), cells("all", papers)])


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
    lines = [
        f"{verdict}: {_told(row)}"
        for verdict in ("supported", "not supported")
        for row in rows
        if row["verdict"] == verdict
    ]
    unsure: dict[str, list[str]] = {}  # claims by what would decide them
    for row in rows:
        if row["verdict"] == "inconclusive":
            unsure.setdefault(row["reason"].partition("; ")[0], []).append(row["claim"])
    lines += [f"inconclusive: {', '.join(own)} ({reason})" for reason, own in unsure.items()]
    alone = [row["claim"] for row in rows if row["verdict"] == "not decidable"]
    lines += [f"too few seeds to be tested: {', '.join(alone)}"] if alone else []
    return [f"- On real photographs {len(rows)} of the claims have numbers:", *(f"  - {line}." for line in lines)]


def demo(of: Findings) -> list[str]:
    """What the demo shows, one entry or two per paper."""
    return [*_coreset(of), *_qtart(of), *_saliency(of), *_sat(of)]


def _coreset(of: Findings) -> list[str]:
    error, share = "coreset/gradient_error", "cosine, last layer | all epochs | {}"
    chosen = ("Random", "GradMatch, by batch", "GradMatch, by class")
    kinds = ("500 near-copies of 25 digits, 100 others", "40 % wrong labels", "long tail of classes")

    names = {"GRAD-MATCH by batch": "GradMatch, by batch", "GRAD-MATCH by class": "GradMatch, by class"}
    rivals = names | {"CRAIG by batch": "Craig, by batch", "CRAIG by class": "Craig, by class"}

    def above(kind: str) -> list[str]:
        """Of one kind of data, what each selection has over random subsets."""
        chance = f"{kind} | Random, drawn again"
        return [of.gap("coreset/redundancy", f"{kind} | {row}", chance, "RACC") for row in rivals.values()]

    return [
        "- `coreset`: the cosine between the gradient of the chosen examples and that of all, by the share of the digits that is "
        "kept (equation 6; trained networks; the last layer, whose gradients the methods match).",
        *rows_of(
            ["kept", "random", *names],
            ([f"{k} %", *(of.mean(error, share.format(k), name, 2) for name in chosen)] for k in (10, 30, 50)),
        ),
        "- `coreset`: robust accuracy where at most 64 images are kept, in points above random subsets (5 seeds; the intervals "
        "are not corrected for the twelve comparisons).",
        *rows_of(["training set", *rivals], ([kind, *above(kind)] for kind in kinds)),
    ]


def _qtart(of: Findings) -> list[str]:
    nets = ("VGG16", "MobileNet", "DenseNet", "ResNet50")

    def among(tau: int, kind: str, column: str) -> str:
        means = sorted(float(of.mean("qtart/planted", f"{tau} | {net}", f"{kind} | {column}")) for net in nets)
        return f"{means[0]:.0f} to {means[-1]:.0f} %"

    columns = ("clean", "FGSM, radius 2/255")
    effects = {
        "label smoothing alone": "0 | Baseline + label smoothing",
        "removal alone": "0.25 | Q-TART's removal",
        "both, which is Q-TART": "0.25 | Q-TART (Ours)",
    }
    windows = {
        "instability, last layer": "last layer",
        "instability, Gaussian window over all layers": "gaussian",
        "training loss": "training loss",
    }
    blends = among(100, "blends", "training loss"), among(100, "blends", "gaussian")
    return [
        "- `qtart`: accuracy in points above plain SGD, with one recipe for all rows (20 seeds). Removal takes the 2 noisiest of "
        "600 examples (the paper: 0.25 %).",
        *rows_of(
            ["", *columns],
            ([name, *(of.interval("qtart/decomposition", row, c) for c in columns)] for name, row in effects.items()),
        ),
        "- `qtart`: whether faint images, 5 % of a set of drawn shapes, are the ones that Q-TART would remove (`planted`). The "
        "table has their share among the 5 % that each ranking puts first, from the lowest to the highest of four networks; "
        "chance is 5 %. Blends of two classes, 2 % of the set, are found by the loss only: at twice the paper's tau they are "
        f"{blends[0]} of its 5 %, against {blends[1]} with the Gaussian window.",
        *rows_of(
            ["ranked by", "at the paper's tau", "at twice that"],
            ([name, among(50, "faint", key), among(100, "faint", key)] for name, key in windows.items()),
        ),
    ]


def _saliency(of: Findings) -> list[str]:
    table, column = "saliency/table1", "PGD-20"
    ours, teacher = "Non-iterative methods, curriculum | OURS", "Iterative methods, no curriculum | AT(PGD-7)[3]"
    standard = "Our references | Standard training"
    own = of.level("saliency/weights", "The paper's own weights | OURS, own weights", column)
    robust, plain = of.level(table, ours, column), of.level(table, standard, column)
    return [
        f"- `saliency`: networks that never see an attack in training become robust: OURS reaches {robust} % under PGD-20, "
        f"standard training {plain} %. The adversarially trained teacher is {of.gap(table, teacher, ours, column)} points "
        f"above OURS. With the paper's own beta and gamma OURS reaches {own} % at this scale (`weights`).",
    ]


def _sat(of: Findings) -> list[str]:
    matrix, classes = "sat/figure2", ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def span(before: str, column: str, unit: str) -> str:
        means = sorted(float(of.mean(matrix, before + name, column)) for name in classes)
        return f"{means[0]:.0f} to {means[-1]:.0f} {unit}"

    on_a, others = (
        f"{span('', column, unit)} with the authors' weights and {span('w = 1 | ', column, unit)} with w = 1"
        for column, unit in (("A", "%"), ("gain on B", "points"))
    )
    full = of.mean(matrix, "full AT", "A")
    return [
        f"- `sat`: one class of ten is attacked in training (Figure 2). Robust accuracy on it is {on_a}, from class to class. "
        f"The other nine gain {others} over a training without attacks. Full adversarial training reaches {full} % on all.",
    ]
