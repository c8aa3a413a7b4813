"""Whatever the settings, claims and numbers of a paper say of its sections, equations, tables and figures, it has these."""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What there is in each paper: its sections, the last equation, and the last table and figure.
PAPERS = {
    "advprune": ("1 2 3 3.1 3.2 4 4.1 4.2 4.3 5", 6, 4, 2),
    "coreset": ("1 2 2.1 2.2 3 3.1 3.2 3.3 4 4.1 4.2 4.3 4.4 5", 15, 3, 3),
    "qtart": ("1 2 2.1 2.2 3 3.1 3.2 3.3 3.3.1 3.3.2 3.3.3 3.3.4 4 4.1 4.2 4.3 4.4 4.4.1 4.4.2 4.5 5 6", 11, 9, 5),
    "saliency": ("1 2 3 4 4.1 5 6 7", 19, 12, 6),  # Tables 10 to 12 are in the appendix
    "sat": ("1 2 3 3.1 3.2 3.3 4 4.1 4.2 4.3 5", 3, 0, 8),
}
NUMBER = r"\d+(?:\.\d+)*"
SEVERAL = rf"{NUMBER}(?:(?:,? (?:and|to) |, |/){NUMBER})*"
KINDS = {"section": "[Ss]ection|sec\\.", "equation": "[Ee]quation|[Ee]q\\.", "table": "Table", "figure": "Figure"}
PATTERNS = {kind: rf"\b(?:(?:{name})s \(?({SEVERAL})|(?:{name}) \(?({NUMBER}))" for kind, name in KINDS.items()}
# Of other papers: the names that stand before a reference to one of them.
OTHERS = ("et al.", "ACS, ", "Algorithm")


def references(text):
    for kind, pattern in PATTERNS.items():
        for found in re.finditer(pattern, text):
            if not any(name in text[max(0, found.start() - 30) : found.start()] for name in OTHERS):
                yield from ((kind, number) for number in re.split(r",? (?:and|to) |, |/", found[1] or found[2]))


def there(paper, kind, number):
    sections, equations, tables, figures = PAPERS[paper]
    if kind == "section":
        return number in sections.split()
    last = {"equation": equations, "table": tables, "figure": figures}[kind]
    return number.isdigit() and 1 <= int(number) <= last


def texts(paper):
    folder = ROOT / "src" / "leanat" / "papers" / paper
    for path in sorted([*folder.glob("*.py"), *folder.glob("*.toml")]):
        yield path.name, path.read_text()
    for name in (f"{paper}.csv", "claims.csv"):
        with (ROOT / "published" / name).open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["paper"] == paper]
        yield name, "\n".join(" | ".join(row.values()) for row in rows)


@pytest.mark.parametrize("paper", PAPERS)
def test_what_is_referred_to_is_in_the_paper(paper):
    found = [(name, kind, number) for name, text in texts(paper) for kind, number in references(text)]
    assert len(found) > 100
    assert not [f"{name}: {kind} {number}" for name, kind, number in found if not there(paper, kind, number)]


def test_a_reference_is_seen_in_all_its_forms():
    said = "section 4.4.2, Tables 3 to 6, sec. 4.1; Figure 2; Equations 5 and 6, eq. 7, Tables 5, 6"
    kinds = [kind for kind, _ in references(said)]
    assert {kind: kinds.count(kind) for kind in KINDS} == {"section": 2, "equation": 3, "table": 4, "figure": 1}
    assert not there("sat", "table", "1")
    assert not there("saliency", "section", "4.2")
