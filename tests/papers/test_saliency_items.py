"""What the saliency paper's items are made of: maps and losses of finished networks, snapshots, pictures, doubts, times."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from grids import grid_of
from test_saliency import save_teacher
from torch import nn
from toys import record, same, toy

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.errors import ConfigError
from leanat.cost import timing
from leanat.cost.held import most_bytes
from leanat.data import load
from leanat.experiments import scales
from leanat.models import io
from leanat.papers.saliency import method as paper
from leanat.papers.saliency.maps import Maps, Terms, bound
from leanat.plan import components, structure
from leanat.plan.grid import digest
from leanat.plan.item import Column, Item, Row, Value
from leanat.report import composed, items
from leanat.report.notes import row_note
from leanat.report.plots import write_figure
from leanat.runs import assess, experiment

CONFIG = Path(__file__).parents[2] / "config"
MAPS = Maps(fgsm=PGD(Linf(0.03), 1, 0.03, "none"), pgd=PGD(Linf(0.03), 3, 0.01, "uniform"), pictures=2)


@pytest.fixture(scope="module")
def grids():
    return {name: grid_of(name) for name in ("demo", "lite", "paper")}


@pytest.fixture
def grid(grids):
    return grids["demo"]


class Looks(nn.Module):
    """Ten logits, linear in the pixels of the upper half alone."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 3 * 8 * 16, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return x[:, :, :8].flatten(1) @ self.weight.T / 10


def test_maps_of_a_network_that_sees_only_the_upper_half():
    """What is not seen has no gradient: the attack moves only the half that is, and the shares are those of the masks."""
    data = load("shapes10", "test", n=60)
    found = MAPS(Looks(), data, 0)
    upper = data.masks[:, :8]
    whole = dataclasses.replace(data, masks=torch.ones_like(data.masks))
    assert MAPS(Looks(), whole, 0).numbers["saliency"] == pytest.approx(100)
    half = torch.zeros_like(data.masks)
    half[:, :8] = True
    assert MAPS(Looks(), dataclasses.replace(data, masks=half), 0).numbers["fgsm"] == pytest.approx(100)
    assert found.numbers["area"] == pytest.approx(100 * data.masks.float().mean().item())
    # FGSM moves every seen pixel alike, but for those that the range of the image stops
    assert found.numbers["fgsm"] == pytest.approx(100 * upper.float().mean().item(), abs=1)
    assert found.numbers["fgsm_size"] == pytest.approx(50, abs=1)
    assert 0 < found.numbers["rho"] <= found.numbers["alpha_plus"] + 1e-4  # linear: equation 5 without its error term


def test_equation_5_by_hand():
    """Three images: one needs no C, the others need (rho - alpha+) ||g|| = 0.5 and 2."""
    rho, alpha_plus, jacobian = (
        torch.tensor([1.0, 2.0, 1.5]),
        torch.tensor([1.2, 1.5, 0.5]),
        torch.tensor([3.0, 1.0, 2.0]),
    )
    found = bound(paper.Alignment(alpha_plus, rho, alpha_plus, jacobian))
    assert found["within"] == pytest.approx(100 / 3)
    assert found["constant"] == pytest.approx(2.0)
    assert found["bound"] == pytest.approx((1.2 + 2 / 3 + 1.5 + 2 + 0.5 + 1) / 3)


