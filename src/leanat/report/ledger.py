"""The ledger of claims as text for a terminal, as CSV, and as PDF and PNG."""

from __future__ import annotations

import csv
import io
import json
import shutil
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from leanat.core.errors import did_you_mean
from leanat.core.files import atomic_write
from leanat.experiments.claim import LEAST, Claim
from leanat.report.cells import Items
from leanat.report.claims import FULL, Line, errata, ledger, load
from leanat.report.layout import number
from leanat.report.verdict import ALPHA

COLUMNS = (
    "paper", "claim", "verdict", "effect", "low", "high", "unit", "expected", "seeds", "cases", "cases_in_all", "scale",
    "origin", "kind", "reason", "says", "source",
)  # fmt: skip
MARKS = {"supported": "✓", "not supported": "✗", "inconclusive": "?"}
QUIET = ("not decidable", "not run yet", "not testable")
PPI = 110


def make(
    titles: Mapping[str, str], only: Sequence[str], scale: str, results: Path, root: Path, out: Path | None
) -> str:
    """The ledger as text for this terminal, of some papers or (``only`` empty) of all in ``titles``.

    ``out``: also as PDF, with PNG and CSV beside it. ValueError for a paper that does not exist.
    """
    for paper in only:
        if paper not in titles:
            raise ValueError(f"claims: no paper {paper!r}{did_you_mean(paper, titles)}")
    found = lines({paper: load(paper) for paper in only or titles}, results, root / "replicated", scale)
    if out is not None:
        write_csv(found, out.with_suffix(".csv"))
        write_pdf(found, titles, root / "published", out.with_suffix(""))
    return text(found, titles, max(40, shutil.get_terminal_size((100, 24)).columns))


def lines(claims: Mapping[str, list[Claim]], results: Path, real: Path, scale: str) -> dict[str, list[Line]]:
    """Lines by paper: one per claim at ``scale``, and one more for each claim that committed replications can test."""
    found = {}
    for paper, own in claims.items():
        found[paper] = ledger(own, Items(results, scale))
        for other in _replicated_scales(real / paper):
            lines = ledger(own, Items(real, other, real=True))
            found[paper] += [line for line in lines if line.used]
    return found


def _replicated_scales(folder: Path) -> list[str]:
    found = set()
    for path in folder.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            found |= {row["scale"] for row in csv.DictReader(file)}
    return sorted(found)


def write_csv(found: Mapping[str, list[Line]], path: Path) -> None:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for line in (line for part in found.values() for line in part):
        c = line.claim
        numbers = ["" if x is None else f"{x:.6g}" for x in (line.effect, line.low, line.high)]
        cases = (line.used or "", len(c.cases) or "")
        where = (line.scale, line.origin, c.kind, _why(line), c.says, c.source)
        rows.writerow((c.paper, c.id, line.verdict, *numbers, c.unit, expected(c), line.n or "", *cases, *where))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write_text(text.getvalue(), encoding="utf-8")


def write_pdf(found: Mapping[str, list[Line]], titles: Mapping[str, str], papers: Path, stem: Path) -> None:
    """``stem``.pdf and .png, a section per paper; same lines, same bytes."""
    import typst

    from leanat.report.table import stack

    data = {"notes": notes(found), "papers": [_section(p, ls, titles[p], papers) for p, ls in found.items()]}
    source = resources.files("leanat.report").joinpath("ledger.typ").read_bytes()
    compiler = typst.Compiler(sys_inputs={"data": json.dumps(data)}, ignore_system_fonts=True)
    pages = compiler.compile(source, format="png", ppi=PPI)
    pages = [pages] if isinstance(pages, bytes) else pages
    stem.parent.mkdir(parents=True, exist_ok=True)
    for kind, content in (("png", stack(pages)), ("pdf", compiler.compile(source, format="pdf"))):
        with atomic_write(Path(f"{stem}.{kind}")) as file:
            file.write_bytes(content)


def _section(paper: str, lines: Sequence[Line], title: str, papers: Path) -> dict[str, Any]:
    return {
        "paper": paper,
        "title": title,
        "count": summary(lines),
        "rows": [
            {
                "id": line.claim.id,
                "says": line.claim.says,
                "source": line.claim.source,
                "mark": MARKS.get(line.verdict, "–"),
                "verdict": line.verdict,
                "effect": measured(line),
                "expected": expected(line.claim),
                "why": _why(line),
                "seeds": "" if line.n is None else str(line.n),
                "scale": line.scale if line.origin == "this run" else f"{line.scale}, replicated",
                "quiet": line.verdict not in MARKS,
            }
            for line in lines
        ],
        "errata": [{"id": name, "says": says} for name, says in errata(papers, paper)],
    }


