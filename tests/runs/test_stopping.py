"""A training that is asked to stop: between two batches, with everything saved, and on to the same bits."""

import copy
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from test_experiment import same, spec_of, weights
from torch import nn
from toys import Losses, Small, make_run, split, toy

from leanat.attacks.threat import Linf
from leanat.core.loop import train
from leanat.core.meter import Stopped
from leanat.runs import checkpoint, experiment, signals
from leanat.selection.basic import Every, Random
from leanat.training.free import Free


class Dropped(Small):
    """A network with draws of its own from torch's generator."""

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Dropout(0.5), self.head)


def free():
    attack = Free(Linf(0.1), 0.1)
    return make_run(Small(), epochs=2, attack=attack, extras=(attack,), replays=3)


def subsets():
    return make_run(Dropped(), Every(1, 0, Random(0.7)), epochs=3, extras=(Losses(),))


@pytest.mark.parametrize("make", [free, subsets])
def test_stopped_before_every_batch_it_ends_with_the_same_bits(make, tmp_path):
    whole, data = make(), split(toy())
    train(whole, data)
    stops = 0
    while True:
        run = make()
        checkpoint.load(tmp_path / "x.pt", run, "a")
        asked = iter([False, True])
        try:
            train(run, data, stop=lambda asked=asked: next(asked))
            break
        except Stopped:
            stops += 1
            checkpoint.save(tmp_path / "x.pt", run, "a")
    assert stops >= 4
    assert same(run.net.state_dict(), whole.net.state_dict())
    assert same(run.opt.state_dict()["state"][0], whole.opt.state_dict()["state"][0])

    def numbers(history):
        return [{k: v for k, v in row.items() if k != "seconds"} for row in history]

    assert numbers(run.history) == numbers(whole.history), "passes and losses of both halves of an epoch are counted"


def test_a_second_run_of_the_test_would_see_a_lost_generator(tmp_path):
    """Without the generators in the checkpoint, dropout would differ: the test above is able to fail."""
    run, data, asked = subsets(), split(toy()), iter([False, True])
    with pytest.raises(Stopped):
        train(run, data, stop=lambda: next(asked))
    other = copy.deepcopy(run)
    other.meter.generators = [torch.Generator().manual_seed(5).get_state()]
    for r in (run, other):
        train(r, data)
    assert not same(run.net.state_dict(), other.net.state_dict())


def start(tmp_path, spec):
    (tmp_path / "b").mkdir(exist_ok=True)
    (tmp_path / "b" / "spec.json").write_text(json.dumps(spec))
    words = [sys.executable, "-m", "leanat.cli", "train", str(tmp_path / "b"), "--results", str(tmp_path)]
    words += ["--device", "cpu"]
    return subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)], ids=lambda v: str(int(v)))
def test_a_signal_ends_the_command_with_its_status_and_a_checkpoint(tmp_path, number, status):
    spec = spec_of("qtart", epochs=40)
    process = start(tmp_path, spec)
    history = tmp_path / "runs" / "b" / "history.csv"
    while not history.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.05)
    process.send_signal(number)
    text = process.communicate(timeout=60)[0]
    assert process.returncode == status, text
    assert "all is saved, the same command goes on from there" in text
    assert not (tmp_path / "runs" / "b" / "metrics.json").exists()
    made = experiment.prepare(spec, None, torch.device("cpu"))
    run, source = made.run, experiment.made_from(spec, made.split, made.test, tmp_path / "runs")
    assert checkpoint.load(tmp_path / "runs" / "b" / "resume.pt", run, source)
    assert run.epoch >= 1
    assert [p.name for p in (tmp_path / "runs" / "b").glob(".[0-9]*")] == []


def test_signalled_again_and_again_it_ends_with_the_same_bits(tmp_path):
    spec = spec_of("qtart", epochs=3)
    experiment.train_run("a", spec, tmp_path / "a", None, torch.device("cpu"))
    folder, asked, steps = tmp_path / "b", iter([False] * 3 + [True] + [False] * 11 + [True]), []

    def stop():
        steps.append(1)
        return next(asked, False)

    for _ in range(2):
        with pytest.raises(Stopped):
            experiment.train_run("b", spec, folder, None, torch.device("cpu"), stop=stop)
    metrics = experiment.train_run("b", spec, folder, None, torch.device("cpu"), stop=stop)
    assert same(weights(tmp_path / "a"), weights(folder))
    assert metrics["examples"] == json.loads((tmp_path / "a" / "metrics.json").read_text())["examples"]
    assert (tmp_path / "a" / "selection.npz").read_bytes() == (folder / "selection.npz").read_bytes()


def test_outside_a_training_sigterm_cleans_up():
    code = (
        "import os, signal, time\nfrom leanat.runs import signals\n"
        "with signals.ending():\n    try:\n        os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        "    finally:\n        print('cleaned')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (signals.AGAIN, "cleaned\n")


@pytest.mark.parametrize("name", [signals.HANDED_ON, "LOCAL_RANK"])
def test_a_signal_that_comes_from_the_cluster_and_from_the_starter_is_one(monkeypatch, name):
    """A cluster signals every process of a job: torchrun, which hands it on, and the processes that it started."""
    monkeypatch.setenv(name, "1")
    with signals.heard() as asked:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
    assert asked.status == signals.AGAIN


def test_a_second_signal_ends_it_at_once():
    with signals.heard() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked()
        with pytest.raises(SystemExit) as error:
            os.kill(os.getpid(), signal.SIGTERM)
    assert error.value.code == signals.AGAIN
