"""What a training says of itself while it runs."""

import errno
import json
import logging
import math
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from leanat.core import distributed
from leanat.runs import experiment, progress, training
from leanat.runs.progress import Job, Progress, running


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


@pytest.mark.parametrize("rank", [0, 1])
def test_of_processes_that_train_together_one_says_how_far_they_are(rank, tmp_path, monkeypatch, caplog):
    """The others count steps and know of no epoch; `leanat watch` would show a line for each."""
    monkeypatch.setenv("LEANAT_RUNNING", str(tmp_path / "notes"))
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    monkeypatch.setattr(training, "check_specs", lambda specs, arguments: None)
    monkeypatch.setattr(training, "check_counts", lambda names, arguments: None)
    lines, bars = [], []

    def trained(name, spec, folder, data_dir, device, bar, stop):
        assert not stop()
        lines.extend(progress.running(tmp_path / "notes"))
        bars.append(bar.bar.disable)

    monkeypatch.setattr(experiment, "train_run", trained)
    arguments = SimpleNamespace(device="cpu", results=tmp_path, data_dir="")
    level = training.log.level
    training.train_runs([("a run", {"data": {"name": "digits"}, "recipe": {"epochs": 2}})], arguments)
    training.log.setLevel(level)
    assert [line.partition(":")[0] for line in lines] == ["train a run"] * (rank == 0)
    assert bars == [True], "here there is no terminal, either"


def test_notes_that_only_others_may_remove_are_passed_over(tmp_path, monkeypatch):
    """Results of somebody else, in which a job was killed; and a folder that became read-only while a job worked."""
    note = {"kind": "train", "name": "x", "text": "epoch 1", "left": None, "at": 0.0, "pid": 2**22 + 1}
    (tmp_path / "a.json").write_text(json.dumps(note | {"host": socket.gethostname()}))
    monkeypatch.setenv("LEANAT_RUNNING", str(tmp_path))

    def refused(path, missing_ok=False):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with Job("train", "y"):
        monkeypatch.setattr(Path, "unlink", refused)
        assert list(running(tmp_path)) == ["train y: starts"]
    assert (tmp_path / "a.json").is_file()