def notes(found: Mapping[str, list[Line]]) -> list[str]:
    """What a reader has to know to read the ledger."""
    level = f"{100 * ALPHA:.0f} %"
    said = [
        "A verdict is about the effect: arithmetic over cells of this package's tables and figures, as "
        "the paper's claims.py writes it. Per paper, a false claim is supported with a probability of at most "
        f"{level}, and a true one rejected with at most {level} (Holm's correction over the claims tested). Intervals: "
        "95 %, each by itself, over seeds (paired) and test examples. Below 5 seeds only effects over 2 points support "
        "a claim; differences under 0.5 points do not matter unless the claim says so. The method: docs/verdicts.md."
    ]
    if any(line.scale != FULL for part in found.values() for line in part):
        said.append(
            f"Below scale {FULL}, data, networks and epochs are smaller than the paper's: verdicts are about orderings, "
            "mechanisms and arithmetic in that smaller setting; they never support an accuracy. Times are of another kind: "
            "steps measured with the paper's networks and settings, whatever the scale, on the device of the item."
        )
    return said


def summary(lines: Sequence[Line]) -> str:
    counts = Counter(line.verdict for line in lines)
    return ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items(), key=lambda c: (_rank(c[0]), c[0])))


def _rank(verdict: str) -> int:
    order = [*MARKS, *QUIET]
    return order.index(verdict) if verdict in order else len(MARKS)


def measured(line: Line) -> str:
    """The effect with its interval, and of which case it is."""
    if line.effect is None:
        return ""
    digits = 2 if abs(line.effect) < 100 else 1
    text = number(line.effect, digits)
    if line.low is not None:
        text += f" [{number(line.low, digits)}, {number(line.high, digits)}]"
    text += f" {line.claim.unit}".rstrip()
    return text + f" ({of_cases(line)})" if len(line.claim.cases) > 1 else text


def of_cases(line: Line) -> str:
    used, left = line.used, len(line.claim.cases) - line.used
    expect = line.claim.expect
    which = {"mean": "mean of ", "every": "weakest of ", "some": "strongest of "}
    of = which.get(expect.of, f"no. {expect.needed(used)} of ") if used > 1 else ""
    if line.verdict == "not supported" and line.n and expect.of != "mean" and used > 1:
        place = used - expect.needed(used) + 1  # so many cases, surely not as claimed, are enough
        of = "clearest against it of " if place == 1 else f"no. {place} against it of "
    return f"{of}{used} case{'s' * (used > 1)}" + (f", {left} not tested" if left else "")


def expected(claim: Claim) -> str:
    """What the claim expects of the effect, in a few signs."""
    if claim.expect is None:
        return ""
    e = claim.expect
    sign = "within ±" if e.sign == "within" else f"{e.sign} "
    prefix = "" if len(claim.cases) == 1 else f"{e.of} "
    by = f", by {e.least:g} or more" if e.least not in (0, LEAST) else ""
    return f"{prefix}{sign}{e.bound:g}{by}"


def _why(line: Line) -> str:
    return line.more if line.verdict == "inconclusive" else line.reason


def text(found: Mapping[str, list[Line]], titles: Mapping[str, str], width: int) -> str:
    """The ledger for a terminal of this width."""
    out = []
    for paper, lines in found.items():
        out += (
            textwrap.wrap(f"{paper}: {titles[paper]}", width)
            + textwrap.wrap(summary(lines) or "no claims", width)
            + [""]
        )
        for line in lines:
            claim = line.claim
            out.append(f"{MARKS.get(line.verdict, ' ')} {claim.id}  {line.verdict}")
            body = [f"{claim.says} ({claim.source})"]
            if line.effect is not None:
                seeds = "" if line.n is None else f", {line.n} seed{'s' * (line.n != 1)}"
                body.append(f"measured {measured(line)}{seeds}, scale {line.scale}; expected {expected(claim)}")
            body += [_why(line)] if _why(line) else []
            for part in body:
                out += textwrap.wrap(part, width, initial_indent="    ", subsequent_indent="    ")
        out.append("")
    for note in notes(found):
        out += [*textwrap.wrap(note, width), ""]
    return "\n".join(out).rstrip()
