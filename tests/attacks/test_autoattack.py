import copy
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from attack_bed import EPS, InMemory, digits, network, robust, standard, step_on
from pyautoattack import AutoAttack as Package
from torch import nn

from leanat.attacks.autoattack import APGD, FAB, AutoAttack, Ensemble, Square, sanity
from leanat.attacks.threat import L2, Linf
from leanat.core.nouns import Step
from leanat.cost.timing import images
from leanat.evaluation.evaluate import evaluate
from leanat.evaluation.outcome import summary
from leanat.models import io

LINF = Linf(EPS)


def package(net, threat, n_classes, attacks=None, steps=100, targets=9, queries=5000, seed=0):
    """The package as its users call it."""
    options = {"version": "standard"} if attacks is None else {"version": "custom", "attacks": list(attacks)}
    kind = "Linf" if isinstance(threat, Linf) else "L2"
    attack = Package(net, norm=kind, eps=threat.eps, seed=seed, **options)
    for part in (attack.apgd_targeted, attack.fab):
        part.n_target_classes = min(targets, n_classes - 1)
        part.n_iter = steps
    if attacks is not None:
        attack.apgd = type(attack.apgd)(
            net, n_restarts=1, n_iter=steps, eps=threat.eps, norm=kind, seed=seed, device="cpu", logger=attack.logger
        )
        attack.apgd_targeted = type(attack.apgd_targeted)(
            net,
            n_iter=steps,
            eps=threat.eps,
            norm=kind,
            seed=seed,
            device="cpu",
            logger=attack.logger,
            n_target_classes=min(targets, n_classes - 1),
        )
        attack.fab.n_restarts = 1
        attack.square.n_queries = queries
    return attack


def few(n_classes, n, test=None):
    test = test or digits(n_classes)[1]
    return InMemory(test.x[:n], test.labels[:n], n_classes)


def assert_equal_to_package(net, data, threat, attack, batch, **options):
    outcome = evaluate(net, data, attack, seed=3, batch=batch)
    with torch.random.fork_rng():
        plain = package(copy.deepcopy(net), threat, data.n_classes, seed=3, **options)
        trace = sys.gettrace()
        x_adv, y_adv = plain.run_standard_evaluation(data.x, data.labels, batch_size=batch)
        sys.settrace(trace)
    right = (net(x_adv).argmax(1) == data.labels).numpy()
    assert np.array_equal(outcome.correct, right)
    assert 0 < right.sum() < outcome.clean_correct.sum()
    broken = outcome.clean_correct & ~right
    assert np.array_equal(outcome.predicted[broken], y_adv.numpy()[broken])
    change = (x_adv - data.x).flatten(1).abs().amax(1).numpy()
    np.testing.assert_allclose(outcome.linf[broken], change[broken], atol=1e-6)


@pytest.mark.parametrize("threat", [Linf(0.3), L2(3.0)], ids=repr)
def test_images_of_three_channels_in_channels_last(threat):
    """The package takes views of images and gradients, which have another layout in an evaluation: the same outcomes."""
    data = images({"classes": 4, "channels": 3, "size": 8, "train": 8}, 8, torch.device("cpu"), ())
    net = io.build("resnet_tiny", "channel", io.describe(data), 0).eval()
    x, _ = data.batch(torch.arange(8), 0)
    data.labels[:] = net(x).argmax(1)
    attack = Ensemble(threat, ("apgd-ce", "apgd-t", "fab", "fab-t", "square"), steps=3, targets=2, queries=5)
    found = evaluate(net, data, attack, seed=0, batch=8)
    plain = attack(net, step_on(x, data.labels))
    assert np.array_equal((net(plain).argmax(1) == data.labels).numpy(), found.correct)


