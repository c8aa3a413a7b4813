"""A data set of image files, decoded by threads ahead of use; it has the same interface as TensorData."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from leanat.core.machine import usable_cores
from leanat.core.rng import Draws
from leanat.data.augment import NONE, Augmentation, RandomResizedCrop
from leanat.data.facts import DataError, Facts

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

log = logging.getLogger("leanat")

Ask = tuple[int, int, int]  # position, epoch, view
LARGEST = 89_478_485  # maximum number of pixels of an image; Pillow warns above it
ORIENTATION = 0x0112  # EXIF tag for the orientation in viewers


def pixels(name: str, file: str, channels: int) -> Picture:
    """An image file as 8 bits per channel, ``channels`` 3 or 1. EXIF's orientation is not applied, as in torchvision's
    ImageFolder, and transparency is dropped. 16-bit grey levels are scaled, 65535 to 255.

    Raises DataError, one line with the file, if it is not an image, incomplete, too large, or of a depth with unknown range.
    """
    from PIL import Image

    try:
        with Image.open(file) as source:
            if source.width * source.height > LARGEST:
                raise ValueError(f"{source.width} x {source.height} pixels; allowed: {LARGEST:,} in all")
            image = _eight_bits(source)
            if name not in _TURNED and _is_turned(source):
                _TURNED.add(name)
                log.warning("%s: EXIF says to turn %s; it is taken as stored, and so are all others", name, file)
            return image.convert("RGB" if channels == 3 else "L")
    except Exception as error:  # for damaged files Pillow's decoders raise all kinds of errors
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name}: cannot read image {file}: {reason}") from error


def _eight_bits(source: Picture) -> Picture:
    """The image with levels from 0 to 255. Pillow's ``convert`` would clip deeper levels at 255, which makes them white."""
    from PIL import Image

    if source.mode.startswith("I;16") or (source.mode == "I" and source.format == "PNG"):
        levels = np.asarray(source).astype(np.int64)
        return Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))
    if source.mode[0] in "IF":
        raise ValueError(f"mode {source.mode} has no known range; allowed: 8 or 16 bits per channel")
    return source


def _is_turned(source: Picture) -> bool:
    """Whether EXIF says to rotate the image. Damaged EXIF, as in some photographs of ImageNet, is ignored."""
    try:
        return source.getexif().get(ORIENTATION, 1) != 1
    except Exception:  # struct.error, SyntaxError and other errors of Pillow's TIFF reader
        return False


_TURNED: set[str] = set()  # data sets for which the warning was logged


