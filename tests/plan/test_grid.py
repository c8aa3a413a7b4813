"""Papers x scale -> runs and items: ids, sharing, scaling, and the papers' own numbers in the papers' config."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from grids import grid_of
from toys import Small, make_run, split, toy

from leanat.core.errors import ConfigError
from leanat.core.nouns import Selector, Split
from leanat.experiments.scales import SCALES
from leanat.papers.qtart.experiments import iterations_saved
from leanat.plan import components, structure
from leanat.plan.grid import AT_ADVERSARIAL, canonical, code, digest
from leanat.report import items, published
from leanat.selection.forgetting import ForgettingEvents

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
PAPERS = sorted(structure.all_papers())
ID = re.compile(r"[a-z0-9_]+-[a-z0-9_]+-[a-z0-9_]+-s\d+-[0-9a-f]{8}")


@pytest.fixture(scope="module")
def grids():
    return {scale: grid_of(scale) for scale in SCALES}


def test_ids_are_readable_unique_and_those_of_their_specs(grids):
    seen = {}
    for grid in grids.values():
        for name, run in grid.runs.items():
            assert ID.fullmatch(name)
            assert name.endswith(digest(run.spec))
            assert seen.setdefault(name, canonical(run.spec)) == canonical(run.spec)


def test_only_runs_that_a_correction_reaches_have_another_code(grids):
    """Version 4 corrects selections at adversarial examples of an attack in training mode; all others keep what is computed."""
    coresets = {"fat_craig", "fat_gradmatch", "linf_craig", "linf_gradmatch", "l2_gradmatch", "few_craig"}
    older = {"fat", "fat_random", "linf", "trades_gradmatch", "linf_gradmatch_train_mode", "linf_gradmatch_clean"}
    seen = set()
    for grid in grids.values():
        for name, run in grid.runs.items():
            method = re.sub(r"-s\d+-\w+$", "", name).rpartition("-")[2]
            seen.add(method)
            assert run.spec["code"] == 4 or method not in coresets
            assert run.spec["code"] == 3 or method not in older
    assert seen >= coresets | older
    own = {"every": {"period": 20, "inner": {"from_file": {"source": "mine.py:Mine", "fraction": 0.1}}}}
    assert code({"method": {"selector": own}}) == 5  # a rule of the user's
    elsewhere = [item for name, item in grids["demo"].items.items() if not name.startswith("coreset/")]
    assert {grids["demo"].runs[run].spec["code"] for item in elsewhere for run in item.runs} == {3}


def rule(name, **fields):
    return {"every": {"period": 1, "warmup": 0, "inner": {name: {"fraction": 0.3} | fields}}}


def attack(training_mode):
    return {"pgd": {"threat": {"linf": {"eps": 0.1}}, "training_mode": training_mode}}


FIRST_THEN = {"before": {"once": {"tau": 0, "inner": rule("craig")["every"]["inner"]}}}
CODES = {
    "attack in evaluation mode": (attack(False), rule("el2n"), 3),
    "attack of a wrapper": ({"perceptual": {"attack": attack(True)}}, rule("craig"), 4),
    "loss at adversarial examples": (attack(True), rule("by_loss", keep="highest"), 4),
    "glister's own attack": (attack(False), rule("glister", validation_attack=attack(True)), 4),
    "both attacks": (attack(True), rule("glister", validation_attack=attack(True)), 4),
    "validation examples spared": ({"fast_lpa": {"only_correct": True}}, rule("glister", validation_attack=None), 4),
    "training examples spared": ({"fast_lpa": {"only_correct": True}}, rule("craig"), 3),
    "unattacked": (attack(True), rule("glister", adversarial=False, validation_attack=attack(True)), 3),
    "gradients in training mode": (attack(True), rule("grad_match", training_mode=True), 3),
    "one of two rules": (attack(True), {"every": rule("grad_match", adversarial=False)["every"] | FIRST_THEN}, 4),
}


@pytest.mark.parametrize("case", CODES)
def test_a_correction_reaches_every_selection_whose_attack_is_in_training_mode(case):
    attacked, selector, version = CODES[case]
    assert code({"method": {"attack": attacked, "selector": selector}}) == version


@pytest.mark.parametrize("training_mode", [False, True])
def test_a_correction_reaches_every_extra_whose_attack_is_in_training_mode(training_mode):
    method = {
        "attack": attack(True),
        "selector": "everything",
        "extras": [{"groups": {"attack": attack(training_mode)}}],
    }
    assert code({"method": method}) == 3 + training_mode


def test_every_rule_that_asks_for_adversarial_examples_is_among_those_that_a_correction_may_reach():
    known, asking = {"fraction": 0.5, "granularity": "example", "eta": 0.1, "keep": "highest"}, set()
    for name, kind in components.SLOTS[Selector][1].items():
        fields = {f.name: f for f in dataclasses.fields(kind)}
        if any(f.default is f.default_factory is dataclasses.MISSING for at, f in fields.items() if at not in known):
            continue  # another rule is inside it, or its score is by itself
        asked = []
        run = make_run(Small(), attack=lambda net, step, asked=asked: asked.append(step) or step.x)
        run.memory["forgetting"] = ForgettingEvents().start(run, split(toy()))
        kind(**{at: known[at] for at in fields.keys() & known})(run, Split(toy(), toy(9)))
        asking |= {name} if asked else set()
    assert asking == AT_ADVERSARIAL


def test_the_same_configuration_gives_the_same_ids_in_another_process(grids):
    code = (
        "import sys, pathlib; from leanat.plan import structure; "
        f"print(*structure.load(pathlib.Path({str(CONFIG)!r})).runs, sep='\\n')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": "7"})
    assert out.stdout.split() == list(grid_of().runs)


def test_scales_never_share_a_folder_with_other_settings(grids):
    assert not set(grids["demo"].runs) & set(grids["paper"].runs)


@pytest.mark.parametrize("scale", SCALES)
def test_every_cell_has_runs_or_a_reason(grids, scale):
    for item in grids[scale].items.values():
        for row in item.cells:
            for cell in row:
                assert any(getattr(cell, k) for k in ("runs", "missing", "computed", "timed")), item.item


@pytest.mark.parametrize("scale", SCALES)
def test_every_published_cell_exists(grids, scale):
    for item in grids[scale].items.values():
        for row in item.cells:
            for cell in row:
                if cell.published:
                    where = cell.published
                    published.lookup(item.paper, where.item, where.row, where.column, ROOT / "published")


def test_no_row_or_column_is_named_by_the_short_name_of_data_or_a_network(grids):
    grid = grids["paper"]
    lines = [line for item in grid.items.values() for line in (*item.rows, *item.columns)]
    short = {*grid.datasets, *(line.entry["model"] for line in lines if "model" in line.entry)}
    assert not [line.name for line in lines if short & set(line.name.split(" | "))]


@pytest.mark.parametrize("scale", SCALES)
def test_shards_hold_every_run_once_and_never_one_with_what_it_reads(grids, scale):
    grid = grids[scale]
    ids = [run for shard in grid.shards() for run in shard]
    assert sorted(ids) == sorted(grid.runs)
    for shard in grid.shards():
        assert len(shard) <= grid.scale.shard
        assert not {n for run in shard for n in grid.runs[run].needs} & set(shard)
    evaluated = [e for shard in grid.evaluation_shards() for e in shard]
    assert sorted(evaluated) == sorted(grid.evaluations)


def test_a_paper_costs_little_at_demo(grids):
    """25 minutes on two cores: so many passes of an example, forward and backward, through a small network at most."""
    grid = grids["demo"]

    def passes(spec):
        attack = spec["method"]["attack"]
        steps = 0 if isinstance(attack, str) else next(iter(attack.values())).get("steps") or 0
        examples = grid.datasets[spec["data"]["name"]]["train"]
        return examples * spec["recipe"]["epochs"] * spec["method"].get("replays", 1) * (1 + steps)

    for paper in PAPERS:
        runs = {r for item in grid.items.values() if item.paper == paper for r in item.all_runs}
        assert sum(passes(grid.runs[run].spec) for run in runs) <= 42e6, paper


def test_epochs_and_counts_shrink_in_proportion():
    paper, demo = (grid_of(s) for s in ("paper", "demo"))
    facts = {"paper": "qtart", "item": "table1", "data": "cifar10", "model": "vgg16", "method": "qtart"}
    whole, small = paper.run(facts, 0).spec, demo.run(facts, 0).spec
    once = whole["method"]["selector"]["once"]
    assert (whole["recipe"]["epochs"], once["tau"], once["inner"]["instability"]["gamma"]) == (300, 50, 125)
    once = small["method"]["selector"]["once"]
    assert small["recipe"]["epochs"] == 15
    assert once["tau"] == 2 * round(50 * 15 / 300)  # twice the proportion, past the warm-up
    assert once["inner"]["instability"]["gamma"] == round(20 * 125 / 50000 * 600)
    assert small["data"]["name"] == "digits"
    assert small["model"]["name"] == "vgg16_small"


def test_radii_scale_with_their_steps():
    from leanat.experiments.scales import shrink_radii

    pgd = {"pgd": {"threat": {"linf": {"eps": 8 / 255}}, "steps": 10, "step_size": 2 / 255}}
    found = shrink_radii({"attack": pgd}, {"linf": 5.0, "l2": 2.0})["attack"]["pgd"]
    assert found == {"threat": {"linf": {"eps": 40 / 255}}, "steps": 10, "step_size": pytest.approx(10 / 255)}
    assert shrink_radii({"attack": pgd}, {}) == {"attack": pgd}


def pgd_inside(value):
    """Every PGD of a method, that of a validation part included."""
    for key, part in value.items() if isinstance(value, dict) else ():
        if key == "pgd":
            yield part
        yield from pgd_inside(part)


@pytest.mark.parametrize("scale", SCALES)
def test_an_attack_of_training_can_reach_its_radius(grids, scale):
    """Of the best of all iterates the last is never looked at. The authors' l_inf configuration of SAT reaches 0.9 of it."""
    for run in grids[scale].runs.values():
        for attack in pgd_inside(run.spec["method"]):
            steps = attack["steps"] - attack.get("use_best", False)
            assert steps * attack["step_size"] >= 0.899 * next(iter(attack["threat"].values()))["eps"], run.id


