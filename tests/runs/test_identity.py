"""A number belongs to the network, the data and the spec that made it, whatever its files are called."""

import copy
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from grids import grid_of
from test_experiment import same, spec_of, weights
from torch import nn
from toys import Small, toy

from leanat import cli, data
from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core.errors import ConfigError
from leanat.core.files import write_json
from leanat.evaluation import outcome
from leanat.evaluation.evaluate import evaluate, transfer
from leanat.models import io
from leanat.plan.grid import Evaluation, digest
from leanat.runs import assess, attacking, experiment, identity, transferred

CPU = torch.device("cpu")
FGSM = {"pgd": {"threat": {"linf": {"eps": 0.1}}, "steps": 1, "step_size": 0.1, "start": "none"}}
ENTRY = {"attack": FGSM, "examples": 50, "statistics": "running", "holdout": None, "label": None}


def net_of(seed, n_classes=10, channels=1):
    about = io.describe(data.load("digits", "test")) | {"n_classes": n_classes, "channels": channels}
    return io.build("resnet_tiny", "channel", about | {"mean": [0.3] * channels, "std": [0.4] * channels}, seed)


def save(path, net, name="digits", **other):
    about = io.describe(data.load(name, "test")) | other
    io.save(path, net, {"model": {"name": "resnet_tiny", "standardise": "channel"}, "data": about})


@cache
def grid():
    return grid_of()


@cache
def of_sgd():
    return spec_of("sgd", epochs=1)


def sgd(epochs=1, seed=0):
    spec = copy.deepcopy(of_sgd()) | {"seed": seed}
    spec["recipe"]["epochs"] = epochs
    return spec


def options(results, **more):
    usual = dict.fromkeys(["network", "data", "out", "size", "examples", "mean", "std"])
    usual |= {"data_dir": "", "device": "cpu", "precision": "fp32"}
    return SimpleNamespace(**usual | {"results": results} | more)


def attack(path, results, **more):
    """What ``leanat attack --model`` does, without the start of a process; returns its summary."""
    attacking.attack_file(grid(), "saliency", "curriculum", options(results, model=path, **more))
    made = path.parent / f"{path.stem}-attacks" / "saliency-curriculum.json"
    return json.loads(made.read_text(), parse_constant=pytest.fail)


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# -- hashes


def test_a_network_is_what_it_computes_not_where_it_lies():
    net = net_of(0)
    first = identity.of_network(net)
    assert identity.of_network(net.train().to(memory_format=torch.channels_last)) == first
    assert identity.of_network(net_of(1)) != first
    with torch.no_grad():
        next(b for n, b in net.named_buffers() if "running_var" in n).mul_(1.001)
    assert identity.of_network(net) != first, "statistics of BatchNorm count"
    a, b = nn.Sequential(nn.Flatten(), nn.LeakyReLU(0.1)), nn.Sequential(nn.Flatten(), nn.LeakyReLU(0.2))
    assert identity.of_network(a) != identity.of_network(b), "settings that are no weights count"


SIGNED = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(64, 10)
        {attribute}

    def forward(self, x):
        {first}
        return {sign} * self.linear(x.flatten(1))

def net():
    return Net()
"""
HOOKED = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    linear = nn.Linear(64, 10)
    linear.register_forward_hook(lambda module, x, z: {sign} * z)
    return nn.Sequential(nn.Flatten(), linear)
"""
READ = "(Path(__file__).parent / 'sign.txt').read_text()"


def signed(sign="1", attribute="pass", first="pass", before=""):
    return before + SIGNED.format(sign=sign, attribute=attribute, first=first)


