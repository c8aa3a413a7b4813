"""What Q-TART's items are made of: the watch over FGSM-RS, transfer, features, times, chosen values, differences."""

import copy
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from figure_items import array_item
from figure_items import draw as drawn
from grids import grid_of
from toys import Small, Toy, make_run, record, same, split, toy, weights

from leanat import models
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.loop import train
from leanat.core.nouns import Method
from leanat.core.rng import Draws
from leanat.cost import decoding, predict, timing
from leanat.data.facts import STATISTICS
from leanat.evaluation import evaluate, features, outcome
from leanat.evaluation.evaluate import transfer
from leanat.papers.qtart import experiments
from leanat.papers.qtart.method import WINDOWS, Instability
from leanat.papers.qtart.planted import Planted, removed
from leanat.plan.components import read
from leanat.plan.item import Candidate, Cell, Column, Item, Reference, Row
from leanat.report import examples, items
from leanat.runs import assess, checkpoint, experiment, transferred
from leanat.selection.basic import LossRank, Once
from leanat.training.free import Free
from leanat.training.objectives import CrossEntropy
from leanat.training.overfitting import OverfittingMonitor

CONFIG = Path(__file__).parents[2] / "config"


# -- catastrophic overfitting


@dataclass(frozen=True)
class Unharmed:
    def __call__(self, net, step):
        return step.x


@dataclass(frozen=True)
class WorksFrom:
    """Until ``epoch`` it changes nothing; then it shows an image that the network has as another class."""

    epoch: int

    def __call__(self, net, step):
        if step.epoch < self.epoch:
            return step.x
        predicted = net(step.x).argmax(1)
        return torch.stack([step.x[(predicted != y).nonzero()[0, 0]] for y in step.y])


def watched(drop, works_from=4, epochs=6):
    watch = OverfittingMonitor(Unharmed(), WorksFrom(works_from), examples=24, drop=drop)
    return make_run(Small(), epochs=epochs, lr=0.1, extras=(watch,)), watch


def trained(run):
    states = []
    train(run, split(toy()), lambda run: states.append(weights(run.net)) or experiment.ended(run))
    return states


def test_the_watch_sees_overfitting_and_changes_nothing():
    plain = make_run(Small(), epochs=6, lr=0.1)
    train(plain, split(toy()))
    run, watch = watched(drop=None)
    trained(run)
    assert same(weights(run.net), weights(plain.net))
    single, strong = ([row[f"watch_{k}"] for row in run.history] for k in ("single", "strong"))
    assert single[3] > 0.5
    assert strong[2] == single[2]
    assert strong[3:] == [0.0] * 3
    assert watch.report(run) == {"watch_gap": pytest.approx(100 * max(single[3:])), "watch_fall": 100 * strong[2]}


def test_the_guard_ends_training_at_the_fall_and_keeps_the_epoch_before():
    run, _ = watched(drop=0.2)
    states = trained(run)
    assert run.epoch == 4
    assert same(weights(run.net), states[2])
    assert not same(states[2], states[1])


def test_a_training_that_was_ended_stays_so(tmp_path):
    run, _ = watched(drop=0.2)
    trained(run)
    checkpoint.save(tmp_path / "resume.pt", run, "x")
    again, _ = watched(drop=0.2)
    assert not experiment.ended(again)
    assert checkpoint.load(tmp_path / "resume.pt", again, "x")
    assert experiment.ended(again)


@pytest.mark.parametrize("drop", [0.0, 1.0, -0.2])
def test_the_watch_checks_its_fields(drop):
    with pytest.raises(ValueError, match="allowed: above 0, below 1, or null"):
        OverfittingMonitor(Unharmed(), Unharmed(), 10, drop)


# -- transfer


@pytest.fixture(scope="module")
def nets():
    about = {"n_classes": 3, "image_size": 8, "channels": 1, "mean": [0.5], "std": [0.25]}
    return {s: models.build("vgg16_small", seed=s, standardise="channel", **about).eval() for s in range(2)}


@dataclass(frozen=True)
class Counted:
    calls: list = field(default_factory=list)

    def __call__(self, net, step):
        self.calls.append(net)
        return PGD(Linf(0.2), 1, 0.2, "none")(net, step)


