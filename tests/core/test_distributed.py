"""One training on two processes: torchrun, gloo, CPU. The loss curve is that of one process."""

import csv
import itertools
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from pretended_gpu import pretended
from test_experiment import spec_of
from torch import distributed as dist
from torch import multiprocessing, nn
from toys import make_run, split, toy

from leanat.core import distributed, loop
from leanat.core.errors import ConfigError, Ended
from leanat.core.meter import Stopped
from leanat.models import io
from leanat.plan import components, jobs
from leanat.runs import checkpoint, experiment


def spec(**method):
    made = spec_of("sgd", epochs=3)
    made["model"]["name"] = "resnet_tiny_gn"
    pgd = {"threat": {"linf": {"eps": 0.1}}, "steps": 2, "step_size": 0.06, "start": "uniform"}
    made["method"] |= {"attack": {"pgd": pgd}} | method
    made["recipe"] |= {"batch": 67, "clip_value": 0.5}  # 600 = 8 x 67 + 64: parts of unequal size
    made["recipe"]["lr"] = {"cosine": {"lr": 0.05, "warmup_share": 0.3}}  # large rates amplify the rounding
    return made


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


SUBSET = {  # SAT: A is fixed at the start, the same in every process
    "extras": [{"sat": {"members": {"classes": {"classes": [1, 7]}}}}],
    "budget": "only_members",
    "selector": {"weighted": {"rule": "increasing"}},
}


METHODS = {
    "everything": {"selector": "everything"},
    "random": {"selector": {"every": {"period": 1, "warmup": 1, "inner": {"random": {"fraction": 0.5}}}}},
    "sat": SUBSET,
    "bullet": {"budget": {"bullet": {}}},  # the last one: it ends the command
}


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """One command that trains on two processes, since their start costs most: the folder of its runs, and how it ended."""
    folder = tmp_path_factory.mktemp("together")
    for name, method in METHODS.items():
        (folder / name).mkdir()
        (folder / name / "spec.json").write_text(json.dumps(spec(**method)))
    words = [sys.executable, "-m", "leanat.cli", "train", *(str(folder / name) for name in METHODS)]
    words += ["--results", str(folder), "--device", "cpu", "--processes", "2"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder, env=env, timeout=480)
    return folder / "runs", done


@pytest.mark.parametrize("name", ["everything", "random", "sat"])
def test_two_processes_have_the_loss_curve_of_one(tmp_path, together, name):
    one = experiment.train_run("a", spec(**METHODS[name]), tmp_path / "a", None, torch.device("cpu"))
    runs, done = together
    assert (runs / name / "metrics.json").is_file(), done.stdout + done.stderr
    two = json.loads((runs / name / "metrics.json").read_text())
    rows = zip(history(tmp_path / "a"), history(runs / name), strict=True)
    for a, b in rows:
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), abs=1e-5)
        assert a["kept"] == b["kept"]
    nets = [io.read(f / "model.safetensors")[0] for f in (tmp_path / "a", runs / name)]
    assert all(torch.allclose(nets[0][k], nets[1][k], atol=1e-4) for k in nets[0])
    assert one["examples"]["backward"] == two["examples"]["backward"], "of all processes together"


def test_what_remembers_examples_is_refused(together):
    _, done = together
    assert done.returncode == 1
    assert "bullet: does not train on several processes; leave out --processes" in done.stdout + done.stderr


class Dropping(nn.Module):
    """Keeps the first mask of each of its passes in training mode."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.drop, self.head, self.masks = nn.Dropout(0.5), nn.Linear(36, 3), []

    def forward(self, x):
        kept = self.drop(torch.ones(len(x), 36))
        if self.training:
            self.masks.append(kept[0].tolist())
        return self.head(x.flatten(1) * kept)


def dropping(rank, size, folder):
    """Trains whole, and stopped after three of five steps and resumed; leaves this process's histories, weights and masks."""
    torch.set_num_threads(1)
    found = {}
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    for name in ("whole", "stopped"):
        calls = itertools.count()
        run = make_run(Dropping(), epochs=2, batch=9)
        try:
            loop.train(run, split(toy(45)), stop=lambda name=name, calls=calls: name == "stopped" and next(calls) == 8)
        except Stopped:
            if rank == 0:
                checkpoint.save(folder / "resume.pt", run, "")
            if size > 1:
                dist.barrier()
            masks, run = run.net.masks, make_run(Dropping(), epochs=2, batch=9)
            assert checkpoint.load(folder / "resume.pt", run, "")
            run.net.masks = masks
            loop.train(run, split(toy(45)))
        rows = [{k: row[k] for k in ("loss", "forward", "backward")} for row in run.history]
        found[name] = {"rows": rows, "weights": run.net.head.weight.tolist(), "masks": run.net.masks}
    (folder / f"{rank}.json").write_text(json.dumps(found))
    if size > 1:
        dist.destroy_process_group()


