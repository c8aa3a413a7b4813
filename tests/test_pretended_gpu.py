"""Every kind of training and of attack on a GPU: the CPU's bits, no operand on two devices, no wait that was not planned.

Kinds are those of the demo's own configuration, made smaller: few images, epochs and attack steps. Without a GPU it is
pretended (``pretended_gpu``). A real one runs the same; it rounds otherwise, so there only the shapes are compared.
"""

import json
import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from grids import grid_of
from pretended_gpu import TwoDevices, pretended

from leanat import data
from leanat.core import loop, nouns
from leanat.core.meter import Stopped
from leanat.core.nouns import Step
from leanat.core.rng import Draws
from leanat.data import augment, color_augment
from leanat.evaluation.evaluate import evaluate
from leanat.evaluation.gradient_masking import masking_report
from leanat.experiments import scales
from leanat.models import io
from leanat.plan import components
from leanat.plan.grid import UPSTREAM, named_runs
from leanat.runs import assess, experiment

REAL = torch.cuda.is_available()
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
PAPERS = "qtart", "saliency", "advprune", "sat", "coreset"
read = data.load
EACH = 2  # training images of a class


@cache
def demo():
    return grid_of()


@cache
def few(name, part):
    """Some images of each class of a set that comes with the package."""
    whole = read(name, part)
    which = torch.cat([(whole.labels == c).nonzero()[:EACH, 0] for c in range(whole.n_classes)])
    return whole.take(which.sort().values)


def small_load(name, part, data_dir=None, device="cpu", seed=0, augment=data.NONE):
    return replace(few(name, part).to(device), augment=augment if part == "train" else data.NONE, seed=seed)


def smaller(spec):
    """The same kind of run on ``few`` images: at most 4 epochs with all that has to happen in them, 2 attack steps."""
    of = demo().datasets[spec["data"]["name"]]
    spec = scales.shrink_epochs(spec, 0, 4)
    spec["method"]["selector"] = scales.shrink_counts(
        {"selector": spec["method"]["selector"]}, 1, EACH * of["classes"], of["train"]
    )["selector"]

    def change(value):
        if isinstance(value, dict):
            return {k: 2 if k in ("steps", "replays") and v.__class__ is int else change(v) for k, v in value.items()}
        return [change(v) for v in value] if isinstance(value, list) else value

    spec = change(spec)
    model = spec["model"]["name"]
    spec["model"]["name"] = model if model == "alexnet_small" else "resnet_tiny"
    spec["recipe"]["batch"] = 10
    if spec["data"].get("validation") is not None:
        spec["data"]["validation"] = 0.2
    return spec


def features(value, where=""):
    """What a kind is made of: components, and the words and switches among their fields."""
    if isinstance(value, dict):
        return {where + k for k in value}.union(*(features(v, f"{k}.") for k, v in value.items()))
    if isinstance(value, list):
        return set().union(*(features(v, where) for v in value))
    named = isinstance(value, str) and value.startswith(UPSTREAM)
    return {f"{where}{'run' if named else value}"} if isinstance(value, (str, bool)) or value is None else set()


def cover(kinds):
    """Few of the kinds {name: features} that have all features between them."""
    missing, found = set().union(*kinds.values()), []
    while missing:
        found.append(max(kinds, key=lambda name: len(kinds[name] & missing)))
        missing -= kinds[found[-1]]
    return found


@cache
def trainings():
    """{run: features}, a run of each kind."""
    found = {}
    for run in demo().runs.values():
        made_of = features({k: run.spec.get(k) for k in ("method", "early_stop", "init")})
        found.setdefault(frozenset(made_of), (run.id, made_of))
    return dict(found.values())


@cache
def paper_of():
    """{run: the first paper that asks for it}"""
    return {run: item.paper for item in reversed(demo().items.values()) for run in item.all_runs}