ENTRY = {"attack": {"pgd": {"threat": {"linf": {"eps": 0.2}}, "steps": 1, "step_size": 0.2, "start": "none"}}}
ENTRY |= {"examples": None, "statistics": "running", "holdout": None, "label": None}


def test_each_source_is_attacked_once_and_every_target_has_its_mean_and_deviation(nets, tmp_path, monkeypatch):
    test, counted = toy(size=8).plain(), Counted()
    runs = {f"r{k}": transferred.Trained(tmp_path / f"r{k}", net, test, 0, "cpu") for k, net in nets.items()}
    for run in runs.values():
        run.folder.mkdir()
    monkeypatch.setattr(transferred, "suite_parts", lambda suite: ({"fgsm": counted}, {}, {}))
    monkeypatch.setattr(evaluate, "folded", lambda net, x: net)  # so that the calls can be told apart
    found = transferred.assess(runs, runs, test, {"fgsm": ENTRY}, 0)
    assert counted.calls == list(nets.values())
    again = transferred.assess(runs, runs, test, {"fgsm": ENTRY}, 0)
    assert again == found
    assert len(counted.calls) == 2
    plain = transfer({r: t.net for r, t in runs.items()}, {r: t.net for r, t in runs.items()}, Counted(), test, seed=0)
    for run, per_source in plain.items():
        shown, over = found[run]["attacks"]["fgsm"], outcome.over_sources(per_source)
        assert (shown["accuracy"], shown["sd"]) == (over["mean"], over["sd"])
        assert shown["sources"] == {s: o.correct.mean() for s, o in per_source.items()}


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_what_has_the_same_sources_is_one_job(scale):
    grid = grid_of(scale)
    jobs = [shard for shard in grid.evaluation_shards() if grid.evaluations[shard[0]].suite == "qtart-transfer"]
    for shard in jobs:
        targets, sources = [grid.evaluations[e].run for e in shard], {grid.evaluations[e].sources for e in shard}
        assert len(sources) == 1
        assert set(targets) == set(*sources)
        assert len({grid.runs[run].spec["seed"] for run in targets}) == 1
        assert len({run.split("-")[2] for run in targets}) == 1  # one method
        assert len(targets) == 4
    assert len(jobs) == (4 if scale == "demo" else 2 * 5 + 2 * 3)  # three trials of Free-AT


# -- features


class Labelled(Toy):
    class_names = ("a", "b", "c")


def test_distances_are_those_of_what_the_head_reads(nets):
    net, data = nets[0], toy(size=8).plain()
    attack = PGD(Linf(0.1), 2, 0.05, "none")
    named = (features.NamedAttack("pgd", attack),)
    found = features.distances(net, data, named, seed=0, limit=None, batch=7)
    x, y = data.batch(torch.arange(len(data)), 0)
    step = SimpleNamespace(x=x, y=y, steps=None, step_size=None, draws=None, z=None, aux={})
    with torch.no_grad():
        change = net.features(attack(net, step)) - net.features(x)
        assert torch.from_numpy(found["pgd"]) == pytest.approx(change.norm(dim=1), rel=1e-4)
        assert torch.from_numpy(found["norm"]) == pytest.approx(net.features(x).norm(dim=1), rel=1e-4)
        assert net.head(torch.from_numpy(found["features"])) == pytest.approx(net(x), abs=1e-4)
    numbers, arrays = features.Distances(named, None, 10)(net, Labelled(**vars(data)), 0)
    assert numbers["pgd_range"] == pytest.approx(found["pgd"].max() - found["pgd"].min())
    assert numbers["pgd_relative"] == pytest.approx(numbers["pgd_range"] / found["norm"].mean())
    low, high = (torch.from_numpy(found["pgd"]).double().quantile(q) for q in (0.05, 0.95))
    assert numbers["pgd_middle"] == pytest.approx(float(high - low), rel=1e-6)
    assert numbers["pgd_middle_relative"] == pytest.approx(float(high - low) / found["norm"].mean(), rel=1e-5)
    assert arrays["points"].shape == (10, 2)


def test_a_map_keeps_clusters_apart():
    draw = np.random.default_rng(0)
    classes = np.repeat(np.arange(3), 20)
    points = features.tsne(draw.normal(size=(60, 8)) + 20 * np.eye(8)[classes], seed=0)
    middle = np.stack([points[classes == c].mean(0) for c in range(3)])
    nearest = np.linalg.norm(points[:, None] - middle, axis=2).argmin(1)
    assert (nearest == classes).all()


