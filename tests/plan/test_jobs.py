"""What jobs ask a cluster for: bounds that grow with the work, and a table of network costs that can be counted."""

from pathlib import Path

import pytest
import torch
from grids import grid_of
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from leanat.core.nouns import Hook
from leanat.models.names import BODIES
from leanat.plan import jobs, structure
from leanat.plan.components import SLOTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", jobs.GMACS)
def test_the_cost_of_a_network_is_what_torch_counts(name):
    size = 224 if name.endswith("_imagenet") else 32
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        BODIES[name](3, 1).eval()(torch.empty(1, 3, size, size))
    assert jobs.GMACS[name] == pytest.approx(counter.get_total_flops() / 2e9, rel=0.05)


def test_every_network_of_a_paper_has_a_cost():
    assert not [n for n in BODIES if n not in jobs.GMACS and not n.endswith(("_small", "_tiny", "_gn", "_78k"))]


def spec(steps=10, epochs=100, model="resnet18", precision="bf16", batch=128):
    attack = {"pgd": {"steps": steps, "restarts": 1}} if steps else "clean"
    recipe = {"epochs": epochs, "batch": batch, "precision": precision}
    return {"method": {"attack": attack, "objective": "cross_entropy"}, "recipe": recipe, "model": {"name": model}}


CIFAR = {"train": 50_000, "test": 10_000, "channels": 3, "size": 32}


def test_an_epoch_on_an_h100():
    """1.28 PFLOP of PGD-10 with ResNet-18; 8 to 10 s in bf16 are the least, an A100 by plain good code takes about 17."""
    seconds = 60 * jobs.train_minutes(spec(epochs=1), CIFAR)
    assert seconds == pytest.approx(1.28e15 / 2 / jobs.RATE["bf16"], rel=0.02)
    assert 10 < seconds < 3 * 8
    exact = 60 * jobs.train_minutes(spec(epochs=1, precision="fp32"), CIFAR)
    assert 1.28e15 / 67e12 < exact < 3 * 1.28e15 / 67e12  # 67 TFLOP/s without TF32 is what the card has at most


def test_minutes_are_examples_times_passes():
    passes = 50_000 * 100 * (2 * 10 + 3)
    assert jobs.train_minutes(spec(), CIFAR) == pytest.approx(passes * 0.56e9 / jobs.RATE["bf16"] / 60)
    assert jobs.train_minutes(spec(epochs=200), CIFAR) == pytest.approx(2 * jobs.train_minutes(spec(), CIFAR))
    larger = jobs.train_minutes(spec(model="resnet50_imagenet"), CIFAR | {"size": 224})
    assert larger == pytest.approx(jobs.train_minutes(spec(), CIFAR) * 4.09 / 0.56)


def test_small_networks_are_bound_by_launches():
    """However small: a step of PGD-10 has 23 passes of operators, each launched by Python."""
    steps = 50_000 * 100 / 32 * 23 * jobs.OTHERS * jobs.LAUNCH
    assert jobs.train_minutes(spec(model="resnet_tiny", batch=32), CIFAR) == pytest.approx(steps / 60)


VIEWS = {"view", "_unsafe_view", "t", "expand", "slice", "permute", "detach", "transpose", "select", "unsqueeze"}


class Operators(TorchDispatchMode):
    """Counts what would be launched: views launch nothing."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.overloadpacket.__name__ not in VIEWS
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", jobs.GMACS)
def test_the_operators_of_a_network_are_about_those_that_torch_runs(name):
    size = 224 if name.endswith("_imagenet") else 32
    with torch.device("meta"):
        net, images = BODIES[name](3, 1).eval(), torch.empty(1, 3, size, size)
    with torch.no_grad(), Operators() as found:
        net(images)
    assert 1 / 2 < jobs.OPERATORS.get(name, jobs.OTHERS) / found.count < 2


def test_early_stopping_pays_for_its_checks():
    """SAT's five checks of AutoAttack on a thousand images, in fp32: 50 million passes, beside 201 epochs of PGD-7."""
    stop = {"checks": [15, 50, 101, 151, 200], "share": 0.1, "attack": {"autoattack": {}}}
    more = jobs.train_minutes(spec() | {"early_stop": stop}, CIFAR) - jobs.train_minutes(spec(), CIFAR)
    assert more == pytest.approx(jobs.attack_minutes("resnet18", {"a": {"attack": {"autoattack": {}}}}, CIFAR) / 2)
    assert more == pytest.approx(5 * 1000 * jobs.AN_ATTACK["autoattack"] * 0.56e9 / jobs.RATE["fp32"] / 60)


