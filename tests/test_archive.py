"""The archive: the same bytes from the same results, all that a check needs, described by RO-Crate."""

import hashlib
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "site"))
import made_up

from leanat import archive
from leanat.core.errors import ConfigError
from leanat.core.files import write_json
from leanat.plan import structure
from leanat.runs import stored

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    grid = structure.load(ROOT / "config", {"papers": ["qtart"], "seeds": 2})
    made_up.write(grid, folder / "results", ["qtart/decomposition"])
    run = next(iter((folder / "results/runs").iterdir()))
    (run / "model.safetensors").write_bytes(b"weights")
    (run / "resume.pt").write_bytes(b"state")
    (folder / "figures/qtart").mkdir(parents=True)
    (folder / "figures/qtart/decomposition.csv").write_text(made_up.cells(grid.items["qtart/decomposition"], 2))
    (folder / "figures/claims.json").write_text("{}")
    for left in (folder / "figures/qtart", folder / "results/items/demo/qtart"):
        left.mkdir(parents=True, exist_ok=True)
        (left / ".4711.decomposition.csv").write_text("of a writer that was killed")
    archive.write(grid, folder / "results", ROOT, folder / "figures", folder / "a.zip")
    return grid, folder


def test_the_same_results_give_the_same_bytes(made):
    grid, folder = made
    for path in (folder / "results").rglob("*"):
        os.utime(path, (1, 1))
    archive.write(grid, folder / "results", ROOT, folder / "figures", folder / "b.zip")
    assert (folder / "a.zip").read_bytes() == (folder / "b.zip").read_bytes()


def test_what_a_killed_writer_left_is_not_in_it(made):
    with zipfile.ZipFile(made[1] / "a.zip") as whole:
        assert not [name for name in whole.namelist() if Path(name).name.startswith(".")]


def test_another_number_gives_other_bytes(made):
    grid, folder = made
    path = folder / "figures/qtart/decomposition.csv"
    path.write_text(path.read_text().replace("1.0", "2.0"))
    archive.write(grid, folder / "results", ROOT, folder / "figures", folder / "c.zip")
    assert (folder / "a.zip").read_bytes() != (folder / "c.zip").read_bytes()


def test_it_holds_what_a_check_needs(made):
    with zipfile.ZipFile(made[1] / "a.zip") as whole:
        names = whole.namelist()
        assert whole.testzip() is None
        for line in whole.read("SHA256SUMS").decode().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256(whole.read(name)).hexdigest() == digest
        devices = json.loads(whole.read("environment.json"))["runs_made_by"]["device"]
    runs = {name.split("/")[2] for name in names if name.startswith("results/runs/")}
    assert devices == {"CPU (x86_64)": len(runs)}
    for run in runs:
        assert {f"results/runs/{run}/{file}" for file in archive.OF_A_RUN} <= set(names)
    assert "figures/claims.json" in names
    assert "published/qtart.csv" in names
    assert len(names) == len(set(names))
    assert not [name for name in names if name.endswith((".safetensors", ".pt"))]


def test_its_description_is_an_ro_crate(made, tmp_path):
    from rocrate.rocrate import ROCrate

    with zipfile.ZipFile(made[1] / "a.zip") as whole:
        whole.extractall(tmp_path)
    crate = ROCrate(tmp_path)
    assert crate.root_dataset["datePublished"].startswith("2026-11-28T20:56:10")
    files = [entity.id for entity in crate.get_entities() if entity.type == "File"]
    assert "figures/qtart/decomposition.csv" in files
    assert all((tmp_path / name).is_file() for name in files)


def refused(made, name, content):
    """What is said of an archive with another content of the file, which is put back."""
    grid, folder = made
    path = folder / name
    before = path.read_text() if path.is_file() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(ConfigError) as error:
        archive.write(grid, folder / "results", ROOT, folder / "figures", folder / "e.zip")
    path.unlink()
    if before is not None:
        path.write_text(before)
    assert not (folder / "e.zip").exists()
    return str(error.value)


def test_a_list_of_other_runs_is_refused(made):
    grid, _ = made
    own, other = grid.items["qtart/decomposition"].runs[0], "digits-net-sgd-s1-00000000"
    said = refused(made, "figures/qtart/runs.csv", f"run,seconds\n{own},1\n{other},1\n")
    assert (
        f"runs.csv: 1 of its runs are not among those of these settings that are finished, such as {other}; make"
        in said
    )


@pytest.mark.parametrize("place", ["figures", "results/items/demo"])
def test_an_item_of_fewer_runs_than_the_settings_have_is_refused(made, place):
    """All of them are in the archive."""
    name = "qtart/decomposition"
    said = refused(made, f"{place}/{name}.csv", made_up.cells(made[0].items[name], 1))
    assert (
        f"{name}.csv: its numbers of {name} are not of the runs of these settings; make it anew, or remove it" in said
    )