def test_the_figure_of_features_shares_bins_and_draws_every_point():
    draw, files = np.random.default_rng(0), {}
    for name in ("Baseline", "Q-TART"):
        arrays = {a: draw.gamma(3, 1, 50) for a in ("mifgsm", "cw")}
        arrays |= {"points": draw.normal(size=(40, 2)), "classes": np.arange(50) % 4, "names": np.array(list("abcd"))}
        files[name] = arrays
    options = {"plot": "features", "attacks": {"mifgsm": "MI-FGSM", "cw": "CW"}, "bins": 20}
    figure = drawn(array_item(options, files, "Features"))
    edges = {tuple(patch.get_data().edges) for axis in figure.axes[:2] for patch in axis.patches}
    assert len(edges) == 1
    assert sum(len(line.get_xdata()) for line in figure.axes[2].lines) == 40
    with pytest.raises(ValueError, match="no array pgd"):
        drawn(array_item(options | {"attacks": {"pgd": "PGD"}}, files, "Features"))


def test_the_suite_of_features_can_be_built():
    grid = grid_of()
    facts = {"paper": "qtart", "item": "figure1", "data": "cifar10", "model": "resnet50", "method": "sgd"}
    attacks, alarms, measures = assess.suite_parts(grid.suite(facts, "features"))
    assert not attacks
    assert not alarms
    named = measures["distances"].attacks
    assert [a.name for a in named] == ["mifgsm", "pgd20", "cw"]
    assert named[1].attack.threat == Linf(0.031 * 0.5)


# -- what the removal finds


@dataclass(frozen=True)
class PlantedToy(Toy):
    planted: dict = field(default_factory=dict)


def test_planted_examples_among_the_removed_are_counted(nets):
    """A quarter of the examples, by each ranking, against the selectors that train."""
    data = PlantedToy(**vars(toy(size=8).plain()), planted={"faint": torch.arange(24) % 2 == 0})
    measure = Planted(share=0.25, filters=3)
    numbers, arrays = measure(nets[0], data, seed=0)
    run = make_run(nets[0])
    for window in WINDOWS:
        xi = Instability(6, 3, window=window).of(nets[0], data, Draws(0, 0, torch.arange(24)), 250)
        expected = sorted(xi.argsort(descending=True)[:6].tolist())
        assert arrays[window].tolist() == expected
        assert numbers[f"{window}_faint"] == pytest.approx(100 * sum(i % 2 == 0 for i in expected) / 6)
        assert numbers[f"{window}_ambiguous"] is None  # a kind that these data do not have
    kept = LossRank(6)(run, split(data)).index.tolist()
    assert arrays["loss"].tolist() == sorted(set(range(24)) - set(kept))
    assert len(arrays["random"]) == 6
    assert measure(nets[0], data, seed=1)[1]["random"].tolist() != arrays["random"].tolist()


def test_the_highest_scores_are_removed():
    assert removed(torch.arange(24.0), 4).tolist() == [20, 21, 22, 23]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_measure_of_planted_examples_checks_its_fields(share):
    with pytest.raises(ValueError, match="allowed: above 0, below 1"):
        Planted(share, 3)


def test_the_item_of_planted_examples_looks_at_seven_epochs_of_one_training():
    grid = grid_of()
    item = grid.items["qtart/planted"]
    assert len(item.runs) == 4 * 3
    after = {grid.evaluations[e].snapshot for e in item.evaluations}
    assert after == {1, 2, 3, 5, 7, 10, 20}  # of 20; of MobileNet's 23 too
    assert {grid.runs[run].spec["data"]["name"] for run in item.runs} == {"shapes10-32"}
    facts = {"paper": "qtart", "item": "planted", "data": "cifar10", "model": "vgg16", "method": "sgd_smoothed"}
    _, _, measures = assess.suite_parts(grid.suite(facts, "planted"))
    assert measures["planted"].part == "train"


# -- times