def test_the_constant_of_an_affine_network_is_its_greatest_bias():
    """Of logits W x + b a difference is <x, g> + b_i - b_j: the bound holds with the greatest |b_i - b_j|."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 4)).double()
    x = torch.rand(64, 3, 4, 4, dtype=torch.float64)
    found = bound(paper.alignment(net, x))
    biases = net[1].bias.detach()
    assert 0 < found["constant"] <= float((biases[:, None] - biases).abs().max()) + 1e-9


def test_pictures_are_what_the_numbers_are_of():
    data = load("shapes10", "test", n=20)
    arrays = MAPS(Looks(), data, 0).arrays
    x, y = data.batch(torch.arange(2), 0)
    assert np.allclose(arrays["image"], x.movedim(1, -1))
    assert np.allclose(arrays["saliency"], paper.saliency(Looks(), x, y).abs().sum(1), atol=1e-6)
    change = arrays["fgsm"] - arrays["image"]
    assert np.allclose(np.abs(change) / 0.03, arrays["fgsm_delta"], atol=1e-4)
    assert arrays["pgd_delta"].min() >= 0
    assert arrays["pgd_delta"].max() <= 1
    assert arrays["rows"].tolist() == [data.class_names[label] for label in y]


def test_without_masks_there_are_no_shares():
    data = dataclasses.replace(load("shapes10", "test", n=20), masks=None)
    numbers = MAPS(Looks(), data, 0).numbers
    assert numbers["saliency"] is numbers["area"] is None
    assert numbers["alpha"] > 0


def test_terms_against_the_equations_and_zero_for_the_teacher_itself(tmp_path):
    net = save_teacher(tmp_path / "run").eval()
    data = dataclasses.replace(toy(), augmented=False)
    data = _described(data)
    found = Terms(tmp_path / "run")(net, data, 0).numbers
    x, y = data.batch(torch.arange(24), 0)
    assert found["ce"] == pytest.approx(F.cross_entropy(net(x), y).item(), rel=1e-5)
    assert found["difference"] == pytest.approx(0, abs=1e-15)
    other = save_teacher(tmp_path / "other", seed=6).eval()
    apart = (paper.saliency(other, x, y) - paper.saliency(net, x, y)).square().sum((1, 2, 3)).mean().item()
    found = Terms(tmp_path / "run")(other, data, 0).numbers
    assert found["difference"] == pytest.approx(paper.weight_of_difference(1, 36) * apart, rel=1e-5)


def _described(data):
    class Described(type(data)):
        channels, image_size = 1, 6

    return Described(**vars(data))


def test_a_suite_with_measures_leaves_numbers_and_pictures(tmp_path):
    pgd = {"pgd": {"threat": {"linf": {"eps": 0.03}}, "steps": 1, "step_size": 0.03, "start": "none"}}
    suite = {"maps": {"measure": {"maps": {"fgsm": pgd, "pgd": pgd, "pictures": 3}}}}
    made = assess.assess(Looks(), lambda part: load("shapes10", part, n=20), suite, tmp_path / "attacks", 0, tmp_path)
    file = tmp_path / made["measures"]["maps"]["file"]
    with np.load(file) as arrays:
        assert len(arrays["image"]) == 3
    assert json.loads(json.dumps(made))["measures"]["maps"]["numbers"]["saliency"] > 0
    with pytest.raises(ConfigError, match="no measure 'map'; did you mean maps"):
        assess.suite_parts({"maps": {"measure": {"map": {}}}})


# -- the grid


@pytest.mark.parametrize("name", ["demo", "lite", "paper"])
def test_a_second_phase_has_network_and_discriminator_of_one_first_phase_and_a_teacher_of_its_own_seed(grids, name):
    grid, kinds = grids[name], set()
    for run in dict.fromkeys(r for i in grid.items.values() if i.paper == "saliency" for r in i.all_runs):
        spec = grid.runs[run].spec
        for key, value in _upstream(spec):
            assert grid.runs[value.removeprefix("run:")].spec["seed"] == spec["seed"], (run, key)
        fields = spec["method"]["objective"].get("saliency") if isinstance(spec["method"]["objective"], dict) else None
        if not fields or "ks" not in fields:
            continue
        own, kind = fields["first_phase"], run.split("-")[2]
        carries = fields["beta"] > 0 and fields.get("align", True) and kind != "phase2_from_at"
        assert own == (spec["init"]["network"] if carries else None), run
        kinds.add((kind, carries))
    assert {("phase2", True), ("phase2_from_at", False), ("phase2_remove", False), ("phase2_beta0", False)} <= kinds


def _upstream(value, where=""):
    if isinstance(value, str) and value.startswith("run:"):
        yield where, value
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _upstream(inner, f"{where}.{key}")


def test_the_losses_of_a_network_are_against_the_teacher_of_its_own_seed():
    grid = structure.load(CONFIG, {"scale": "demo", "seeds": 2})
    found = {}
    for evaluation in grid.items["saliency/table7"].evaluations:
        teacher = grid.evaluations[evaluation].attacks["terms"]["measure"]["terms"]["teacher"].removeprefix("run:")
        run = grid.evaluations[evaluation].run
        assert grid.runs[teacher].spec["seed"] == grid.runs[run].spec["seed"]
        found[grid.runs[run].spec["seed"]] = teacher
    assert set(found) == {0, 1}


def test_the_run_of_a_second_phase_begins_with_what_the_run_of_the_first_has_left(grid, tmp_path, monkeypatch):
    """Three runs as the grid has them, an epoch each on digits: teacher, first phase, second phase."""
    facts = {"paper": "saliency", "item": "", "data": "cifar10", "model": "wrn32_10", "method": "phase2"}
    second = grid.run(facts, 1)
    begun, start = [], paper.Saliency.start

    def noted(self, run, split):
        memory = start(self, run, split)
        begun.append({k: w.clone() for k, w in memory["align"]["weights"].items()})
        return memory

    monkeypatch.setattr(paper.Saliency, "start", noted)
    names: dict[str, str] = {}  # a changed spec has another name, and those that read the run know it by that
    for run in grid.with_needs([second.id]):
        spec = json.loads(
            functools.reduce(lambda text, o: text.replace(*o), names.items(), json.dumps(grid.runs[run].spec))
        )
        spec["data"], spec["model"]["name"] = {"name": "digits", "augment": [], "validation": None}, "resnet_tiny"
        spec["recipe"]["epochs"], spec["snapshots"] = 1, []
        names[run] = name = f"{run.rpartition('-')[0]}-{digest(spec)}"
        experiment.train_run(name, spec, tmp_path / name, None, torch.device("cpu"))
    first = names[second.spec["init"]["network"].removeprefix("run:")]
    left, _ = io.read(tmp_path / first / "saliency.safetensors")
    left = {k.removeprefix("align."): w for k, w in left.items()}
    assert len(begun) == 2
    assert same(begun[1], left)
    assert not same(begun[0], left)
    kept, _ = io.read(tmp_path / names[second.id] / "saliency.safetensors")
    assert {k.partition(".")[0] for k in kept} == {"align", "curriculum"}


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_what_decays_is_as_in_the_code_of_each_method(grids, name):
    """IGAM's and Madry's code spare biases and BatchNorm; torch's optimiser, of TRADES, MART, AWP and FAT, does not."""
    grid, found = grids[name], {}
    for run in grid.items["saliency/table1"].all_runs:
        spec = grid.runs[run].spec
        found[run.split("-")[2]] = spec["recipe"]["decays"]
    everything = {method for method, decays in found.items() if decays == "all"}
    assert everything == {"trades", "mart", "awp", "fat"}
    assert {"at", "standard", "phase1", "phase2", "free"} <= set(found) - everything


