"""The lists of dependencies agree: pyproject.toml, environment.yml, constraints.txt."""

import re
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
