"""Attacks under autocast: the weights of the attacked network are cast once per call, not in each of its passes."""

from contextlib import nullcontext

import pytest
import torch
from measures import few_pictures, network_for
from torch.utils._python_dispatch import TorchDispatchMode

from leanat.attacks.autoattack import APGD, FAB, AutoAttack, Ensemble, Square
from leanat.attacks.jpeg import JPEG
from leanat.attacks.lpips import Lpips
from leanat.attacks.mifgsm import DI2FGSM, MIFGSM
from leanat.attacks.perceptual import LPA, PPGD, FastLPA, Perceptual
from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.recoloradv import ReColorAdv
from leanat.attacks.stadv import StAdv
from leanat.attacks.threat import Linf
from leanat.core.nouns import Attack, Step
from leanat.core.rng import Draws
from leanat.models import io
from leanat.plan.components import SLOTS
from leanat.training.fat import FAT
from leanat.training.free import Free

BALL = Linf(0.03)
ATTACKS = [
    Clean(),
    PGD(BALL, 3, 0.02, "uniform", restarts=2),
    PGD(BALL, 3, 0.02, "uniform", "kl", use_best=True),
    PGD(BALL, 3, 0.02, "uniform", only_correct=True),
    MIFGSM(BALL, 3, 0.02, 1.0),
    DI2FGSM(BALL, 3, 0.02, 1.0, 0.9, 0.5, False),
    APGD(BALL, "ce", 3),
    APGD(BALL, "t", 3),
    FAB(BALL, True, 2),
    Square(BALL, 5),
    Ensemble(BALL, ("apgd-ce", "square"), 3, 3, 5),
    FAT(BALL, 3, 0.02, 1),
    FastLPA(0.5, 3, only_correct=True),
    FastLPA(0.5, 3, self_bounded=True),
    LPA(0.5, 3),
    PPGD(0.5, 2, only_correct=True),
    StAdv(0.05, 2),
    ReColorAdv(0.06, 2),
    JPEG(0.1, 2),
]
ELSEWHERE = {
    Free: "takes the gradient of the training's own pass",
    AutoAttack: "an Ensemble",
    Perceptual: "another attack of these, with a distance",
}


def test_these_are_all_attacks():
    assert {type(attack) for attack in ATTACKS} | set(ELSEWHERE) == set(SLOTS[Attack][1].values())


class Casts(TorchDispatchMode):
    """Counts casts to bfloat16 of some tensors, by what they hold: a cast of a parameter's alias is one of the parameter."""

    def __init__(self, tensors):
        super().__init__()
        self.held, self.count = {t.data_ptr() for t in tensors}, 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if op is torch.ops.aten._to_copy.default and kwargs.get("dtype") is torch.bfloat16:
            self.count += args[0].data_ptr() in self.held
        return op(*args, **kwargs)


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_weights_are_cast_once(attack, monkeypatch):
    pictures = few_pictures()
    net, other = network_for(pictures), io.build("resnet_tiny", "channel", io.describe(pictures), 1)
    index = torch.arange(6)
    x, _ = pictures.batch(index, 0)
    y = net(x).argmax(1)

    def attacked():
        step = Step(0, index, x, y, torch.ones(6), Draws(0, 0, index), aux={"lpips": Lpips(other)})
        with torch.autocast("cpu", torch.bfloat16), Casts(net.parameters()) as casts:
            x_adv = attack(net, step)
        return x_adv, casts.count

    once, count = attacked()
    assert count <= sum(1 for _ in net.parameters())
    for module in ("attacks.pgd", "attacks.mifgsm", "attacks.perceptual", "attacks.autoattack", "training.fat"):
        monkeypatch.setattr(f"leanat.{module}.cast_once", lambda net: nullcontext(), raising=False)
    assert torch.equal(once, attacked()[0]), "the bits of a cast in each pass"
