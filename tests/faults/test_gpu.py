"""A GPU that runs out of memory: attacks are tried again with smaller batches (``test_evaluate.py``); a training says so.

A checkpoint that does not fit for a moment, beside what a neighbour computes, stays what the training goes on from.
"""

import json
from unittest import mock

import pytest
import torch
from pretended_gpu import OnGPU, pretended
from test_experiment import spec_of
from toys import Losses, Small, make_run, split, toy

from leanat import cli
from leanat.attacks import pgd
from leanat.core.loop import train
from leanat.runs import checkpoint
from leanat.selection.basic import Every, Random


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


def of_losses():
    """A run whose checkpoint has a subset, a hook's memory and more."""
    return make_run(Small(), Every(1, 0, Random(0.7)), epochs=2, extras=(Losses(),))


@pytest.fixture
def left(tmp_path):
    """Two checkpoints of a run."""
    run = of_losses()
    train(run, split(toy()), lambda run: checkpoint.save(tmp_path / "resume.pt", run, "a"))
    return tmp_path / "resume.pt", run


FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 44.00 MiB"),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 46137344 bytes"),
    MemoryError(),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_memory_that_is_full_is_no_damaged_checkpoint(left, error):
    path, run = left
    files = {file: file.read_bytes() for file in path.parent.iterdir()}
    again, warnings = of_losses(), []
    with mock.patch("torch.load", side_effect=error), pytest.raises(type(error)):
        checkpoint.load(path, again, "a", warnings.append)
    assert (again.epoch, warnings) == (0, [])
    assert files == {file: file.read_bytes() for file in path.parent.iterdir()}
    assert checkpoint.load(path, again, "a")
    assert again.epoch == run.epoch


def test_a_gpu_that_is_full_after_the_file_was_read(left):
    """What is read lies on the host; the GPU fills as its tensors are moved."""
    path, _ = left
    with pretended():
        again = of_losses()
        again.net.to("cuda")
        moved = mock.Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory"))
        with mock.patch("torch.Tensor.to", moved), pytest.raises(torch.OutOfMemoryError):
            checkpoint.load(path, again, "a")
        assert again.epoch == 0
        assert checkpoint.load(path, again, "a")
        assert again.epoch == 2
        held = [again.subset.index, again.subset.weight, *again.memory[Losses.name].values()]
        assert all(isinstance(tensor, OnGPU) for tensor in held)
