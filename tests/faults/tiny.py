"""A workflow of three short trainings and a table: the project's own Snakefile and rules, its configuration cut down."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

from leanat.models import io

ROOT = Path(__file__).parents[2]
TARGET = "figures/qtart/table1.pdf"
# Of Table 1.
ROWS = 'rows(["sgd", "random", "dihcl", "qtart", "sgd_smoothed", "loss_rank", "qtart_late"], model=NETWORKS)'
FEWER = 'rows(["sgd", "random", "qtart"], model=["vgg16"])'
SIXTEEN, ONE = 'CPU"\n    shard = 16\n', 'CPU"\n    shard = 1\n'  # runs per process at demo


def project(folder):
    """A project folder; two of them with one ``src`` make the same runs."""
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    for name in ("workflow", "profiles", "published"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "config", folder / "config")
    edit(folder / "config/config.yaml", "papers: null", "papers: [qtart]")
    edit(folder / "src/leanat/experiments/scales.py", SIXTEEN, ONE)
    edit(folder / "src/leanat/papers/qtart/experiments.py", ROWS, FEWER)
    return folder


def edit(path, old, new):
    text = path.read_text()
    assert old in text, f"{path}: {old!r} is gone"
    path.write_text(text.replace(old, new, 1))


def command(folder, *more):
    words = [TARGET, "--cores", "1", "--config", "seeds=1", "device=cpu"]
    return [
        sys.executable,
        "-m",
        "snakemake",
        "--directory",
        str(folder),
        "--snakefile",
        str(folder / "Snakefile"),
        *more,
        *words,
    ]


def start(folder, log, *more):
    """Snakemake in a session of its own: signals for its group reach it and its jobs, and nobody else."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(folder, *more), stdout=log, stderr=log, start_new_session=True, env=env)


def run(folder, *more):
    return subprocess.run(
        command(folder, *more), capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def left(folder):
    """What must not depend on what happened on the way: weights, selections, histories but for their seconds, the table."""
    runs = {}
    for path in sorted((folder / "results" / "runs").iterdir()):
        with open(path / "history.csv", newline="") as file:
            history = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
        tensors = {k: v.numpy().tobytes() for k, v in io.read(path / "model.safetensors")[0].items()}
        runs[path.name] = (tensors, (path / "selection.npz").read_bytes(), history)
    with open(folder / TARGET.replace(".pdf", ".csv"), newline="") as file:
        return runs, [(row["row"], row["column"], row["values"]) for row in csv.DictReader(file)]