def test_glister_attacks_its_validation_part_as_long_as_training_does(grids):
    for grid in grids.values():
        for run in grid.runs.values():
            found = [attack["steps"] for attack in pgd_inside(run.spec["method"])]
            if "trades_glister" in run.id:
                assert len(set(found)) == 1, run.id


def test_table_9_of_qtart_follows_from_the_configuration(grids):
    item = grids["paper"].items["qtart/table9"]
    filled = items.fill(item, ROOT / "results", ROOT / "published", ROOT / "replicated")
    cells = [c for row in filled.cells for c in row]
    assert [c.values for c in cells if c.published is not None] == [
        (c.published,) for c in cells if c.published is not None
    ]
    assert sum(c.published is not None for c in cells) == 9
    assert iterations_saved(gamma=5, tau=50, epochs=300, batch=128) == 9.76


COLUMN = {"VGG16": "vgg16", "Mob": "mobilenet", "Dense": "densenet", "R50": "resnet50"}
DATA = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "STL-10": "stl10", "miniImagenet": "mini-imagenet"}


def drops(schedule):
    """Of a schedule in the spec: as Tables 4 and 5 print it."""
    return ",".join(map(str, schedule["steps"]["drops"])) if "steps" in schedule else "cosine"


@pytest.mark.parametrize("table", ["table4", "table5"])
def test_qtarts_tables_4_and_5_are_what_the_configuration_has(grids, table):
    """Epochs, batch, learning rate, drops, weight decay, multiplier, 'Mtm.' of every network and data set."""
    checked = 0
    for number in published.load("qtart", table, ROOT / "published"):
        data, _, key = number.row.partition(" | ")
        facts = {
            "paper": "qtart",
            "item": "table1",
            "data": DATA[data],
            "model": COLUMN[number.column],
            "method": "sgd",
        }
        recipe = grids["paper"].run(facts, 0).spec["recipe"]
        kind, schedule = next(iter(recipe["lr"].items()))
        ours = {
            "Epochs": recipe["epochs"],
            "Batch": recipe["batch"],
            "Lr": schedule["lr"],
            "Decay": recipe["weight_decay"],
            "Mult.": schedule.get("factor"),
        }
        if kind == "cosine" and key in ("Sched.", "Mult."):
            continue  # the table contradicts its caption; the configuration says so
        if key in ours:
            assert ours[key] == number.value, (number.row, number.column)
        elif key == "Mtm.":
            assert str(recipe["nesterov"]) == number.text
        elif key == "Sched.":
            assert drops(recipe["lr"]) == number.text.replace(" ", "")
        else:
            assert (key, number.text) == ("Opt.", "SGD")
        checked += 1
    assert checked >= 62


