"""What a training says of itself while it runs."""

import logging
import math
from types import SimpleNamespace

from leanat.runs.progress import Progress


def test_an_epoch_without_training_says_no_loss(caplog, monkeypatch):
    """Adversarial coresets may be idle after the warm start: the mean loss of no image is nan, which is nobody's loss."""
    monkeypatch.delenv("LEANAT_RUNNING", raising=False)
    row = {"loss": 2.1634, "kept": 100, "seconds": 1.0}
    run = SimpleNamespace(epoch=1, history=[row])
    with caplog.at_level(logging.INFO, logger="leanat"), Progress(3) as progress:
        progress.tick()
        progress(run)
        run.epoch, run.history = 2, [row, {"loss": math.nan, "kept": 0, "seconds": 0.0}]
        progress(run)
        run.epoch, run.history = 3, [*run.history, run.history[-1]]
        progress(run)
    assert "nan" not in caplog.text
    assert "epoch 3/3  loss 2.163" in caplog.text
    assert progress.steps == 1  # as many as in the last epoch that trained
