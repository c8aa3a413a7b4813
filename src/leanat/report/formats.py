"""Tables as text to paste: LaTeX (booktabs), Markdown, HTML. The layout is that of the PDF, so every digit is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas

from leanat.core.files import write_text
from leanat.plan.item import Filled
from leanat.report.notes import GREY
from leanat.report.table import drawn

Layout = Mapping[str, Any]


def write(item: Filled, stem: Path, suffix: str) -> Path:
    """Writes ``stem``.tex, .md or .html of a filled item. Figures of lines or bars have cells too; pictures have none."""
    if not item.rows:
        raise ValueError(f"{item.name}: pictures have no table; allowed: figures and tables with numbers")
    path = Path(f"{stem}.{suffix}")
    write_text(path, FORMATS[suffix](drawn(item)))
    return path


def table(drawn: Layout, bold: Callable[[str], str] = str, text: Callable[[str], str] = str) -> pandas.DataFrame:
    """The cells as strings; ``bold`` marks the best, and ``text`` escapes the text of cells and heads."""
    width, stubs = len(drawn["columns"]), drawn["stubs"]
    heads = [[""] * width for _ in range(drawn["depth"])]
    for head in drawn["header"]:
        for x in range(head["x"], head["x"] + head["span"]):
            heads[head["y"]][x - stubs] = text(head["text"] + (f" ({head['sub']})" if head["sub"] else ""))
    index, cells = [], []
    for block in drawn["blocks"]:
        for row in block["rows"]:
            index.append((text(block["label"]), text(row["label"])) if stubs == 2 else text(row["label"]))
            cells.append([_cell(cell, bold, text) for cell in row["cells"]])
    rows = pandas.MultiIndex.from_tuples(index) if stubs == 2 else pandas.Index(index)
    return pandas.DataFrame(cells, index=rows, columns=pandas.MultiIndex.from_arrays(heads))


def _cell(cell: Mapping[str, Any], bold: Callable[[str], str], text: Callable[[str], str]) -> str:
    mean = text(cell["mean"])
    mark = f"({cell['mark']})" if cell["mark"] else ""
    rest = " ".join(text(part) for part in (cell["pm"], cell["n"], mark) if part)
    return " ".join(filter(None, (bold(mean) if cell["bold"] else mean, rest)))


def foot(drawn: Layout) -> list[str]:
    """The paragraphs below the table: how to read it, where it was made, what the paper leaves open. This text has no grey."""
    lines = [" ".join(filter(None, (note["head"], note["body"]))).replace(f"{GREY} ", "") for note in drawn["notes"]]
    return lines + [f"Assumed: {line}" for line in drawn["assumptions"]]


def latex(drawn: Layout) -> str:
    """A table environment. It needs the packages booktabs and multirow, and graphicx if it is wider than the text."""
    from pylatexenc.latexencode import unicode_to_latex

    def text(part: str) -> str:
        return unicode_to_latex(part, non_ascii_only=False, unknown_char_policy="keep")

    frame = table(drawn, lambda part: rf"\textbf{{{part}}}", text)
    frame.columns = frame.columns.set_names([None] * frame.columns.nlevels)
    body = frame.style.to_latex(
        hrules=True,
        column_format="l" * drawn["stubs"] + "r" * len(drawn["columns"]),
        multicol_align="c",
        multirow_align="t",
        clines="skip-last;data" if drawn["stubs"] == 2 else None,
    )
    notes = "\n\n".join(text(line) for line in foot(drawn))
    head = f"% {drawn['origin']}, {drawn['scale']}; needs booktabs, multirow and graphicx\n"
    return (
        f"{head}\\begin{{table}}\n\\centering\n\\caption{{{text(drawn['title'])}}}\n"
        f"\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n{body}}}\n"
        f"\\par\\medskip\\begin{{minipage}}{{\\linewidth}}\\footnotesize\n{notes}\n\\end{{minipage}}\n\\end{{table}}\n"
    )


def markdown(drawn: Layout) -> str:
    """A pipe table; the rows of the head are joined, since Markdown allows only one."""
    frame = table(drawn, lambda part: f"**{part}**", lambda part: part.replace("|", r"\|"))
    frame.columns = [" ".join(dict.fromkeys(filter(None, parts))) for parts in frame.columns]
    if drawn["stubs"] == 2:
        frame = frame.reset_index(names=["", " "])
        text = frame.to_markdown(index=False, disable_numparse=True)
    else:
        text = frame.to_markdown(disable_numparse=True)
    notes = "\n".join(f"- {line}" for line in foot(drawn))
    return f"**{drawn['title']}** ({drawn['origin']}, {drawn['scale']})\n\n{text}\n\n{notes}\n"


def html(drawn: Layout) -> str:
    """A table element with its foot below, to put into a page."""
    frame = table(drawn, lambda part: f"<b>{part}</b>", escape)
    caption = f"{escape(drawn['title'])} ({escape(drawn['origin'])}, {escape(drawn['scale'])})"
    text = frame.style.set_caption(caption).set_uuid("leanat").to_html(exclude_styles=True)
    return text + "".join(f"<p>{escape(line)}</p>\n" for line in foot(drawn))


FORMATS: dict[str, Callable[[Layout], str]] = {"tex": latex, "md": markdown, "html": html}
