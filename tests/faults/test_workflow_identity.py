"""Two networks, two data sets, two configurations behind one name: the workflow does the work again or refuses it."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mine
import numpy as np
import pytest
from PIL import Image
from test_bad_inputs import answer, root  # noqa: F401

from leanat.plan import structure

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
TABLE = "figures/mine/table1"
# oneDNN for AVX-512 dies in the gradient of the small network's stem on images of 224 pixels.
PLAIN = {"OMP_NUM_THREADS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"}


@pytest.fixture
def project(root, monkeypatch):  # noqa: F811
    """A project of one paper with one table: two methods, one seed."""
    shutil.copy(ROOT / "Snakefile", root)
    for name in ("workflow", "profiles"):
        (root / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.move(root / "papers" / "mine", root / "src/leanat/papers/mine")
    (root / "papers").rmdir()
    (root / "papers").symlink_to(root / "src/leanat/papers")
    monkeypatch.chdir(root)
    return root


def snakemake(project, *config):
    words = ["--directory", str(project), "--snakefile", str(project / "Snakefile"), f"{TABLE}.pdf", "--cores", "1"]
    command = [sys.executable, "-m", "snakemake", *words, "--config", "seeds=1", "device=cpu", *config]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | PLAIN)
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    return done.returncode, said


def runs_of(project, **settings):
    return structure.load(project / "config", {"seeds": 1, **settings}).items["mine/table1"].runs


def values(project):
    with open(project / f"{TABLE}.csv", newline="") as file:
        return [(row["row"], row["column"], row["values"]) for row in csv.DictReader(file)]


def test_a_network_in_the_place_of_another(project, capsys):
    assert snakemake(project)[0] == 0
    first, (a, b) = values(project), runs_of(project)
    folder = project / "results/runs" / a
    own = (folder / "model.safetensors").read_bytes()
    shutil.copy(project / "results/runs" / b / "model.safetensors", folder / "model.safetensors")
    suite = folder / "suites/mine-main.json"
    suite.unlink()
    (project / f"{TABLE}.pdf").unlink()  # or nothing asks for the suite
    status, said = snakemake(project)
    assert status == 1
    assert said.count("not the files that its training left: model.safetensors") >= 1
    assert not suite.exists()
    assert values(project) == first
    by_hand = ["attack", a, "--suite", "mine", "--set", "seeds=1", "--device", "cpu"]
    status, err = answer(capsys, by_hand)
    assert (status, len(err.splitlines())) == (1, 1)
    assert "not the files that its training left: model.safetensors" in err
    (folder / "model.safetensors").write_bytes(own)
    assert answer(capsys, by_hand)[0] == 0
    shutil.copytree(project / "results/runs" / b / "attacks", folder / "attacks", dirs_exist_ok=True)
    shutil.rmtree(folder)
    assert snakemake(project)[0] == 0
    assert values(project) == first, "trained anew, to the same numbers"


def test_other_settings_between_training_and_attack(project, capsys, monkeypatch):
    old = runs_of(project)
    assert answer(capsys, ["train", *old, "--set", "seeds=1", "--device", "cpu"])[0] == 0
    before = {p: p.read_bytes() for p in (project / "results/runs").rglob("*") if p.is_file() and p.name != ".lock"}
    paper = project / "papers/mine/experiments.py"
    paper.write_text(paper.read_text().replace('"momentum": 0.9', '"momentum": 0.8'))
    mine.forget(monkeypatch)
    new = runs_of(project)
    assert not set(new) & set(old)
    status, err = answer(capsys, ["attack", old[0], "--suite", "mine", "--set", "seeds=1", "--device", "cpu"])
    assert (status, len(err.splitlines())) == (1, 1)
    assert "no item evaluates run" in err
    assert snakemake(project)[0] == 0
    assert all(p.read_bytes() == content for p, content in before.items())
    made = json.loads((project / "results/runs" / new[0] / "suites/mine-main.json").read_text())
    trained = json.loads((project / "results/runs" / new[0] / "metrics.json").read_text())
    assert made["file"]["model.safetensors"] == trained["files"]["model.safetensors"]


def photographs(project, seed):
    rng = np.random.default_rng(seed)
    for c in range(3):
        for i in range(12):
            path = project / "data/mini-imagenet" / f"n{c}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)


def test_other_images_in_the_folder_of_a_data_set(project):
    scale = project / "papers/mine/scales.py"
    text = scale.read_text().replace('return "digits"', 'return "mini-imagenet"').replace("return 0, 3", "return 0, 1")
    scale.write_text(text)
    paper = project / "papers/mine/experiments.py"
    paper.write_text(paper.read_text().replace('"batch": 128', '"batch": 16'))
    sets = project / "config/datasets.yaml"
    lines = sets.read_text().splitlines()
    small = "mini-imagenet: {train: 30, test: 6, classes: 3, channels: 3, size: 224}"
    sets.write_text("\n".join(small if line.startswith("mini-imagenet") else line for line in lines) + "\n")
    photographs(project, 0)
    data = f"data_dir={project / 'data'}"
    status, said = snakemake(project, data)
    assert status == 0, said
    photographs(project, 1)
    a, b = runs_of(project)
    suite = project / "results/runs" / a / "suites/mine-main.json"
    suite.unlink()
    (project / f"{TABLE}.pdf").unlink()  # or nothing asks for the suite
    status, said = snakemake(project, data)
    assert status == 1
    assert "test data are not those that it was evaluated on" in said
    shutil.rmtree(project / "results/runs" / a)
    status, said = snakemake(project, data)
    assert status == 1
    assert "finished, but made from other training data" in said
    shutil.rmtree(project / "results/runs" / b)
    assert snakemake(project, data)[0] == 0
