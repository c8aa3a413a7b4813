"""The time to read and decode an image file like those of ImageNet, measured on a drawn image."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from leanat.data import Augmentation, RandomResizedCrop, StreamedData

WIDTH, HEIGHT, QUALITY = 500, 375, 90  # the usual size of ImageNet's files
IMAGES = 16  # images decoded per measurement


def photograph(path: Path) -> None:
    """Writes a JPEG of ImageNet's usual size with equal detail at every scale (a spectrum of 1/f), about 100 KB."""
    from PIL import Image

    draw, pixels = np.random.default_rng(0), np.zeros((HEIGHT, WIDTH, 3))
    for octave in range(8):
        coarse = draw.normal(size=(-(-HEIGHT >> octave), -(-WIDTH >> octave), 3))
        amplitude = 8 * 1.35**octave
        for channel in range(3):
            part = Image.fromarray(coarse[:, :, channel].astype(np.float32))
            pixels[:, :, channel] += amplitude * np.asarray(part.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    Image.fromarray((128 + pixels).clip(0, 255).astype(np.uint8)).save(path, quality=QUALITY)


def seconds(crop: RandomResizedCrop, size: int, repeats: int) -> float:
    """Seconds per image on one thread to read and decode it, and to crop a random box and resize it to ``size`` pixels.

    This is the median of ``repeats`` calls after one warm-up call; the file is in the system's cache.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "photograph.jpg"
        photograph(file)
        data = StreamedData(
            name="one photograph",
            class_names=("",),
            image_size=size,
            channels=3,
            mean=(0.5,) * 3,
            std=(0.25,) * 3,
            files=(str(file),) * IMAGES,
            labels=torch.zeros(IMAGES, dtype=torch.long),
            numbers=torch.arange(IMAGES),
            resize=size,
            augment=Augmentation((crop,)),
            threads=1,
        )
        image_seconds = []
        for epoch in range(1 + repeats):
            started = time.perf_counter()
            data.batch(torch.arange(IMAGES), epoch)
            image_seconds.append((time.perf_counter() - started) / IMAGES)
    return statistics.median(image_seconds[1:])
