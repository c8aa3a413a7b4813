"""cuDNN searches seconds for the fastest algorithm of each new shape: on the pretended GPU it meets those of a step alone."""

from dataclasses import dataclass

import pytest
import torch
from pretended_gpu import pretended
from toys import Small, clean, make_run, split

from leanat.attacks.autoattack import APGD, FAB, AutoAttack, Ensemble, Square
from leanat.attacks.mifgsm import MIFGSM
from leanat.attacks.perceptual import LPA, PPGD, FastLPA
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.loop import train
from leanat.cost.timing import images
from leanat.evaluation.evaluate import evaluate
from leanat.papers.advprune.method import Groups
from leanat.selection.ranked import EL2N
from leanat.training.fat import FAT
from leanat.training.overfitting import OverfittingMonitor

BALL = Linf(0.03)
PLAIN = PGD(BALL, 2, 0.02, "uniform")
STOPS = PGD(BALL, 2, 0.02, "uniform", only_correct=True)


@dataclass(frozen=True)
class Own:
    """An attack that says only what it is named after."""

    only_correct: bool

    def __call__(self, net, step):
        return STOPS(net, step) if self.only_correct else PLAIN(net, step)


class Measured(Small):
    """With the features that perceptual attacks compare."""

    def features(self, x):
        return self.body(self.normalise(x))


def searched(attack=PLAIN, watched=False, after_epoch=lambda run: None, **method):
    """The sizes of the batches that pass through the network while cuDNN would search; 40 images, in batches of 16.

    ``watched``: by two hooks that attack what is right.
    """
    if watched:
        method["extras"] = (Groups(PLAIN), OverfittingMonitor(PLAIN, STOPS, 32))
    seen = set()
    with pretended():
        data = images({"channels": 1, "size": 8, "classes": 3}, 40, torch.device("cuda"), ())
        run = make_run(Measured().to("cuda"), attack=attack, batch=16, lr=0.01, **method)
        run.net.body.register_forward_pre_hook(
            lambda body, given: seen.add(len(given[0])) if torch.backends.cudnn.benchmark else None
        )
        train(run, split(data), after_epoch=after_epoch)
        assert not torch.backends.cudnn.benchmark
    return seen


@pytest.mark.parametrize(
    "attack", [clean, PLAIN, MIFGSM(BALL, 2, 0.02, 1.0), FastLPA(0.3, 1, self_bounded=True), Own(False)]
)
def test_whole_batches_are_searched_for(attack):
    assert searched(attack) == {16, 8}


@pytest.mark.parametrize(
    "attack",
    [
        STOPS,
        Own(True),
        FAT(BALL, 2, 0.02, 0),
        FastLPA(0.3, 1, only_correct=True, self_bounded=True),
        FastLPA(0.3, 1, project=True, self_bounded=True),
        LPA(0.3, 1, searches=1, self_bounded=True),
        PPGD(0.3, 1, self_bounded=True),
        APGD(BALL, "ce", 2),
        Ensemble(BALL, ("apgd-ce",), steps=2),
    ],
)
def test_an_attack_that_examples_leave_is_not_searched_for(attack):
    assert searched(attack) == set()


def test_all_parts_of_autoattack_say_that_examples_leave_them():
    assert all(a.shrinks for a in (FAB(BALL, True), Square(BALL), AutoAttack(BALL), APGD(BALL, "t")))
    assert not APGD(BALL, "ce", highest=True).shrinks


def test_hooks_selections_and_evaluations_are_not_searched_for():
    def attacked(run):
        outcome = evaluate(run.net, run.live["data"], PGD(BALL, 2, 0.02, "uniform", restarts=2), seed=0, batch=20)
        assert len(outcome.correct) == 40

    def keeps(run):
        run.live["data"] = images({"channels": 1, "size": 8, "classes": 3}, 40, run.device, ())
        attacked(run)

    assert searched(watched=True) == {16, 8}
    assert searched(after_epoch=keeps) == {16, 8}
    assert searched(selector=EL2N(fraction=0.6, granularity="example")) <= {16, 8}
