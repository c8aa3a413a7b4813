"""Pictures of the site: the figures with few colours, and sheets of training images, one per data set."""

from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from leanat.report.run_files import training_data
from leanat.runs import records

COLOURS = 128  # colours of a figure: it looks the same, with a third of the bytes
ACROSS = 40  # images per row of a sheet


def small(png: Path, width: int) -> tuple[bytes, tuple[int, int]]:
    """A lossless WebP with few colours, at most ``width`` pixels wide, and its size in pixels. Same picture, same bytes.

    Raises ValueError, one line, for a picture that is damaged.
    """
    try:
        image = Image.open(png).convert("RGB")
    except FileNotFoundError:
        raise
    except Exception as error:  # for damaged files Pillow's decoders raise all kinds of errors
        raise ValueError(f"{png}: damaged: {' '.join(str(error).split())}; {records.AGAIN}") from None
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    few = image.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).convert("RGB")
    few.save(file, "WEBP", lossless=True, quality=100, method=4)
    return file.getvalue(), image.size


@dataclass
class Sheet:
    """The training images of a data set that pages show, in one picture; ``place`` assigns a position to an image."""

    name: str  # name of the file, without its suffix
    dataset: str
    validation: float | None
    places: dict[int, int] = field(default_factory=dict)  # example -> its position on the sheet

    def place(self, example: int) -> tuple[int, int]:
        """The column and row at which ``png`` draws the example."""
        number = self.places.setdefault(example, len(self.places))
        return number % ACROSS, number // ACROSS

    @property
    def rows(self) -> int:
        return math.ceil(len(self.places) / ACROSS)

    def png(self) -> bytes:
        """The sheet as PNG, with ACROSS images per row."""
        images = training_data(self.dataset, self.validation).images.numpy()[list(self.places)]  # uint8 [n, C, H, W]
        size = images.shape[-1]
        sheet = np.full((self.rows * size, ACROSS * size, images.shape[1]), 255, np.uint8)
        for k, image in enumerate(images):
            y, x = k // ACROSS * size, k % ACROSS * size
            sheet[y : y + size, x : x + size] = image.transpose(1, 2, 0)
        file = io.BytesIO()
        Image.fromarray(sheet.squeeze(-1) if sheet.shape[-1] == 1 else sheet).save(file, "PNG", optimize=True)
        return file.getvalue()


class Sheets:
    """A sheet for each data set that has been requested."""

    def __init__(self) -> None:
        self.found: dict[str, Sheet] = {}

    def of(self, dataset: str, validation: float | None) -> Sheet:
        name = dataset if validation is None else f"{dataset}-without-{validation:g}"
        return self.found.setdefault(name, Sheet(name, dataset, validation))


def spread(examples: np.ndarray, labels: np.ndarray, count: int) -> list[int]:
    """At most ``count`` of the examples, taken from the classes in turn, in the order of their indices."""
    turns, order = Counter[int](), []
    for example in examples.tolist():
        label = int(labels[example])
        turns[label] += 1
        order.append((turns[label], label, example))
    return [example for *_, example in sorted(order)[:count]]