@cache
def attacks():
    """{(run, name of an attack): features}, an attack or measure of each kind."""
    found = {}
    for one in demo().evaluations.values():
        for name, entry in one.attacks.items():
            made_of = features({k: v for k, v in entry.items() if k not in ("label", "examples", "holdout")})
            found.setdefault(frozenset(made_of), ((one, name), made_of))
    return {(one.run, one.snapshot, name): one.attacks[name] for (one, name), _ in found.values()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(data, "load", small_load)
    monkeypatch.setattr("leanat.papers.saliency.method.data_of", small_load, raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextmanager
def gpu():
    """Inside, there is a GPU; yields what gives how often the host has waited for it so far."""
    with nullcontext() if REAL else pretended() as watch:
        if watch is not None:
            yield lambda: watch.waits.total()
            return
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield lambda: sum("synchronizing" in str(w.message) for w in said)
            finally:
                torch.cuda.set_sync_debug_mode("default")


def train(run, runs, device, suffix=""):
    """The smaller kind of a run of the demo; the runs that it names are trained on the CPU. Returns its folder."""
    spec = smaller(json.loads(json.dumps(demo().runs[run].spec)))
    text = json.dumps(spec)
    for other in set(named_runs(spec)):
        text = text.replace(UPSTREAM + other, UPSTREAM + train(other, runs, CPU).name)
    folder = runs / (run.replace("-s", "-few-") + suffix)
    experiment.train_run(folder.name, json.loads(text), folder, None, device)
    return folder


def left(folder):
    """All tensors and arrays that a run left."""
    found = {}
    for path in folder.iterdir():
        if path.suffix == ".safetensors":
            found |= {(path.name, k): v.numpy() for k, v in io.read(path)[0].items()}
        elif path.suffix == ".npz":
            with np.load(path) as file:
                found |= {(path.name, k): file[k] for k in file.files}
    return found


def check(expected, found, what):
    assert expected.keys() == found.keys(), what
    for key, value in expected.items():
        if REAL and key in ("said", "notes"):
            continue  # sentences, which are there or not as numbers round
        value, other = np.asarray(value), np.asarray(found[key])
        same = value.shape == other.shape if REAL else np.array_equal(value, other, equal_nan=value.dtype.kind == "f")
        assert same, (what, key)


def planned(method):
    """Host waits of a training step after the first."""
    attack = next(iter(method["attack"])) if isinstance(method["attack"], dict) else method["attack"]
    if attack == "fat":
        return method["attack"]["fat"]["steps"]  # which examples go on
    if attack == "perceptual":
        return 1  # which are right
    return int(method.get("budget") is not None)  # how many have steps left, iteration by iteration


def trained_alike(names, runs, monkeypatch):
    for run in names:
        on_cpu, waits = train(run, runs, CPU), []

        def counted(work, total):
            def with_count(*args, **options):
                before = total()
                result = work(*args, **options)
                waits.append(total() - before)  # noqa: B023
                return result

            return with_count

        with gpu() as total, monkeypatch.context() as patch:
            for name in ("make_step", "one_step"):
                patch.setattr(loop, name, counted(getattr(loop, name), total))
            on_gpu = train(run, runs, GPU, "-gpu")
        check(left(on_cpu), left(on_gpu), run)
        steps, most = waits[2:], planned(demo().runs[run].spec["method"] | smaller_method(run))
        assert steps, run
        assert max(steps) <= most if REAL else max(steps) == most, (run, steps)


def smaller_method(run):
    return smaller(json.loads(json.dumps(demo().runs[run].spec)))["method"]


@pytest.mark.parametrize("paper", PAPERS)
def test_training(paper, runs, monkeypatch):
    trained_alike([run for run in cover(trainings()) if paper_of()[run] == paper], runs, monkeypatch)


PARTS = 3  # of the kinds of a paper, seconds each


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("paper", PAPERS)
def test_training_of_every_kind(paper, part, runs, monkeypatch):
    kinds = [run for run in trainings() if paper_of()[run] == paper]
    trained_alike(kinds[part::PARTS], runs, monkeypatch)


def test_an_epoch_left_on_a_cpu_goes_on_on_a_gpu(runs):
    run = next(run for run in trainings() if paper_of()[run] == "qtart")
    spec, asked = smaller(json.loads(json.dumps(demo().runs[run].spec))), iter(range(100))
    whole, parts = runs / "whole", runs / "parts"
    experiment.train_run("whole", spec, whole, None, CPU)
    with pytest.raises(Stopped):
        experiment.train_run("parts", spec, parts, None, CPU, stop=lambda: next(asked) == 3)
    with gpu(), pytest.MonkeyPatch.context() as patch:
        seeds = []
        seed = torch.cuda.manual_seed
        patch.setattr(torch.cuda, "manual_seed", lambda value: seeds.append(value) or seed(value))
        experiment.train_run("parts", spec, parts, None, GPU)
        assert seeds, "that of the GPU's generator, of which the checkpoint has no state"
    check(left(whole), left(parts), "left and resumed")


def shorter(entry):
    if isinstance(entry, dict):
        few = {"steps": 2, "queries": 10, "limit": 10, "examples": None, "batch": 10, "filters": 4, "targets": 2}
        return {k: few[k] if k in few and type(v) is int else shorter(v) for k, v in entry.items()}
    return [shorter(v) for v in entry] if isinstance(entry, list) else entry


@pytest.mark.parametrize("paper", PAPERS)
def test_attacks_and_measures(paper, runs):
    for (run, snapshot, name), entry in attacks().items():
        if paper_of()[run] != paper:
            continue
        folder, text = train(run, runs, CPU), json.dumps(shorter(entry))
        for other in set(named_runs(entry)):
            text = text.replace(UPSTREAM + other, UPSTREAM + train(other, runs, CPU).name)
        entry = json.loads(text)
        file = folder / ("model.safetensors" if snapshot is None else sorted(folder.glob("model-*"))[0].name)
        on_cpu = attacked(file, runs, name, entry, CPU)
        with gpu():
            check(on_cpu, attacked(file, runs, name, entry, GPU), (run, name))


def attacked(file, runs, name, entry, device):
    net, about = io.load(file, device)
    made, alarms, measures = assess.suite_parts({name: entry}, runs)
    test = small_load(about["data"]["name"], "test", device=device)
    for attack in made.values():
        return vars(evaluate(net, test, attack, seed=0, batch=10, statistics=entry["statistics"]))
    for alarm in alarms.values():
        return {"said": masking_report(net, test, alarm.threat, seed=0, limit=alarm.limit, queries=alarm.queries)}
    (measure,) = measures.values()
    part = small_load(about["data"]["name"], measure.part, device=device)
    numbers, arrays = measure(net, part, 0)
    return {k: float("nan") if v is None else v for k, v in numbers.items()} | arrays


PIECES = {
    augment.Crop(2): 0,
    augment.Flip(): 0,
    augment.Cutout(4, (0.1, 0.2, 0.3)): 0,
    augment.Rotation(20.0): 0,
    augment.PixelNoise(0.1): 0,
    color_augment.ColorJitter(0.2, 0.2, 0.2): 0,
    color_augment.Lighting(0.1): 0,
    color_augment.AutoAugment(128): 2,  # which images get which kind of operation, twice
}


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: type(piece).__name__)
def test_augmentation(piece):
    x = few("shapes10", "train").images
    index = torch.arange(len(x))
    expected = piece(x, Draws(0, 1, index))
    with gpu() as total:
        x, index = x.to(GPU), index.to(GPU)
        piece(x, Draws(0, 0, index))  # puts its constants there
        before = total()
        found = piece(x, Draws(0, 1, index))
        assert total() - before == PIECES[piece]
        found = found.cpu()
    assert torch.allclose(found, expected, atol=1e-2) if REAL else torch.equal(found, expected)


ATTACKS = {
    "pgd": 0,
    "only_correct": 2,  # which are still right, a step each
    "mi_fgsm": 0,
    "di2_fgsm": 0,
    "fat": 2,
    "stadv": 0,
    "recoloradv": 0,
    "jpeg": 0,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_waits_of_attacks(name):
    threat = {"threat": {"linf": {"eps": 1e-4}}, "steps": 2, "step_size": 5e-5}
    kinds = {
        "pgd": {"pgd": threat | {"start": "uniform", "restarts": 2, "use_best": True}},
        "only_correct": {"pgd": threat | {"start": "uniform", "only_correct": True}},
        "mi_fgsm": {"mi_fgsm": threat | {"decay": 1.0}},
        "di2_fgsm": {
            "di2_fgsm": threat | {"decay": 0.0, "resize_rate": 0.9, "diversity_prob": 0.5, "random_start": False}
        },
        "fat": {"fat": threat | {"patience": 1}},
    }
    entry = kinds.get(
        name, {name: {"bound": 1e-3, "steps": 2} | ({"lattice": [4, 4, 4]} if name == "recoloradv" else {})}
    )
    attack = components.build(nouns.Attack, entry, name)
    with gpu() as total:
        test = small_load("shapes10", "test", device=GPU)
        net = io.build("resnet_tiny", "channel", io.describe(test), 0).to(GPU).eval()
        index = torch.arange(len(test), device=GPU)
        x, _ = test.batch(index, 0)
        y = net(x).argmax(1)
        step = Step(0, index, x, y, torch.ones(len(x), device=GPU), Draws(0, 0, index))
        attack(net, step)
        before = total()
        attack(net, step)
        assert total() - before == ATTACKS[name]


# -- what the pretended GPU refuses


def test_operands_on_two_devices_are_refused():
    with pretended(), pytest.raises(TwoDevices):
        torch.zeros(3, device="cuda") + torch.zeros(3)


def test_numpy_of_the_device_is_refused():
    with pretended(), pytest.raises(TypeError, match="cuda:0"):
        torch.zeros(3, device="cuda").numpy()


def test_waits_are_seen():
    with pretended() as watch:
        x = torch.arange(4.0).to("cuda")
        watch.waits.clear()
        for wait in (
            lambda: x[0].item(),
            lambda: x.tolist(),
            lambda: bool(x.sum()),
            lambda: x.cpu(),
            lambda: (x > 1).nonzero(),
            lambda: x[x > 1],
            lambda: torch.tensor([1.0], device="cuda"),
        ):
            before = watch.waits.total()
            wait()
            assert watch.waits.total() == before + 1


def test_an_index_left_on_the_cpu_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr("leanat.selection.basic.everyone", lambda data: torch.arange(len(data)))
    run = next(run for run in trainings() if paper_of()[run] == "qtart")
    with pretended(), pytest.raises((TwoDevices, TypeError)):
        train(run, tmp_path, GPU)
