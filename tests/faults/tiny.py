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
ROWS = """      model: [vgg16, mobilenet, densenet, resnet50]
      method: [sgd, random, dihcl, qtart, sgd_smoothed, loss_rank, qtart_late]
"""


def project(folder):
    """A project folder; two of them with one ``config`` make the same runs."""
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    for name in ("workflow", "profiles", "published", "src"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "config", folder / "config")
    for path in (folder / "config" / "papers").glob("*.yaml"):
        if path.stem != "qtart":
            path.unlink()
    paper, demo = folder / "config" / "papers" / "qtart.yaml", folder / "config" / "scales" / "demo.yaml"
    text = paper.read_text()
    assert ROWS in text
    paper.write_text(text.replace(ROWS, "      model: [vgg16]\n      method: [sgd, random, qtart]\n"))
    text = demo.read_text()
    assert "\nshard: 8" in text
    demo.write_text(text.replace("\nshard: 8", "\nshard: 1"))
    return folder


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
