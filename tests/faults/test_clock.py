"""A clock that jumps: seconds come from the one that cannot, and no decision looks at the time of day."""

import itertools
import json
import time

import torch
from test_experiment import same, spec_of, weights

from leanat.runs import experiment, progress

CPU = torch.device("cpu")


def test_training_does_not_look_at_the_clock(tmp_path, monkeypatch):
    spec = spec_of("qtart", epochs=3)
    experiment.train_run("a", spec, tmp_path / "a", None, CPU)
    jumps = itertools.cycle([0.0, 4e9, -1e6, 1.7e9])  # 1970, 2096, before 1970, 2023
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    metrics = experiment.train_run("b", spec, tmp_path / "b", None, CPU)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert 0 < metrics["seconds"] < 600
    assert 0 < metrics["wall_seconds"] < 600


def test_the_note_of_a_job_is_written_on_and_its_time_left_is_that_of_the_other_clock(tmp_path, monkeypatch):
    """A clock that is set back a day would else silence ``leanat watch`` for a day, and make hours of a minute."""
    monkeypatch.setenv("LEANAT_RUNNING", str(tmp_path))
    with progress.Job("train", "a") as job:
        monkeypatch.setattr(time, "time", lambda: -1e6)
        monkeypatch.setattr(progress, "EVERY", 0.0)
        job.say("half", 0.5)
        note = json.loads(job.path.read_text())
    assert note["text"] == "half"
    assert 0 <= note["left"] < 60