@pytest.mark.parametrize("n_classes", [4, 10])
@pytest.mark.parametrize("threat", [LINF, L2(0.6)], ids=repr)
def test_shortened_parts_equal_the_package_example_by_example(n_classes, threat):
    options = {"attacks": ("apgd-ce", "apgd-dlr", "fab", "apgd-t", "fab-t", "square"), "steps": 6, "targets": 4}
    attack = Ensemble(threat, **options, queries=30)
    net, data = (standard if n_classes == 4 else robust)(n_classes), few(n_classes, 45)
    assert_equal_to_package(net, data, threat, attack, 20, **options, queries=30)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [4, 10])
@pytest.mark.parametrize("threat", [LINF, L2(0.6)], ids=repr)
def test_autoattack_equals_the_package_example_by_example(n_classes, threat):
    net, data = (standard if n_classes == 4 else robust)(n_classes), few(n_classes, 32)
    assert_equal_to_package(net, data, threat, AutoAttack(threat), 32)


PARTS = [
    APGD(LINF, "ce", 4),
    APGD(L2(0.5), "dlr", 4),
    APGD(LINF, "t", 4, targets=2),
    APGD(LINF, "ce", 4, highest=True),
    FAB(LINF, True, 4, targets=2),
    FAB(L2(0.5), False, 4),
    Square(LINF, 5),
    Ensemble(LINF, ("apgd-ce", "fab-t", "square"), 4, 2, 5),
]


@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("attack", PARTS, ids=repr)
def test_side_effects_stay_behind_the_fence(attack, n):
    net = network(5, 2).train()
    net[1].eval()
    x, y = torch.rand(n, 1, 8, 8), torch.randint(5, (n,))
    rng, before, modes = torch.get_rng_state(), copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    tracer = sys.gettrace()
    x_adv = attack(net, step_on(x, y))
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    assert [m.training for m in net.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert sys.gettrace() is tracer
    assert x_adv.shape == x.shape
    assert not x_adv.requires_grad
    assert ((x_adv >= 0) & (x_adv <= 1)).all()
    delta = (x_adv - x).flatten(1)
    size = delta.abs() if isinstance(attack.threat, Linf) else delta.norm(dim=1)
    assert (size <= attack.threat.eps + 1e-5).all()
    assert torch.equal(attack(net, step_on(x, y)), x_adv)


def test_fewer_than_four_classes_have_their_own_ensemble():
    for n_classes, net in ((2, standard(2)), (3, standard(3))):
        attack, data = AutoAttack(Linf(0.25)), few(n_classes, 8)
        assert list(attack.parts(n_classes)) == ["apgd-ce", "fab", "square"]
        short = Ensemble(Linf(0.25), tuple(attack.parts(n_classes)), 10, 9, 50)
        outcome = evaluate(net, data, short, seed=0)
        assert outcome.parts == ("apgd-ce", "fab", "square")
    with pytest.raises(ValueError, match="4 classes"):
        APGD(LINF, "t", 2)(standard(2), step_on(data.x[:2], data.labels[:2] % 2))


def test_autoattack_is_the_four_attacks_of_its_paper():
    full = AutoAttack(LINF).parts(10)
    assert list(full.values()) == [
        APGD(LINF, "ce", 100, 1),
        APGD(LINF, "t", 100, 1, 9),
        FAB(LINF, True, 100, 1, 9),
        Square(LINF, 5000),
    ]


def test_called_on_a_batch_an_ensemble_does_what_an_evaluation_does():
    net, data = robust(), few(10, 60)
    attack = Ensemble(LINF, ("apgd-ce", "square"), 5, 9, 20)
    x_adv = attack(net, step_on(data.x, data.labels))
    outcome = evaluate(net, data, attack, seed=0, batch=60)
    assert np.array_equal((net(x_adv).argmax(1) == data.labels).numpy() & outcome.clean_correct, outcome.correct)


def test_apgd_fails_to_the_clean_image_unless_the_highest_loss_is_asked_for():
    net, data = robust(), few(10, 60)
    step = step_on(data.x, data.labels)
    best = APGD(LINF, "ce", 10, highest=True)(net, step)
    usual = APGD(LINF, "ce", 10)(net, step)
    right = net(usual).argmax(1) == data.labels
    assert torch.equal(usual[right], data.x[right])
    assert (best != data.x).flatten(1).any(1).all()
    loss = [F.cross_entropy(net(x), data.labels, reduction="none") for x in (data.x, best)]
    assert (loss[1] >= loss[0]).all()


class Wrapped(nn.Module):
    def __init__(self, net, change):
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x):
        return self.change(self.net, x)


