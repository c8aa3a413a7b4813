"""Seeds that machines finish apart are kept together in ``replicated/``, as if one had made them all."""

import json
import logging
import re
from dataclasses import replace
from multiprocessing import Process

import numpy as np
import pytest
from scipy.stats import binomtest
from toys import record

from leanat.cli import main
from leanat.core.files import write_json
from leanat.evaluation import outcome
from leanat.evaluation.outcome import Outcome
from leanat.plan import item as planned
from leanat.plan.grid import digest
from leanat.report import examples, keeping, replicated
from leanat.report.statistics import t_interval

RIGHT = np.random.default_rng(0).random((2, 3, 200)) < 0.6  # method, seed, image
NAMES = ("AT", "Ours")


def spec(name, seed):
    return {"method": name, "seed": seed}


def item(seeds=3):
    """Clean accuracy and accuracy under attack of two methods, and the second's difference to the first."""
    runs = [tuple(f"toy-s{seed}-{digest(spec(name, seed))}" for seed in range(seeds)) for name in NAMES]
    parts = [planned.Numbers(own, tuple(f"{run}/suites/main" for run in own)) for own in runs]
    lines = [[planned.Cell(part.runs, metric="clean"), planned.Cell(**vars(part), metric="pgd")] for part in parts]
    against = planned.Reference(**vars(parts[0]))
    lines[0].append(planned.Cell(metric="pgd", missing="itself"))
    lines[1].append(planned.Cell(**vars(parts[1]), metric="pgd", against=against, difference=True))
    return planned.Item(
        "qtart", "table1", "table", "", "", "cpu", tuple(planned.Row("", name) for name in NAMES),
        tuple(planned.Column("", name) for name in ("Clean", "PGD", "gain")), tuple(map(tuple, lines)),
        seeds=tuple(range(seeds)), runs=(*runs[0], *runs[1]),
        evaluations=(*parts[0].evaluations, *parts[1].evaluations),
    )  # fmt: skip


def finish(folder, seeds, names=NAMES, device="CPU"):
    """The files of finished and attacked runs."""
    for seed in seeds:
        for name in names:
            run, right = item().flat[3 * NAMES.index(name)][2].runs[seed], RIGHT[NAMES.index(name), seed]
            clean = {"accuracy": float((right | RIGHT[0, 0]).mean()), "n": 200}
            more = {"revision": "abc", "examples": {"test": 200}, "clean": clean, "device": device}
            (folder / "runs" / run / "suites").mkdir(parents=True)
            write_json(folder / "runs" / run / "metrics.json", record(spec(name, seed), run=run, **more))
            zero, whole = np.zeros(200, np.float32), np.arange(200)
            kept = Outcome(
                whole, whole, whole, right | RIGHT[0, 0], right, zero, zero, zero, zero.astype(np.int16), ("pgd",)
            )
            np.savez(folder / "runs" / run / "suites" / "pgd.npz", **outcome.arrays(kept))
            attacked = {"statistics": "running", "holdout": None}
            attack = {
                "n": 200,
                "accuracy": float(right.mean()),
                "file": "suites/pgd.npz",
                "spec": attacked,
                "pieces": [],
            }
            write_json(folder / "runs" / run / "suites" / "main.json", {"suite": "main", "attacks": {"pgd": attack}})
    return folder


@pytest.fixture
def apart(tmp_path):
    """What is kept of one machine with seeds 0 and 2, then of one with seed 1."""
    for name, seeds in (("one", (0, 2)), ("two", (1,))):
        keeping.keep(item(), finish(tmp_path / name, seeds), tmp_path / "real")
    return tmp_path / "real"