def test_qtarts_tables_6_and_7_are_what_the_configuration_has(grids):
    rule = {"EXP3": "exp3", "UCB": "ucb", "TS": "thompson"}
    for table in ("table6", "table7"):
        for number in published.load("qtart", table, ROOT / "published"):
            data, _, key = number.row.partition(" | ")
            if data not in DATA or number.column not in COLUMN:
                continue
            facts = {"paper": "qtart", "item": "table1", "data": DATA[data], "model": COLUMN[number.column]}
            spec = grids["paper"].run(facts | {"method": "dihcl"}, 0).spec
            bandit = spec["method"]["selector"]["bandit"]
            ours = {
                "Epochs": str(spec["recipe"]["epochs"]),
                "Bandit Alg.": next(k for k, v in rule.items() if v == bandit["rule"]),
                "Mean Teacher": str(any("teacher" in e for e in spec["method"]["extras"])),
                "Loss Fb.": str(bandit["feedback"] == "loss"),
                "Batch Size": str(spec["recipe"]["batch"]),
            }
            assert ours[key] == number.text, (number.row, number.column)


def test_qtarts_gamma_and_smoothing_are_what_the_configuration_has(grids):
    """Appendix B.2, as the published hyper-parameters have it."""
    names = {"MobileNet": "mobilenet", "DenseNet": "densenet", "VGG16": "vgg16", "ResNet50": "resnet50"}
    data = DATA | {"ILSVRC2012": "imagenet"}
    found = 0
    for number in published.load("qtart", "hyper", ROOT / "published"):
        table, *rest = number.row.split(" | ")
        if table != "Table 1" or len(rest) != 2:
            continue
        facts = {"paper": "qtart", "item": "table1", "data": data[rest[0]], "model": names[rest[1]], "method": "qtart"}
        spec = grids["paper"].run(facts, 0).spec["method"]
        ours = {
            "γ": spec["selector"]["once"]["inner"]["instability"]["gamma"],
            "ε (label smoothing)": spec["objective"]["cross_entropy"]["smoothing"],
        }
        assert ours[number.column] == number.value, number
        found += 1
    assert found == 34