def test_removed_samples_account_for_what_table_9_says():
    """gamma (E - tau) / batch iterations of N E / batch; the paper's 17.9 % is some 2,000 times that."""
    grid = grid_of()
    item = grid.items["qtart/table3"]
    entries = ((row.entry["data"], row.entry["model"]) for row in item.rows)
    cells = dict(zip(entries, item.cells, strict=True))
    spec = cells["cifar10", "densenet"][3].timed.spec
    assert predict.removed(read(spec), 50_000) == pytest.approx(100 * (5 * 250 / 64) / (50_000 * 300 / 64))
    spec = cells["imagenet", "resnet50"][3].timed.spec
    assert predict.removed(read(spec), 1_281_167) == pytest.approx(100 * 208 * 85 / (1_281_167 * 100))


def test_q_tart_costs_two_looks_and_saves_what_it_removes():
    once = Once(50, Instability(125, filters=4))
    method = Method(CrossEntropy(), Free(Linf(8 / 255), 8 / 255), once, replays=8)
    recipe, data = SimpleNamespace(epochs=300, batch=100), SimpleNamespace(validation=None)
    spec = SimpleNamespace(method=method, recipe=recipe, data=data)
    found = predict.seconds_per_epoch(spec, {"step": 3.0, "look": 0.5}, 50_000, None)
    steps = 8 * (300 * 500 - 250 * 1.25)
    assert found == pytest.approx((3.0 * steps + 2 * 500 * 0.5) / 300)


def test_a_file_takes_a_while_to_decode_where_a_training_reads_files(tmp_path):
    grid, cells = grid_of(), {}
    for row, line in zip(grid.items["qtart/table3"].rows, grid.items["qtart/table3"].cells, strict=True):
        cells[row.entry["data"], row.entry["model"]] = line[0].timed
    decoded = {}
    for key in (("mini-imagenet", "mobilenet"), ("cifar10", "mobilenet")):
        bench = timing.Bench.of(cells[key].spec, cells[key].shape | {"size": 32}, torch.device("cpu"), 2, 1)
        decoded[key[0]] = bench.crop and bench.decode()["decode"]
    assert decoded["cifar10"] is None
    assert 1e-4 < decoded["mini-imagenet"] < 1
    decoding.photograph(tmp_path / "x.jpg")
    assert 50_000 < (tmp_path / "x.jpg").stat().st_size < 200_000  # ImageNet's files have 110 KB in the mean


def test_a_step_of_free_is_measured_with_its_gradient():
    grid = grid_of()
    facts = {"paper": "qtart", "item": "figure3", "data": "cifar10", "model": "vgg16", "method": "free"}
    spec = grid.run(facts, 0).spec
    shape = {"classes": 10, "channels": 3, "size": 16, "train": 2000}
    bench = timing.Bench.of(spec, shape, torch.device("cpu"), 4, 1)
    seconds = bench.step()
    assert {"step", "look"} <= seconds.keys()
    assert bench.run.memory["free"]["delta"].abs().max() > 0


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_figure_3_has_the_networks_of_figure_2_too(scale):
    """Section 5 compares the Baseline, DIHCL and Q-TART alone with adversarial training "from Fig. 3"."""
    grid = grid_of(scale)
    two, three = (
        {row.name: line for row, line in zip(item.rows, item.cells, strict=True)}
        for item in (grid.items["qtart/figure2"], grid.items["qtart/figure3"])
    )
    alone = [
        f"{net} | {method}"
        for net in ("VGG16", "MobileNet", "DenseNet", "ResNet50")
        for method in ("Baseline", "DIHCL", "Q-TART (Ours)")
    ]
    assert [cell.runs for name in alone for cell in three[name]] == [cell.runs for name in alone for cell in two[name]]
    assert all(cell.runs for name in alone for cell in three[name])
    assert len(three) == 12 + 16
    new = {e for e in grid.items["qtart/figure3"].evaluations if e not in grid.items["qtart/figure2"].evaluations}
    trained = {run for name, line in three.items() if name not in alone for cell in line for run in cell.runs}
    assert {evaluation.partition("/")[0] for evaluation in new} == trained


# -- DIHCL as its authors' code has it (github.com/tianyizhou/DIHCL at 6b80445: dihcl.py, dihcl_cifar.sh)


