"""Small files that are damaged: readable, of another shape, or cut. Each verb says which, in one line, and goes no further.

Tables take no such metrics and suites either: see test_records.
"""

import errno
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from grids import grid_of
from test_bad_inputs import answer, root  # noqa: F401
from test_records import finished, here  # noqa: F401

from leanat import cli
from leanat.core.files import write_json
from leanat.plan import structure
from leanat.report import composed, items, measures
from leanat.report.cells import Items
from leanat.report.items import Sources, fill

MORE = {
    "epochs": 2,
    "seconds": 1.0,
    "revision": None,
    "examples": {"train": 9, "test": 1197, "forward": 9, "backward": 9},
}


@pytest.fixture
def runs(here):  # noqa: F811
    """The finished runs of the one item, with all that ``diff``, ``chosen`` and ``curves`` read."""
    item = finished(here)
    for run in item.runs:
        folder = here / "results/runs" / run
        write_json(folder / "metrics.json", json.loads((folder / "metrics.json").read_text()) | MORE)
        (folder / "history.csv").write_text("epoch,loss,kept\r\n1,2.5,9\r\n2,2.0,9\r\n")
        arrays = {"epochs": [1], "sizes": [9], "index": np.arange(9), "weight": np.ones(9)}
        np.savez(folder / "selection.npz", **{k: np.array(v) for k, v in arrays.items()})
    return item.runs


def verb(name, run, other):
    return {"diff": ["diff", run, other], "archive": ["archive", "--out", "x.zip"]}.get(name, [name, run])


def chose(index):
    """The file of a run that trained on these examples."""
    file = io.BytesIO()
    np.savez(file, epochs=[1], sizes=[len(index)], index=index, weight=np.ones(len(index)))
    return file.getvalue()


DAMAGES = [
    # (verb, file of the run, content or a change of it, said)
    ("archive", "metrics.json", b"{}", "metrics.json: damaged: spec missing; spec_hash missing; remove it"),
    ("diff", "metrics.json", b"[]", "metrics.json: damaged: it is no mapping; remove it"),
    ("diff", "metrics.json", lambda b: b.replace(b'"seconds": 1.0', b'"secs": 1.0'), "metrics.json: damaged: seconds missing"),
    ("chosen", "metrics.json", lambda b: b.replace(b'"train": 9', b'"tra": 9'), "damaged: examples.train missing"),
    ("diff", "suites/mine-main.json", b"{}", "mine-main.json: damaged: attacks missing; remove it, and it is made again"),
    ("diff", "suites/mine-main.json", b'{"attacks": null}', "mine-main.json: damaged: attacks: should be a valid dictionary"),
    ("chosen", "selection.npz", b"", "selection.npz: damaged: No data left in file; remove results/runs/"),
    ("chosen", "selection.npz", lambda b: b[:200], "selection.npz: damaged: File is not a zip file; remove results/runs/"),
    ("chosen", "selection.npz", b"text", "selection.npz: damaged: no npz file; remove results/runs/"),
    ("chosen", "selection.npz", lambda b: chose([0, 9]), "selection.npz: damaged: example 9 of 9 (0 to 8); remove results/runs/"),
    ("chosen", "selection.npz", lambda b: chose([-1, 2]), "selection.npz: damaged: example -1 of 9"),
    ("curves", "history.csv", b"", "history.csv: damaged: empty; remove results/runs/"),
    ("curves", "history.csv", lambda b: b[:-3], "history.csv: damaged: it ends in the middle of a line"),
    ("curves", "history.csv", b"epoch,loss\n1,2,3\n", "history.csv: damaged: rows of other lengths than the first"),
    ("curves", "history.csv", lambda b: b[: b.index(b"2,2.0")], "history.csv: damaged: 1 of 2 epochs; remove results/runs/"),
    ("curves", "history.csv", b"text\n1\n", "history.csv: damaged: no column epoch"),
    ("curves", "history.csv", b"epoch,kept\n1,9\n2,nan\n", "history.csv: damaged: a count that is no number"),
    ("curves", "history.csv", b"\xff\n", "history.csv: damaged: 'utf-8' codec"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "content", "said"), DAMAGES, ids=[f"{d[0]}-{d[3][:50]}" for d in DAMAGES])
def test_a_damaged_file_of_a_run_is_named(here, runs, capsys, name, file, content, said):  # noqa: F811
    words, path = verb(name, runs[0], runs[1]), here / "results/runs" / runs[0] / file
    assert answer(capsys, words) == (0, "")
    path.write_bytes(content(path.read_bytes()) if callable(content) else content)
    status, err = answer(capsys, words)
    assert (status, len(err.splitlines())) == (1, 1)
    assert str(path.relative_to(here)) in err
    assert said in err