def test_qtarts_table_8_is_what_the_configuration_has(grids):
    method = {"[6]": "fgsm_rs", "[7]": "free"}
    checked = 0
    for number in published.load("qtart", "table8", ROOT / "published"):
        row, _, key = number.row.partition(" | ")
        facts = {"paper": "qtart", "item": "", "data": "cifar10", "model": COLUMN[number.column], "method": method[row]}
        spec = grids["paper"].run(facts, 0).spec
        name, attack = next(iter(spec["method"]["attack"].items()))
        ours = {
            "Epochs": spec["recipe"]["epochs"],
            "Batch": spec["recipe"]["batch"],
            "LR min": spec["recipe"]["lr"]["triangle"]["lr_min"],
            "LR max": spec["recipe"]["lr"]["triangle"]["lr_max"],
            "Decay": spec["recipe"]["weight_decay"],
            "epsilon": 255 * attack["threat"]["linf"]["eps"],
            "alpha": 255 * attack["step_size"],
        }
        words = {"Sched.": "Cyclic", "Opt.r": "SGD", "Mtm.": str(spec["recipe"]["nesterov"]), "delta-init": "Random"}
        if key in ours:
            assert ours[key] == pytest.approx(number.value), (number.row, number.column)
        else:
            assert words[key] == number.text
        assert attack.get("start", "uniform") == "uniform"
        assert name in ("pgd", "free")
        checked += 1
    assert checked == 80


