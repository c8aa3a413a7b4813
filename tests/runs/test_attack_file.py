"""``leanat attack`` on networks of the user's own: what is written, and what is refused before anything is attacked."""

import csv
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from test_bad_inputs import answer, png, root  # noqa: F401

from leanat.runs import attacking

NETWORK = """
import torch


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
"""

WORDS = ["attack", "--network", "mknet.py:net", "--data", "digits", "--device", "cpu", "--examples", "20"]


@pytest.fixture
def attack(root, capsys, monkeypatch):  # noqa: F811
    """A call of the verb on a linear network of digits: exit status, standard error."""
    (root / "mknet.py").write_text(NETWORK)
    monkeypatch.chdir(root)
    return lambda *more: answer(capsys, [*WORDS, "--config-dir", root / "config", *more])


def test_a_name_that_is_not_utf8_is_written(root, attack, monkeypatch):  # noqa: F811
    """As any name of a file on Linux may be. Its lines stay here: pytest cannot tell them from one process to another."""
    monkeypatch.setattr(logging.getLogger("leanat"), "propagate", False)
    out = os.fsdecode(b"out\xff")
    assert attack("--suite", "mine/main", "--out", out) == (0, "")
    (made,) = (root / out).glob("*.json")
    with made.with_suffix(".csv").open(encoding="utf-8") as file:
        (row, *_) = csv.DictReader(file)
    assert row["file"].startswith("out\\udcff/")
    assert json.loads(made.read_text())["attacks"].keys() == {row["attack"]}


def test_a_network_that_computes_in_place_gets_a_copy(root, attack):  # noqa: F811
    """An attack's own images would be normalised with each question, and count as further away than they are."""
    code = NETWORK.replace("torch.nn.Flatten()", "Normalised(), torch.nn.Flatten()")
    code += "class Normalised(torch.nn.Module):\n    def forward(self, x):\n        return x.sub_(0.5).div_(0.25)\n"
    (root / "mknet.py").write_text(code)
    assert attack("--suite", "mine/main", "--out", "x") == (0, "")
    for path in (root / "x").rglob("*.npz"):
        assert np.load(path)["linf"].max() < 0.5


def test_outcomes_of_this_very_folder_have_a_place_beside_it(tmp_path, monkeypatch):
    (tmp_path / "hub").mkdir()
    monkeypatch.chdir(tmp_path / "hub")
    for way in (".", "..//hub", str(tmp_path / "hub")):
        assert attacking._beside(Path(way)).resolve() == tmp_path / "hub-attacks"
    assert attacking._beside(Path("net.pt")) == Path("net-attacks")


def test_other_counts_of_a_data_set_are_refused(root, attack):  # noqa: F811
    """As by the attack on a run: numbers of so few images would pass for those of the data set."""
    for c in range(3):
        for i in range(12):
            png(root / "data" / "mini-imagenet" / f"n{c}" / f"{i}.png", np.zeros((8, 8, 3), np.uint8))
    (root / "mknet.py").write_text(NETWORK.replace("64, 10", "3 * 224 * 224, 3"))
    status, err = attack("--suite", "mine/main", "--out", "x", "--data", "mini-imagenet", "--data-dir", root / "data")
    assert status == 1
    assert "mini-imagenet: not as config/datasets.yaml has it: classes 3 in place of 100" in err
    assert not (root / "x").exists()


@pytest.mark.parametrize(
    ("suite", "kind"),
    [("qtart/features", "feature_distances"), ("qtart/planted", "planted"), ("coreset/gradients", "gradient_error")],
)
def test_measures_of_layers_are_refused_before_anything_is_attacked(attack, root, suite, kind):  # noqa: F811
    """A network of the user's does not name its layers as ours do."""
    paper = suite.partition("/")[0]
    status, err = attack("--suite", suite, "--out", "x", "--set", f"papers=[{paper}]")
    assert (status, err.count("\n")) == (1, 1)
    assert f": {kind} reads layers by name, which only leanat's own networks have" in err
    assert not (root / "x").exists()


def test_a_suite_of_measures_alone_is_kept(attack, root):  # noqa: F811
    """Without a table of attacks, of which there are none."""
    assert attack("--suite", "saliency/maps", "--out", "x", "--set", "papers=[saliency]") == (0, "")
    assert json.loads((root / "x" / "saliency-maps.json").read_text())["measures"]["maps"]["numbers"]
    assert not (root / "x" / "saliency-maps.csv").exists()


def test_attacks_that_need_more_classes_are_left_out_and_named(attack, root):  # noqa: F811
    """The others are run."""
    for i in range(4):
        png(root / "photos" / "ab"[i % 2] / f"{i}.png", np.full((8, 8, 3), 60 * i, np.uint8))
    (root / "mknet.py").write_text(NETWORK.replace("64, 10", "192, 2"))
    data = ["--data", f"folder:{root / 'photos'}", "--out", "x", "--examples", "4", "--set", "papers=[qtart]"]
    assert attack("--suite", "qtart", *data) == (0, "")
    made = json.loads((root / "x" / "qtart-main.json").read_text())
    assert made["not run"] == "apgd_dlr (needs 3 classes)"
    assert made["attacks"].keys() == {"mifgsm", "ffgsm", "di2fgsm", "apgd_ce", "pgd20", "cw"}


def test_a_network_without_gradients_is_one_line(root, attack):  # noqa: F811
    code = NETWORK.replace("torch.nn.Flatten()", "Shut(), torch.nn.Flatten()")
    code += "class Shut(torch.nn.Module):\n    def forward(self, x):\n        return x.detach()\n"
    (root / "mknet.py").write_text(code)
    status, err = attack("--suite", "mine/main", "--out", "x")
    assert (status, err.count("\n")) == (1, 1)
    assert "the network gives no gradient, which this needs" in err


def test_a_network_s_code_that_ends_the_program_is_one_line(root, attack):  # noqa: F811
    (root / "mknet.py").write_text("def net():\n    exit(3)\n")
    status, err = attack("--suite", "mine/main", "--out", "x")
    assert (status, err) == (1, "leanat: --network mknet.py:net: RuntimeError: it calls exit(3)\n")


def test_a_network_that_fails_after_its_first_images_is_one_line_with_the_place(root, attack):  # noqa: F811
    code = NETWORK.replace("torch.nn.Flatten()", "Few(), torch.nn.Flatten()")
    code += "class Few(torch.nn.Module):\n    def forward(self, x):\n        assert len(x) < 5, 'too\\nmany'\n        return x\n"
    (root / "mknet.py").write_text(code)
    status, err = attack("--suite", "mine/main", "--out", "x")
    line = code.splitlines().index("        assert len(x) < 5, 'too\\nmany'") + 1
    assert (status, err) == (1, f"leanat: mknet.py:net: {root / 'mknet.py'}, line {line}: AssertionError: too many\n")