@pytest.mark.parametrize(
    ("data", "least", "augment"),
    [
        ("cifar10", None, ["crop 4", "flip", "rotation 5", "auto_augment 128", "cutout 16"]),
        ("cifar100", 0.4, ["crop 4", "flip", "rotation 5", "auto_augment 128", "cutout 16"]),
        ("stl10", None, ["crop 12", "flip", "colour_jitter 0.4 0.4 0.4", "cutout 32", "lighting 0.1"]),
        ("mini-imagenet", None, ["random_resized_crop", "flip"]),  # which the code does not have
    ],
)
def test_dihcl_augments_as_its_code(data, least, augment):
    spec = (
        grid_of("paper")
        .run({"paper": "qtart", "item": "table1", "data": data, "model": "vgg16", "method": "dihcl"}, 0)
        .spec
    )
    found = [
        p if isinstance(p, str) else next(f"{k} " + " ".join(map(str, v.values())) for k, v in p.items())
        for p in spec["data"]["augment"]
    ]
    assert found == augment
    episodes = [spec["recipe"]["lr"]["episodes"], spec["method"]["objective"]["mixup"]["episodes"]]
    episodes.append(spec["method"]["selector"]["bandit"]["episodes"])
    assert {e.get("min_k") for e in episodes} == {least}


# -- chosen values and differences


@pytest.fixture
def results(tmp_path):
    """Runs with clean and validation accuracies: a has the better test, b the better validation accuracy."""
    for run, clean, validation in (("a0", 0.9, 0.5), ("a1", 0.8, 0.6), ("b0", 0.7, 0.9), ("b1", 0.8, 0.7)):
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        metrics = record({}, clean={"accuracy": clean}, validation={"accuracy": validation})
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


LINE, BARE = Row("", "x"), Item("qtart", "none", "table", "", "", "demo", (), (), ())


@pytest.mark.parametrize(("by", "gamma", "accuracies"), [("clean", 5, [90, 80]), ("validation", 50, [70, 80])])
def test_the_best_of_several_values_by_test_or_by_validation_data(results, by, gamma, accuracies):
    sources = items.Sources(BARE, results, CONFIG.parent / "published", results)
    candidates = Candidate(("a0", "a1"), value=5), Candidate(("b0", "b1"), value=50)
    cell = Cell(metric="clean", candidates=candidates, by=by)
    shown = items._value(LINE, LINE, cell, sources)
    assert shown.values == pytest.approx(accuracies)
    assert items._value(LINE, LINE, replace(cell, metric="chosen"), sources).values == (gamma,)


def test_of_the_best_value_the_answers_to_each_image_are_kept(results):
    right = {"a0": [1, 1, 1, 1], "a1": [1, 1, 1, 0], "b0": [0, 1, 1, 0], "b1": [0, 1, 1, 1]}
    for run, answers in right.items():
        made, zero, whole = np.array(answers, dtype=bool), np.zeros(4, dtype=np.float32), np.arange(4)
        kept = outcome.Outcome(
            whole, whole, whole, made, made, zero, zero, zero, np.full(4, -1, dtype=np.int16), ("Clean",)
        )
        np.savez(results / "runs" / run / "clean.npz", **outcome.arrays(kept))
    candidates = Candidate(("a0", "a1"), value=5), Candidate(("b0", "b1"), value=50)
    cells = tuple((Cell(metric="clean", candidates=candidates, by=by),) for by in ("clean", "validation"))
    item = replace(BARE, rows=(Row("", "by test"), Row("", "by validation")), columns=(Column("", "c"),), cells=cells)
    sources = items.Sources(item, results, CONFIG.parent / "published", results)
    filled = SimpleNamespace(cells=[[items._value(LINE, LINE, cell, sources)] for (cell,) in cells])
    found = examples.of_item(items._of_chosen(item, filled), results)
    assert found["by test", "c"][1].tolist() == [1, 1, 1, 0.5]
    assert found["by validation", "c"][1].tolist() == [0, 1, 1, 0.5]


def test_a_difference_is_paired_by_seed(results):
    sources = items.Sources(BARE, results, CONFIG.parent / "published", results)
    cell = Cell(("a0", "a1"), metric="clean", against=Reference(("b0", "b1")), difference=True)
    assert items._value(LINE, LINE, cell, sources).values == pytest.approx([20, 0])


