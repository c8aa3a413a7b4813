"""The ledger in words: the expected effect, the measured effect, the verdict and its reason; all of it for a terminal."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

from leanat.experiments.claim import LEAST, Claim
from leanat.plan.looks import LOOKS
from leanat.report.claims import FULL, Line
from leanat.report.layout import number
from leanat.report.verdict import ALPHA, FEW, LARGE

MARKS = {"supported": "✓", "not supported": "✗", "inconclusive": "?"}
QUIET = ("not decidable", "not run yet", "not testable")


def notes(lines_by_paper: Mapping[str, list[Line]]) -> list[str]:
    """The paragraphs that explain how to read the ledger."""
    level = f"{100 * ALPHA:.0f} %"
    families = len(
        {(name, line.scale, line.origin) for name, part in lines_by_paper.items() for line in part if line.decision}
    )
    all_of_them = f"{100 * (1 - (1 - ALPHA) ** families):.0f} %"
    paragraphs = [
        "A verdict is about the effect: arithmetic over cells of this package's tables and figures, as the paper's claims.py "
        f"writes it. Per paper and scale, a false claim is supported with a probability of at most {level}, and a true one "
        f"rejected with at most {level}: over planned looks at {', '.join(map(str, LOOKS))} seeds, by Holm's correction over "
        f"its claims; over the {families} papers and scales decided here, at most {all_of_them} each way. Intervals: 95 %, each "
        "by itself, over seeds (paired; the variance borrows from the paper's other effects) and, where the numbers are "
        f"accuracies, test examples. Below {FEW} seeds only effects over {LARGE:g} points support a claim; differences under "
        f"{LEAST:g} points do not matter unless the claim says so. The method: docs/verdicts.md."
    ]
    if any(line.scale != FULL for part in lines_by_paper.values() for line in part):
        paragraphs.append(
            f"Below scale {FULL}, data, networks and epochs are smaller than the paper's: verdicts are about orderings, "
            "mechanisms and arithmetic in that smaller setting; they never support an accuracy. Times are of another kind: "
            "steps measured with the paper's networks and settings, whatever the scale, on the device of the item."
        )
    return paragraphs


def summary(lines: Sequence[Line]) -> str:
    """The number of claims with each verdict in this run, and separately in committed replications."""
    clauses = []
    for origin in ("this run", "replicated"):
        counts = Counter(line.verdict for line in lines if line.origin == origin)
        ranked = sorted(counts.items(), key=lambda c: (_rank(c[0]), c[0]))
        verdicts = ", ".join(f"{n} {verdict}" for verdict, n in ranked)
        clauses += [verdicts if origin == "this run" else f"{origin}: {verdicts}"] if verdicts else []
    return "; ".join(clauses)


def _rank(verdict: str) -> int:
    order = [*MARKS, *QUIET]
    return order.index(verdict) if verdict in order else len(MARKS)


def measured(line: Line) -> str:
    """The effect with its interval, and the case that it belongs to. The half-width has two significant digits."""
    if line.effect is None:
        return ""
    digits = 0 if line.effect.is_integer() else 2
    if line.low is not None and line.high > line.low:
        digits = min(max(1 - math.floor(math.log10((line.high - line.low) / 2)), 0), 2)
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
    if line.by_mean:
        of = "mean of "
    elif line.verdict == "not supported" and line.n and expect.of != "mean" and used > 1:
        place = used - expect.needed(used) + 1  # so many cases with clear evidence against the claim are enough
        of = "clearest against it of " if place == 1 else f"no. {place} against it of "
    return f"{of}{used} case{'s' * (used > 1)}" + (f", {left} not tested" if left else "")


def expected(claim: Claim) -> str:
    """The expected effect of the claim, such as ``every > 0, by 0.5 or more``."""
    if claim.expect is None:
        return ""
    e = claim.expect
    sign = "within ±" if e.sign == "within" else f"{e.sign} "
    prefix = "" if len(claim.cases) == 1 else f"{e.of} "
    by = f", by {e.least:g} or more" if e.least else ""
    return f"{prefix}{sign}{e.bound:g}{by}"


def why(line: Line) -> str:
    return "; ".join(filter(None, (line.more if line.verdict == "inconclusive" else line.reason, remarks(line))))


def named(line: Line) -> str:
    """The verdict in words, with the number of cases if it rests on only some of them."""
    part = f" (in {line.used} of {len(line.claim.cases)} cases)" if line.partial and line.verdict in MARKS else ""
    return line.verdict + part


def text(lines_by_paper: Mapping[str, list[Line]], titles: Mapping[str, str], width: int) -> str:
    """The ledger for a terminal with ``width`` letters per line."""
    out = []
    for paper, lines in lines_by_paper.items():
        head = textwrap.wrap(f"{paper}: {titles[paper]}", width)
        out += [*head, *textwrap.wrap(summary(lines) or "no claims", width), ""]
        for line in lines:
            claim = line.claim
            out.append(f"{MARKS.get(line.verdict, ' ')} {claim.id}  {named(line)}")
            body = [f"{claim.says} ({claim.source})"]
            if line.effect is not None:
                seeds = "" if line.n is None else f", {line.n} seed{'s' * (line.n != 1)}"
                body.append(f"measured {measured(line)}{seeds}, scale {line.scale}; expected {expected(claim)}")
            for part in filter(None, (*body, why(line))):
                out += textwrap.wrap(part, width, initial_indent="    ", subsequent_indent="    ")
        out.append("")
    for note in notes(lines_by_paper):
        out += [*textwrap.wrap(note, width), ""]
    return "\n".join(out).rstrip()


def remarks(line: Line) -> str:
    """What a reader should know besides the interval: the cells of the effect, collapses, how many seeds agree, the look."""
    clauses = [f"seen in {line.shown}"] if line.shown else []
    if line.by_mean and line.prior.df:
        clauses.append("the variance of this mean borrows nothing")
    if line.low is not None and not line.examples:
        clauses.append("over seeds alone")
    if line.outlying and line.signs:
        fits, n = line.signs
        clauses.append(f"one seed far from the others ({line.outlying})")
        clauses.append(f"{fits} of {n} seeds on the claim's side (sign test p = {sign_test(fits, n):.2g})")
    decided = line.verdict in ("supported", "not supported") and line.decision and line.decision.look
    if decided and line.n and line.decision.look < line.n:
        clauses.append(f"decided at {line.decision.look} seeds")
    return "; ".join(clauses)


def sign_test(fits: int, n: int) -> float:
    """One-sided p value of at least ``fits`` of ``n`` seeds on the claim's side, if both sides are equally likely."""
    return sum(math.comb(n, k) for k in range(fits, n + 1)) / 2**n