CSV, NPZ = "table1.csv", "table1.npz"
CUTS = [
    (CSV, lambda b: b"", "table1.csv: damaged: empty"),
    (CSV, lambda b: b[:700], "table1.csv: damaged: it ends in the middle of a line"),
    (CSV, lambda b: b[: b.rindex(b",")] + b"\n", "table1.csv: damaged: rows of other lengths than the first"),
    (CSV, lambda b: b.replace(b",", b";"), "table1.csv: damaged: no column row, column, published"),
    (CSV, lambda b: b.replace(b"[", b"", 3), "are no numbers"),
    (CSV, lambda b: b + b"\xff\n", "table1.csv: damaged: 'utf-8' codec"),
    (CSV, lambda b: b.replace(b",50.0,", b",fifty,"), "table1.csv: damaged: published of row 2: 'fifty' is no number"),
    (CSV, lambda b: b.replace(b",50.0,", b",1e999,"), "table1.csv: damaged: published of row 2: '1e999' is no number"),
    (NPZ, lambda b: b[:100], "table1.npz: damaged: File is not a zip file"),
    (NPZ, lambda b: b"", "table1.npz: damaged: No data left in file"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "cut", "said"), CUTS, ids=[cut[2][:50] for cut in CUTS])
def test_a_damaged_file_of_an_item_is_named(here, runs, capsys, file, cut, said):  # noqa: F811
    keep = here / "results/items/demo/mine" / CSV
    assert answer(capsys, ["table", "mine/table1", "--out", "x.pdf", "--keep", keep]) == (0, "")
    read = lambda: Items(here / "results", "demo").cell("mine", "table1", "All data", "Clean")  # noqa: E731 - for claims
    assert read().values
    path = keep.with_name(file)
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(ValueError, match=f"(?s)^[^\n]*{re.escape(said)}[^\n]*; remove it, and it is made again$"):
        read()
    if file == CSV:
        status, err = answer(capsys, ["overview", "mine/table1", "--out", "o.pdf"])
        assert (status, len(err.splitlines())) == (1, 1)
        assert said in err


@pytest.mark.parametrize(("content", "said"), [(None, "no such file"), (b"PK", "not an outcome (")])
def test_an_outcome_that_a_summary_names_says_how_it_is_made_again(here, runs, capsys, content, said):  # noqa: F811
    """The workflow looks for the summary: of the outcome alone it makes nothing again."""
    suite = here / "results/runs" / runs[0] / "suites/mine-main.json"
    summary = json.loads(suite.read_text())
    summary["attacks"]["pgd20"]["file"] = "attacks/pgd20-0-0.npz"
    write_json(suite, summary)
    path = suite.parents[1] / "attacks/pgd20-0-0.npz"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    status, err = answer(capsys, ["table", "mine/table1", "--out", "x.pdf"])
    assert (status, len(err.splitlines())) == (1, 1)
    assert f"{path.relative_to(here)}: {said}" in err
    assert err.endswith(
        f"remove the summary in {suite.parent.relative_to(here)} that names it, and it is attacked again\n"
    )


def test_one_run_of_two_machines_has_two_curves(here, runs, capsys, monkeypatch):  # noqa: F811
    """Both folders have one name; `.` has none."""
    own = here / "results/runs" / runs[0]
    shutil.copytree(own, here / "there" / runs[0])
    words = ["curves", str(own), str(here / "there" / runs[0]), "--out", "x.pdf"]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert f"{own}\n" in said
    assert f"{here / 'there' / runs[0]}\n" in said
    monkeypatch.chdir(own)
    assert cli.main(["curves", "."]) == 0
    assert capsys.readouterr().out.startswith(f"{runs[0]}\n")


def test_a_disk_that_is_full_takes_no_item_that_was_there(here, runs, capsys, monkeypatch):  # noqa: F811
    keep = here / "results/items/demo/mine" / CSV
    words = ["table", "mine/table1", "--out", "x.pdf", "--keep", keep]
    assert answer(capsys, words) == (0, "")
    files = {path: path.read_bytes() for path in keep.parent.iterdir()}

    def full(source, target):
        Path(target).write_bytes(b"")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(items.shutil, "copyfile", full)
    status, err = answer(capsys, words)
    assert (status, len(err.splitlines())) == (1, 1)
    assert "No space left on device" in err
    assert str(keep.relative_to(here)) in err
    assert {path: path.read_bytes() for path in keep.parent.iterdir()} == files


TIMES = {"device": "CPU", "date": "2026-11-20", "primitives": {}}