def test_qtarts_adversarial_gamma_smoothing_filters_and_attacks_are_what_the_configuration_has(grids):
    names = {"MobileNet": "mobilenet", "DenseNet": "densenet", "VGG16": "vgg16", "ResNet50": "resnet50"}
    suite = grids["paper"].suite({"paper": "qtart", "data": "cifar10", "model": "", "method": "", "item": ""}, "main")
    attacks = {
        "MIFGSM": "mifgsm",
        "FFGSM": "ffgsm",
        "DI2FGSM": "di2fgsm",
        "APGD": "apgd_ce",
        "CWLoss": "cw",
        "PGD20": "pgd20",
    }
    key = {"α": "step_size", "iterations": "steps", "step size": "step_size"}
    fields = {"resize rate": "resize_rate", "diversity prob": "diversity_prob", "random state": "random_start"} | key
    checked = 0
    for number in published.load("qtart", "hyper", ROOT / "published"):
        table, *rest = number.row.split(" | ")
        text = number.text.rstrip(".")
        if table.startswith("Q-TART + ") and len(rest) == 2:
            method = {"[6]": "qtart_fgsm_rs", "[7]": "qtart_free"}[table.removeprefix("Q-TART + ")]
            facts = {"paper": "qtart", "item": "", "data": "cifar10", "model": names[rest[1]], "method": method}
            spec = grids["paper"].run(facts, 0).spec["method"]
            ours = {
                "γ": spec["selector"]["once"]["inner"]["instability"]["gamma"],
                "ε (label smoothing)": spec["objective"]["cross_entropy"]["smoothing"],
            }
            assert ours[number.column] == number.value, number
        elif table == "Table 2 (ablation)" and number.column.startswith("number of filters"):
            facts = {"paper": "qtart", "item": "", "data": "cifar10", "model": names[rest[0]], "method": "qtart"}
            once = grids["paper"].run(facts, 0).spec["method"]["selector"]["once"]
            assert once["inner"]["instability"]["filters"] == number.value
        elif table == "Adversarial attacks" and number.column not in ("category", "rand init"):
            attack = next(iter(suite[attacks[rest[0]]]["attack"].values()))
            name = fields.get(number.column, number.column)
            ours = attack["threat"]["linf"]["eps"] if name == "ε" else attack[name]
            if text in ("True", "False"):
                assert str(ours) == text
            else:
                top, _, bottom = text.partition("/")
                assert ours == pytest.approx(float(top) / float(bottom or 1)), number
        else:
            continue
        checked += 1
    assert checked >= 16 + 4 + 19


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("scale: demo", "scale: dmeo", "did you mean demo?"),
        ("scale: demo", "scael: demo", "unknown key 'scael'; did you mean scale?"),
        ("seeds: null", "seeds: 0", "seeds: 0 is not allowed; at least 1"),
        ("seeds: null", "seeds: three", "seeds: 'three' is not allowed; expected int or null"),
        ("device: auto", "device: gpu", "device: 'gpu' is not allowed"),
    ],
)
def test_a_wrong_setting_is_said_with_file_key_and_what_is_allowed(tmp_path, old, new, said):
    shutil.copytree(CONFIG, tmp_path / "config")
    path = tmp_path / "config/config.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1).replace("gpus: 1", "gpus: 0"))
    with pytest.raises(ConfigError) as error:
        structure.load(tmp_path / "config")
    assert said in str(error.value)
    assert f"{path}: gpus: 0 is not allowed" in str(error.value), "all problems at once"


def test_a_change_of_the_user_is_another_run_and_stands_in_the_foot():
    change = {"qtart": {"sgd": {"recipe.lr.lr": 0.05}}}
    usual, changed = (structure.load(CONFIG, {"papers": ["qtart"], "change": c}) for c in ({}, change))
    one, other = (grid.items["qtart/table1"] for grid in (usual, changed))
    moved = {run.split("-")[2] for run in set(one.runs) ^ set(other.runs)}
    assert moved == {"sgd"}
    assert {r.spec["recipe"]["lr"]["cosine"]["lr"] for n, r in changed.runs.items() if "-sgd-" in n} == {0.05}
    assert "changed by the user, sgd: recipe.lr.lr = 0.05" in other.factors
    assert not [line for line in one.factors if "changed" in line]
    assert not [line for line in changed.items["qtart/figure5"].factors if "changed" in line]


