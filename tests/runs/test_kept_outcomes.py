"""What is kept of an attack: damaged in any way, it is named and made again, and nothing of it reaches a number."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from leanat import data
from leanat.evaluation import outcome
from leanat.runs import assess, records

ENTRY = {"attack": {"pgd": {"threat": {"linf": {"eps": 0.1}}, "steps": 3, "step_size": 0.05, "start": "uniform"}}}
ENTRY |= {"examples": 30, "statistics": "running", "holdout": None, "label": None}


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", "test")


@pytest.fixture
def made(tmp_path, digits):
    """Attacks, or reads what is kept; the summary of the attack and its file."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(digits.image_size**2, 10)).eval()
    with torch.no_grad():  # rows of the mean digits: right for most, and fooled on some
        means = torch.stack(
            [digits.plain().batch((digits.labels == c).nonzero()[:, 0], 0)[0].mean(0) for c in range(10)]
        )
        net[1].weight.copy_(means.flatten(1))
        net[1].bias.copy_(-means.flatten(1).square().sum(1) / 2)

    def attack():
        suite, folder = {"pgd": ENTRY}, tmp_path / "attacks"
        shown = assess.assess(net, lambda part: digits, suite, folder, 0, tmp_path)["attacks"]["pgd"]
        return {k: v for k, v in shown.items() if k not in ("pieces", "seconds")}, tmp_path / shown["file"]

    return attack


def about(**changed):
    def change(arrays):
        record = json.loads(str(arrays["about"])) | changed
        return {"about": np.array(json.dumps({k: v for k, v in record.items() if v != "gone"}))}

    return change


DAMAGES = [
    (about(pieces="gone"), "about: pieces missing"),
    (about(pieces=None), "about: pieces: should be a valid list"),
    (about(pieces=[{}]), "about: pieces.0.device missing"),
    (lambda a: {"about": np.array("[]")}, "about: spec missing"),
    (lambda a: {"index": a["index"] + 1}, "of other examples"),
    (lambda a: {k: v[:3] for k, v in a.items() if v.shape == (30,)}, "of other examples"),
    (lambda a: {"label": (a["label"] + 1) % 10}, "of other labels"),
    (lambda a: {"parts": np.array(["x"])}, "of other parts: x"),
    (lambda a: {"parts": np.array([], dtype=np.str_)}, "of other parts: "),
    (lambda a: {"correct": np.full(30, np.nan)}, "not an outcome (correct of float64)"),
    (lambda a: {"correct": np.full(30, 7)}, "not an outcome (correct of int64)"),
    (lambda a: {"correct": np.ones(30, dtype=bool)}, "correct is not where the prediction is the label"),
    (lambda a: {"correct": a["label"] >= 0, "predicted": a["label"]}, "right after an attack, wrong before it"),
    (lambda a: {"broken_by": np.zeros(30, dtype=np.int16)}, "broken_by is not where the attack fooled"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "said"), DAMAGES, ids=[f"{k}-{d[1][:30]}" for k, d in enumerate(DAMAGES)])
def test_a_damaged_outcome_is_named_and_made_again(made, caplog, damage, said):
    first, file = made()
    assert 0 < first["correct"] < first["clean"]["correct"] < 30, "some are fooled, and some were wrong before"
    assert made()[0] == first
    assert "made again" not in caplog.text
    arrays = records.arrays(file)
    np.savez(file, **arrays | damage(arrays))
    assert made() == (first, file)
    assert f"{file}: damaged ({said}); it is made again" in caplog.text


@pytest.mark.parametrize("content", [b"", b"text", b"PK\3\4"])
def test_a_file_that_is_none_is_made_again(made, caplog, content):
    first, file = made()
    file.write_bytes(content)
    assert made() == (first, file)
    assert f"{file}: damaged (" in caplog.text


def test_a_transferred_outcome_may_be_right_where_the_plain_answer_was_wrong(made):
    _, file = made()
    plain = outcome.load(file)
    right = np.ones(30, dtype=bool)
    moved = replace(plain, correct=right, predicted=plain.label, broken_by=np.full(30, -1, dtype=np.int16))
    asked = plain.index, plain.label, plain.parts
    assert outcome.fault(moved, *asked, transferred=True) is None
    assert outcome.fault(moved, *asked, transferred=False) == "right after an attack, wrong before it"