@pytest.mark.parametrize("size", [1, 2])
def test_an_epoch_resumed_in_its_middle_counts_each_example_once(tmp_path, size):
    """And each process draws masks of its own, and goes on drawing where it was."""
    if size == 1:
        dropping(0, 1, tmp_path)
    else:
        multiprocessing.spawn(dropping, (size, tmp_path), size)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(size)]
    for of_process in found:
        assert of_process["whole"] == of_process["stopped"]
    assert [row["forward"] for row in found[0]["whole"]["rows"]] == [45, 45]
    if size == 2:
        assert all(a != b for a, b in zip(*(f["whole"]["masks"] for f in found), strict=True))


@pytest.mark.parametrize(
    ("fields", "budget", "wrong"),
    [
        ({"training_mode": True}, None, False),
        ({"only_correct": True}, None, False),
        ({"training_mode": True, "only_correct": True}, None, True),
        ({"training_mode": True}, "only_members", True),
    ],
)
def test_an_attack_that_would_wait_for_passes_that_never_come_is_refused(monkeypatch, fields, budget, wrong):
    chosen = spec(**(SUBSET if budget else {}))
    chosen["method"]["attack"]["pgd"] |= fields
    large = {"channels": 3, "size": 224}
    assert jobs.together(chosen, large) is not wrong
    assert components.read(chosen).method.uneven is wrong
    if wrong:
        monkeypatch.setattr(distributed, "size", lambda: 2)
        with pytest.raises(ValueError, match=r"training mode.*leave out --processes"):
            experiment.prepare(chosen, None, torch.device("cpu"))


def test_a_selection_in_training_mode_asks_no_other_process(monkeypatch):
    """SyncBatchNorm in training mode waits for all processes, of which only one selects."""
    plain, x = torch.nn.BatchNorm2d(3), torch.randn(4, 3, 5, 5)
    net = torch.nn.SyncBatchNorm.convert_sync_batchnorm(torch.nn.Sequential(torch.nn.BatchNorm2d(3)))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda group=None: 2)
    monkeypatch.setattr(torch.distributed, "group", SimpleNamespace(WORLD=None))
    with pytest.raises((ValueError, RuntimeError, AttributeError)):  # it begins to talk to the others
        net(x)
    with distributed.alone(net):
        assert torch.equal(net(x), plain(x))
    assert torch.equal(net[0].running_mean, plain.running_mean)
    with pytest.raises((ValueError, RuntimeError, AttributeError)):
        net(x)


def test_after_a_selection_all_have_the_statistics_of_the_one_that_selected(monkeypatch):
    sent, net = [], torch.nn.BatchNorm2d(3)
    monkeypatch.setattr(distributed, "size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 0)
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.dist, "broadcast_object_list", lambda found, device: None)
    monkeypatch.setattr(distributed.dist, "broadcast", lambda tensor, source: sent.append((tensor.shape, source)))

    def select():
        net(torch.randn(4, 3, 2, 2))
        return torch.arange(3), torch.ones(3)

    index, _ = distributed.broadcast_choice(select, net, torch.device("cpu"))
    assert index.tolist() == [0, 1, 2]
    assert sent == [(b.shape, 0) for b in net.buffers()]


@pytest.fixture
def second(monkeypatch):
    """This is the second of two processes; yields what it asks of torch: which backends, and to take leave."""
    asked = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda backend, timeout: asked.append(backend))
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: asked.append("leave"))
    return asked


@pytest.mark.parametrize(
    ("error", "leaves"),
    [(None, True), (SystemExit(75), True), (Ended(75), False), (torch.OutOfMemoryError("full"), False)],
    ids=lambda value: type(value).__name__,
)
def test_after_an_error_of_its_own_a_process_waits_for_no_other(second, error, leaves):
    """They are in the middle of a step, and NCCL takes leave only with all: the job would hang until PATIENCE is over."""

    def work():
        with distributed.joined(torch.device("cpu")) as device:
            assert device.type == "cpu"
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    assert second == ["gloo"] + ["leave"] * leaves