def test_damaged_timings_are_named(tmp_path):
    item = structure.load(Path(__file__).parents[2] / "config", {"papers": ["qtart"]}).items["qtart/table3"]
    path = tmp_path / "timings" / "qtart.json"
    path.parent.mkdir()
    for content, said in (
        ({}, "damaged: .*primitives missing"),
        ([], "damaged: it is no mapping"),
        (TIMES | {"primitives": {"a": 3}}, "damaged: primitives.a: should be a valid dictionary"),
        (TIMES | {"primitives": {"a": {"step": "b"}}}, "damaged: primitives.a.step: should be a valid number"),
        (TIMES, "these settings were not measured"),
    ):
        write_json(path, content)
        with pytest.raises(ValueError, match=rf"^.*timings/qtart.json: {said}.*$"):
            Sources(item, tmp_path, tmp_path, tmp_path).primitives({})


def test_what_a_record_of_an_earlier_version_lacks_is_named(here, runs):  # noqa: F811
    class Earlier:
        def primitives(self, spec):
            return {"step": 1.0}

        def metrics(self, run):
            return {"clean": {"accuracy": 0.5}}

        def history(self, run):
            return [{"epoch": "1", "bullet_robust": "0.5"}]

    shown = grid_of().items
    memory = next(c for _, _, c in shown["saliency/time"].flat if c.metric == "memory" and c.timed)
    bullet = next(c for _, _, c in shown["advprune/table1"].flat if c.timed and c.runs)
    for said, read in (
        (r"timings .*there is no 'memory'", lambda: composed.number(memory, Earlier())),
        (r"history.csv of .*there is no 'bullet_boundary'", lambda: composed.number(bullet, Earlier())),
        (
            r"metrics.json of one: there is no 'validation'",
            lambda: measures.measure("validation", "one", None, Earlier()),
        ),
    ):
        with pytest.raises(ValueError, match=f"^{said}[^\n]*$"):
            read()


def test_a_piece_without_a_revision_is_of_an_unknown_one(here, runs):  # noqa: F811
    for run in runs:
        path = here / "results/runs" / run / "metrics.json"
        pieces = [{"device": "CPU", "date": "2026-11-20"}]
        write_json(path, json.loads(path.read_text()) | {"pieces": pieces})
    item = next(iter(structure.load(here / "config").items.values()))
    filled = fill(item, here / "results", here / "published", here / "replicated")
    assert filled.provenance.revision == "unknown"


def spec_of(root):  # noqa: F811
    grid = structure.load(root / "config")
    return next(iter(grid.runs.values())).spec


@pytest.mark.parametrize(
    "text", ["{}", "[]", "null", '{"data": {"name": "digits"}}', '{"data": {}, "recipe": 3}', '{"da']
)
def test_a_spec_of_another_shape_is_named(here, capsys, text):  # noqa: F811
    (here / "own").mkdir()
    (here / "own" / "spec.json").write_text(text)
    status, err = answer(capsys, ["train", "own", "--device", "cpu"])
    assert (status, len(err.splitlines())) == (1, 1)
    assert "own/spec.json: not the spec of a run" in err


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        *(("finished.json", text, "finished.json: damaged: ") for text in ("{}", "[]", "null")),
        ("finished.json", "no date", "finished.json: damaged: date missing; remove it, and it is made again"),
        ("selection/00000.npz", "", "00000.npz: damaged: No data left in file; remove results/runs/own, and it is"),
    ],
)
def test_a_training_names_what_is_damaged_in_its_folder(here, capsys, file, content, said):  # noqa: F811
    (here / "own").mkdir()
    write_json(here / "own" / "spec.json", spec := spec_of(here))
    path = here / "results/runs/own" / file
    path.parent.mkdir(parents=True)
    whole = {"spec": spec, "spec_hash": "0", "made_from": {}, "clean": {"accuracy": 0.5}, "wall_seconds": 1.0}
    path.write_text(json.dumps(whole) if content == "no date" else content)
    status, err = answer(capsys, ["train", "own", "--device", "cpu"])
    assert (status, len(err.splitlines())) == (1, 1)
    assert said in err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"snapshots": [99]}, "spec.snapshots: 99; allowed: 1 to recipe.epochs, which is "),
        ({"method": {"selector": {"once": {"tau": 500, "inner": "everything"}}}}, "spec: tau 500 never acts in "),
        ({"data": {"validation": 0.0005}}, "spec.data.validation: 0.0005 of 600 examples leaves a part empty"),
        ({"code": 1}, "spec.code: 1; allowed: 3, the meaning that training has in this version"),
        ({"recipe": {"batch": 10**6}}, "spec.recipe.batch: 1000000; allowed: up to 600, the examples of digits"),
    ],
)
def test_a_spec_by_its_folder_is_checked_as_those_of_the_configuration(here, capsys, change, said):  # noqa: F811
    (here / "own").mkdir()
    spec = spec_of(here)
    changed = {k: spec[k] | v if isinstance(v, dict) else v for k, v in change.items()}
    write_json(here / "own" / "spec.json", spec | changed)
    status, err = answer(capsys, ["train", "own", "--device", "cpu"])
    assert (status, len(err.splitlines())) == (1, 1)
    assert said in err
