"""What a table says of the runs it is made from: of those without a record, and of logits that are not finite.

The configuration is the smallest, and its runs are written by hand.
"""

import json

import mine
import pytest
from test_bad_inputs import answer, root  # noqa: F401
from toys import record

from leanat.core.files import write_json
from leanat.plan import structure
from leanat.report import items, notes
from leanat.runs import records
from leanat.site import items as shown

MADE_FROM = {"spec": "0", "training data": "1", "test data": "2"}


def finished(root, old=0, bad=None):  # noqa: F811
    """All runs of the one item, the first ``old`` of them without a record; ``bad``: run number whose logits are not finite."""
    grid = structure.load(root / "config")
    item = grid.items["mine/table1"]
    for k, run in enumerate(item.runs):
        recorded = {} if k < old else {"made_from": MADE_FROM, "files": {"model.safetensors": "3"}}
        count = 7 if k == bad else 0
        clean = {"accuracy": 0.5 + 0.01 * k, "n": 1197, "not_finite": count}
        more = {"revision": None, "examples": {"test": 1197}, "clean": clean}
        write_json(
            root / "results/runs" / run / "metrics.json", record(grid.runs[run].spec, run=run, **more, **recorded)
        )
        (root / "results/runs" / run / "suites").mkdir()
        spec = grid.evaluations[f"{run}/suites/mine-main"].attacks["pgd20"]
        attacked = {"accuracy": 0.25, "n": spec["examples"] or 1197, "not_finite": count, "pieces": [], "spec": spec}
        suite = {"suite": "mine-main", "attacks": {"pgd20": attacked}}
        suite |= {} if k < old else {"made_from": {"data": "2"}, "file": {"model.safetensors": "3"}}
        write_json(root / "results/runs" / run / "suites" / "mine-main.json", suite)
    return item


@pytest.fixture
def here(root, monkeypatch):  # noqa: F811
    monkeypatch.chdir(root)
    for run in structure.load(root / "config").items["mine/table1"].runs:
        (root / "results/runs" / run).mkdir(parents=True)
    return root


def foot(item, root):  # noqa: F811
    filled = items.fill(item, root / "results", root / "published", root / "replicated")
    return {note["head"]: note["body"] for note in notes.notes(filled)}


@pytest.mark.parametrize("old", [0, 1, 4])
def test_runs_without_a_record_are_said(here, capsys, caplog, old):
    item = finished(here, old)
    assert len(item.runs) == 4
    assert answer(capsys, ["table", "mine/table1", "--out", "x.pdf"]) == (0, "")
    said = f"{old} of 4 runs without a record of what it was made from"
    assert (said in caplog.text) == (old > 0)
    assert foot(item, here).get("Not checked.", "").startswith(said) == (old > 0)


def test_an_old_outcome_of_a_new_network_is_refused(here, capsys):
    item = finished(here)
    path = here / "results/runs" / item.runs[0] / "suites/mine-main.json"
    write_json(path, {k: v for k, v in json.loads(path.read_text()).items() if k not in ("made_from", "file")})
    status, err = answer(capsys, ["table", "mine/table1", "--out", "x.pdf"])
    assert (status, len(err.splitlines())) == (1, 1)
    assert "attacked on other test data" in err


def test_logits_that_are_not_finite_stand_in_the_foot(here, capsys):
    item = finished(here, bad=2)
    assert answer(capsys, ["table", "mine/table1", "--out", "x.pdf"])[0] == 0
    said = foot(item, here)["Not finite."]
    assert "A random half (Clean 7, PGD-20 7)" in said
    assert "All data" not in said


ATTACK = ("attacks", "pgd20")