def test_mart_has_its_authors_recipe_for_the_larger_network(grids):
    """YisenWang/MART: train_wideresnet.py, not train_resnet.py (120 epochs from 0.01, weight decay 0.0035, beta 5)."""
    grid = grids["paper"]
    (run,) = [r for r in grid.items["saliency/table1"].all_runs if "-mart-s0-" in r]
    spec = grid.runs[run].spec
    assert spec["model"]["name"].startswith("wrn34_10")
    assert spec["method"]["objective"] == {"mart": {"beta": 6}}
    recipe = spec["recipe"]
    assert (recipe["epochs"], recipe["weight_decay"], recipe["lr"]["steps"]["lr"]) == (90, 0.0007, 0.1)
    assert recipe["lr"]["steps"]["drops"] == [74, 89]


def test_figure_2_reads_a_snapshot_for_each_k(grid):
    item = grid.items["saliency/figure2"]
    row = next(cells for r, cells in zip(item.rows, item.cells, strict=True) if r.entry["gamma"] == 20)
    ids = [cell.evaluations[0] for cell in row]
    assert [i.rpartition("-after-")[2] for i in ids[1:]] == ["2", "4", "6", "8", "10"]
    assert "-phase1-" in ids[0]
    spec = grid.runs[row[-1].runs[0]].spec
    assert spec["snapshots"] == [2, 4, 6, 8, 10]
    fields = spec["method"]["objective"]["saliency"]
    assert fields["ks"] == [90, 80, 70, 60, 50]
    assert fields["epochs_each"] * 5 == spec["recipe"]["epochs"]
    objective = components.read(spec).method.objective
    assert [objective.k(e - 1) for e in spec["snapshots"]] == [90, 80, 70, 60, 50]


def test_gamma_of_the_series_keeps_its_proportions_at_demo(grid):
    found = set()
    for row, cells in zip(grid.items["saliency/figure5"].rows, grid.items["saliency/figure5"].cells, strict=True):
        if cells[0].runs:
            fields = grid.runs[cells[0].runs[0]].spec["method"]["objective"]["saliency"]
            found.add((row.entry["gamma"], fields["gamma"], fields["beta"]))
    assert found == {(g, 50 * g, 0.05) for g in (5, 10, 15, 20, 25)}


def test_fields_are_adjusted_wherever_they_stand():
    spec = {"a": {"gamma": 2, "layers": 5}, "extras": [{"a": {"gamma": 2}}], "b": {"gamma": "auto"}}
    expected = {"a": {"gamma": 20, "layers": 3}, "extras": [{"a": {"gamma": 20}}], "b": {"gamma": "auto"}}
    assert scales.set_fields(scales.scale_fields(spec, gamma=10), layers=3) == expected


