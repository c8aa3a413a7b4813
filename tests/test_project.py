"""The lists of dependencies agree: pyproject.toml, environment.yml, constraints.txt."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CONDA = {"torch": "pytorch", "snakemake": "snakemake-minimal"}


def name_and_bound(text):
    return re.fullmatch(r"([a-z0-9_-]+)(.*)", text.lower()).groups()


def test_conda_and_pip_ask_for_the_same():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    conda = [e for e in listed if isinstance(e, str) and not e.startswith(("python>", "pip"))]
    found = dict(name_and_bound(e) for e in conda + [e for e in pip if not e.startswith("--")])
    assert found == {CONDA.get(n, n): bound for n, bound in map(name_and_bound, wanted)}


def test_every_dependency_is_pinned():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    assert not {name_and_bound(w)[0] for w in wanted} - pinned


def test_an_environment_of_another_folder_is_not_used(tmp_path):
    """Of a project that was copied or moved: its programs would run the other's code, or not start."""
    here = tmp_path / "here"
    (here / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", here)
    for name in ("pyproject.toml", "constraints.txt", ".venv/ready"):
        (here / name).touch()
    (here / ".venv/bin/leanat").write_text(f"#!{here}/.venv/bin/python3\n")
    (here / ".venv/bin/snakemake").write_text("#!/bin/sh\necho made $1\n")
    (here / ".venv/bin/snakemake").chmod(0o755)
    shutil.copytree(here, tmp_path / "a copy")

    def make(folder):
        done = subprocess.run(["make", "figures/x.pdf"], cwd=folder, capture_output=True, text=True)
        return done.returncode == 0, done.stdout + done.stderr

    def refused(folder):
        fine, said = make(folder)
        return not fine and "made figures" not in said and f".venv was made as {here}/.venv; remove it here" in said

    fine, said = make(here)
    assert fine
    assert "made figures/x.pdf" in said
    assert refused(tmp_path / "a copy")
    assert refused(here.rename(tmp_path / "moved"))
