"""Accuracies for the learning curves: they cost little, decide nothing and change no bit."""

import csv

import pytest
import torch
from test_experiment import same, spec_of, weights
from toys import Small, make_run, toy

from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import L2, Linf
from leanat.evaluation import evaluate
from leanat.runs import curves, experiment

CPU = torch.device("cpu")


def attacked(threat, epochs=8):
    """A spec of adversarial training: 600 images, three attack steps."""
    spec = spec_of("sgd", epochs)
    attack = {"threat": threat, "steps": 3, "step_size": 0.05, "start": "uniform", "loss": "ce"}
    spec["method"] = spec["method"] | {"objective": {"cross_entropy": {}}, "attack": {"pgd": attack}}
    return spec


def rows_of(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", autouse=True)
def _few_images():
    """So that a short training pays for several evaluations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "EXAMPLES", 40)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves") / "run"
    experiment.train_run("run", attacked({"linf": {"eps": 0.1}}), folder, None, CPU)
    return folder


def test_no_bit_of_the_training_changes(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(curves.Curves, "__call__", lambda self, run, test: None)
    spec = attacked({"linf": {"eps": 0.1}})
    experiment.train_run("run", spec, tmp_path / "run", None, CPU)
    without = rows_of(tmp_path / "run")
    assert "test_clean" not in without[0]
    assert any(row["test_robust"] for row in rows_of(trained)), "nothing was evaluated, so nothing is compared"
    assert same(weights(trained), weights(tmp_path / "run"))
    for a, b in zip(rows_of(trained), without, strict=True):
        assert {k: a[k] for k in ("lr", "loss", "kept", "forward", "backward")} == {
            k: b[k] for k in ("lr", "loss", "kept", "forward", "backward")
        }, "passes of an evaluation are none of the training's"


def test_a_run_that_was_stopped_has_the_same_curves(trained, tmp_path):
    class Stop(Exception):
        pass

    def progress(run):
        if run.epoch in (3, 6) and not (tmp_path / f"{run.epoch}").exists():
            (tmp_path / f"{run.epoch}").touch()
            raise Stop

    spec = attacked({"linf": {"eps": 0.1}})
    for _ in range(2):
        with pytest.raises(Stop):
            experiment.train_run("run", spec, tmp_path / "run", None, CPU, progress)
    experiment.train_run("run", spec, tmp_path / "run", None, CPU, progress)
    names = ("epoch", "test_clean", "test_robust")
    assert [[r[k] for k in names] for r in rows_of(tmp_path / "run")] == [
        [r[k] for k in names] for r in rows_of(trained)
    ]


def test_the_passes_stay_within_their_share(trained):
    """Of 600 images with 3 steps an epoch takes 600 (4 + 4) passes; an evaluation of 40 at most 40 (1 + 5 + 5 + 1)."""
    passes = made = 0
    for row in rows_of(trained):
        passes += int(row["forward"]) + int(row["backward"])
        made += bool(row["test_clean"])
        assert 480 * made <= 0.03 * passes
        assert 480 * (made + 1) > 0.03 * passes, "one more would have been allowed"
    assert made == 2


def test_the_last_accuracies_are_those_of_the_network_that_is_kept(tmp_path):
    """Asked again of the file, with another batch size and another implementation of the attack's loop."""
    run = make_run(Small(), None, epochs=1)
    data = toy(n=40)
    run.history.append({"epoch": 1, "forward": 10**6, "backward": 10**6})
    for p in run.net.parameters():
        p.data.mul_(3)
    before = {k: v.clone() for k, v in run.net.state_dict().items()}
    modes = [m.training for m in run.net.modules()]
    state = torch.get_rng_state()
    attack = PGD(Linf(0.2), 5, 0.1, "none")
    curves.Curves(attack)(run, data)
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [m.training for m in run.net.modules()]
    assert all(torch.equal(before[k], v) for k, v in run.net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in run.net.parameters())
    net = run.net.eval()
    x, y = data.batch(torch.arange(40), 0)
    z = x.clone()
    for _ in range(5):
        z.requires_grad_()
        (grad,) = torch.autograd.grad(torch.nn.functional.cross_entropy(net(z), y, reduction="sum"), z)
        z = (z.detach() + 0.1 * grad.sign()).clamp(x - 0.2, x + 0.2).clamp(0, 1)
    right = net(x).argmax(1) == y
    assert run.history[-1]["test_clean"] == pytest.approx(100 * right.float().mean().item(), abs=1e-3)
    assert run.history[-1]["test_robust"] == pytest.approx(
        100 * (right & (net(z).argmax(1) == y)).float().mean().item(), abs=1e-3
    )


@pytest.mark.parametrize("threat", [Linf(0.1), L2(0.5)])
def test_the_ball_is_that_of_the_training(threat):
    run = make_run(Small(), None)
    run.method = run.method.__class__(run.method.objective, PGD(threat, 10, 0.01, "uniform"), run.method.selector)
    assert curves.of(run).attack.threat == threat
    run.method = run.method.__class__(run.method.objective, Clean(), run.method.selector)
    assert curves.of(run).attack is None


def test_clean_accuracy_is_that_of_an_evaluation():
    net, data = Small(), toy(n=50)
    index = torch.arange(0, 50, 2)
    whole = evaluate.evaluate(net, data, Clean(), seed=0, index=index).correct.mean()
    assert curves.clean_accuracy(net, data, index, batch=7) == pytest.approx(whole)