def changed(path, keys, value):
    """The file with another value at ``keys``."""
    whole = part = json.loads(path.read_text())
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    write_json(path, whole)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        ((*ATTACK, "spec", "examples"), 3, "pgd20 was run with another spec (examples 3, now "),
        (
            (*ATTACK, "spec", "attack", "pgd", "steps"),
            1,
            "with another spec (attack.pgd.steps 1, now 20); attack again",
        ),
        ((*ATTACK, "n"), 1, "pgd20 is of 1 images, "),
        ((*ATTACK, "accuracy"), 5.0, "damaged: attacks.pgd20.accuracy: should be less than or equal to 1"),
        ((*ATTACK, "accuracy"), None, "attacks.pgd20: accuracy null of "),
        ((*ATTACK, "correct"), 3, "attacks.pgd20: accuracy 0.25 is not 3 of "),
        (ATTACK, None, "attacks.pgd20 is no mapping"),
        (("attacks",), None, "attacks: should be a valid dictionary"),
        (("made_from",), None, "made_from: should be a valid dictionary"),
    ],
)
def test_a_table_takes_no_suite_of_another_attack_or_shape(here, capsys, keys, value, said):
    path = here / "results/runs" / finished(here).runs[0] / "suites/mine-main.json"
    changed(path, keys, value)
    status, err = answer(capsys, ["table", "mine/table1", "--out", "x.pdf"])
    assert (status, len(err.splitlines())) == (1, 1)
    assert f"{path.relative_to(here)}: " in err
    assert said in err


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("clean", "accuracy"), 7.0, "clean.accuracy: should be less than or equal to 1"),
        (("clean",), None, "clean is no mapping"),
        (("made_from",), None, "made_from: should be a valid dictionary"),
        (("examples",), {}, "examples.test missing"),
        (("files",), None, "files: should be a valid dictionary"),
        (("pieces",), None, "pieces: should be a valid list"),
    ],
)
def test_a_table_takes_no_metrics_of_another_shape(here, capsys, keys, value, said):
    path = here / "results/runs" / finished(here).runs[0] / "metrics.json"
    changed(path, keys, value)
    status, err = answer(capsys, ["table", "mine/table1", "--out", "x.pdf"])
    assert (status, len(err.splitlines())) == (1, 1)
    assert f"{path.relative_to(here)}: damaged: {said}; remove it, and it is made again" in err


def test_runs_on_other_counts_are_told_by_their_own_record(here, capsys, monkeypatch):
    """Trained with other_counts, then asked for without: their numbers would pass for those of the data set."""
    scale = here / "papers/mine/scales.py"
    scale.write_text(scale.read_text().replace('return "digits"', 'return "mini-imagenet"'))
    mine.forget(monkeypatch)
    for run in structure.load(here / "config").items["mine/table1"].runs:
        (here / "results/runs" / run).mkdir(parents=True)
    for run in finished(here).runs:
        folder = here / "results/runs" / run
        metrics = json.loads((folder / "metrics.json").read_text())
        held_out = {"validation": {"accuracy": 0.5, "n": 3}}
        write_json(folder / "metrics.json", metrics | {"examples": {"train": 27, "test": 6}} | held_out)
        suite = json.loads((folder / "suites/mine-main.json").read_text())
        suite["attacks"]["pgd20"]["n"] = 6
        write_json(folder / "suites/mine-main.json", suite)
    words, allowed = ["table", "mine/table1", "--out", "x.pdf"], ["--set", "other_counts=true"]
    differs = (
        "mini-imagenet was not as config/datasets.yaml has it: train 30 in place of 50,000, test 6 in place of 10,000"
    )
    status, err = answer(capsys, words)
    assert (status, len(err.splitlines())) == (1, 1)
    assert f"{differs}; to use it all the same: other_counts=true" in err
    assert not (here / "x.pdf").exists()
    grid = structure.load(here / "config")
    assert differs in shown.fill(grid, here / "results", here)[1]["mine/table1"]
    status, err = answer(capsys, [*words, "--replicate", *allowed])
    assert status == 1
    assert f"{differs}; --replicate does not keep its numbers" in err
    assert answer(capsys, [*words, *allowed]) == (0, "")
    assert (here / "x.pdf").exists()


def test_seconds_are_of_all_attacks_and_measures_and_of_transfers_in_equal_parts():
    made = [{"seconds": 2.0}, {"seconds": 4.0}]
    suite = {
        "attacks": {
            "pgd": {"seconds": 6.0, "pieces": made},
            "mifgsm": {"pieces": made, "sources": {"a": 0.5, "b": 0.5}},
        },
        "measures": {"saliency": {"pieces": made[:1]}},
    }
    assert records.seconds_of(suite) == 6 + 3 + 2
