"""How far a training is: one bar on a terminal, a line now and then in a file."""

from __future__ import annotations

import logging
import time
from typing import Any

from tqdm import tqdm

log = logging.getLogger("leanat")


class Progress:
    """One bar on a terminal, a line now and then in a file: epoch, loss, examples kept, time left."""

    def __init__(self, epochs: int):
        self.epochs, self.started, self.said, self.bar = epochs, time.monotonic(), 0.0, None

    def __enter__(self) -> Progress:
        self.bar = tqdm(total=self.epochs, unit="epoch", leave=False, disable=None)
        self.first: int | None = None
        return self

    def __call__(self, run: Any) -> None:
        row = run.history[-1]
        self.first = run.epoch - 1 if self.first is None else self.first
        self.bar.n = run.epoch
        self.bar.set_postfix(loss=f"{row['loss']:.3f}", kept=int(row["kept"]))
        now = time.monotonic()
        if self.bar.disable and (now - self.said > 30 or run.epoch == self.epochs):
            left = (now - self.started) / (run.epoch - self.first) * (self.epochs - run.epoch)
            log.info(
                "epoch %d/%d  loss %.4f  examples %d  %.2f s an epoch  %.0f s left",
                run.epoch, self.epochs, row["loss"], row["kept"], row["seconds"], left,
            )  # fmt: skip
            self.said = now

    def __exit__(self, *error: object) -> None:
        self.bar.close()
