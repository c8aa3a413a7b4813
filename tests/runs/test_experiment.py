"""A run's folder: what is in it, what survives a kill, what a damaged file does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from grids import grid_of

from leanat import data
from leanat.core import files
from leanat.core.meter import NonFiniteLoss
from leanat.evaluation import outcome
from leanat.models import io
from leanat.plan.grid import digest
from leanat.runs import checkpoint, experiment

CPU = torch.device("cpu")


def spec_of(method="sgd", epochs=3, seed=0, **change):
    grid = grid_of()
    facts = {"paper": "qtart", "item": "table1", "data": "cifar10", "model": "vgg16", "method": method}
    spec = grid.run(facts, seed).spec
    spec["model"] = {"name": "resnet_tiny", "standardise": "channel"}
    spec["recipe"] = spec["recipe"] | {"epochs": epochs, "batch": 64} | change
    if "once" in spec["method"]["selector"]:
        spec["method"]["selector"]["once"]["tau"] = 2
    if method == "dihcl":
        episodes = {"bounds": list(range(epochs + 1))}
        spec["recipe"]["lr"] = {"episodes": episodes}
        spec["method"]["objective"] = {"mixup": {"episodes": episodes}}
        bandit = {"bandit": {"episodes": episodes, "rule": "exp3", "feedback": "loss"}}
        spec["method"]["selector"] = bandit
        spec["method"]["extras"] = [{"teacher": {"decay": 0.9}}]
    return spec


def weights(folder):
    return io.read(folder / "model.safetensors")[0]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    metrics = experiment.train_run("run", spec_of("qtart"), folder, None, CPU)
    return folder, metrics


def test_what_a_run_leaves(finished):
    folder, metrics = finished
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert json.loads((folder / "spec.json").read_text()) == metrics["spec"]
    assert metrics["spec_hash"] == digest(metrics["spec"])
    assert metrics["clean"]["n"] == metrics["examples"]["test"] == 1197
    assert metrics["clean"]["low"] < metrics["clean"]["accuracy"] < metrics["clean"]["high"]
    history = (folder / "history.csv").read_text().splitlines()
    assert len(history) == 1 + 3
    kept = metrics["examples"]["kept"]
    assert metrics["examples"]["backward"] == 2 * 600 + kept, "removed at epoch 2 of 3"
    with np.load(folder / "selection.npz", allow_pickle=False) as chosen:
        assert chosen["epochs"].tolist() == [1, 3]
        assert chosen["sizes"].tolist() == [600, kept]
        assert len(chosen["index"]) == len(chosen["weight"]) == 600 + kept
    assert not (folder / "selection").exists()


def test_its_answers_without_an_attack_are_kept_image_by_image(finished):
    folder, metrics = finished
    kept, test = outcome.load(folder / "clean.npz"), data.load("digits", "test", None, CPU)
    net, _ = io.load(folder / "model.safetensors", CPU)
    with torch.no_grad():
        answers = net(test.plain().batch(torch.arange(len(test)), 0)[0]).argmax(1)
    assert np.array_equal(kept.label, test.labels.numpy())
    assert np.mean(kept.predicted == answers.numpy()) > 0.998, "but for rounding"
    assert int(kept.correct.sum()) == metrics["clean"]["correct"]
    assert set(metrics["files"]) >= {"clean.npz", "selection.npz", "model.safetensors"}


def test_the_network_is_built_again_from_its_file(finished):
    folder, metrics = finished
    net, about = io.load(folder / "model.safetensors", CPU)
    assert about["model"] == metrics["spec"]["model"]
    assert same(dict(net.state_dict()), weights(folder))


@pytest.mark.parametrize("method", ["qtart", "dihcl"])
def test_a_resumed_run_has_the_same_bits(tmp_path, method):
    spec = spec_of(method, epochs=4)
    experiment.train_run("a", spec, tmp_path / "a", None, CPU)

    class Stop(Exception):
        pass

    for stop in (1, 2, 3):

        def progress(run, stop=stop):
            if run.epoch == stop:
                raise Stop

        with pytest.raises(Stop):
            experiment.train_run("b", spec, tmp_path / "b", None, CPU, progress)
    experiment.train_run("b", spec, tmp_path / "b", None, CPU)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    chosen = [np.load(tmp_path / n / "selection.npz", allow_pickle=False) for n in "ab"]
    assert all(np.array_equal(chosen[0][k], chosen[1][k]) for k in chosen[0])


@pytest.mark.slow
def test_killed_at_several_moments_it_ends_with_the_same_bits(tmp_path):
    """SIGKILL, not an exception: whatever was being written at that moment."""
    spec = spec_of("qtart", epochs=6)
    experiment.train_run("a", spec, tmp_path / "a", None, CPU)
    run = tmp_path / "b"
    run.mkdir()
    (run / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "leanat.cli", "train", str(run), "--results", str(tmp_path)]
    kills = 0
    for patience in (0.05, 0.12, 0.2, 0.27):
        folder = tmp_path / "runs" / "b"
        before = folder.joinpath("history.csv").stat().st_mtime_ns if (folder / "history.csv").exists() else 0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            path = folder / "history.csv"
            if path.exists() and path.stat().st_mtime_ns != before:
                break
            time.sleep(0.005)
        time.sleep(patience)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert kills
    assert same(weights(tmp_path / "a"), weights(tmp_path / "runs" / "b"))
    assert not list((tmp_path / "runs" / "b").glob(".*.tmp"))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that was stopped in the third of four epochs, the same run whole, and their spec."""
    folder, spec = tmp_path_factory.mktemp("stopped"), spec_of("qtart", epochs=4)

    class Stop(Exception):
        pass

    def progress(run):
        if run.epoch == 3:
            raise Stop

    with pytest.raises(Stop):
        experiment.train_run("b", spec, folder / "b", None, CPU, progress)
    experiment.train_run("a", spec, folder / "a", None, CPU)
    return folder / "b", folder / "a", spec


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "foreign", "pickle", "one bit"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path, stopped, damage, caplog):
    part, whole, spec = stopped
    shutil.copytree(part, tmp_path / "b")
    resume = tmp_path / "b" / "resume.pt"
    if damage == "truncated":
        resume.write_bytes(resume.read_bytes()[:1000])
    elif damage == "text":
        resume.write_text("not a checkpoint")
    elif damage == "one bit":  # of a weight, which torch reads without a word
        largest = max(torch.load(resume)["net"].values(), key=torch.numel)
        weight = bytes(largest.untyped_storage())  # as it lies in memory, and in the file
        content = bytearray(resume.read_bytes())
        content[content.index(weight) + len(weight) // 2] ^= 1
        resume.write_bytes(content)
    elif damage == "empty":
        resume.write_bytes(b"")
    elif damage == "foreign":
        torch.save({"version": checkpoint.VERSION, "made_from": {"spec": "00000000"}}, resume)
    else:
        torch.save({"version": checkpoint.VERSION, "made_from": Path}, resume)
    epochs = []
    with caplog.at_level("INFO", logger="leanat"):
        experiment.train_run("b", spec, tmp_path / "b", None, CPU, lambda run: epochs.append(run.epoch))
    assert epochs == [3, 4], "resumed after epoch 2"
    warning = next(r for r in caplog.records if r.levelname == "WARNING").getMessage()
    assert str(resume) in warning
    assert "\n" not in warning
    assert same(weights(whole), weights(tmp_path / "b"))


def test_a_copy_without_its_record_of_chosen_examples_is_not_gone_on_from(tmp_path, stopped):
    """As the files of a run without its folders: the record at the end would begin in the middle."""
    part, _, spec = stopped
    shutil.copytree(part, tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "selection")
    with pytest.raises(
        ValueError, match=r"b/selection: no record of what epochs 1 to 3 were trained on; put it back, or"
    ):
        experiment.train_run("b", spec, tmp_path / "b", None, CPU)
    shutil.copytree(part / "selection", tmp_path / "b" / "selection")
    experiment.train_run("b", spec, tmp_path / "b", None, CPU)


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    files.write_json(path, {"a": 1})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    spec = spec_of("sgd", epochs=4, lr={"steps": {"lr": 1e38, "drops": [], "factor": 0.1}})
    with pytest.raises(NonFiniteLoss, match=r"epoch \d, batch \d+, seed 0"):
        experiment.train_run("b", spec, tmp_path / "b", None, CPU)
    assert not (tmp_path / "b" / "metrics.json").exists()


def test_two_processes_do_not_write_one_run(tmp_path, caplog):
    spec = spec_of("sgd", epochs=1)
    code = (
        "import time, pathlib; from leanat.runs import experiment\n"
        f"with experiment.locked(pathlib.Path({str(tmp_path / 'b')!r})):\n"
        "    print('locked', flush=True); time.sleep(1.5)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline().strip() == "locked"
    started = time.monotonic()
    with caplog.at_level("WARNING", logger="leanat"):
        experiment.train_run("b", spec, tmp_path / "b", None, CPU)
    assert time.monotonic() - started > 1
    assert "another process works on this run" in caplog.text
    other.wait()


def test_a_network_file_that_does_not_fit_is_said(tmp_path, finished):
    folder, _ = finished
    torch.save({}, tmp_path / "x.safetensors")
    with pytest.raises(io.NetworkError, match="not a safetensors file"):
        io.load(tmp_path / "x.safetensors", CPU)
    with pytest.raises(io.NetworkError, match="no such file"):
        io.load(tmp_path / "y.safetensors", CPU)
    net, about = io.load(folder / "model.safetensors", CPU)
    io.save(tmp_path / "z.safetensors", net.body, about)
    with pytest.raises(io.NetworkError, match="weights do not fit the network"):
        io.load(tmp_path / "z.safetensors", CPU)