def test_a_share_of_nothing_leaves_the_cell_without_a_number(results):
    """Not the mean of the other seeds alone."""
    cell = Cell(("a0", "a1"), metric="clean", against=Reference(("b0", "b1")))
    sources = items.Sources(BARE, results, CONFIG.parent / "published", results)
    assert items._value(LINE, LINE, cell, sources).values == pytest.approx([100 * (0.7 - 0.9) / 0.7, 0])
    path = results / "runs" / "b0" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"clean": {"accuracy": 0.0}}))
    sources = items.Sources(BARE, results, CONFIG.parent / "published", results)
    value = items._value(LINE, LINE, cell, sources)
    assert (value.values, value.runs) == ((), ())
    assert "no share" in value.missing


def test_table_2_and_the_decomposition_ask_for_what_they_say():
    whole, demo = (grid_of(s) for s in ("paper", "demo"))
    item = whole.items["qtart/table2"]
    cells = dict(zip((row.entry.get("choice") for row in item.rows), item.cells, strict=True))
    assert [c.value for c in cells["validation"][0].candidates] == [5, 12, 25, 50, 100, 125, 150, 250, 300]
    assert cells["validation"][0].candidates == cells["clean"][0].candidates  # one set of runs, two choices
    assert (cells["validation"][0].by, cells["clean"][0].by) == ("validation", "clean")
    item = demo.items["qtart/decomposition"]
    for row, (clean, _) in zip(item.rows, item.cells, strict=True):
        assert len(clean.runs) == 20
        spec = demo.runs[clean.runs[3]].spec
        assert spec["seed"] == 3
        smoothing = spec["method"]["objective"]["cross_entropy"]["smoothing"]
        assert smoothing == (0.7 if row.entry["method"] in ("qtart", "sgd_smoothed") else 0.0)
        if row.entry["share"]:
            inner = next(iter(spec["method"]["selector"]["once"]["inner"].values()))
            assert inner.get("gamma", inner.get("count")) == round(row.entry["share"] / 100 * 600)


def without(spec, *path):
    """A copy of a spec without what stands at ``path``."""
    spec = copy.deepcopy(spec)
    inside = spec
    for key in path[:-1]:
        inside = inside.get(key, {}) if isinstance(inside, dict) else {}
    if isinstance(inside, dict):
        inside.pop(path[-1], None)
    return spec


@pytest.mark.parametrize("scale", ["demo", "paper"])
def test_rows_of_the_decomposition_differ_in_loss_and_removal_alone(scale):
    """Schedule, network, data, filters and tau are one for all; the smoothing is none or Q-TART's."""
    grid = grid_of(scale)
    item = grid.items["qtart/decomposition"]
    cells = [cell for row in item.cells for cell in row]
    specs = [grid.runs[part.runs[0]].spec for cell in cells for part in (cell, cell.against) if part and part.runs]
    assert specs
    bare = [without(without(s, "method", "selector"), "method", "objective") for s in specs]
    assert all(spec == bare[0] for spec in bare)
    assert {s["method"]["objective"]["cross_entropy"]["smoothing"] for s in specs} == {0.0, 0.7}
    once = [s["method"]["selector"]["once"] for s in specs if s["method"]["selector"] != "everything"]
    assert len({o["tau"] for o in once}) == 1
    unstable = [o["inner"]["instability"] for o in once if "instability" in o["inner"]]
    counts = {fields["gamma"] for fields in unstable}
    assert len(counts) == 3
    assert all(without(fields, "gamma") == without(unstable[0], "gamma") for fields in unstable)
    assert {next(iter(o["inner"].values())).get("count") for o in once if "instability" not in o["inner"]} == counts


def test_at_demo_the_removal_comes_after_the_warm_up():
    grid = grid_of()
    taus = []
    for run in {run for item in grid.items.values() if item.paper == "qtart" for run in item.runs}:
        spec = grid.runs[run].spec
        cosine, selector = spec["recipe"]["lr"].get("cosine"), spec["method"]["selector"]
        if cosine and "once" in selector:
            assert selector["once"]["tau"] > cosine["warmup_share"] * spec["recipe"]["epochs"]
            taus.append(selector["once"]["tau"])
    assert len(taus) > 250


def test_the_deviations_in_the_foot_are_those_that_networks_normalise_with():
    for data, said in experiments.DEVIATIONS.items():
        assert said == STATISTICS.get(data, STATISTICS["photographs"])[2], data