def test_rows_that_are_only_cited_say_so_and_keep_the_papers_numbers(grid):
    item = grid.items["saliency/table1"]
    row = [r.label for r in item.rows].index("JARN-AT1[10]")
    assert {cell.missing for cell in item.cells[row]} == {"cited by the paper, not trained here"}
    assert item.cells[row][0].published.row == "Non-Iterative Methods | NO | JARN-AT1[10]"
    assert not any(cell.runs for cell in item.cells[row])


def test_alignment_is_of_networks_that_standardise_by_channel(grids):
    grid = grids["paper"]
    for run in grid.items["saliency/alignment"].all_runs:
        assert grid.runs[run].spec["model"]["standardise"] == "channel"
    others = {grid.runs[run].spec["model"]["standardise"] for run in grid.items["saliency/table7"].all_runs}
    assert others == {"image"}


# -- the report


def accuracies(*found):
    return [Value(values=(value,)) for value in found]


def test_robustness_that_vanishes_is_said_of_its_row():
    columns = Column("", "PGD-20", {"metric": "pgd20"}), Column("", "AA", {"metric": "aa"})
    doubt = {"doubt": [["pgd20", "aa"]]}
    item = Item("saliency", "none", "table", "", "", "demo", (), columns, (), options=doubt)
    theirs, ours = Row("", "x"), Row("", "x", ours=True)
    assert row_note(item, theirs, accuracies(40.0, 3.0)) == "its robustness vanishes: 40.0 % by PGD-20, 3.0 % by AA"
    assert row_note(item, theirs, accuracies(40.0, 30.0)) is None
    assert row_note(item, theirs, accuracies(22.0, 10.0)).startswith(
        "its robustness falls to half or less: 22.0 % by PGD-20"
    )
    assert row_note(item, theirs, accuracies(2.0, 0.0)) is None
    assert row_note(item, ours, accuracies(40.0, 3.0)).startswith("not in the paper: our own reference; its")


def test_a_table_of_losses_and_a_figure_of_pictures_from_files(grid, tmp_path):
    item = grid.items["saliency/figure6"]
    for number, evaluation in enumerate(item.evaluations):
        file = tmp_path / "runs" / f"{evaluation}.json"
        attacks = tmp_path / "runs" / evaluation.partition("/")[0] / "attacks"
        for folder in (file.parent, attacks):
            folder.mkdir(parents=True, exist_ok=True)
        names = ("image", "fgsm", "fgsm_delta", "pgd", "pgd_delta")
        pictures = {name: np.full((2, 4, 4, 3), 0.2 + number / 10) for name in names}
        np.savez(attacks / "maps.npz", rows=np.array(["ring", "disc"]), **pictures)
        file.write_text(json.dumps({"attacks": {}, "measures": {"maps": {"numbers": {}, "file": "attacks/maps.npz"}}}))
    for run in item.runs:
        about = record(grid.runs[run].spec, device="CPU", revision="x", date="2026-11-20")
        (tmp_path / "runs" / run / "metrics.json").write_text(json.dumps(about))
    filled = items.fill(item, tmp_path, CONFIG.parent / "published", CONFIG.parent / "replicated")
    assert list(filled.files) == ["FGSM (shapes10)", "PGD-20 (shapes10)"]
    assert list(filled.files["FGSM (shapes10)"]) == [
        "rows",
        "image",
        "A attacked",
        "A change",
        "B attacked",
        "B change",
    ]
    assert filled.files["PGD-20 (shapes10)"]["B change"].mean() == pytest.approx(0.3)
    write_figure(filled, tmp_path / "figure6")
    assert (tmp_path / "figure6.pdf").stat().st_size > 5000


def test_nothing_is_best_that_is_zero_by_definition(grids):
    """The alignment loss of the teacher with itself."""
    columns = {column.label: column.better for column in grids["demo"].items["saliency/table7"].columns}
    assert (columns["Alignment loss"], columns["CE loss"]) == (None, "low")


# -- the time


def test_a_time_is_the_sum_of_its_trainings(grid):
    item = grid.items["saliency/time"]
    rows = {row.label: row_cells for row, row_cells in zip(item.rows, item.cells, strict=True)}
    primitives = {key: {"step": 2.0} for key in item.timed}

    class Sources:
        def primitives(self, spec):
            return primitives[digest(spec)]

    def minutes(label, k=1):
        return composed.number(rows[label][k], Sources())

    at, first, both = minutes("AT (PGD-7), the teacher"), minutes("OURS, phase 1"), minutes("OURS, both phases")
    assert at == pytest.approx(205 * 50_000 / 128 * 2 / 60)
    assert both == pytest.approx(first * 175 / 100)
    assert minutes("OURS and its teacher") == pytest.approx(both + at)
    assert minutes("OURS and its teacher", 0) == pytest.approx((both + at) / (175 + 205))
    assert minutes("AT (PGD-7), the teacher", 0) == pytest.approx(at / 205)
    assert minutes("OURS, both phases", 2) == pytest.approx(100 * both / at)
    assert minutes("AT-Free, 8 replays") == pytest.approx(8 * 26 * 50_000 / 128 * 2 / 60)


