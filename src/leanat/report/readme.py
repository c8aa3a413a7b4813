"""The findings in README.md: sentences and tables whose numbers are read from finished items, the ledger and ``replicated/``.

``leanat readme`` writes them between marks in README.md. It also writes each demo cell that they use to docs/demo.csv, and the
ledger to docs/claims_all.csv, or to docs/claims_verdicts.csv once ``leanat decide`` has added seeds. From these files
tests/report/test_readme.py computes the findings again.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from leanat.core.files import write_csv, write_text
from leanat.experiments.claim import Claim
from leanat.plan import looks
from leanat.plan.item import Item
from leanat.report import ledger, ledger_text, published
from leanat.report.cells import Items
from leanat.report.claims import load
from leanat.report.findings import Cells, Findings, Values, told
from leanat.report.photographs import photographs
from leanat.runs import records

BEGIN, END = '<!-- {}: written by "leanat readme" -->', "<!-- end of {} -->"
LEDGERS = {False: "docs/claims_all.csv", True: "docs/claims_verdicts.csv"}  # with added seeds: True
DECIDABLE = ("supported", "not supported", "inconclusive", "not decidable")
COLUMNS = ["item", "row", "column", "values"]


def of_items(items: Items) -> Findings:
    """The findings from finished items."""

    def read(item: str, row: str, column: str) -> Values:
        cell = items.cell(*item.split("/"), row, column)
        if not cell.values:
            raise ValueError(f"README: {item}, {row!r}, {column!r}: {cell.missing or 'no number'}")
        return dict(cell.values)

    return Findings(read)


def of_cells(cells: Cells) -> Findings:
    """The findings from the cells in docs/demo.csv."""

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
    """The document with the lines of a block replaced; lines that are not rows of a table are wrapped with their own indent.

    Raises ValueError unless each mark of the block occurs exactly once in the document.
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
    """Writes the files of the checkout ``root``. Raises ValueError, which names the cell, if a number is missing; then nothing is
    written.

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
    """Writes only the findings from ``replicated/``; the findings of the demo stay as they are."""
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
    """Writes the ledgers, by file name, and README.md with these blocks and the block of the ledgers."""
    text = (root / "README.md").read_text(encoding="utf-8")
    for name, entries in blocks.items():
        text = with_block(text, name, entries)
    for name, rows in ledgers.items():
        ledger.write_rows(rows, root / name)
    write_text(root / "README.md", with_block(text, "claims", claims(root)))


def claims(root: Path) -> list[str]:
    """The number of claims with each verdict, after ``make all`` and with the seeds added since, and the clearest rejections."""
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
    """The columns of the table of all papers in which a verdict counts."""
    if row["verdict"] == "supported" and row["cases"] != row["cases_in_all"]:
        return ["supported", "partly"]
    return [row["verdict"] if row["verdict"] in DECIDABLE else "other"]


def _table(verdicts: Mapping[str, Counter[tuple[str, str]]]) -> list[str]:
    """The table of the number of claims with each verdict, by paper and for all, with one number for each ledger."""
    kinds = {"supported": "supported", "partly": "of these, in some of their cases only"}
    kinds |= {kind: kind for kind in DECIDABLE[1:3]}
    kinds |= {"not decidable": "too few seeds", "other": "not for this scale, or not testable"}
    papers = sorted({paper for counts in verdicts.values() for paper, _ in counts})

    def cells(name: str, of: Sequence[str]) -> list[str]:
        numbers = ([sum(counts[paper, kind] for paper in of) for counts in verdicts.values()] for kind in kinds)
        return [name, *(" → ".join(map(str, found)) for found in numbers)]

    return _rows(["paper", *kinds.values()], [*(cells(f"`{p}`", [p]) for p in papers), cells("all", papers)])


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table inside an entry of a list, with an empty line before and after."""
    first, *others = (f"  | {' | '.join(line)} |" for line in (head, *rows))
    return ["", first, f"  |{'---|' * len(head)}", *others, ""]


def _same_test(row: Mapping[str, str], claim: Claim | None) -> bool:
    """Whether a row of a ledger comes from the current test of its claim."""
    if claim is None or (row["says"], row["cases_in_all"]) != (claim.says, str(len(claim.cases) or "")):
        return False
    elsewhere = claim.scales and row["scale"] not in claim.scales
    return row["expected"] == ledger_text.expected(claim) and not (elsewhere and row["verdict"] in DECIDABLE)


def _told(row: Mapping[str, str]) -> str:
    effect, low, high = (f"{float(row[name]):.1f}" for name in ("effect", "low", "high"))
    which = row.get("effect_of", "").partition(",")[0]  # the number of untested cases comes at the end
    of = f" ({which})" if " of " in which else ""
    partial = row["verdict"] == "supported" and row["cases"] != row["cases_in_all"]
    return (
        f"{row['says']} ({row['claim']}): {effect} [{low}, {high}] {row['unit']}{of}, expected {row['expected']}, "
        f"{row['seeds']} seeds" + (f", in {row['cases']} of {row['cases_in_all']} cases alone" if partial else "")
    )


def _on_photographs(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The verdicts on the numbers in ``replicated/``, and what would decide the claims that are still open."""
    lines = [
        f"{verdict}: {_told(row)}"
        for verdict in ("supported", "not supported")
        for row in rows
        if row["verdict"] == verdict
    ]
    unsure: dict[str, list[str]] = {}  # claims, by what would decide them
    for row in rows:
        if row["verdict"] == "inconclusive":
            unsure.setdefault(row["reason"].partition("; ")[0], []).append(row["claim"])
    lines += [f"inconclusive: {', '.join(own)} ({reason})" for reason, own in unsure.items()]
    alone = [row["claim"] for row in rows if row["verdict"] == "not decidable"]
    lines += [f"too few seeds to be tested: {', '.join(alone)}"] if alone else []
    return [f"- On real photographs {len(rows)} of the claims have numbers:", *(f"  - {line}." for line in lines)]


def demo(of: Findings) -> list[str]:
    """The findings of the demo, one or two entries per paper."""
    return told("demo", of)