def test_two_machines_keep_what_one_would(apart, tmp_path):
    keeping.keep(item(), finish(tmp_path / "all", range(3)), tmp_path / "whole")
    files = [folder / "qtart" / "table1.csv" for folder in (apart, tmp_path / "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()
    found, whole = (examples.read(path.with_suffix(".npz")) for path in files)
    assert (
        found.keys()
        == whole.keys()
        == {("AT", "Clean"), ("AT", "PGD"), ("Ours", "Clean"), ("Ours", "PGD"), ("Ours", "gain")}
    )
    for name in found:
        np.testing.assert_allclose(found[name], whole[name], atol=1e-6)
    np.testing.assert_allclose(found["Ours", "gain"][1], (RIGHT[1] * 1.0 - RIGHT[0]).mean(0), atol=1e-6)
    gain = replicated.load("qtart", "table1", apart)["Ours", "gain", "pgd"]
    assert list(gain.values) == [0, 1, 2]
    assert gain.values[1] == pytest.approx(100 * (RIGHT[1, 1].mean() - RIGHT[0, 1].mean()))


def test_a_seed_of_some_rows_alone_is_added_to_these(apart, tmp_path, caplog):
    caplog.set_level(logging.INFO, "leanat")
    more = replace(item(), seeds=(0, 1, 2))
    (tmp_path / "real" / "qtart" / "table1.csv").unlink()
    keeping.keep(more, finish(tmp_path / "three", (0, 1)), apart)
    keeping.keep(more, finish(tmp_path / "four", (2,), ("AT",)), apart)
    found = replicated.load("qtart", "table1", apart)
    assert {name: len(cell.values) for name, cell in found.items()} == {
        ("AT", "Clean", "clean"): 3, ("AT", "PGD", "pgd"): 3,
        ("Ours", "Clean", "clean"): 2, ("Ours", "PGD", "pgd"): 2, ("Ours", "gain", "pgd"): 2,
    }  # fmt: skip
    assert "of 6 runs 1 are not finished" in caplog.text


def test_a_seed_made_anew_takes_the_place_of_the_kept_one(apart, tmp_path):
    folder = finish(tmp_path / "again", (1,))
    path = folder / "runs" / item().runs[1] / "metrics.json"
    write_json(path, json.loads(path.read_text()) | {"date": "2027-01-01", "clean": {"accuracy": 0.25, "n": 200}})
    keeping.keep(item(), folder, apart)
    assert replicated.load("qtart", "table1", apart)["AT", "Clean", "clean"].values[1] == 25
    assert ("AT", "Clean") not in examples.read(apart / "qtart" / "table1.npz"), (
        "a mean of outcomes that stand no longer"
    )


def test_a_file_of_another_scale_is_named_by_it(apart, tmp_path):
    """It was told to ask for as many seeds."""
    with pytest.raises(ValueError, match=r"is of scale cpu, .* remove it to keep scale lite"):
        keeping.keep(replace(item(), scale="lite"), finish(tmp_path / "other", (1,)), apart)


def test_a_kept_run_of_an_earlier_version_is_named_as_such(apart, tmp_path):
    path = apart / "qtart" / "table1.csv"
    path.write_text(re.sub(r"(toy-s1-)\w+", r"\g<1>01234567", path.read_text()))
    with pytest.raises(
        ValueError, match=r"run toy-s1-01234567 is not in this plan .* earlier version; remove its rows"
    ):
        keeping.keep(item(3), finish(tmp_path / "other", (1,)), apart)


@pytest.mark.parametrize(
    ("seeds", "device", "said"),
    [
        (2, "CPU", r"run toy-s2-\w+ is not in this plan .*2 seeds"),
        (3, "H200", r"device \(CPU, H200\)|device \(H200, CPU\)"),
    ],
)
def test_what_does_not_belong_together_is_refused_and_nothing_lost(apart, tmp_path, seeds, device, said):
    files = sorted((apart / "qtart").iterdir())
    before = [path.read_bytes() for path in files]
    with pytest.raises(ValueError, match=said):
        keeping.keep(item(seeds), finish(tmp_path / "other", (1,), device=device), apart)
    assert [path.read_bytes() for path in files] == before


def test_nothing_finished_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run of it is finished"):
        keeping.keep(item(), tmp_path, tmp_path / "real")


def test_at_hand_leaves_out_what_is_not_finished(tmp_path):
    here = keeping.at_hand(item(), finish(tmp_path, (1,), ("AT",)))
    assert (here.seeds, here.runs, here.evaluations) == ((1,), item().runs[1:2], item().evaluations[1:2])
    assert [cell.missing for _, _, cell in here.flat][3:] == ["no run of it is finished"] * 3


def test_stand_ins_and_settings_of_the_user_are_not_kept(tmp_path, capsys):
    with pytest.raises(ValueError, match="scale demo is not kept: its data are stand-ins"):
        keeping.keep(replace(item(), scale="demo"), finish(tmp_path, (0,)), tmp_path / "real")
    assert not (tmp_path / "real").exists()
    change = ["papers=[qtart]", "change={qtart: {all: {recipe.epochs: 2}}}"]
    assert main(["table", "qtart/table3", "--replicate", "--set", *change]) == 1
    assert "--replicate: keeps the papers' settings; allowed: without change" in capsys.readouterr().err


def test_runs_without_a_revision_can_be_read_again(tmp_path):
    folder = finish(tmp_path / "one", (0,))
    for path in folder.glob("runs/*/metrics.json"):
        write_json(path, json.loads(path.read_text()) | {"revision": None})
    keeping.keep(item(), folder, tmp_path / "real")
    assert replicated.rows("qtart", "table1", tmp_path / "real")[0]["revision"] == "unknown"


def test_two_processes_that_keep_at_once_lose_no_seed(tmp_path):
    folders = {seed: finish(tmp_path / str(seed), (seed,)) for seed in range(3)}
    children = [Process(target=keeping.keep, args=(item(), folder, tmp_path / "real")) for folder in folders.values()]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert list(replicated.load("qtart", "table1", tmp_path / "real")["AT", "Clean", "clean"].values) == [0, 1, 2]


def test_one_seed_has_the_interval_of_its_test_images(tmp_path):
    """A difference's is that of the paired outcomes, an accuracy's Wilson's; several seeds speak for themselves."""
    keeping.keep(item(1), finish(tmp_path / "one", [0]), tmp_path / "one seed")
    keeping.keep(item(), finish(tmp_path / "all", range(3)), tmp_path / "three")
    alone, several = (replicated.load("qtart", "table1", tmp_path / name) for name in ("one seed", "three"))

    gain = alone["Ours", "gain", "pgd"].interval()
    paired = 100 * (RIGHT[1, 0].astype(float) - RIGHT[0, 0])
    drawn = np.random.default_rng(1).choice(paired, (20_000, 200)).mean(1)
    assert (gain.low, gain.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.5)
    assert gain.n == 1
    assert gain.mean == pytest.approx(paired.mean())

    accuracy = alone["AT", "PGD", "pgd"].interval()
    wilson = binomtest(int(RIGHT[0, 0].sum()), 200).proportion_ci(method="wilson")
    assert (accuracy.low, accuracy.high) == pytest.approx((100 * wilson.low, 100 * wilson.high))
    values = [100 * (RIGHT[1, seed].mean() - RIGHT[0, seed].mean()) for seed in range(3)]
    assert several["Ours", "gain", "pgd"].interval() == pytest.approx(t_interval(values))


def test_differences_that_are_kept_twice_agree():
    """What choosing gains on Fast AT is a row of the autopsy, and the difference of two rows of Table 3."""
    table, autopsy = (replicated.load("coreset", name) for name in ("table3", "autopsy"))
    values = {(r, m): cell.values for (r, _, m), cell in table.items()}
    rows = {"Craig against random": "+ Adv. Craig (Ours)", "Craig by class against random": "Adv. Craig, by class",
            "GradMatch against random": "+ Adv. GradMatch (Ours)",
            "GradMatch by class against random": "Adv. GradMatch, by class"}  # fmt: skip
    for name, row in rows.items():
        for column, metric in (("clean", "clean"), ("PGD-50-10", "pgd50_10")):
            own, random = values[row, metric], values["Random, drawn again", metric]
            found = autopsy[name, column, metric].values
            assert found == pytest.approx({seed: own[seed] - random[seed] for seed in found})