@pytest.mark.parametrize("method", ["phase1", "phase2", "free"])
def test_the_steps_of_a_dual_role_are_measured(grid, method):
    facts = {"paper": "saliency", "item": "", "data": "cifar10", "model": "wrn32_10", "method": method}
    spec = grid.at_paper_scale().run(facts, 0).spec
    spec = {**spec, "model": {**spec["model"], "name": "resnet_tiny"}}
    shape = {"classes": 10, "channels": 3, "size": 32, "train": 100}
    bench = timing.Bench.of(spec, shape, torch.device("cpu"), 4, 1)
    seconds = bench.step()
    assert seconds["step"] > seconds["look"] > 0


def test_the_networks_of_a_measure_are_read_from_their_runs(tmp_path):
    net = save_teacher(tmp_path / "shapes-at-s0")
    _, _, measures = assess.suite_parts({"t": {"measure": {"terms": {"teacher": "run:shapes-at-s0"}}}}, tmp_path)
    assert measures["t"].teacher == tmp_path / "shapes-at-s0"
    assert io.load(measures["t"].teacher / "model.safetensors", torch.device("cpu"))[0]
    assert net.training


# -- the memory


def test_the_memory_of_a_pass_is_that_of_the_tensors_it_holds():
    """Eight layers whose outputs are kept until the backward pass, or two that are alive without one."""
    net = nn.Sequential(*(nn.Tanh() for _ in range(8)))
    one = 4 * 32 * 32 * 4  # bytes of an activation of one image

    def held(n, gradient):
        return most_bytes(lambda: net(torch.ones(n, 4, 32, 32, requires_grad=gradient)), torch.device("cpu"))

    assert held(16, True) == pytest.approx(16 * 9 * one, rel=0.01)
    assert held(16, False) == pytest.approx(16 * 3 * one, rel=0.34)


def test_a_step_with_two_jacobians_holds_more_than_one_of_adversarial_training(grid):
    spec_of, shape = grid.at_paper_scale().run, {"classes": 10, "channels": 3, "size": 32, "train": 100}
    facts = {"paper": "saliency", "item": "time", "data": "cifar10", "model": "wrn32_10"}
    found = {}
    for method in ("standard", "at", "phase1", "phase2"):
        spec = spec_of({**facts, "method": method}, 0).spec
        spec = {**spec, "model": {**spec["model"], "name": "resnet_tiny"}}
        found[method] = timing.Bench.of(spec, shape, torch.device("cpu"), 8, 1).memory()["memory"]
    assert found["standard"] <= found["at"] * 1.05
    assert found["at"] < found["phase1"] < found["phase2"]


def test_the_memory_of_a_row_is_that_of_its_largest_step(grid):
    item = grid.items["saliency/time"]
    assert all(entry.memory for entry in item.timed.values())
    assert not any(entry.memory for entry in grid.items["coreset/table2"].timed.values())
    rows = {row.label: row_cells for row, row_cells in zip(item.rows, item.cells, strict=True)}

    class Sources:
        def primitives(self, spec):
            fields = spec["method"]["objective"].get("saliency", {})
            return {"step": 1.0, "memory": 30.0 if "ks" in fields else 20.0 if fields else 10.0}

    assert composed.number(rows["OURS, phase 1"][3], Sources()) == 20.0
    assert composed.number(rows["OURS and its teacher"][3], Sources()) == 30.0
    assert composed.number(rows["OURS and its teacher"][4], Sources()) == 300.0


def test_every_number_that_maps_measures_is_shown_by_an_item(grids):
    shown = {c.metric for item in grids["demo"].items.values() for _, _, c in item.flat if item.paper == "saliency"}
    assert {f"maps.{name}" for name in Maps.number_names} <= shown


def test_the_students_of_both_teachers_are_those_of_figure_4(grids):
    """No further training: localisation has seeds that the students of teacher 1 do not have."""
    demo = grids["demo"].items
    assert set(demo["saliency/teachers"].runs) <= set(demo["saliency/figure4"].runs)
    assert not grids["paper"].items["saliency/teachers"].runs, "real photographs have no masks"
