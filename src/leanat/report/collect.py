"""Several PDFs made one: every page of every input, unscaled and uncropped, in the order given."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from leanat.core.files import atomic_write

_HEAD = "#set document(date: none)\n#set page(width: auto, height: auto, margin: 0pt)\n"
_PAGE = '#image("{}.pdf", page: {})\n'


def collect(inputs: Sequence[Path | str], output: Path | str) -> int:
    """Write ``output`` and return its number of pages; ValueError if an input is no PDF. Same inputs, same bytes."""
    if not inputs:
        raise ValueError("no PDF to collect")
    with tempfile.TemporaryDirectory() as folder:
        pages = []
        for number, path in enumerate(inputs):
            # Under its own plain name, because typst reads only below its root and a path may hold any character.
            shutil.copyfile(path, Path(folder, f"{number}.pdf"))
            pages += [_PAGE.format(number, page) for page in range(1, _count(folder, number, path) + 1)]
        pdf = _compile("#pagebreak()\n".join(pages), folder)
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(Path(output)) as file:
        file.write_bytes(pdf)
    return len(pages)


def _count(folder: str, number: int, path: Path | str) -> int:
    """Pages of a PDF: typst does not tell, but refuses the page after the last."""
    import typst

    for page in itertools.count(1):
        try:
            _compile(_PAGE.format(number, page), folder)
        except typst.TypstError as error:
            if page > 1 and "does not exist" in error.message:
                return page - 1
            raise ValueError(f"{path}: {error.message}") from None
    raise AssertionError


def _compile(source: str, folder: str) -> bytes:
    import typst

    return typst.compile((_HEAD + source).encode(), root=folder, format="pdf", ignore_system_fonts=True)
