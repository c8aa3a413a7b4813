"""Files and names from strangers: nothing in them is run, and nothing is written outside the folders that were named."""

import ast
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import mine
import numpy as np
import pytest
import torch
from test_experiment import same, spec_of, weights

from leanat import cli
from leanat.core.errors import ConfigError
from leanat.evaluation import outcome
from leanat.models import io
from leanat.plan import structure
from leanat.runs import checkpoint, experiment

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


class Hostile:
    """What runs where this is unpickled leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def trap(tmp_path):
    path = tmp_path / "taken"
    pickle.loads(pickle.dumps(Hostile(path)))
    assert path.exists(), "the trap works"
    path.unlink()
    yield path
    assert not path.exists(), "code of a stranger was run"


@pytest.mark.parametrize("name", ["resume.pt", "resume.pt.previous"])
def test_a_hostile_checkpoint_is_not_run(tmp_path, trap, name, caplog):
    spec = spec_of("sgd", epochs=1)
    (tmp_path / "b").mkdir()
    torch.save({"version": checkpoint.VERSION, "digest": "x", "net": Hostile(trap)}, tmp_path / "b" / name)
    with caplog.at_level("WARNING", logger="leanat"):
        experiment.train_run("b", spec, tmp_path / "b", None, CPU)
    assert "not a checkpoint that can be read" in caplog.text
    experiment.train_run("a", spec, tmp_path / "a", None, CPU)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_hostile_networks_and_outcomes_are_not_run(tmp_path, trap):
    (tmp_path / "a.safetensors").write_bytes(pickle.dumps(Hostile(trap)))
    torch.save(Hostile(trap), tmp_path / "b.safetensors")
    for name in "ab":
        with pytest.raises(io.NetworkError, match="not a safetensors file"):
            io.load(tmp_path / f"{name}.safetensors", CPU)
    np.savez(tmp_path / "c.npz", index=np.array([Hostile(trap)], dtype=object))
    with zipfile.ZipFile(tmp_path / "c.npz") as file:
        assert b"touch" in file.read("index.npy")
    with pytest.raises(ValueError, match=r"c\.npz"):
        outcome.load(tmp_path / "c.npz")


CODE = '!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ["{}"]]'


@pytest.mark.parametrize("file", ["config.yaml", "datasets.yaml"])
def test_a_hostile_yaml_is_not_run(tmp_path, trap, file):
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    with open(config / file, "a") as out:
        out.write(f"\nextra: {CODE.format(trap)}\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        structure.load(config)


def test_a_hostile_setting_is_not_run(trap, capsys):
    assert cli.main(["check", "--config-dir", str(ROOT / "config"), "--set", f"scale={CODE.format(trap)}"]) == 1
    assert "is not a YAML value" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('    "table1": ItemSpec', '    "../../table1": ItemSpec'),
        ('    "table1": ItemSpec', '    "a;touch taken": ItemSpec'),
        ('SUITES = {"main"', 'SUITES = {"../main"'),
        ('{"pgd20": {', '{"../a": {'),
        ('{"pgd20": {', '{"pgd20": {"label": "../a", '),
    ],
)
def test_names_cannot_lead_out_of_results(tmp_path, monkeypatch, old, new):
    mine.make_importable(monkeypatch, tmp_path / "papers")
    path = mine.write_project(tmp_path) / "papers/mine/experiments.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match="is not allowed as a name"):
        structure.load(tmp_path / "config")


@pytest.mark.parametrize("scale", ["../scales/demo", "/etc/passwd", "demo;x", "."])
def test_nor_can_a_scale(scale):
    with pytest.raises(ConfigError, match="there is no scale"):
        structure.load(ROOT / "config", {"scale": scale})


def test_ids_of_runs_are_plain_whatever_the_method_is_called(tmp_path, monkeypatch):
    mine.make_importable(monkeypatch, tmp_path / "papers")
    path = mine.write_project(tmp_path) / "papers/mine/experiments.py"
    path.write_text(path.read_text().replace('"half"', '"../../$(x)"'))
    for run in structure.load(tmp_path / "config").runs:
        assert set(run) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


def test_values_of_a_user_are_not_read_by_a_shell(tmp_path):
    """Through Snakemake to a job and back: every character that a shell would take for its own."""
    results = "re sults; touch taken $(touch taken) `touch taken` & 'x' \"y\" | # *"
    settings = {"results": results, "data_dir": "/no where$(touch taken)"}
    words = [
        "figures/qtart/table9.pdf",
        "--cores",
        "1",
        "--directory",
        str(tmp_path),
        "--configfile",
        str(tmp_path / "x.json"),
    ]
    (tmp_path / "x.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(tmp_path.rglob("taken"))
    assert (tmp_path / results / "items" / "demo" / "qtart" / "table9.csv").exists()


def calls():
    """(file, dotted name, keywords) of every call in the package."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield path.name, ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}, node.args


def test_the_source_has_no_other_way_in():
    found = []
    for file, name, keywords, arguments in calls():
        found += [(file, name)] * (
            name.startswith(("pickle.", "marshal.", "shelve.", "os.system", "os.popen", "joblib."))
        )
        found += [(file, name)] * (name in ("eval", "exec", "__import__", "yaml.unsafe_load", "yaml.full_load"))
        found += [(file, name)] * (name == "torch.load" and keywords.get("weights_only") != "True")
        found += [(file, name)] * (name == "np.load" and keywords.get("allow_pickle") != "False")
        found += [(file, name)] * (name == "yaml.load" and ast.unparse(arguments[1]) != "_Loader")
        found += [(file, name)] * (keywords.get("shell", "False") != "False")
    assert found == [("archives.py", "pickle.loads")], "CIFAR's own files, after their MD5 sums"
