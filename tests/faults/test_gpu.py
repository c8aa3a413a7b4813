"""A GPU that runs out of memory: attacks, alarms and measures are tried again with smaller batches; a training says so.

A checkpoint that does not fit for a moment, beside what a neighbour computes, stays what the training goes on from.
"""

import json
from unittest import mock

import pytest
import torch
from attack_bed import digits, standard
from measures import MEASURES, assessed, few_pictures, network_for
from pretended_gpu import OnGPU, pretended
from test_experiment import spec_of
from toys import Losses, Small, make_run, split, toy

from leanat import cli
from leanat.attacks import pgd
from leanat.attacks.autoattack import AutoAttack, Ensemble
from leanat.attacks.threat import Linf
from leanat.core.loop import train
from leanat.evaluation.evaluate import evaluate
from leanat.evaluation.gradient_masking import masking_report
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


class Card:
    """Inside, forward passes of more than ``most`` images run out of memory; ``passes``: of how many images each was."""

    def __init__(self, net, most):
        self.net, self.most, self.passes = net, most, []

    def look(self, module, inputs):
        self.passes.append(len(inputs[0]))
        if len(inputs[0]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def __enter__(self):
        self.hook = self.net.register_forward_pre_hook(self.look)
        return self

    def __exit__(self, *error):
        self.hook.remove()


@pytest.mark.parametrize("name", MEASURES)
def test_measures_come_through_with_smaller_batches(name, tmp_path):
    pictures = few_pictures()
    net = network_for(pictures)
    whole = assessed(name, net, pictures, tmp_path / "whole")
    with Card(net, 9) as card:
        parts = assessed(name, net, pictures, tmp_path / "parts")
    assert max(card.passes) == len(pictures), "they did not fit at first"
    assert parts.keys() == whole.keys()
    for key, value in whole.items():
        assert parts[key] == (value if value is None else pytest.approx(value, rel=1e-3)), key


EVALUATED = {
    "AutoAttack": lambda net, data: evaluate(net, data, AutoAttack(LINF), seed=0, limit=12).notes,
    "Ensemble": lambda net, data: evaluate(net, data, Ensemble(LINF, ("apgd-ce",), 2), seed=0, limit=12).notes,
    "alarm": lambda net, data: masking_report(net, data, LINF, seed=0, limit=12, steps=2, queries=2),
}
LINF = Linf(0.15)


@pytest.mark.parametrize("name", EVALUATED)
def test_checks_of_the_network_come_through_with_smaller_batches(name):
    """Those of AutoAttack and of the alarm, before their attacks."""
    bed = standard()
    with Card(bed, 9) as card:  # and the 8 of ``folding`` do
        said = EVALUATED[name](bed, digits()[1])
    assert list(said) == list(EVALUATED[name](bed, digits()[1]))
    assert max(card.passes) == 12, "they did not fit at first"
