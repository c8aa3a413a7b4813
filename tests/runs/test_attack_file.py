"""``leanat attack`` on networks of the user's own: what is written, and what is refused before anything is attacked."""

import csv
import json
import os

import pytest
from test_bad_inputs import answer, root  # noqa: F401

NETWORK = """
import torch


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
"""


@pytest.fixture
def attack(root, capsys, monkeypatch):  # noqa: F811
    """A call of the verb on a linear network of digits: exit status, standard error."""
    (root / "mknet.py").write_text(NETWORK)
    monkeypatch.chdir(root)
    words = ["attack", "--network", "mknet.py:net", "--data", "digits", "--device", "cpu", "--examples", "20"]
    return lambda *more: answer(capsys, [*words, "--config-dir", root / "config", *more])


def test_a_name_that_is_not_utf8_is_written(root, attack):  # noqa: F811
    """As any name of a file on Linux may be."""
    out = os.fsdecode(b"out\xff")
    assert attack("--suite", "mine/main", "--out", out) == (0, "")
    (made,) = (root / out).glob("*.json")
    with made.with_suffix(".csv").open(encoding="utf-8") as file:
        (row, *_) = csv.DictReader(file)
    assert row["file"].startswith("out\\udcff/")
    assert json.loads(made.read_text())["attacks"].keys() == {row["attack"]}
