"""Joins several PDFs into one: every page of every input, unscaled and uncropped, in the order given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from leanat.core.files import atomic_write


def collect(inputs: Sequence[Path | str], output: Path | str) -> int:
    """Writes ``output`` and returns its number of pages. Raises ValueError if an input is no PDF. Same inputs, same bytes."""
    from pypdf import PdfWriter
    from pypdf.errors import PdfReadError

    if not inputs:
        raise ValueError("no PDF to collect")
    writer = PdfWriter()
    for path in inputs:
        try:
            writer.append(path, import_outline=False)
        except (PdfReadError, OSError) as error:
            raise ValueError(f"{path}: not a PDF that can be read ({error})") from None
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(Path(output)) as file, open(file, "wb") as stream:
        writer.write(stream)
    return len(writer.pages)
