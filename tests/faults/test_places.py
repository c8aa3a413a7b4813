"""Disks that are full or read-only, and data that go away: one clear line, and the same command goes on later."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_experiment import same, spec_of, weights

from leanat import cli
from leanat.core import loop, nouns
from leanat.data import DataError, StreamedData
from leanat.runs import checkpoint, experiment, identity

CPU = torch.device("cpu")


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own: (folder, a function that makes it read-only or writable)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs root and the right to mount a small disk")

    def remount(mode):
        subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)

    yield folder, remount
    subprocess.run(["umount", str(folder)], check=True)


def by_hand(capsys, folder, spec):
    """``leanat train`` on the run ``b`` of a results folder: (status, what it said on standard error)."""
    source = folder.parent / "b"
    source.mkdir(exist_ok=True)
    (source / "spec.json").write_text(json.dumps(spec))
    status = cli.main(["train", str(source), "--results", str(folder), "--device", "cpu"])
    return status, capsys.readouterr().err


def test_a_full_disk_is_said_and_costs_nothing_that_was_there(tmp_path, disk, capsys):
    folder, _ = disk
    spec = spec_of("qtart", epochs=3)
    experiment.train_run("a", spec, tmp_path / "a", None, CPU)
    size = (tmp_path / "a" / "resume.pt").stat().st_size
    # Room for a checkpoint and a half, then for all of it.
    filler = folder / "filler"
    filler.write_bytes(bytes(600 * 1024 - size - size // 2 - 40_000))
    status, err = by_hand(capsys, folder, spec)
    assert status == 1
    assert "No space left on device" in err
    assert str(folder / "runs" / "b") in err
    assert "Traceback" not in err
    assert not list((folder / "runs" / "b").glob(".[0-9]*")), "nothing half-written is left in the way"
    made = experiment.prepare(spec, None, CPU)
    source = experiment.made_from(spec, made.split, made.test, folder / "runs")
    assert checkpoint.load(folder / "runs" / "b" / "resume.pt", made.run, source), "the last whole checkpoint is there"
    filler.unlink()
    assert by_hand(capsys, folder, spec)[0] == 0
    assert same(weights(tmp_path / "a"), weights(folder / "runs" / "b"))


def test_a_read_only_results_folder_is_said(disk, capsys):
    folder, remount = disk
    remount("ro")
    status, err = by_hand(capsys, folder, spec_of("sgd", epochs=1))
    assert status == 1
    assert "Read-only file system" in err
    assert str(folder) in err
    assert "Traceback" not in err
    remount("rw")
    assert by_hand(capsys, folder, spec_of("sgd", epochs=1))[0] == 0


def test_read_only_data_are_enough(disk):
    """Real data may lie on a disk that nobody may write to."""
    folder, remount = disk
    train, _ = images(folder)
    remount("ro")
    x, y = train.batch(torch.arange(4), 0)
    assert (x.shape, y.tolist()) == ((4, 3, 8, 8), [0, 1, 0, 1])


def images(folder, n=24):
    rng = np.random.default_rng(0)
    files = []
    for i in range(n):
        path = folder / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
        files.append(str(path))
    facts = {
        "name": "folder",
        "class_names": ("a", "b"),
        "image_size": 8,
        "channels": 3,
        "mean": (0.5,) * 3,
        "std": (0.2,) * 3,
    }
    labels = torch.arange(n) % 2
    data = StreamedData(
        **facts, files=tuple(files), labels=labels, numbers=torch.arange(n), resize=8, threads=2, window=8
    )
    return data, files


def test_an_image_deleted_while_training_is_named_and_put_back_it_goes_on(tmp_path):
    from toys import Small, make_run

    data, files = images(tmp_path)
    whole = make_run(Small(channels=3, n_classes=2), epochs=3)
    loop.train(whole, nouns.Split(data, None))
    run = make_run(Small(channels=3, n_classes=2), epochs=3)
    aside = tmp_path / "aside.png"

    def lose(run):
        checkpoint.save(tmp_path / "x.pt", run, "a")
        if run.epoch == 1:
            shutil.move(files[7], aside)

    with pytest.raises(DataError, match=r"cannot read image .*/7\.png"):
        loop.train(run, nouns.Split(data, None), lose)
    shutil.move(aside, files[7])
    again = make_run(Small(channels=3, n_classes=2), epochs=3)
    assert checkpoint.load(tmp_path / "x.pt", again, "a")
    loop.train(again, nouns.Split(images(tmp_path)[0], None))
    assert again.epoch == 3
    assert same(whole.net.state_dict(), again.net.state_dict())


def test_a_test_image_that_was_cut_short_is_named_before_the_training(tmp_path):
    (tmp_path / "train").mkdir()
    train, (data, files) = images(tmp_path / "train")[0], images(tmp_path)
    cache, content = tmp_path / "results" / ".hashes", Path(files[7]).read_bytes()
    whole = identity.of_data(data, cache, decode=True)
    Path(files[7]).write_bytes(content[:-30])
    os.utime(files[7], (0, 0))
    identity.of_data(data, cache)  # kept without a look at the pixels, which says nothing about them
    with pytest.raises(DataError, match=r"cannot read image .*/7\.png"):
        experiment.made_from({}, nouns.Split(train, None), data, tmp_path / "results" / "runs")
    Path(files[7]).write_bytes(content)
    assert identity.of_data(data, cache, decode=True) == whole


def test_data_deleted_between_training_and_attacking_are_named(tmp_path, capsys):
    folder = tmp_path / "runs"
    spec = spec_of("sgd", epochs=1)
    experiment.train_run("b", spec, folder / "b", None, CPU)
    words = ["attack", "--suite", "qtart", "--model", str(folder / "b" / "model.safetensors"), "--data", "cifar10"]
    status = cli.main([*words, "--data-dir", str(tmp_path / "gone"), "--device", "cpu", "--set", "scale=demo"])
    err = capsys.readouterr().err
    assert status == 1
    assert "cifar10" in err
    assert str(tmp_path / "gone") in err
    assert "Traceback" not in err


def of_data(name):
    spec = spec_of("sgd", epochs=1)
    return spec | {"data": spec["data"] | {"name": name}}


LACKING = [
    (of_data("digist"), "digist: unknown data set"),
    (of_data("cifar10"), "cifar10: needs data_dir"),
    (spec_of("sgd", epochs=1) | {"init": {"network": "run:other", "frozen": False}}, "b: needs the run other, which"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "said"), LACKING, ids=[said for _, said in LACKING])
def test_what_the_second_of_two_runs_lacks_is_said_before_the_first_is_trained(tmp_path, capsys, spec, said):
    for name, own in (("a", spec_of("sgd", epochs=1)), ("b", spec)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.json").write_text(json.dumps(own))
    words = [
        "train",
        str(tmp_path / "a"),
        str(tmp_path / "b"),
        "--results",
        str(tmp_path / "results"),
        "--device",
        "cpu",
    ]
    assert cli.main(words) == 1
    assert f"leanat: {said}" in capsys.readouterr().err
    assert not (tmp_path / "results" / "runs").exists()
