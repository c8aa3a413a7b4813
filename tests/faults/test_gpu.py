"""A GPU that runs out of memory: attacks are tried again with smaller batches (``test_evaluate.py``); a training says so."""

import json

import torch
from test_experiment import spec_of

from leanat import cli
from leanat.attacks import pgd


def test_a_training_that_does_not_fit_is_one_line(tmp_path, capsys, monkeypatch):
    """Its batch is part of the method, so it is not made smaller behind the user's back."""

    def full(self, net, step):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(pgd.Clean, "__call__", full)
    spec = spec_of("sgd", epochs=1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "spec.json").write_text(json.dumps(spec))
    status = cli.main(["train", str(tmp_path / "b"), "--results", str(tmp_path), "--device", "cpu"])
    err = capsys.readouterr().err
    assert status == 1
    assert err.splitlines() == ["leanat: CUDA out of memory. Tried to allocate 2.00 GiB"]