def test_each_process_has_the_gpu_of_its_number(second):
    with pretended(gpus=2), distributed.joined(torch.device("cuda")) as device:
        assert device == torch.device("cuda", 1)
    assert second == ["nccl", "leave"]


def test_a_process_without_a_gpu_says_so(second):
    said = "process 2 of this machine has no GPU: torch has 1 here"
    with pretended(gpus=1), pytest.raises(ConfigError, match=said), distributed.joined(torch.device("cuda")):
        pass
    assert second == []


class Statistics(nn.Module):
    """Notes whether its SyncBatchNorm talks to other processes."""

    def __init__(self, made):
        super().__init__()
        self.made, self.norm = made, nn.SyncBatchNorm(1)
        self.head = nn.Linear(1, 10)

    def forward(self, x):
        self.made.append("forward" not in vars(self.norm) and self.training)
        return self.head(x.mean((1, 2, 3))[:, None])


def test_early_stopping_asks_no_other_process(tmp_path, monkeypatch):
    """Its checks are made by process 0 alone; an attack in training mode would wait there for passes that never come."""
    made, pgd = [], {"threat": {"linf": {"eps": 0.1}}, "steps": 1, "step_size": 0.1, "start": "uniform"}
    chosen = spec_of("sgd", epochs=1)
    chosen["early_stop"] = {"checks": [1], "attack": {"pgd": pgd | {"training_mode": True}}, "share": 0.1}
    monkeypatch.setattr(experiment, "initial", lambda *words: Statistics(made))
    monkeypatch.setattr(experiment.loop, "train", lambda run, split, after_epoch, stop: after_one(run, after_epoch))

    def after_one(run, after_epoch):
        run.subset, run.epoch = loop.Subset(torch.arange(3), torch.ones(3)), 1
        run.history.append({"epoch": 1, "lr": 0.1, "loss": 1.0, "kept": 3, "forward": 0, "backward": 0, "seconds": 0.0})
        made.clear()
        after_epoch(run)
        assert made
        assert not any(made)

    experiment.train_run("a", chosen, tmp_path / "a", None, torch.device("cpu"))


def test_alone_nothing_is_done():
    value, net = torch.tensor([1.0, 2.0]), torch.nn.BatchNorm2d(2)
    assert distributed.all_reduce_sum(value) is value
    assert distributed.prepared(net) is net
    assert distributed.shard_slice(slice(3, 10)) == slice(3, 10)
    assert (distributed.rank(), distributed.size()) == (0, 1)


@pytest.mark.parametrize(("n", "size"), [(64, 4), (67, 4), (5, 4), (3, 2)])
def test_parts_cover_a_batch_once(monkeypatch, n, size):
    monkeypatch.setattr(distributed, "size", lambda: size)
    parts = []
    for rank in range(size):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(distributed.shard_slice(slice(100, 100 + n)))
    assert parts[0].start == 100
    assert parts[-1].stop == 100 + n
    assert all(a.stop == b.start for a, b in itertools.pairwise(parts))
    sizes = [p.stop - p.start for p in parts]
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("rank", [0, 1])
def test_processes_that_do_not_see_the_same_checkpoint_say_so(tmp_path, monkeypatch, rank):
    """On two machines without a folder in common one would begin anew, and in the end each would wait for the other."""
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    monkeypatch.setattr(distributed, "broadcast_from_rank0", lambda make, device: ({"spec": "of the other"},))
    monkeypatch.setattr(distributed, "all_gather", lambda here: [here, (2, 5)])
    said = "go on from epoch 0, step 0 and epoch 2, step 5; all of them have to see the same folder"
    with pytest.raises(ConfigError, match=said):
        experiment.train_run("a", spec(), tmp_path / "a", None, torch.device("cpu"))


def test_one_gpu_for_several_processes_is_refused(second):
    said = "device: cuda:1 is one GPU, and each process needs its own"
    with pretended(gpus=2), pytest.raises(ConfigError, match=said), distributed.joined(torch.device("cuda:1")):
        pass
    assert second == []