def dynamic(net, x):
    with torch.enable_grad():
        v = x.detach().requires_grad_()
        return net(x + 0 * torch.autograd.grad(net(v).sum(), v)[0])


def test_sanity_names_what_is_wrong_and_nothing_else():
    net, data = robust(), few(10, 40)
    x, y = data.x, data.labels
    tracer, rng = sys.gettrace(), torch.get_rng_state()
    suspects = {
        "random": lambda net, x: net(x + 0.1 * torch.rand_like(x)),
        "probabilities": lambda net, x: net(x).softmax(1),
        "gradients itself": dynamic,
        "exactly 0 for 100.0%": lambda net, x: net((x * 8).round() / 8),
    }
    for word, change in suspects.items():
        said = sanity(Wrapped(net, change), x, y)
        assert len(said) == 1, said
        assert word in said[0]
        assert sanity(net, x, y) == []
    assert sys.gettrace() is tracer
    assert torch.equal(torch.get_rng_state(), rng)
    assert sanity(net, x[:0], y[:0]) == []


def test_warnings_travel_with_the_outcome():
    soft = Wrapped(robust(), lambda net, x: net(x).softmax(1))
    outcome = evaluate(soft, few(10, 20), Ensemble(LINF, ("apgd-ce",), 3), seed=0)
    assert summary(outcome)["notes"] == ["The outputs are probabilities, not logits."]
    rounding = Wrapped(standard(), lambda net, x: net((x * 4).round() / 4))
    outcome = evaluate(rounding, few(10, 40), Ensemble(Linf(0.2), ("apgd-ce", "square"), 3, 9, 50), seed=0)
    assert len(outcome.notes) == 2
    assert "Square" in outcome.notes[1]


@pytest.mark.parametrize("n_classes", [3, 4])
def test_what_is_not_autoattack_says_so(n_classes):
    """Of images that are wrong no part has anything to do."""
    data = few(n_classes, 4)
    wrong = InMemory(data.x, (standard(n_classes)(data.x).argmax(1) + 1) % n_classes, n_classes)
    notes = evaluate(standard(n_classes), wrong, AutoAttack(LINF), seed=0).notes
    lacking = "With 3 classes apgd-ce, fab, square alone are run, which is not AutoAttack."
    assert (lacking in notes) == (n_classes == 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: APGD(LINF, "mse"),
        lambda: APGD(LINF, "t", highest=True),
        lambda: APGD(LINF, "ce", 0),
        lambda: FAB(LINF, True, restarts=0),
        lambda: Square(LINF, 0),
        lambda: Square(object(), 1),
        lambda: AutoAttack(object()),
        lambda: Ensemble(LINF, ()),
        lambda: Ensemble(LINF, ("apgd-ce", "apgd-ce")),
        lambda: Ensemble(LINF, ("pgd",)),
        lambda: replace(Ensemble(LINF, ("square",)), queries=0),
    ],
)
def test_impossible_values_are_named(make):
    with pytest.raises(ValueError, match=r"allowed|know"):
        make()


def test_budgets_are_refused():
    step = step_on(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), steps=torch.ones(2))
    assert isinstance(step, Step)
    with pytest.raises(ValueError, match="budget"):
        APGD(LINF, "ce", 2)(robust(), step)
    right = step_on(step.x, robust()(step.x).argmax(1), steps=torch.ones(2))
    with pytest.raises(ValueError, match="budget"):
        Ensemble(LINF, ("apgd-ce",), 2)(robust(), right)
