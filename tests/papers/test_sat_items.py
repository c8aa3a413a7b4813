"""SAT's figures: what their cells stand for at every scale, random subsets, the sets A and B of a measurement."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import figure_items as made
import numpy as np
import pytest
import torch
from grids import grid_of
from toys import record

from leanat import data, models
from leanat.core.nouns import Split
from leanat.evaluation import outcome
from leanat.models import io
from leanat.papers.sat.experiments import CLASS_NAMES
from leanat.papers.sat.method import SubsetWeights
from leanat.plan import jobs, structure
from leanat.plan.grid import UPSTREAM
from leanat.plan.item import Item
from leanat.report import items, keeping, published, replicated
from leanat.runs import assess
from leanat.runs.experiment import planted_difficulty
from leanat.training.early_stop import holdout_indices

CONFIG = Path(__file__).parents[2] / "config"
FIGURES = [f"sat/figure{n}" for n in range(2, 9)] + ["sat/supplement"]
UNITS = {f"sat/figure{n}": "example" if n in (6, 8) else "class" for n in (4, 5, 6, 7, 8)}


@pytest.fixture(scope="module")
def grids():
    return {scale: grid_of(scale) for scale in ("demo", "lite", "paper", "cpu")}


def cells(grid, name):
    """(entry of row and column, cell) of every cell that has runs."""
    item = grid.items[name]
    for row, line in zip(item.rows, item.cells, strict=True):
        for column, cell in zip(item.columns, line, strict=True):
            if cell.runs:
                yield {**row.entry, **column.entry}, cell


def chosen(grid, run):
    """A of the run, or of the run whose frozen network it transfers, as its spec says."""
    spec = grid.runs[run].spec
    source = spec.get("init", {}).get("network")
    if source:
        return chosen(grid, source.removeprefix(UPSTREAM))
    extras = [extra["sat"]["members"] for extra in spec["method"].get("extras", []) if "sat" in extra]
    return extras[0] if extras else None


@pytest.mark.parametrize("scale", ["demo", "lite", "paper"])
@pytest.mark.parametrize("name", FIGURES)
def test_a_cell_has_the_subset_that_its_entries_say(grids, scale, name):
    grid = grids[scale]
    for entry, cell in cells(grid, name):
        for run in cell.runs:
            members = chosen(grid, run)
            if "share" in entry:
                assert members["first"]["share"] == pytest.approx(entry["share"] / 100)
                assert members["first"]["of"] == UNITS.get(name, members["first"]["of"])
            elif entry["method"] in ("csat_classes", "csat_classes_balanced"):
                assert members == {"classes": {"classes": [entry["attacked"]]}}
            else:
                assert members is None


def test_a_random_order_is_drawn_as_often_as_the_paper_says(grids):
    wanted = {"demo": {"cifar10": 3}, "lite": {"cifar10": 1}, "paper": {"cifar10": 10, "cifar100": 5, "imagenet200": 3}}
    for scale, counts in wanted.items():
        for name in ("sat/figure5", "sat/figure6"):
            found = {e["data"]: c.runs for e, c in cells(grids[scale], name) if e["order"] == "random"}
            assert {k: len(set(runs)) for k, runs in found.items()} == counts
            for runs in found.values():
                draws = [chosen(grids[scale], run)["first"]["order"]["at_random"]["draw"] for run in runs]
                assert draws == list(range(len(runs)))
                assert {grids[scale].runs[run].spec["seed"] for run in runs} == {0}


def test_a_transfer_reads_the_network_of_its_own_share_and_draw(grids):
    grid = grids["demo"]
    for entry, cell in cells(grid, "sat/figure8"):
        for draw, run in enumerate(cell.runs):
            (source,) = grid.runs[run].needs
            assert grid.runs[run].spec["init"]["frozen"]
            assert grid.runs[run].spec["method"]["attack"] == "clean"
            if entry["order"] == "random":
                assert chosen(grid, source)["first"]["order"] == {"at_random": {"draw": draw}}
            if "share" in entry:
                assert grid.runs[source].spec["method"]["selector"] == {"weighted": {"rule": "increasing"}}


def test_the_numbers_that_the_text_prints_of_figure_7_are_there(grids):
    found = {
        (e["weights"], e["share"]): c.published
        for e, c in cells(grids["paper"], "sat/figure7")
        if c.published and e["measure"] == "robust"
    }
    assert set(found) == {("vanilla", 10), ("balanced", 10)}


# -- A and B of a measurement


def sources(tmp_path, **metrics):
    run = tmp_path / "runs" / "run"
    (run / "suites").mkdir(parents=True)
    outcome = {"accuracy": 0.5, "per_class": {"correct": [10, 4, 6], "n": [10, 20, 10]}}
    (run / "metrics.json").write_text(json.dumps(record(metrics.get("spec", {}), clean=outcome) | metrics))
    (run / "suites" / "s.json").write_text(json.dumps({"suite": "s", "attacks": {"pgd": outcome}}))
    return items.Sources(Item("sat", "none", "figure", "", "", "demo", (), (), ()), tmp_path, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("method", "attacked", "a", "b"),
    [
        ({"attack": {"pgd": {}}}, [1], 20.0, 80.0),
        ({"attack": {"pgd": {}}}, [0, 2], 80.0, 20.0),
        ({"attack": {"pgd": {}}}, None, 50.0, None),  # full AT
        ({"attack": "clean"}, None, None, None),  # without AT
        ({"attack": {"pgd": {}}}, [], None, 50.0),  # ESAT that has no class as a whole
    ],
)
def test_accuracy_on_a_and_b(tmp_path, method, attacked, a, b):
    said = {"spec": {"method": method}} | ({} if attacked is None else {"classes_attacked": attacked})
    where = sources(tmp_path, **said)
    for metric in ("pgd", "clean"):
        assert items.measure(f"{metric}@A", "run", "run/suites/s", where) == a
        assert items.measure(f"{metric}@B", "run", "run/suites/s", where) == b
        assert items.measure(f"{metric}@2", "run", "run/suites/s", where) == 60.0


def test_a_number_of_a_class_that_the_metrics_hold(tmp_path):
    where = sources(tmp_path, difficulty=[0.25, 1.5], planted_difficulty=None)
    assert items.measure("metrics.difficulty@1", "run", None, where) == 1.5
    assert items.measure("metrics.planted_difficulty@1", "run", None, where) is None


def test_planted_difficulty_counts_the_easier_classes():
    shapes = data.load("shapes10", "test", n=10)
    found = dict(zip(shapes.class_names, planted_difficulty(shapes), strict=True))
    assert (found["pentagon"], found["disc"], found["crescent"], found["ring"]) == (9, 8, 1, 0)
    assert planted_difficulty(data.load("digits", "test")) is None


def test_a_shortened_attack_never_sees_what_early_stopping_chose_by(tmp_path):
    test = data.load("digits", "test")
    net = models.build("resnet_tiny", 10, test.image_size, test.channels, 0, test.mean, test.std).eval()
    entry = {"attack": "clean", "examples": 40, "statistics": "running", "holdout": 0.1, "label": None}
    found = assess.assess(net, lambda part: test, {"clean": entry}, tmp_path / "attacks", 0, tmp_path)["attacks"][
        "clean"
    ]
    with np.load(tmp_path / found["file"]) as file:
        index = torch.from_numpy(file["index"])
    held = holdout_indices(len(test), 0.1, 0)[0]
    assert len(index) == found["n"] == 40
    assert not torch.isin(index, held).any()


def test_the_slip_of_the_authors_leaves_out_the_last_ninth_of_the_tested_images(tmp_path):
    """8,000 of the 9,000 images, as range(10000 - 9000, 9000) has them."""
    where = sources(tmp_path)
    right = np.array([True] * 60 + [False] * 20 + [True] * 10)
    n, zeros = len(right), np.zeros(len(right), np.int64)
    parts = {"predicted": zeros, "broken_by": zeros} | dict.fromkeys(("loss", "linf", "l2"), zeros.astype(np.float32))
    found = outcome.Outcome(np.arange(n), zeros, clean_correct=right, correct=right, parts=("pgd",), **parts)
    np.savez(tmp_path / "runs" / "run" / "pgd.npz", **outcome.arrays(found))
    path = tmp_path / "runs" / "run" / "suites" / "s.json"
    suite = json.loads(path.read_text())
    suite["attacks"]["pgd"]["file"] = "pgd.npz"
    path.write_text(json.dumps(suite))
    assert items.measure("pgd@first 8/9", "run", "run/suites/s", where) == 100 * 60 / 80
    assert items.measure("pgd@first 8/9-pgd", "run", "run/suites/s", where) == 100 * 60 / 80 - 50.0


# -- Figure 2


def test_one_class_is_weighted_as_in_the_authors_configurations(grids):
    """5 on A and 5/9 on B, as a mean over the mini-batch is taken: nine to one. With w = 1 the rest of the spec is the same."""
    for scale in ("demo", "lite", "cpu", "paper"):
        specs = {}
        for entry, cell in cells(grids[scale], "sat/figure2"):
            if "attacked" in entry:
                specs[entry["method"], entry["attacked"]] = grids[scale].runs[cell.runs[0]].spec
        for (method, attacked), spec in specs.items():
            other = specs[{"csat_classes": "csat_classes_balanced"}.get(method, "csat_classes"), attacked]
            assert spec | {"method": None} == other | {"method": None}
            parts = [{k: v for k, v in s["method"].items() if k != "selector"} for s in (spec, other)]
            assert parts[0] == parts[1]
            balanced = {"weighted": {"rule": "balanced"}}
            assert spec["method"]["selector"] == ("everything" if method == "csat_classes" else balanced)
    labels = torch.arange(10).repeat_interleave(10)
    inside = labels == 3
    run = SimpleNamespace(memory={"sat": {"members": inside}})
    weight = SubsetWeights("balanced")(run, Split(data.load("digits", "test").take(torch.arange(100)), None)).weight
    theirs = torch.where(inside, 5.0, 5 / 9)
    torch.testing.assert_close(weight / weight.sum(), theirs / theirs.sum())


def test_the_printed_matrix_stands_beside_the_weighted_rows(grids):
    for entry, cell in cells(grids["paper"], "sat/figure2"):
        if entry["method"] == "csat_classes":
            assert cell.published is None
        if entry["method"] == "csat_classes_balanced" and not entry.get("difference"):
            assert cell.published


def test_a_ranking_has_the_seed_of_the_run_that_it_ranks_for(grids):
    grid = structure.load(CONFIG, {"scale": "paper", "seeds": 2})
    needs = [(run, need) for name in FIGURES for run in grid.items[name].all_runs for need in grid.runs[run].needs]
    assert {grid.runs[run].spec["seed"] for run, _ in needs} == {0, 1}
    for run, need in needs:
        assert grid.runs[need].spec["seed"] == grid.runs[run].spec["seed"], run


def test_replicated_numbers_of_the_matrix_stand_in_a_line_of_their_own():
    item = made.sat_matrix()
    for cell in item["cells"][3]:
        cell["replicated"] = {"mean": 33.0, "low": None, "high": None, "n": 1, "scale": "cpu", "device": "CPU"}
    item["labels"] = item["labels"] | {"cat": "cross"}
    axes = [axis for axis in made.draw(item).axes if axis.get_visible()]
    titles = ["", "this run, shapes10", "paper", "paper, CIFAR-10", "", "replicated, real data"]
    assert [axis.get_title(loc="left") for axis in axes] == titles
    shown = {tuple(text.get_position()): text.get_text() for text in axes[5].texts}
    assert [shown[k, 3] for k in range(10)] == ["33"] * 10
    assert [bar.get_width() for bar in axes[4].patches] == [33.0, 33.0]
    beside = [axes[k].get_yticklabels()[3].get_text() for k in (0, 4)]
    assert beside == ["cross (cat)", "cat"]  # no drawn class stands on real data
    assert [label.get_text() for label in axes[5].get_xticklabels()][3] == "cat"
    assert [axis.get_ylim() for axis in axes] == [(9.5, -0.5)] * 6


def test_a_gain_is_in_points_and_no_robust_accuracy(grids):
    item = grids["paper"].items["sat/figure5"]
    labels = {head: label for head, label in item.options["y_label"].items() if "gain" in head}
    assert labels == {f"{data}, gain on B": "gain (points)" for data in ("CIFAR-10", "CIFAR-100", "ImageNet-200")}
    assert [column.unit for column in item.columns] == ["%", "%", "points"]


def test_names_of_stand_ins_are_shown_and_those_of_the_paper_kept(grids):
    item = grids["demo"].items["sat/figure2"]
    assert item.labels["plane"] == "square"
    assert item.rows[0].label == "plane"  # what replicated/ and published/ know it by
    assert "plane" not in grids["paper"].items["sat/figure2"].labels
    classes = data.load("shapes10", "test", n=10).class_names
    names = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    assert [item.labels[name] for name in names] == list(classes)


def test_what_is_kept_of_runs_on_real_data_is_found_again(tmp_path, grids):
    item = grids["cpu"].items["sat/figure2"]
    outcome = {"accuracy": 0.5, "per_class": {"correct": list(range(10)), "n": [10] * 10}}
    about = {"device": "CPU", "revision": "abc", "date": "2026-01-02T03:04:05"}
    for run, evaluation in zip(item.runs, item.evaluations, strict=True):
        spec = grids["cpu"].runs[run].spec
        members = chosen(grids["cpu"], run)
        attacked = {"classes_attacked": members["classes"]["classes"]} if members else {}
        (tmp_path / "runs" / evaluation).parent.mkdir(parents=True)
        (tmp_path / "runs" / run / "metrics.json").write_text(
            json.dumps(record(spec, clean=outcome) | about | attacked)
        )
        suite = {"suite": "sat-main", "attacks": {"autoattack": outcome, "natural": outcome}}
        (tmp_path / "runs" / f"{evaluation}.json").write_text(json.dumps(suite))
    keeping.keep(item, tmp_path, tmp_path / "kept")
    found = replicated.load("sat", "figure2", tmp_path / "kept")
    assert found["cat", "car", "autoattack@1"].values == {0: 10.0}
    assert found["truck", "A", "autoattack@A"].values == {0: 90.0}
    assert found["truck", "B", "autoattack@B"].summary().mean == pytest.approx(40.0)
    assert found["w = 1 | truck", "A", "autoattack@A"].values == {0: 90.0}
    assert found["full AT", "clean accuracy", "natural"].scale == "cpu"
    assert ("full AT", "B", "autoattack@B") not in found
    # Classes 0 to 8 have 0 to 80 %, and so they have without attacks: the images are the same, and there is no gain.
    assert found["truck", "gain on B", "autoattack@B"].values == {0: 0.0}
    assert ("without AT", "B", "autoattack@B") not in found
    assert len(found) == 10 * 13 - 3 + 8  # four classes of the ten, with two weights
    with pytest.raises(ValueError, match="random subsets have no seed"):
        keeping.keep(grids["paper"].items["sat/figure5"], tmp_path, tmp_path / "kept")


# -- the authors' code, value by value


def run_of(grid, **facts):
    model = "resnet50" if facts["data"] == "imagenet200" else "preact_resnet18"
    return grid.run({"paper": "sat", "item": "", "model": model, "share": 50} | facts, 0)


@pytest.mark.parametrize(
    ("data_name", "method", "precision"),
    [
        ("cifar10", "entropy", "fp32"),
        ("cifar100", "entropy", "fp32"),
        ("cifar10", "csat_hardest", "bf16"),
        ("cifar10", "esat_hardest", "bf16"),
        ("imagenet200", "entropy", "bf16"),
        ("imagenet200", "s_csat_hardest", "fp32"),  # commented out there
        ("imagenet200", "csat_hardest", "fp32"),
        ("imagenet200", "esat_hardest", "fp32"),
        ("imagenet200", "s_esat_fgsm", "fp32"),
        ("imagenet200", "esat_linf", "fp32"),
    ],
)
def test_mixed_precision_where_the_authors_configurations_have_it(grids, data_name, method, precision):
    assert run_of(grids["paper"], data=data_name, method=method).spec["recipe"]["precision"] == precision


def test_cifar100_is_standardised_as_cifar10(grids):
    assert run_of(grids["paper"], data="cifar100", method="at").spec["model"]["standardise"] == "cifar10"
    about = {"n_classes": 3, "image_size": 8, "channels": 3, "mean": (0.1, 0.2, 0.3), "std": (1.0, 2.0, 3.0)}
    normalise = io.build("resnet_tiny", "cifar10", about, 0).normalise
    assert normalise.mean.flatten().tolist() == pytest.approx([0.4914, 0.4822, 0.4465])
    assert normalise.std.flatten().tolist() == pytest.approx([0.2023, 0.1994, 0.2010])


def test_beta_of_trades_falls_from_12_to_6(grids):
    betas = {
        entry["share"]: grids["paper"].runs[cell.runs[0]].spec["method"]["objective"]["trades"]["beta"]
        for entry, cell in cells(grids["paper"], "sat/supplement")
        if entry["method"] == "esat_trades"
    }
    assert betas == {share: pytest.approx(12 - 6 * (share - 10) / 80) for share in range(10, 100, 10)}
    swept = [grids["paper"].runs[c.runs[0]].spec["method"]["objective"] for _, c in cells(grids["paper"], "sat/trades")]
    assert [objective["trades"]["beta"] for objective in swept[::3]] == [1, 6, 12, 24]


def test_every_known_value_of_the_supplement_is_shown(grids):
    shown = {
        (cell.published.item, cell.published.row, cell.published.column)
        for name in ("sat/supplement", "sat/trades")
        for _, cell in cells(grids["paper"], name)
        if cell.published
    }
    with open(CONFIG.parent / "published" / "sat.csv", newline="") as file:
        known = {
            (r["item"], r["row"], r["column"]) for r in csv.DictReader(file) if r["item"] in ("supplement", "trades")
        }
    assert known <= shown


def test_the_numbers_of_the_rebuttal_are_kept_and_named_as_not_made(grids):
    """Crops and flips alone change little: a number of another class or column would be far from the poster's."""
    folder = CONFIG.parent / "published"
    rows = {(n.row, n.column): n.value for n in published.load("sat", "rebuttal", folder)}
    assert len(rows) == 10 * 3 + 2 * 2 + 3
    for k in CLASS_NAMES:
        for column, printed in (("clean accuracy",) * 2, ("robust accuracy on A", f"robust accuracy on {k}")):
            poster = published.lookup("sat", "figure2", f"CIFAR-10 | CSAT A={k}", printed, folder).value
            assert rows[f"CIFAR-10 | crop and flip alone | CSAT A={k}", column] == pytest.approx(poster, abs=5.5)
    for item in ("figure2", "supplement"):
        assert "made here" in grids["paper"].items[f"sat/{item}"].caption