def test_a_free_attack_costs_nothing_beside_the_step():
    free = spec()
    free["method"] |= {"attack": {"free": {"step_size": 0.03}}, "replays": 8}
    assert jobs.train_minutes(free, CIFAR) == pytest.approx(8 * jobs.train_minutes(spec(steps=0), CIFAR))


def test_what_looks_at_each_epoch_is_counted():
    pgd = {"pgd": {"steps": 5}}
    plain, seen = spec(), spec()
    seen["method"] |= {
        "extras": [{"groups": {"attack": pgd}}, {"watch": {"single": pgd, "strong": pgd, "examples": 500}}]
    }
    more = jobs.train_minutes(seen, CIFAR) - jobs.train_minutes(plain, CIFAR)
    assert more == pytest.approx(100 * (50_000 * 10 + 500 * 20) * 0.56e9 / jobs.RATE["bf16"] / 60)


def test_an_attack_on_some_examples_costs_as_many():
    whole = jobs.attack_minutes("resnet18", {"a": {"attack": {"autoattack": {}}, "examples": None}}, CIFAR)
    some = jobs.attack_minutes(
        "resnet18", {"a": {"attack": {"autoattack": {}}, "examples": 1000}, "m": {"masking": {}}}, CIFAR
    )
    assert some == pytest.approx(whole / 10)


@pytest.mark.parametrize(("parts", "asked"), [([], 10), ([5], 10), ([5.5], 20), ([100, 100], 210)])
def test_jobs_ask_for_tens_of_minutes(parts, asked):
    assert jobs.minutes(parts) == asked


def test_a_retry_gets_more_up_to_the_limit():
    asked = [jobs.growing(600, 1440)(None, attempt) for attempt in (1, 2, 3, 4)]
    assert asked == [600, 1200, 1440, 1440]
    assert jobs.growing(2000)(None, 3) == 6000


def test_demo_jobs_are_short_and_those_of_imagenet_are_not():
    for scale, short in (("demo", True), ("paper", False)):
        grid = grid_of(scale)
        minutes = [jobs.train_minutes(r.spec, grid.datasets[r.spec["data"]["name"]]) for r in grid.runs.values()]
        assert all(m < jobs.SHORT for m in minutes) == short
    assert [name for name, d in grid.datasets.items() if jobs.large(d)] == [
        "mini-imagenet", "imagenet", "imagenet12", "imagenet200", "flowers102", "caltech256",
    ]  # fmt: skip


def test_a_streamed_training_is_given_time_and_cores_to_decode():
    """A small network in fp32 waits for its files, 2 ms of a core each, not for its arithmetic."""
    grid = structure.load(ROOT / "config", {"scale": "paper", "papers": ["qtart"]})
    files = grid.datasets["mini-imagenet"]
    runs = [r for r in grid.runs.values() if r.spec["data"]["name"] == "mini-imagenet" and "mobilenet" in r.id]
    for run in runs:
        reading = files["train"] * run.spec["recipe"]["epochs"] * 2e-3 / 60  # core minutes
        assert jobs.train_minutes(run.spec, files) >= reading / jobs.allocation([files], 1)["cpus_per_task"]
    assert runs
    assert jobs.allocation([grid.datasets["cifar10"]], 1) == {}


def test_processes_that_train_together_are_on_one_machine_with_all_its_cores():
    """The executor asks for a task per GPU unless it is told not to, and starts the job in the first of them alone."""
    grid = structure.load(ROOT / "config", {"scale": "paper", "papers": ["qtart"]})
    found = jobs.allocation([grid.datasets["imagenet"]], 8)
    assert (found["nodes"], found["tasks_per_gpu"], found["cpus_per_task"]) == (1, 0, 8 * jobs.CPUS)


def test_runs_that_several_gpus_may_train():
    grid = grid_of("paper")
    found = {
        (r.spec["data"]["name"], *(name for extra in r.spec["method"].get("extras", ()) for name in extra))
        for r in grid.runs.values()
        if jobs.together(r.spec, grid.datasets[r.spec["data"]["name"]])
    }
    assert {("imagenet",), ("imagenet200",), ("imagenet200", "sat")} <= found  # SAT's subsets are fixed at the start
    assert not [f for f in found if f[1:] not in ((), ("sat",)) or not jobs.large(grid.datasets[f[0]])]


def test_every_hook_keeps_a_training_on_one_gpu_or_says_that_it_need_not():
    """One that is not known would be given several, and refused when the training begins."""
    hooks = {
        slot: {name for name, part in of.items() if isinstance(part, type) and issubclass(part, Hook)}
        for slot, (_, of) in SLOTS.items()
    }
    extras = hooks.pop(Hook)
    assert set().union(*hooks.values()) == jobs.REMEMBERING
    assert extras >= jobs.SHARED
