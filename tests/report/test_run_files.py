"""Curves, differences and selections of runs: against counts and texts made by hand."""

import csv
import json

import numpy as np
import pytest

from leanat.core.errors import ConfigError
from leanat.data import load
from leanat.plan.grid import digest
from leanat.report import chosen, difference, learning, run_files


@pytest.fixture
def results(tmp_path):
    """Two runs that differ in epochs and in the noise; of 600 digits one leaves out the first 100 from its third epoch on."""
    for name, epochs, noise in (("first", 4, 0.5), ("second", 6, 0.25)):
        spec = {
            "data": {"name": "digits"},
            "recipe": {"epochs": epochs},
            "method": {"selector": {"once": {"noise": noise}}},
        }
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        metrics = {
            "spec": spec, "spec_hash": digest(spec), "clean": {"n": 100, "accuracy": 0.9, "low": 0.8, "high": 0.95},
            "examples": {"train": 600, "kept": 500, "test": 100, "forward": 1, "backward": 2}, "epochs": epochs,
            "seconds": 1.0, "device": "CPU", "revision": "abc", "date": "2026-11-28T20:56:10+00:00",
        }  # fmt: skip
        (folder / "metrics.json").write_text(json.dumps(metrics))
        rows = [f"{e},{4 - e / 2},{'' if e % 2 else 10 * e}" for e in range(1, epochs + 1)]
        (folder / "history.csv").write_text("\n".join(["epoch,loss,test_clean", *rows]) + "\n")
        index = np.concatenate([np.arange(600), np.arange(100, 600)])
        np.savez(
            folder / "selection.npz", epochs=[1, 3], sizes=[600, 500], index=index, weight=np.ones(1100, np.float32)
        )
    return tmp_path


def test_a_run_is_found_by_the_beginning_of_its_name(results):
    assert run_files.folder_of("fir", results).name == "first"
    assert run_files.folder_of(str(results / "runs" / "second"), results).name == "second"
    with pytest.raises(ConfigError, match="no finished run 'third'"):
        run_files.folder_of("third", results)
    with pytest.raises(ConfigError, match="no finished run '/third'"):
        run_files.folder_of("/third", results)
    with pytest.raises(ConfigError, match=r"no finished run '\*'"):
        run_files.folder_of("*", results)
    with pytest.raises(ConfigError, match="2 finished runs begin"):
        run_files.folder_of("", results / "../" / results.name)


def test_curves_show_what_the_history_has(results):
    text = learning.make(["first"], results, results / "c.pdf")
    assert "training loss: 3.5 to 2" in text
    assert "clean accuracy on 200 test images (%): 20 to 40" in text
    with open(results / "c.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["test_clean"] for row in rows] == ["", "20.0", "", "40.0"]
    assert all((results / f"c.{kind}").stat().st_size for kind in ("pdf", "png", "svg"))


def test_a_long_training_is_one_line_of_a_terminal():
    bars = learning.bars([*range(200)])
    assert len(bars) <= 60
    assert (bars[0], bars[-1]) == (learning.BARS[0], learning.BARS[-1])
    assert len(learning.bars([1.0, 2.0, 3.0])) == 3


def test_the_same_curves_have_the_same_bytes(results):
    for name in "ab":
        learning.make(["first", "second"], results, results / f"{name}.pdf")
    for kind in ("pdf", "png", "svg", "csv"):
        assert (results / f"a.{kind}").read_bytes() == (results / f"b.{kind}").read_bytes()


def test_an_older_history_says_that_it_has_no_accuracies(results):
    (results / "runs/first/history.csv").write_text("epoch,loss\n1,2.0\n2,2.0\n3,2.0\n4,2.0\n")
    assert learning.OLD in learning.make(["first"], results, None)


def test_bars_are_as_high_as_their_values():
    assert learning.bars([0, 7, 3.5]) == "▁█▅"
    assert learning.bars([2, 2]) == "▁▁"


def test_only_the_settings_that_differ_are_shown(results):
    text = difference.make("first", "second", results, results / "d.md")
    settings = text[: text.index("## Results")]
    assert [line.split("|")[1].strip() for line in settings.splitlines() if line.startswith("| ")][1:] == [
        "recipe.epochs",
        "method.selector.once.noise",
    ]
    assert "90.0 [80.0, 95.0], n = 100" in text
    assert (results / "d.md").read_text() == text + "\n"
    assert "All settings are the same." in difference.make("first", "first", results, None)


def test_leaves_name_every_value_once():
    spec = {"a": 1, "b": {"x": 0.1, "y": {}}, "c": [{"crop": {"pad": 4}}, "flip"], "d": [1, 2], "e": None, "f": True}
    assert dict(run_files.leaves(spec)) == {
        "a": "1", "b.x": "0.1", "b.y": "", "c": "crop, flip", "c.crop.pad": "4", "d": "1, 2", "e": "none", "f": "yes",
    }  # fmt: skip


def test_the_chosen_are_counted_by_class(results):
    labels = load("digits", "train").labels.tolist()
    made = run_files.selection(results / "runs/first", {"data": {"name": "digits"}}, 600)
    assert made.by_class(1) == [sum(labels[i] == c for i in range(100, 600)) for c in range(10)]
    assert made.left_out(1).tolist() == list(range(100))
    rows, heads = chosen.table(made, 4)
    assert heads == ["", "there are", "epochs 1–2", "epochs 3–4"]
    assert rows[-1] == ["all", "600", "600", "500"]
    text = chosen.make("first", results, results / "s.csv")
    assert "2 selections of 600 training examples" in text
    with open(results / "s.csv", newline="") as file:
        kept = [row for row in csv.DictReader(file) if row["from_epoch"] == "3"]
    assert [(int(r["example"]), int(r["class"])) for r in kept] == [(i, labels[i]) for i in range(100, 600)]


def test_a_history_of_another_run_is_refused(results):
    """With as many epochs; what ``metrics.json`` has of the last one is the run's own."""
    folder = results / "runs" / "first"
    metrics = json.loads((folder / "metrics.json").read_text())
    own = {"epoch": 4.0, "loss": 2.0, "test_clean": None}
    (folder / "metrics.json").write_text(json.dumps(metrics | {"history": own}))
    (folder / "history.csv").write_text("epoch,loss,test_clean\n1,3.0,\n2,2.5,\n3,2.25,\n4,2.0,nan\n")
    assert run_files.history(folder)[-1]["loss"] == 2.0
    (folder / "history.csv").write_text("epoch,loss,test_clean\n1,3.0,\n2,2.5,\n3,2.25,\n4,1.9,nan\n")
    said = r"history.csv: damaged: loss ends with 1.9, with 2.0 in metrics.json; remove .*first, and it is trained anew"
    with pytest.raises(ValueError, match=said):
        run_files.history(folder)
    (folder / "history.csv").write_text("epoch\n1\n2\n3\n4\n")
    with pytest.raises(ValueError, match=r"loss ends with None, with 2\.0"):
        run_files.epochs(folder)
