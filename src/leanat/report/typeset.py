"""The page of an item, typeset by typst: title, table or plot, claims, notes and assumptions; same data, same bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from leanat.core.files import atomic_write
from leanat.plan.item import Filled

PPI = 160


def frame(item: Filled, notes: Sequence[Mapping[str, str]], claims: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The data that page.typ prints around a table or a plot. ``notes``: paragraphs {head, body}, the most important first."""
    return {
        "title": item.title,
        "caption": item.caption,
        "origin": f"{item.paper} / {item.item}",
        "scale": f"scale: {item.scale}",
        "claims-head": "Claims, from the numbers of this page alone and corrected for all that the paper claims (so ? may stand "
        f"beside an interval that is clear by itself); figures/{item.paper}/claims.pdf weighs all of the paper, and counts "
        "where the two differ",
        "claims": list(claims),
        "notes": list(notes),
        "assumptions": list(item.provenance.assumptions),
    }


def render(
    data: Mapping[str, Any], plot: Mapping[str, bytes] | None = None, page: str = "item.typ", ppi: int = PPI
) -> tuple[bytes, list[bytes]]:
    """The PDF and its pages as PNG. ``plot``: a picture for "pdf" and one for "png", instead of a table."""
    import typst

    outputs: dict[str, Any] = {}
    with TemporaryDirectory() as place:
        for name in ("page.typ", page):
            Path(place, name).write_bytes(resources.files("leanat.report").joinpath(name).read_bytes())
        for form in ("pdf", "png"):
            own = dict(data)
            if plot is not None:
                own["plot"] = f"plot.{form}"
                Path(place, own["plot"]).write_bytes(plot[form])
            compiler = typst.Compiler(
                Path(place, page), root=place, sys_inputs={"data": json.dumps(own)}, ignore_system_fonts=True
            )
            outputs[form] = compiler.compile(format=form, ppi=ppi)
    return outputs["pdf"], [outputs["png"]] if isinstance(outputs["png"], bytes) else outputs["png"]


def write(pdf: bytes, pages: list[bytes], stem: Path | str) -> None:
    """Writes ``stem``.pdf and .png (all pages, one below the other), each either completely or not at all."""
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    for kind, content in (("png", stack(pages)), ("pdf", pdf)):
        with atomic_write(Path(f"{stem}.{kind}")) as file:
            file.write_bytes(content)


def stack(pages: list[bytes]) -> bytes:
    if len(pages) == 1:
        return pages[0]
    from PIL import Image

    images = [Image.open(io.BytesIO(page)).convert("RGB") for page in pages]
    whole = Image.new("RGB", (max(image.width for image in images), sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    file = io.BytesIO()
    whole.save(file, "PNG", optimize=False)
    return file.getvalue()