def uploaded(x: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device, copied without waiting for the device's pending work."""
    pinned = device.type == "cuda" and x.device.type == "cpu"
    return (x.pin_memory() if pinned else x).to(device, non_blocking=True)


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamedData(Facts):
    """Image files with labels int64 [N] on the device that receives the batches.

    With a RandomResizedCrop first in ``augment`` every view shows another box; otherwise the shorter side is resized to
    ``resize`` and the central square is used. The other pieces are applied to the batch, on the device.
    """

    files: tuple[str, ...]
    labels: Tensor
    numbers: Tensor  # int64 [N], on the CPU: the indices that key the examples' random numbers
    resize: int
    augment: Augmentation = NONE
    seed: int = 0
    threads: int = field(default_factory=lambda: min(16, usable_cores()))
    window: int = 1024  # number of images decoded ahead
    reads_on_cpu: ClassVar[bool] = True  # the loop passes indices on the CPU
    _pool: ThreadPoolExecutor = field(init=False, repr=False)
    _decoded: dict[Ask, Future] = field(init=False, repr=False, default_factory=dict)
    _coming: deque[Ask] = field(init=False, repr=False, default_factory=deque)

    def __post_init__(self):
        if any(isinstance(piece, RandomResizedCrop) for piece in self.augment.pieces[1:]):
            raise DataError(f"{self.name}: random resized crop must be the first piece of the augmentation")
        object.__setattr__(self, "_pool", ThreadPoolExecutor(self.threads, thread_name_prefix=f"decode {self.name}"))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def _crop(self) -> RandomResizedCrop | None:
        pieces = self.augment.pieces
        return pieces[0] if pieces and isinstance(pieces[0], RandomResizedCrop) else None

    def prefetch(self, index: Tensor, epoch: int, view: int = 0) -> None:
        """Announces the coming examples in order; decoding starts and stays ``window`` images ahead.

        This changes no result. Examples that an earlier call has announced and that were not used are dropped.
        """
        for future in self._decoded.values():
            future.cancel()
        self._decoded.clear()
        self._coming.clear()
        self._coming.extend((i, epoch, view) for i in index.tolist())
        self._fill()

    def batch(self, index: Tensor, epoch: int, view: int = 0) -> tuple[Tensor, Tensor]:
        """x float32 [B, C, H, W] in [0, 1], with the augmentation of that epoch and view, and y int64 [B].

        Does not wait for the device if ``index`` is on the CPU. Raises DataError, with the file, if an image cannot be read.
        """
        asks = [(i, epoch, view) for i in index.tolist()]
        self._submit(ask for ask in dict.fromkeys(asks) if ask not in self._decoded)
        ready = [self._decoded[ask] for ask in asks]
        for ask in set(asks):
            del self._decoded[ask]
        while self._coming and self._coming[0] in asks:
            self._coming.popleft()
        self._fill()
        x = torch.from_numpy(np.stack([future.result() for future in ready])).permute(0, 3, 1, 2)
        device = self.labels.device
        x = uploaded(x, device).contiguous()
        rest = Augmentation(self.augment.pieces[1:]) if self._crop else self.augment
        index = index.cpu()
        draws = Draws(self.seed, epoch, uploaded(self.numbers[index], device), view)
        return rest(x, draws), self.labels[uploaded(index, device)]

    def _fill(self) -> None:
        room = min(self.window - len(self._decoded), len(self._coming))
        # In blocks, so that the random numbers of many images are computed together.
        if room >= min(64, self.window // 2, len(self._coming)) and room > 0:
            self._submit([self._coming.popleft() for _ in range(room)])

    def _submit(self, asks: Iterable[Ask]) -> None:
        groups: dict[tuple[int, int], list[int]] = {}
        for position, epoch, view in asks:
            groups.setdefault((epoch, view), []).append(position)
        for (epoch, view), positions in groups.items():
            tries: list = [None] * len(positions)
            if self._crop:
                numbers = self.numbers[torch.tensor(positions)]
                tries = self._crop.tries(Draws(self.seed, epoch, numbers, view)).tolist()
            for position, t in zip(positions, tries, strict=True):
                self._decoded[position, epoch, view] = self._pool.submit(self._decode, self.files[position], t)

    def _decode(self, file: str, tries: list[list[float]] | None) -> np.ndarray:
        """The image uint8 [H, W, C]; resampled as in torchvision, bilinear with anti-aliasing."""
        from PIL import Image

        size = self.image_size
        image = pixels(self.name, file, self.channels)
        if tries is not None:
            image = image.crop(self._crop.box(*image.size, tries))
            return np.atleast_3d(image.resize((size, size), Image.Resampling.BILINEAR))
        width, height = image.size
        if min(width, height) != self.resize:
            short = min(width, height)
            width, height = int(self.resize * width / short), int(self.resize * height / short)
            if width * height > LARGEST:
                raise DataError(
                    f"{self.name}: cannot use image {file}: its sides are {image.size}, too long for its width"
                )
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = round((width - size) / 2), round((height - size) / 2)
        return np.atleast_3d(image.crop((left, top, left + size, top + size)))

    def check(self, number: int) -> None:
        """Decodes the file of an example as for a batch, and drops the pixels. Raises DataError with the file."""
        if self._crop:
            pixels(self.name, self.files[number], self.channels)
        else:
            self._decode(self.files[number], None)

    def take(self, index: Tensor) -> StreamedData:
        """The examples ``index`` as a data set of their own, with the same random numbers as before."""
        files = tuple(self.files[i] for i in index.tolist())
        labels = self.labels[index.to(self.labels.device)]
        return replace(self, files=files, labels=labels, numbers=self.numbers[index.cpu()])

    def plain(self) -> StreamedData:
        """The same examples without augmentation."""
        return replace(self, augment=NONE)
