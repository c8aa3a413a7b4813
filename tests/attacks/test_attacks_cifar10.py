"""Attacks on a network trained adversarially on real CIFAR-10, example by example against independent implementations."""

import os

import pytest
import torch
from attack_bed import step_on

from leanat import data, models
from leanat.attacks.autoattack import AutoAttack
from leanat.attacks.mifgsm import DI2FGSM, MIFGSM
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.loop import train
from leanat.core.nouns import Method, Recipe, Run, Split
from leanat.evaluation import evaluate
from leanat.selection.basic import Everything
from leanat.training.objectives import CrossEntropy
from leanat.training.schedules import Cosine

FOLDER = os.environ.get("LEANAT_DATA_DIR")
pytestmark = [pytest.mark.realdata, pytest.mark.skipif(not FOLDER, reason="LEANAT_DATA_DIR names no folder")]
EPS = 4 / 255
LINF = Linf(EPS)


@pytest.fixture(scope="module")
def bed():
    """2,000 training images, ten epochs of PGD-3; the first 200 test images."""
    source = data.load("cifar10", "train", FOLDER, augment=data.Augmentation((data.Crop(4), data.Flip())))
    some = source.take(torch.arange(2000))
    net = models.build("resnet_tiny", 10, 32, 3, 0, source.mean, source.std)
    method = Method(CrossEntropy(), PGD(LINF, 3, EPS / 2, "uniform"), Everything())
    recipe = Recipe(10, 64, Cosine(0.1, warmup_share=0.3), 0.9, True, 5e-4, precision="bf16")
    train(Run(net, method, recipe, 0), Split(some, None))
    test = data.load("cifar10", "test", FOLDER).take(torch.arange(200))
    return net.eval(), test, *test.batch(torch.arange(200), 0)


def test_it_is_neither_broken_nor_untouched(bed):
    net, test, *_ = bed
    found = evaluate.evaluate(net, test, PGD(LINF, 20, EPS / 4, "uniform"), seed=0)
    assert found.clean_correct.mean() > 0.3
    assert 0.1 < found.correct.mean() < found.clean_correct.mean() - 0.02


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (PGD(LINF, 1, EPS, "none"), "FGSM", {"eps": EPS}),
        (PGD(LINF, 20, EPS / 4, "none"), "PGD", {"eps": EPS, "alpha": EPS / 4, "steps": 20, "random_start": False}),
        (MIFGSM(LINF, 5, EPS / 4, 1.0), "MIFGSM", {"eps": EPS, "alpha": EPS / 4, "steps": 5, "decay": 1.0}),
        (
            DI2FGSM(LINF, 10, EPS / 4, 0.0, 0.9, 0.0, False),
            "DIFGSM",
            {"eps": EPS, "alpha": EPS / 4, "steps": 10, "decay": 0.0, "diversity_prob": 0.0, "random_start": False},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_torchattacks_fools_the_same_images(bed, ours, theirs, options):
    torchattacks = pytest.importorskip("torchattacks")
    net, _, x, y = bed
    expected, got = getattr(torchattacks, theirs)(net, **options)(x, y), ours(net, step_on(x, y))
    assert ((got - expected).abs() > 1e-6).float().mean() < 1e-3  # a sign may turn where a gradient is nearly 0
    assert torch.equal(net(got).argmax(1), net(expected).argmax(1))


def test_foolbox_fools_the_same_images(bed, monkeypatch):
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")
    foolbox = pytest.importorskip("foolbox")
    net, _, x, y = bed
    attack = foolbox.attacks.LinfPGD(steps=20, abs_stepsize=EPS / 4, random_start=False)
    expected = attack(foolbox.PyTorchModel(net, (0, 1)), x, y, epsilons=EPS)[1]
    got = PGD(LINF, 20, EPS / 4, "none")(net, step_on(x, y))
    assert ((got - expected).abs() > 1e-6).float().mean() < 1e-3
    assert torch.equal(net(got).argmax(1), net(expected).argmax(1))


def test_margin_pgd_leaves_no_fewer_than_autoattack_which_equals_the_package(bed):
    from pyautoattack import AutoAttack as Package

    net, test, x, y = bed
    few = test.take(torch.arange(20))
    found = evaluate.evaluate(net, few, AutoAttack(LINF), seed=0)
    with torch.random.fork_rng():
        package = Package(net, norm="Linf", eps=EPS, seed=0, device="cpu")
        x_adv = package.run_standard_evaluation(x[:20], y[:20], batch_size=500)[0]
    assert (net(x_adv).argmax(1) == y[:20]).numpy().tolist() == found.correct.tolist()
    margin = evaluate.evaluate(net, few, PGD(LINF, 30, EPS / 4, "uniform", "margin"), seed=0)
    assert not (found.correct & ~margin.correct).any()