@pytest.mark.parametrize("name", ["claims.json", "qtart/claims.json"])
def test_a_ledger_of_fewer_runs_is_refused(made, name):
    grid, folder = made
    row, column, cell = next(cell for cell in grid.items["qtart/decomposition"].flat if cell[2].runs)

    def ledger(runs, origin="this run"):
        place = {"item": "decomposition", "row": row.name, "column": column.name, "runs": runs}
        return json.dumps({"claims": [{"paper": "qtart", "origin": origin, "cases": [{"cells": {"a": place}}]}]})

    for right in (ledger(cell.runs), ledger([]), ledger(["of-another-machine-s0-00000000"], "replicated")):
        (folder / "figures" / name).write_text(right)
        archive.write(grid, folder / "results", ROOT, folder / "figures", folder / "d.zip")
    said = refused(made, f"figures/{name}", ledger(cell.runs[:1]))
    assert f"{name}: its numbers of qtart/decomposition are not of the runs of these settings; make it anew" in said


def test_a_csv_that_cannot_be_read_is_named(made):
    grid, folder = made
    path = folder / "figures" / "qtart" / "own.csv"
    path.write_bytes("run,seconds\né,1\n".encode("latin-1"))
    try:
        with pytest.raises(ConfigError, match=r"^archive: [^\n]*own\.csv: no CSV in UTF-8 that can be read \([^\n]*$"):
            archive.write(grid, folder / "results", ROOT, folder / "figures", folder / "e.zip")
    finally:
        path.unlink()
    assert not (folder / "e.zip").exists()


def test_a_copy_that_was_cut_short_is_refused(made, tmp_path):
    """Outcomes that a summary names, and histories: a zip without them would pass for whole."""
    grid, folder = made
    shutil.copytree(folder / "results", tmp_path / "results")
    suite = next((tmp_path / "results/runs").glob("*/suites/*.json"))
    outcomes = stored.StoredOutcome(suite.parents[1] / "attacks", "fgsm", {}, {"network": "n"})
    lost = name_outcomes(suite, outcomes)
    with pytest.raises(
        ConfigError, match=rf"^archive: 1 files that finished runs name are not there, such as {lost}; put"
    ):
        archive.write(grid, tmp_path / "results", ROOT, folder / "figures", tmp_path / "e.zip")
    outcomes.save({})
    archive.write(grid, tmp_path / "results", ROOT, folder / "figures", tmp_path / "e.zip")
    (suite.parents[1] / "history.csv").unlink()
    with pytest.raises(ConfigError, match=r"history\.csv; put them back"):
        archive.write(grid, tmp_path / "results", ROOT, folder / "figures", tmp_path / "e.zip")


def name_outcomes(suite, outcomes):
    """Names the file of outcomes in the summary of a suite, and returns it."""
    summary = json.loads(suite.read_text())
    next(iter(summary["attacks"].values()))["file"] = f"attacks/{outcomes.path.name}"
    suite.write_text(json.dumps(summary))
    return outcomes.path


def of_another_spec(run):
    (run / "spec.json").write_text(json.dumps(json.loads((run / "spec.json").read_text()) | {"seed": 7}))
    return "spec.json is not the spec that was trained"


def cut_history(run):
    (run / "history.csv").write_bytes((run / "history.csv").read_bytes()[:-9])
    return "history.csv: damaged: it ends in the middle of a line"


def answers_of_another_run(run):
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["files"] = {"clean.npz": "0" * 16}
    write_json(run / "metrics.json", metrics)
    (run / "clean.npz").write_bytes(b"of another run")
    return r"not the files that its training left: clean.npz \(0000000000000000, now "


def cut_outcomes(run):
    outcomes = stored.StoredOutcome(run / "attacks", "fgsm", {}, {"network": "n"})
    outcomes.save({})
    path = name_outcomes(next((run / "suites").glob("*.json")), outcomes)
    path.write_bytes(path.read_bytes()[:99])
    return f"{path.name}: does not say what it was made from"


def outcomes_of_another_network(run):
    own, other = (stored.StoredOutcome(run / "attacks", "fgsm", {}, {"network": name}) for name in "no")
    other.save({})
    other.path.rename(name_outcomes(next((run / "suites").glob("*.json")), own))
    return f"{own.path.name}: made from something else than its name says"


@pytest.mark.parametrize(
    "damage", [of_another_spec, cut_history, answers_of_another_run, cut_outcomes, outcomes_of_another_network]
)
def test_a_run_that_is_not_what_its_training_and_its_attacks_left_is_refused(made, tmp_path, damage):
    grid, folder = made
    shutil.copytree(folder / "results", tmp_path / "results")
    said = damage(next((tmp_path / "results/runs").glob("*/suites")).parent)
    with pytest.raises(ValueError, match=said):
        archive.write(grid, tmp_path / "results", ROOT, folder / "figures", tmp_path / "e.zip")
    assert not (tmp_path / "e.zip").exists()


def test_nothing_finished_is_said(made, tmp_path):
    with pytest.raises(ConfigError, match="no run of scale demo is finished"):
        archive.write(made[0], tmp_path, ROOT, tmp_path, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