def test_a_change_of_what_only_another_paper_has_is_refused_with_what_may_be_changed():
    change = {"qtart": {"all": {"method.objective.beta": 2}}}
    with pytest.raises(ConfigError, match="no run has") as said:
        structure.load(CONFIG, {"papers": ["qtart", "advprune"], "change": change})
    allowed = str(said.value).partition("allowed: ")[2].split(", ")
    assert "method.objective.smoothing" in allowed
    assert not {*structure.FIXED} & {*allowed}


def test_a_change_that_another_one_replaces_stands_in_no_foot():
    change = {"qtart": {"all": {"recipe.momentum": 0.7}, "sgd": {"recipe.momentum": 0.6}}}
    grid = structure.load(CONFIG, {"papers": ["qtart"], "change": change})
    for name, run in grid.runs.items():
        momentum = 0.6 if "-sgd-" in name else 0.7
        assert run.spec["recipe"]["momentum"] == momentum
        assert [value for *_, field, value in run.changes if field == "recipe.momentum"] == [str(momentum)], name


def test_a_change_stands_in_the_feet_of_what_reads_the_changed_run_and_of_what_is_timed():
    change = {"saliency": {"at": {"recipe.momentum": 0.8}}, "qtart": {"qtart": {"model.standardise": "image"}}}
    grid = structure.load(CONFIG, {"papers": ["saliency", "qtart"], "change": change})
    line = "changed by the user, at: recipe.momentum = 0.8"
    for item in grid.items.values():
        if not item.timed:
            assert (line in item.factors) == any("-at-s" in run for run in item.all_runs), item.item
    assert not any("-at-s" in run for run in grid.items["saliency/figure5"].runs), "read by its runs, not shown"
    assert line in grid.items["saliency/figure5"].factors
    timed = grid.items["qtart/table3"]
    assert timed.runs == ()
    assert timed.factors == ('changed by the user, qtart: model.standardise = "image"',)


@pytest.mark.parametrize("snapshots", [[1], [], "x", None], ids=repr)
def test_snapshots_that_are_too_few_for_an_item_are_one_line(snapshots):
    change = {"qtart": {"all": {"snapshots": snapshots}}}
    with pytest.raises(
        ConfigError, match=r"^[^\n]*: snapshots: [^\n]*; allowed: epochs, \d of them, for suite 'planted'$"
    ):
        structure.load(CONFIG, {"papers": ["qtart"], "change": change})


def test_a_scale_of_a_paper_may_have_networks_of_its_own(monkeypatch):
    own = structure.all_papers(["qtart"])["qtart"].scales["demo"]
    monkeypatch.setattr(type(own), "models", {"vgg16": "resnet_tiny"})
    grid = structure.load(CONFIG, {"papers": ["qtart"]})
    assert grid.items["qtart/decomposition"].runs
    assert {grid.runs[r].spec["model"]["name"] for r in grid.items["qtart/decomposition"].runs} == {"resnet_tiny"}


def test_every_assumption_has_a_reason_and_reaches_an_item(grids):
    said = json.dumps([item.assumptions for item in grids["paper"].items.values()])
    assert "Nesterov" in said


@pytest.mark.parametrize(
    ("paper", "data", "model"), [("sat", "cifar10", "preact_resnet18"), ("saliency", "cifar10", "wrn32_10")]
)
def test_every_method_of_a_paper_without_items_resolves(grids, paper, data, model):
    """Its settings are complete, though no table asks for them yet."""
    from leanat.plan import components

    grid = grids["paper"]
    for method in grid.papers[paper].methods:
        facts = {"paper": paper, "item": "", "data": data, "model": model, "method": method}
        facts |= {"share": 50, "attacked": 3}
        if method.endswith("_linf") and paper == "sat":  # of ImageNet-200 alone
            facts |= {"data": "imagenet200", "model": "resnet50"}
        if method == "transfer_linf":
            continue
        settings = {"beta": 6.0} if method == "csat_trades" else None
        components.read(grid.run(facts, 0, settings).spec)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("paper", PAPERS)
def test_every_suite_can_be_built(grids, scale, paper):
    from leanat.runs import assess

    facts = {"paper": paper, "item": "", "data": "cifar10", "model": "resnet18", "method": ""}
    for suite in grids[scale].papers[paper].suites:
        assert any(assess.suite_parts(grids[scale].suite(facts, suite)))