@pytest.mark.parametrize(
    ("code", "edited", "after"),
    [
        (signed("1"), "net.py", signed("-1")),
        (HOOKED.format(sign="1"), "net.py", HOOKED.format(sign="-1")),
        (signed("sign()", before="from helper import sign\n"), "helper.py", "def sign():\n    return -1\n"),
        (signed("helper.sign()", first="import helper"), "helper.py", "def sign():\n    return -1\n"),
        (
            signed("self.s", f"self.s = torch.tensor(float({READ}))", before="from pathlib import Path\n"),
            "sign.txt",
            "-1",
        ),
        (signed("self._s[0]", f"self._s = [float({READ})]", before="from pathlib import Path\n"), "sign.txt", "-1"),
    ],
    ids=["forward", "hook", "helper", "helper imported late", "tensor", "value in a list"],
)
def test_outcomes_of_a_network_in_code_are_those_of_this_version(tmp_path, code, edited, after):
    files = {"net.py": code, "helper.py": "def sign():\n    return +1 + 0\n", "sign.txt": "1"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    def clean(out):
        more = {
            "network": f"{tmp_path}/net.py:net",
            "model": None,
            "data": "digits",
            "examples": 50,
            "out": tmp_path / out,
        }
        attacking.attack_file(grid(), "saliency", "curriculum", options(tmp_path, **more))
        attacks = json.loads((tmp_path / out / "saliency-curriculum.json").read_text())["attacks"]
        return {name: (a["clean"]["accuracy"], a["accuracy"]) for name, a in attacks.items()}

    first, held = clean("a"), tree(tmp_path / "a")
    assert clean("a") == first
    assert tree(tmp_path / "a") == held, "nothing is made twice"
    (tmp_path / edited).write_text(after)
    assert clean("a") == clean("b") != first


def test_data_are_images_and_labels():
    test = data.load("digits", "test")
    first = identity.of_data(test)
    assert identity.of_data(data.load("digits", "test", seed=3)) == first
    for changed in (
        replace(test, images=test.images.clone().index_fill_(0, torch.tensor([7]), 3)),
        replace(test, labels=test.labels.roll(1)),
    ):
        assert identity.of_data(changed) != first
    assert identity.of_data(toy()) != identity.of_data(toy(seed=1))


def test_streamed_data_count_by_the_bytes_of_their_files(tmp_path):
    from faults.test_places import images

    def of(cache=tmp_path / "cache"):
        return identity.of_data(streamed, cache)

    streamed, files = images(tmp_path)
    first = of()
    assert not (tmp_path / "cache").exists(), "files this young may change within the same tick of the clock"
    time, other = os.stat(files[0]).st_mtime_ns, Path(files[1]).read_bytes()
    inside = Path(files[0]).read_bytes()
    Path(files[0]).write_bytes(other)
    os.utime(files[0], ns=(time, time))
    assert of() != first
    Path(files[0]).write_bytes(inside)
    assert of() == first


def test_names_of_files_need_not_be_utf8(tmp_path):
    from faults.test_places import images

    streamed, files = images(tmp_path)
    names = [os.fsdecode(os.fsencode(file) + b"\xff.png") for file in files]
    for file, name in zip(files, names, strict=True):
        shutil.copy(file, name)
    assert identity.of_data(replace(streamed, files=tuple(names)), tmp_path) == identity.of_data(streamed, tmp_path)


def test_the_hash_of_many_files_is_kept_and_found_again(tmp_path, monkeypatch):
    from faults.test_places import images

    streamed, files = images(tmp_path)
    monkeypatch.setattr(identity, "RECENT", -1.0)
    first = identity.of_data(streamed, tmp_path / "cache")
    read = []
    monkeypatch.setattr(identity, "of_file", lambda path: read.append(path) or "0")
    assert identity.of_data(streamed, tmp_path / "cache") == first
    assert not read
    os.utime(files[3])
    identity.of_data(streamed, tmp_path / "cache")
    assert len(read) == len(files)


# -- outcomes of attacks


def test_another_network_under_the_same_name_has_its_own_numbers(tmp_path):
    """What ``leanat attack --model`` says of b is what it says where no a was ever there."""

    def numbers(attacks):
        return {name: (shown["accuracy"], shown["loss"]) for name, shown in attacks.items()}

    for name in ("alone", "shared"):
        (tmp_path / name).mkdir()
    alone, shared = tmp_path / "alone" / "net.safetensors", tmp_path / "shared" / "net.safetensors"
    save(alone, net_of(1))
    save(shared, net_of(0))
    before = attack(shared, tmp_path)["attacks"]
    save(shared, net_of(1))
    after = attack(shared, tmp_path)["attacks"]
    assert numbers(after) == numbers(attack(alone, tmp_path)["attacks"])
    assert numbers(after) != numbers(before)


def test_an_attack_is_matched_by_network_data_and_spec(tmp_path, caplog):
    test, net = data.load("digits", "test"), net_of(0)

    def made(net=net, test=test, entry=ENTRY, seed=0):
        with caplog.at_level("INFO", logger="leanat"):
            return assess.assess(net, lambda part: test, {"fgsm": entry}, tmp_path / "attacks", seed, tmp_path / "runs")

    first = made()
    assert made() == first
    assert "not used" not in caplog.text
    files = {first["attacks"]["fgsm"]["file"]}
    brighter = replace(test, images=test.images // 2 + 127)
    for changed, said in (({"net": net_of(1)}, "other network"), ({"test": brighter}, "other data")):
        caplog.clear()
        files.add(made(**changed)["attacks"]["fgsm"]["file"])
        assert said in caplog.text
    for changed in ({"entry": ENTRY | {"examples": 40}}, {"seed": 1}):
        files.add(made(**changed)["attacks"]["fgsm"]["file"])
    assert len(files) == 5
    assert made() == first, "the outcomes of all are kept, with their seconds, dates and devices"
    kept = tmp_path / first["attacks"]["fgsm"]["file"]
    shutil.copy(tmp_path / made(net=net_of(1))["attacks"]["fgsm"]["file"], kept)
    again = made()["attacks"]["fgsm"]
    assert again["loss"] == first["attacks"]["fgsm"]["loss"], "a file that was put under another name is not believed"


@pytest.mark.parametrize("replaced", ["source", "target"])
def test_transfer_is_matched_by_source_and_target(tmp_path, replaced):
    """A network that is put in the place of another, under its name, has the numbers that it has where no other was."""
    test = data.load("digits", "test")

    def robust(folder, **seeds):
        runs = {
            name: transferred.Trained(tmp_path / folder / name, net_of(seeds[name]), test, 0, CPU) for name in seeds
        }
        for run in runs.values():
            run.folder.mkdir(parents=True, exist_ok=True)
        source, target = {"source": runs["source"]}, {"target": runs["target"]}
        found = transferred.assess(source, target, test, {"fgsm": ENTRY | {"examples": 200}}, 0)["target"]
        return found["attacks"]["fgsm"]["sources"], found["made_from"]

    first = robust("shared", source=0, target=1)
    other = {"source": 0, "target": 1} | {replaced: 2}
    assert robust("shared", **other) == robust("alone", **other)
    kept = list((tmp_path / "shared" / "target" / "attacks").glob("*.npz"))
    assert len(kept) == 2, "attacked anew, and the outcome before is still there"
    assert robust("shared", source=0, target=1) == first
    assert sorted(kept) == sorted((tmp_path / "shared" / "target" / "attacks").glob("*.npz"))


@pytest.mark.parametrize("damage", [None, "\0" * 16])
def test_hashes_of_files_need_no_place_to_be_kept(tmp_path, monkeypatch, damage):
    """Results that are read-only: the files are read again, and nothing stops. A damaged one is no hash."""
    (tmp_path / "a.png").write_bytes(b"pixels")
    monkeypatch.setattr(identity, "RECENT", -1.0)
    files, cache = [str(tmp_path / "a.png")], tmp_path / ".hashes"
    first = identity._of_files(files, cache)
    (kept,) = cache.iterdir()
    if damage is None:
        kept.unlink()
        monkeypatch.setattr(
            identity, "write_text", lambda path, text: (_ for _ in ()).throw(PermissionError(13, "denied"))
        )
    else:
        kept.write_text(damage)
    assert identity._of_files(files, cache) == first


# -- runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two seeds of one method, finished, in folders of their names."""
    folder, names = tmp_path_factory.mktemp("results"), []
    for seed in (0, 1):
        spec = sgd(seed=seed)
        names.append(f"digits-resnet_tiny-sgd-s{seed}-{experiment.digest(spec)}")
        experiment.train_run(names[-1], spec, folder / "runs" / names[-1], None, CPU)
    return folder, names


@pytest.fixture
def results(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "results")
    return tmp_path / "results", trained[1]


def train(capsys, results, run):
    status = cli.main(["train", str(run), "--results", str(results), "--device", "cpu"])
    return status, capsys.readouterr().err


def test_a_finished_run_is_left_alone(results, capsys):
    folder, (run, _) = results
    before = tree(folder)
    assert train(capsys, folder, folder / "runs" / run)[0] == 0
    assert tree(folder) == before
    (folder / "runs" / run / "metrics.json").unlink()  # as Snakemake does before it starts a job
    (folder / "runs" / run / "resume.pt").unlink()
    assert train(capsys, folder, folder / "runs" / run)[0] == 0
    assert tree(folder / "runs" / run) == {
        k.relative_to(f"runs/{run}"): v for k, v in before.items() if run in k.parts and k.name != "resume.pt"
    }


def test_a_run_is_not_overwritten_by_another_spec(results, capsys):
    folder, (run, _) = results
    path = folder / "runs" / run / "spec.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 7}))
    before = tree(folder)
    status, err = train(capsys, folder, path.parent)
    assert (status, len(err.splitlines())) == (1, 1)
    assert f"the name is of spec {run[-8:]}" in err
    assert tree(folder) == before
    own = folder / "runs" / "mine"  # a name of the user's own says nothing of a spec
    (folder / "runs" / run).rename(own)
    status, err = train(capsys, folder, own)
    assert (status, len(err.splitlines())) == (1, 1)
    assert "finished with another spec (seed 0, now 7)" in err


def test_an_unfinished_run_is_not_overwritten_by_another_spec(tmp_path, capsys):
    """Two folders of one name, of which the first was interrupted; the same spec goes on."""

    class Stop(Exception):
        pass

    def stop(run):
        if run.epoch == 2:
            raise Stop

    folder = tmp_path / "runs" / "x"
    with pytest.raises(Stop):
        experiment.train_run("x", sgd(epochs=3), folder, None, CPU, stop)
    (tmp_path / "b" / "x").mkdir(parents=True)
    (tmp_path / "b" / "x" / "spec.json").write_text(json.dumps(sgd(epochs=3, seed=5)))
    before = tree(folder)
    status, err = train(capsys, tmp_path, tmp_path / "b" / "x")
    said = f"{folder} holds an unfinished training of another spec (seed 0, now 5); remove it, or use another name"
    assert (status, err.splitlines()[-1]) == (1, f"leanat: {said}")
    assert tree(folder) == before
    epochs = []
    experiment.train_run("x", sgd(epochs=3), folder, None, CPU, lambda run: epochs.append(run.epoch))
    assert epochs == [3]


def test_two_folders_of_one_name_are_told_apart_before_anything_is_trained(tmp_path, capsys):
    for place, seed in (("a", 0), ("b", 1)):
        (tmp_path / place / "x").mkdir(parents=True)
        (tmp_path / place / "x" / "spec.json").write_text(json.dumps(sgd(seed=seed)))
    words = ["train", str(tmp_path / "a/x"), str(tmp_path / "b/x"), "--results", str(tmp_path), "--device", "cpu"]
    assert cli.main(words) == 1
    assert "leanat: x: two folders of this name have other specs" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_folder_of_another_spec_is_told_before_the_run_before_it_is_trained(results, tmp_path, capsys):
    folder, (run, _) = results
    (folder / "runs" / run).rename(folder / "runs" / "mine")
    for name, seed in (("first", 5), ("mine", 7)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.json").write_text(json.dumps(sgd(seed=seed)))
    words = ["train", str(tmp_path / "first"), str(tmp_path / "mine"), "--results", str(folder), "--device", "cpu"]
    assert cli.main(words) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "finished with another spec (seed 0, now 7)" in err
    assert not (folder / "runs" / "first").exists()


def test_all_runs_are_finished_before_the_first_is_attacked(tmp_path, monkeypatch):
    chosen = [e for e in grid().evaluations.values() if e.suite == "qtart-main" and not e.sources][:2]
    monkeypatch.setattr(transferred.Trained, "load", lambda *_: pytest.fail("attacked"))
    first = grid().runs[chosen[0].run]
    (tmp_path / "runs" / first.id).mkdir(parents=True)
    write_json(tmp_path / "runs" / first.id / "metrics.json", {"spec": first.spec, "spec_hash": digest(first.spec)})
    with pytest.raises(FileNotFoundError, match=f"{chosen[1].run}/metrics.json: no such file"):
        attacking.attack_runs(grid(), [e.run for e in chosen], "qtart-main", options(tmp_path, config_dir=tmp_path))


def test_the_data_of_all_runs_are_there_before_the_first_is_attacked(tmp_path, monkeypatch):
    both = {name: Evaluation(f"{name}-net-sgd-s0-00000000", "qtart-main", {}) for name in ("digits", "cifar10")}
    runs = {one.run: SimpleNamespace(spec={"data": {"name": name}}) for name, one in both.items()}
    plan = SimpleNamespace(runs=runs, evaluations={one.id: one for one in both.values()})
    monkeypatch.setattr(transferred.Trained, "load", lambda *_: pytest.fail("attacked"))
    monkeypatch.setattr(identity, "read_run", lambda *_: {})
    with pytest.raises(ConfigError, match=r"^cifar10: "):
        attacking.attack_runs(plan, list(runs), "qtart-main", options(tmp_path, config_dir=tmp_path))


def test_data_that_changed_are_said(results, capsys, monkeypatch):
    folder, (run, _) = results
    load = data.load

    def darker(name, part, *more, **other):
        found = load(name, part, *more, **other)
        return replace(found, images=found.images // 2)

    monkeypatch.setattr(data, "load", darker)
    before = tree(folder)
    status, err = train(capsys, folder, folder / "runs" / run)
    assert (status, len(err.splitlines())) == (1, 1)
    assert "made from other training data" in err
    with pytest.raises(identity.IdentityError, match="test data are not those"):
        transferred.Trained.load(options(folder), run)
    assert tree(folder) == before


def test_a_checkpoint_of_other_data_is_not_gone_on_from(tmp_path, monkeypatch, caplog):
    spec, epochs, load = sgd(epochs=3), [], data.load

    class Stop(Exception):
        pass

    def stop(run):
        if run.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        experiment.train_run("b", spec, tmp_path / "b", None, CPU, stop)

    def darker(name, part, *more, **other):
        found = load(name, part, *more, **other)
        return replace(found, images=found.images // 2)

    monkeypatch.setattr(data, "load", darker)
    with caplog.at_level("WARNING", logger="leanat"):
        experiment.train_run("b", spec, tmp_path / "b", None, CPU, lambda run: epochs.append(run.epoch))
    assert "made from other training data" in caplog.text
    assert epochs == [1, 2, 3]
    experiment.train_run("a", spec, tmp_path / "a", None, CPU)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_a_network_that_was_put_into_a_run_is_not_its_own(results, capsys):
    folder, (run, other) = results
    shutil.copy(folder / "runs" / other / "model.safetensors", folder / "runs" / run / "model.safetensors")
    before = tree(folder)
    status, err = train(capsys, folder, folder / "runs" / run)
    assert (status, len(err.splitlines())) == (1, 1)
    assert "not the files that its training left: model.safetensors" in err
    with pytest.raises(identity.IdentityError, match="not the files that its training left"):
        transferred.Trained.load(options(folder), run)
    assert tree(folder) == before
    with pytest.raises(identity.IdentityError, match=r"model\.safetensors"):
        identity.upstream({"teacher": f"run:{run}"}, folder / "runs")


def test_the_networks_that_a_suite_names_are_known_before_they_are_there(tmp_path):
    suite = {"a": {"attack": {"x": {"source": "run:one"}}}, "b": {"measure": {"y": ["run:two", "run:one", "one"]}}}
    networks = [tmp_path / run / "model.safetensors" for run in ("one", "two")]
    assert assess.upstream_networks(suite, tmp_path) == networks


def test_what_is_read_from_other_runs_covers_all_their_files(results):
    folder, (run, other) = results
    value = {"extras": [{"sat": {"ranking": f"run:{run}"}}], "init": {"network": f"run:{other}"}}
    first = identity.upstream(value, folder / "runs")
    assert set(first) == {f"run:{run}", f"run:{other}"}
    (folder / "runs" / run / "resume.pt").unlink()
    assert identity.upstream(value, folder / "runs") == first
    for name in ("selection.npz", "model.safetensors"):
        path = folder / "runs" / run / name
        kept = path.read_bytes()
        path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with pytest.raises(identity.IdentityError, match=name):
            identity.upstream(value, folder / "runs")
        path.write_bytes(kept)


def test_a_spec_that_was_edited_after_the_training_is_told_with_what_to_do(results):
    folder, (run, _) = results
    path = folder / "runs" / run / "spec.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 7}))
    with pytest.raises(
        identity.IdentityError, match=r"spec.json is not the spec .*seed 0, now 7.*; remove this file alone"
    ):
        identity.read_run(path.parent)
    path.unlink()
    assert identity.read_run(path.parent)["spec"]["seed"] == 0


def test_a_run_that_was_trained_from_another_network_is_said(tmp_path, capsys):
    teacher = sgd()
    experiment.train_run("t", teacher, tmp_path / "runs" / "t", None, CPU)
    spec = sgd(seed=1) | {"init": {"network": "run:t", "frozen": False}}
    metrics = experiment.train_run("s", spec, tmp_path / "runs" / "s", None, CPU)
    assert "run:t" in metrics["made_from"]
    assert experiment.train_run("s", spec, tmp_path / "runs" / "s", None, CPU) == metrics
    shutil.rmtree(tmp_path / "runs" / "t")
    experiment.train_run("t", teacher | {"seed": 5}, tmp_path / "runs" / "t", None, CPU)
    status, err = train(capsys, tmp_path, tmp_path / "runs" / "s")
    assert (status, len(err.splitlines())) == (1, 1)
    assert "made from other run:t" in err


def test_a_folder_named_without_a_slash_is_what_a_run_was_trained_from_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    save(Path("mine/model.safetensors"), net_of(0))
    spec = sgd(seed=1) | {"init": {"network": "mine", "frozen": False}}
    metrics = experiment.train_run("s", spec, tmp_path / "runs" / "s", None, CPU)
    assert experiment.train_run("s", spec, tmp_path / "runs" / "s", None, CPU) == metrics
    save(Path("mine/model.safetensors"), net_of(1))
    with pytest.raises(identity.IdentityError, match="made from other mine"):
        experiment.train_run("s", spec, tmp_path / "runs" / "s", None, CPU)


def test_the_fields_that_name_files_are_known():
    classes = {v for name, m in sys.modules.items() if name.startswith("leanat.") for v in vars(m).values()
               if isinstance(v, type) and is_dataclass(v)}  # fmt: skip
    assert {f.name for c in classes for f in fields(c) if "File" in str(f.type).split(" | ")} == set(identity.FILES)


def test_a_run_lists_its_pieces(tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    def stop(run):
        if run.epoch == 2:
            raise Stop

    spec = sgd(epochs=3)
    monkeypatch.setattr(experiment, "revision", lambda: "first")
    with pytest.raises(Stop):
        experiment.train_run("b", spec, tmp_path / "b", None, CPU, stop)
    monkeypatch.setattr(experiment, "revision", lambda: "second")
    metrics = experiment.train_run("b", spec, tmp_path / "b", None, CPU)
    assert [(p["revision"], p["epochs"]) for p in metrics["pieces"]] == [("first", [0, 2]), ("second", [2, 3])]
    assert {"date", "device", "versions", "threads"} <= metrics["pieces"][0].keys()


# -- where the package lies


@pytest.mark.parametrize("tracked", [False, True])
def test_a_revision_is_that_of_the_package_alone(tmp_path, monkeypatch, tracked):
    def git(*words):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)

    package = tmp_path / "venv" / "leanat"
    package.mkdir(parents=True)
    (package / "experiment.py").touch()
    (tmp_path / "thesis.txt").touch()
    git("init")
    git("add", "." if tracked else "thesis.txt")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "a")
    monkeypatch.setattr(experiment, "__file__", str(package / "experiment.py"))
    assert (experiment.revision() is not None) == tracked


def test_the_test_images_of_a_run_are_there_for_its_suite(monkeypatch):
    loaded = []
    monkeypatch.setattr(data, "load", lambda name, part, *rest: loaded.append((name, part)) or part)
    test = SimpleNamespace(name="digits")
    load = attacking._parts(test, SimpleNamespace(data_dir=""), CPU)
    assert [load("test"), load("train"), load("train")] == [test, "train", "train"]
    assert loaded == [("digits", "train")]


# -- numbers that are not finite


class Overflows(nn.Module):
    """Right on everything, with one logit that is ``value`` wherever the last pixel is bright."""

    def __init__(self, value, test):
        super().__init__()
        self.value, self.images, self.labels = value, test.images, test.labels

    def forward(self, x):
        nearest = torch.cdist(x.detach().flatten(1), self.images.flatten(1)).argmin(1)
        z = 10.0 * nn.functional.one_hot(self.labels[nearest], 3).float() + 0 * x.flatten(1).sum(1, keepdim=True)
        z[x[:, 0, -1, -1] > 0.25, 0] = self.value
        return z


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_logits_that_are_not_finite_are_wrong(value):
    test = replace(toy(n=24), augmented=False)
    net, bright = Overflows(value, test), test.images[:, 0, -1, -1] > 0.25
    assert 0 < bright.sum() < 24
    found = evaluate(net, test, Clean(), seed=0)
    assert found.correct.tolist() == (~bright).tolist()
    shown = outcome.summary(found)
    assert shown["not_finite"] == bright.sum()
    assert any(f"not finite for {int(bright.sum())} of 24" in note for note in shown["notes"])
    under = evaluate(net, test, PGD(Linf(0.6), 1, 0.6, "uniform"), seed=0)
    assert (under.correct <= found.correct).all()
    assert transfer({"a": Small()}, {"b": net}, Clean(), test, seed=0)["b"]["a"].correct.tolist() == (~bright).tolist()


def test_a_network_with_nan_in_its_head_is_never_right_and_its_files_are_strict_json(tmp_path):
    net = net_of(0)
    with torch.no_grad():
        net.head.bias[3] = float("nan")
    save(tmp_path / "net.safetensors", net)
    made = attack(tmp_path / "net.safetensors", tmp_path)
    for shown in made["attacks"].values():
        assert (shown["accuracy"], shown["clean"]["accuracy"], shown["loss"]) == (0, 0, None)
        assert shown["not_finite"] == shown["n"]
    for reasons in made.get("masking", {}).values():
        assert any("not finite" in reason for reason in reasons)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_precision_of_a_files_numbers_stands_beside_them(tmp_path, precision):
    save(tmp_path / "net.safetensors", net_of(0))
    made = attack(tmp_path / "net.safetensors", tmp_path, precision=precision, examples=20)
    with open(tmp_path / "net-attacks/saliency-curriculum.csv", newline="") as file:
        assert {row["precision"] for row in csv.DictReader(file)} == {made["precision"]} == {precision}


# -- networks and data that fit


@pytest.mark.parametrize(
    ("name", "other", "data_name", "said"),
    [
        ("shapes10", {}, "digits", "takes 3 channels, digits has 1 channel"),
        ("shapes10", {}, "shapes20", "the network has 10 classes, shapes20 has 20"),
        ("shapes10", {}, "shapes10-32", "takes images of 16x16, shapes10-32 has 32x32"),
        ("digits", {"mean": [127.5], "std": [63.0]}, "digits", "are not of pixels in [0, 1]"),
    ],
)
def test_a_network_is_refused_for_data_that_it_was_not_made_for(tmp_path, name, other, data_name, said):
    about = io.describe(data.load(name, "test"))
    save(tmp_path / "net.safetensors", io.build("resnet_tiny", "channel", about, 0), name, **other)
    with pytest.raises(io.NetworkError, match=re.escape(said)):
        attack(tmp_path / "net.safetensors", tmp_path, data=data_name)
    assert not (tmp_path / "net-attacks").exists()


def test_a_network_without_a_description_is_tried_on_an_image():
    digits = data.load("digits", "test")
    for net, said in (
        (net_of(0, channels=3), "takes 3 channels"),
        (net_of(0, n_classes=7), "the network has 7 classes, digits has 10"),
    ):
        with pytest.raises(io.NetworkError, match=said):
            io.check(net, {}, digits, "net")
    io.check(net_of(0), {}, digits, "net")
    with pytest.raises(io.NetworkError, match=r"net: is bfloat16; float32 is expected: net.float\(\)"):
        io.check(net_of(0).bfloat16(), {}, digits, "net")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda z: (z, z), "logits [images, classes] are expected from the network, got tuple"),
        (lambda z: z[:, :, None], "got a tensor of shape (2, 10, 1)"),
        (lambda z: z[:1], "got a tensor of shape (1, 10)"),
        (lambda z: z.logits, "does not take images of 1x8x8"),
        (lambda z: {}["logits"], "does not take images of 1x8x8 ('logits')"),
    ],
)
def test_a_network_of_other_code_that_gives_no_logits_is_refused(answer, said):
    class Other(nn.Module):
        def forward(self, x):
            return answer(torch.zeros(len(x), 10))

    with pytest.raises(io.NetworkError, match=re.escape(said)):
        io.check(Other(), {}, data.load("digits", "test"), "net")


def test_a_run_does_not_begin_with_a_network_of_other_images(results):
    folder, (run, _) = results
    spec = sgd() | {"init": {"network": f"run:{run}", "frozen": True}}
    spec["data"] = spec["data"] | {"name": "shapes10"}
    with pytest.raises(io.NetworkError, match="takes 1 channel, shapes10 has 3 channels"):
        experiment.train_run("b", spec, folder / "runs" / "b", None, CPU)


def test_a_summary_is_of_the_planned_measures_and_alarms():
    """Attacks are tried in tests/report/test_records.py; a summary of before these were recorded has none to compare."""
    asked = {"maps": {"measure": {"maps": {"count": 4}}}, "alarm": {"masking": {"limit": 8}}}
    kept = {"attacks": {}, "measures": {"maps": {"spec": asked["maps"]}}, "masking_spec": {"alarm": asked["alarm"]}}
    identity.check_suite(kept, asked, 10, Path("x.json"))
    identity.check_suite({"attacks": {}, "measures": {"maps": {}}}, asked, 10, Path("x.json"))
    for name, key, said in (("maps", "measure.maps.count", "4, now 5"), ("alarm", "masking.limit", "8, now 9")):
        other = json.loads(json.dumps(asked).replace(*said.split(", now ")))
        with pytest.raises(
            identity.IdentityError, match=rf"^x.json: {name} was run with another spec \({key} {said}\)"
        ):
            identity.check_suite(kept, other, 10, Path("x.json"))
