"""Tables as text: the same digits as on the page, in LaTeX that compiles, Markdown and HTML that parse."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from grids import grid_of

from leanat.plan.item import Column, Filled, Provenance, Replicated, Row, Value
from leanat.report import formats


@pytest.fixture(scope="module")
def drawn():
    rows = (Row("VGG16 & co", "A_1 | α", note="ours"), Row("VGG16 & co", "50 % of #2"), Row("ResNet", "A_1 | α"))
    columns = (Column("ℓ_∞ ≤ 8/255", "PGD", unit="%", better="high"), Column("Nat.", "clean", unit="%", digits=1))
    cells = (
        (
            Value(50.25, None, (48.0, 49.0, 51.0)),
            Value(91.0, Replicated(88.0, 87.0, 89.0, 3, "cpu", "CPU"), (90.0,)),
        ),
        (Value(None, None, (10.0, 11.0, 12.0)), Value(missing="not run {here}")),
        (Value(1.5, None, (-0.5, -1.5, -2.5)), Value(2.0, None, (3.0,))),
    )
    made = Provenance(seeds=(0, 1, 2), device="CPU", assumptions=("lr = 0.1: the paper's $x^2$ has none",))
    return formats.drawn(Filled("toy", "table1", "A title: 100 %", "", "demo", made, rows, columns, cells))


def strings(drawn):
    """What is printed in the cells, in order."""
    for block in drawn["blocks"]:
        for row in block["rows"]:
            yield [" ".join(filter(None, (c["mean"], c["pm"], c["n"]))) for c in row["cells"]]


def test_markdown_has_every_cell_in_its_place(drawn):
    lines = [line for line in formats.markdown(drawn).splitlines() if line.startswith("|")]
    rows = [[part.strip().replace("**", "") for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert {len(row) for row in rows} == {2 + len(drawn["columns"])}
    for row, wanted in zip(rows[2:], strings(drawn), strict=True):
        assert [re.sub(r" \(\w\)$", "", cell) for cell in row[2:]] == wanted
    assert rows[2][1].startswith(r"A_1 \| α")
    assert "Assumed: lr = 0.1" in formats.markdown(drawn)


def test_nothing_is_called_grey(drawn):
    """On the page the paper's values are."""
    for suffix in formats.FORMATS:
        assert "Grey" not in formats.FORMATS[suffix](drawn), suffix


def test_html_has_every_cell_in_its_place(drawn):
    class Cells(HTMLParser):
        rows, open = [], False

        def handle_starttag(self, tag, attrs):
            self.rows += [[]] * (tag == "tr")
            if tag == "td":
                self.open = True
                self.rows[-1] = [*self.rows[-1], ""]

        def handle_endtag(self, tag):
            self.open &= tag != "td"

        def handle_data(self, data):
            if self.open:
                self.rows[-1][-1] += data

    page = Cells()
    page.feed(formats.html(drawn))
    cells = [[re.sub(r" \(\w\)$", "", cell) for cell in row] for row in page.rows if row]
    assert cells == list(strings(drawn))
    assert "VGG16 &amp; co" in formats.html(drawn)


def test_latex_is_plain_ascii_and_escaped(drawn):
    text = formats.latex(drawn)
    assert text.isascii()
    assert r"VGG16 \& co" in text
    assert r"50 \% of \#2" in text
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert {line.count(" & ") for line in body.splitlines() if line.endswith(r"\\")} == {1 + len(drawn["columns"])}
    assert r"\textbf{" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: apt install texlive-latex-extra")
def test_latex_compiles(drawn, tmp_path):
    used = r"\usepackage{booktabs,multirow,graphicx,amssymb}"
    text = f"\\documentclass{{article}}{used}\\begin{{document}}{formats.latex(drawn)}\\end{{document}}"
    (tmp_path / "t.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode()[-2000:]


@pytest.mark.slow
def test_no_letter_of_any_item_is_unknown_to_latex():
    """Titles, captions, labels and reasons of all papers."""
    from pylatexenc.latexencode import unicode_to_latex

    letters = set()
    for item in grid_of().items.values():
        texts = [item.title, item.caption, *item.assumptions, *item.factors]
        texts += [part for line in (*item.rows, *item.columns) for part in (line.group, line.label)]
        letters |= {letter for text in texts for letter in text if not letter.isascii()}
    unknown = {
        x for x in letters if not unicode_to_latex(x, non_ascii_only=False, unknown_char_policy="keep").isascii()
    }
    assert not unknown
