"""What a run is said to have before it is trained is what it has afterwards."""

import json
from pathlib import Path

import pytest
import torch
from test_experiment import spec_of
from toys import Small, make_run, split, toy

from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core.loop import train
from leanat.papers.advprune.method import Bullet, Groups
from leanat.papers.coreset.method import SubsetCounts
from leanat.papers.saliency.method import Saliency
from leanat.papers.sat.method import MeanEntropy, NamedClasses, SubsetAttack
from leanat.report import asked
from leanat.report.measures import measure
from leanat.runs import experiment
from leanat.training.overfitting import OverfittingMonitor

ATTACK = PGD(Linf(0.1), 1, 0.1, "uniform")
SALIENCY = Saliency(beta=0.0, gamma=0.0, teacher=Path("teacher"))


@pytest.mark.parametrize(
    "extra",
    [
        OverfittingMonitor(Clean(), ATTACK, 8),
        Groups(ATTACK),
        Bullet(),
        SubsetAttack(NamedClasses((0,))),
        MeanEntropy("entropy", None),
        SALIENCY,
    ],
    ids=lambda extra: extra.name,
)
def test_extras_add_what_they_name(extra):
    plain, data = make_run(Small(), epochs=1), toy()
    train(plain, split(data))
    budget = extra if isinstance(extra, Bullet) else None
    objective = {"objective": extra} if extra is SALIENCY else {}
    run = make_run(Small(), epochs=1, attack=ATTACK, budget=budget, extras=(extra,), **objective)
    train(run, split(data))
    assert run.history[0].keys() - plain.history[0].keys() == {*getattr(extra, "column_names", ())}
    report = extra.report(run) if hasattr(extra, "report") else {}
    assert report.keys() == {*getattr(extra, "report_names", ())}


def test_copies_and_planted_examples_are_counted_under_the_names_given():
    data = toy()
    object.__setattr__(data, "origin", torch.arange(24))
    object.__setattr__(data, "planted", {"rare": torch.zeros(24, dtype=torch.bool)})
    run = make_run(Small(), epochs=1, extras=(SubsetCounts(),))
    train(run, split(data))
    assert {*SubsetCounts.column_names} <= run.history[0].keys()


class Files:
    """The files of one run, as an item reads them."""

    def __init__(self, metrics, history):
        self._metrics, self._history = metrics, history

    def metrics(self, run):
        return self._metrics

    def history(self, run):
        return self._history


def test_every_run_has_what_all_runs_are_said_to_have(tmp_path):
    import csv

    spec = spec_of("sgd", epochs=1)
    experiment.train_run("a", spec, tmp_path / "a", None, torch.device("cpu"))
    with open(tmp_path / "a" / "history.csv", newline="") as file:
        history = list(csv.DictReader(file))
    assert {*asked.COLUMNS} == history[0].keys()
    files = Files(json.loads((tmp_path / "a" / "metrics.json").read_text()), history)
    for name in (*(f"history.{c}" for c in asked.COLUMNS), *(f"metrics.{n}" for n in asked.NUMBERS)):
        assert isinstance(measure(name, "a", None, files), float), name
    offer = asked.Offer(asked.COLUMNS, asked.NUMBERS, 10, 1197, False)
    numbers = [k for k, v in files.metrics("a").items() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    others = [k for k in numbers if k not in asked.NUMBERS]
    assert not others, "a number of the metrics that no item may name"
    assert list(asked.metric_problems("history.loss@0.5", offer)) == []
    assert len(list(asked.metric_problems("metrics.spec+history.spec", offer))) == 2