def test_a_run_on_linf_is_stopped_early_and_tested_on_linf(grids):
    found = set()
    for entry, cell in cells(grids["paper"], "sat/supplement"):
        if "linf" in entry["method"]:
            found.add((entry["method"], entry["data"]))
            spec = grids["paper"].runs[cell.runs[0]].spec
            suite = grids["paper"].evaluations[cell.evaluations[0]].attacks["autoattack"]["attack"]
            assert spec["early_stop"]["attack"] == suite == {"autoattack": {"threat": {"linf": {"eps": 8 / 255}}}}
            source = spec.get("init", {}).get("network", UPSTREAM + cell.runs[0]).removeprefix(UPSTREAM)
            pgd = grids["paper"].runs[source].spec["method"]["attack"]["pgd"]
            steps = (10, 0.8 / 255) if entry["method"] == "esat_linf" else (7, 2 / 255)
            assert (pgd["steps"], pgd["step_size"]) == pytest.approx(steps)
    assert {method for method, _ in found} == {"esat_linf", "s_esat_linf", "transfer_linf"}
    assert ("transfer_linf", "caltech256") in found
    assert ("transfer_linf", "flowers102") in found


def test_attacked_examples_alone_do_not_keep_a_run_from_several_gpus(grids):
    grid = grids["paper"]
    large = grid.datasets["imagenet200"]
    assert jobs.together(run_of(grid, data="imagenet200", method="s_esat_random").spec, large)
    assert jobs.together(run_of(grid, data="imagenet200", method="esat_hardest").spec, large)
    assert not jobs.together(run_of(grid, data="imagenet200", method="entropy").spec, large)  # remembers examples
