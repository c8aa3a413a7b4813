"""The package as somebody gets it who installs it: built, unpacked outside of the checkout, and used."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """
import torch, torchvision
from torch import nn
from leanat import evaluate, pgd, select

net = torchvision.models.resnet18(num_classes=10)
x, y = torch.rand(8, 3, 32, 32), torch.arange(8)
x_adv = pgd(net, x, y, steps=2)
index, weight = select(net, x, y, fraction=0.5, by="example", attack="fgsm_rs")
assert len(index) == 4
torch.save(net.state_dict(), "net.pth")
"""
PHOTOS = """
from pathlib import Path

import torch
from torchvision.io import write_png

for k in range(10):
    Path(f"photos/{k}").mkdir(parents=True)
    write_png((255 * torch.rand(3, 32, 32)).byte(), f"photos/{k}/0.png")
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A function that runs a command in an empty folder, with the wheel alone to import from."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a build leaves its own folders beside the sources
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "Snakefile"):
        shutil.copy(ROOT / name, source)
    for name in ("src", "config", "profiles", "published", "replicated", "workflow"):
        shutil.copytree(
            ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("leanat-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    here = folder / "here"
    here.mkdir()

    def run(*words):
        done = subprocess.run(
            words, cwd=here, env=os.environ | {"PYTHONPATH": str(folder / "site")}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.folder = here
    return run


def leanat(installed, *words):
    return installed(sys.executable, "-m", "leanat.cli", *words)


def test_it_is_the_wheel_s_and_typed(installed):
    where = Path(installed(sys.executable, "-c", "import leanat; print(leanat.__file__)").strip()).parent
    assert where == installed.folder.parent / "site" / "leanat"
    assert (where / "py.typed").is_file()


def test_attacks_selection_and_suites(installed):
    installed(sys.executable, "-c", SCRIPT)
    installed(sys.executable, "-c", PHOTOS)
    words = ["--model", "net.pth", "--network", "torchvision:resnet18", "--data", "folder:photos", "--device", "cpu"]
    assert "robust %" in leanat(installed, "attack", "--suite", "coreset/linf", *words)


def test_bench_and_data(installed):
    words = ["--methods", "random", "el2n:class", "--trainings", "standard", "--seeds", "2", "--epochs", "1"]
    assert "Which rule beats chance? digits" in leanat(installed, "bench", *words, "--jobs", "1", "--device", "cpu")
    assert "cifar10" in leanat(installed, "data")


def test_the_workflow(installed):
    leanat(installed, "workflow", "flow")
    words = [
        "-m",
        "snakemake",
        "--directory",
        "flow",
        "--snakefile",
        "flow/Snakefile",
        "-n",
        "figures/qtart/table1.pdf",
    ]
    assert "train_" in installed(sys.executable, *words)
