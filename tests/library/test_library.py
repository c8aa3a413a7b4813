"""The public interface against closed forms, autograd and the package's own parts."""

import copy
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from toys import Small, same, weights

import leanat
from leanat import (
    Reselect,
    evaluate,
    fgsm,
    indexed,
    make_method,
    make_recipe,
    make_selector,
    perturb,
    pgd,
    select,
    train,
)
from leanat.attacks.autoattack import APGD, Ensemble, Square
from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core.meter import NonFiniteLoss
from leanat.core.nouns import Step
from leanat.core.rng import Draws
from leanat.data.augment import Flip
from leanat.library.attacks import fgsm_attack
from leanat.library.data import as_data
from leanat.library.network import own_precision
from leanat.models.classifier import PerChannel
from leanat.selection.basic import Every, Once
from leanat.selection.facility import facility_location
from leanat.selection.grad_match import GradMatch
from leanat.selection.granularity import per_class
from leanat.selection.matching import matching_pursuit
from leanat.selection.outer_products import Gradients
from leanat.training.objectives import CrossEntropy

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


class Views(nn.Module):
    """Takes views, as much code outside does, which needs contiguous images and weights."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.scale = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 5), nn.Linear(5, 5)

    def forward(self, x):
        z = F.relu(self.conv(x))
        return self.fc(z.view(len(x), -1))


@pytest.fixture
def net():
    return Views()


@pytest.fixture
def xy():
    return torch.rand(30, 3, 8, 8), torch.arange(30) % 5


class Detached(Views):
    def forward(self, x):
        return super().forward(x.detach()).detach()


class InPlace(nn.Module):
    """``net`` of normalised images, as a network that is short of memory computes it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.sub_(0.5).div_(0.25))


class Outside:
    """An attack that leaves [0, 1]."""

    def __call__(self, net, step):
        return step.x * 300 - 5


class OutsideInParts(Outside):
    def parts(self, n_classes):
        return {"first": Clean(), "second": Outside()}


def ninefold(net, step, factor):
    return step.x * factor


class Unsized(Dataset):
    def __getitem__(self, i):
        return torch.zeros(3, 8, 8), 0


class TooLong(TensorDataset):
    def __len__(self):
        return super().__len__() + 1


class Precise(nn.Module):
    """Logits of ``net`` in another precision than its own."""

    def __init__(self, net, dtype):
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, x):
        return self.net(x).to(self.dtype)


def three(net):
    """A network of three classes."""
    return nn.Sequential(net, nn.Linear(5, 3))


def sure(net):
    """A network of three classes that is certain of class 0, whose examples give no gradient."""
    layer = nn.Linear(5, 3)
    nn.init.zeros_(layer.weight)
    layer.bias.data = torch.tensor([1e4, 0.0, 0.0])
    return nn.Sequential(net, layer)


def inferred():
    with torch.inference_mode():
        return Views()


def late(name):
    """A method that trains on everything for two epochs first."""
    return make_method(choose=Every(period=1, warmup=2, inner=make_selector(name)))


def kept(index, weight=1.0):
    """A state of these examples."""
    return {"epoch": 3, "index": torch.tensor(index, dtype=torch.int64), "weight": torch.full((len(index),), weight)}


STATE = {"epoch": 3, "index": torch.arange(31), "weight": torch.ones(31)}  # of 31 examples


def linear(classes=2):
    """Two logits w.x and -w.x, whose input gradient is known."""
    layer = nn.Linear(12, classes, bias=False)
    with torch.no_grad():
        layer.weight[1] = -layer.weight[0]
    return nn.Sequential(nn.Flatten(), layer), layer.weight[0].detach()


def test_every_name_is_there_and_importing_is_light():
    assert all(callable(getattr(leanat, name)) for name in leanat.__all__)
    assert set(leanat.__all__) <= set(dir(leanat))
    code = "import sys, leanat; leanat.__version__; print({'torch', 'numpy'} & sys.modules.keys()); leanat.pgd"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
    with pytest.raises(AttributeError, match="pdg"):
        _ = leanat.pdg


def test_fgsm_of_a_linear_network_is_known():
    net, w = linear()
    x, y = torch.rand(6, 3, 2, 2), torch.tensor([0, 1] * 3)
    away = torch.where(y == 0, -1.0, 1.0)[:, None] * w.sign()
    assert torch.allclose(fgsm(net, x, y, 0.1), (x + 0.1 * away.view_as(x)).clamp(0, 1))


def test_radii_are_those_of_pixels_whatever_the_network_normalises_by(net, xy):
    x, y = xy
    inside = nn.Sequential(PerChannel(MEAN, STD), net)
    ours = pgd(net, x, y, mean=MEAN, std=STD, seed=3)
    assert torch.equal(ours, pgd(inside, x, y, seed=3))
    assert (ours - x).abs().max() <= 8 / 255 + 1e-6
    assert not torch.equal(ours, pgd(net, x, y, seed=3))


def test_a_network_that_computes_in_place_is_attacked_as_any_other(net, xy):
    """It gets images of its own: neither the caller's nor an attack's are normalised again and again."""
    x, inside = xy[0].clone(), nn.Sequential(PerChannel((0.5,) * 3, (0.25,) * 3), net)
    square = Square(threat=Linf(eps=0.1), queries=50)
    for attack in (PGD(threat=Linf(eps=0.1), steps=2, step_size=0.1, start="uniform"), square):
        here, there = (perturb(n, *xy, attack, seed=3) for n in (InPlace(net), inside))
        assert torch.allclose(here, there, atol=1e-6)
    here, there = (evaluate(n, xy, {"clean": "clean", "square": square}) for n in (InPlace(net), inside))
    assert [v.accuracy for v in here.values()] == [v.accuracy for v in there.values()]
    assert here["square"].outcome.linf.max() < 0.11
    assert torch.equal(select(InPlace(net), *xy, 0.3).index, select(inside, *xy, 0.3).index)
    assert torch.equal(xy[0], x)


def test_pgd_is_the_package_s_own(net, xy):
    x, y = xy
    index = torch.arange(len(x))
    attack = PGD(threat=Linf(eps=0.1), steps=3, step_size=0.05, start="uniform")
    right = attack(net, Step(0, index, x, y, torch.ones(len(x)), Draws(5, 0, index)))
    assert torch.equal(pgd(net, x, y, 0.1, steps=3, step_size=0.05, seed=5), right)
    assert torch.equal(perturb(net, x, y, attack, seed=5), right)


def test_starts_come_from_torch_s_generator(net, xy):
    def drawn(seed):
        torch.manual_seed(seed)
        return pgd(net, *xy), pgd(net, *xy)

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(*first)
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize(
    "name", ["fgsm", "fgsm_rs", "pgd", "mi_fgsm", "di2_fgsm", "apgd", "fab", "square", "autoattack"]
)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks_stay_in_ball_and_box_and_leave_the_network_as_it_was(name, norm, net, xy):
    x, y = xy[0][:6], xy[1][:6]
    few = {"square": {"queries": 20}, "apgd": {"steps": 3}, "fab": {"steps": 3}}.get(name, {})
    if name == "autoattack":
        x, y = x[:1], net(x[:1]).argmin(1)  # wrong already: nothing is left to do
    net.conv.eval()
    before, modes = weights(net), [m.training for m in net.modules()]
    x_adv = getattr(leanat, name)(net, x, y, 0.1, norm=norm, **few)
    change = (x_adv - x).flatten(1)
    size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
    assert x_adv.shape == x.shape
    assert size.max() <= 0.1 + 1e-5
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert same(weights(net), before)
    assert modes == [m.training for m in net.modules()]
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("name", ["stadv", "recoloradv", "jpeg"])
def test_attacks_without_a_ball(name, net, xy):
    x_adv = getattr(leanat, name)(net, xy[0][:4], xy[1][:4], steps=2)
    assert x_adv.shape == (4, 3, 8, 8)
    assert 0 <= x_adv.min() <= x_adv.max() <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net, x, y: pgd(net, x * 255, y), r"pixels of x reach from .* to 2\d\d.*; .* in \[0, 1\]: hand over x / 255"),
        (lambda net, x, y: pgd(net, (x - 0.5) / 0.2, y), r"before they are normalised, and mean=..., std=..."),
        (lambda net, x, y: pgd(net, x.clamp_min(1 + 2**-23), y), r"from 1.00000012 to 1.00000012; .*over x.clamp\(0, 1\)"),
        (lambda net, x, y: pgd(net, x * torch.nan, y), r"pixels of x, of shape \[30, 3, 8, 8\], are not a number"),
        (lambda net, x, y: pgd(net, x[0], y), r"x has shape \[3, 8, 8\]; \[B, C, H, W\] is expected"),
        (lambda net, x, y: pgd(net, (x * 255).byte(), y), r"x is uint8; .* x / 255"),
        (lambda net, x, y: pgd(net, x, y[:3]), r"y has shape \[3\]; \[30\]"),
        (lambda net, x, y: pgd(net, x, y.float()), r"y is float32; whole class numbers"),
        (lambda net, x, y: pgd(net, x, y + 3), r"y has the class number 7; the network has 5 logits"),
        (lambda net, x, y: pgd(nn.Conv2d(3, 1, 3), x, y), r"returns shape \[30, 1, 6, 6\] for images \[30, 3, 8, 8\]"),
        (lambda net, x, y: pgd(len, x, y), r"net is a builtin_function_or_method; a torch.nn.Module"),
        (lambda net, x, y: pgd(net, x, y, mean=0.5), "mean and std go together"),
        (lambda net, x, y: pgd(net, x, y, mean=(0.5,), std=(0.2,)), "mean has 1 numbers and std 1; the images have 3 channels"),
        (lambda net, x, y: pgd(net, x, y, mean=125, std=60), "of pixels in"),
        (lambda net, x, y: pgd(net, x, y, norm="l1"), "norm: there is no 'l1'"),
        (lambda net, x, y: pgd(net, x, y, norm=["linf"]), r"norm: there is no \['linf'\]"),
        (lambda net, x, y: pgd(net, x.to_sparse(), y), r"x is a sparse tensor; x.to_dense\(\) is expected"),
        (lambda net, x, y: pgd(nn.Sequential(nn.Flatten(), nn.LazyLinear(5)), x, y), "call it on images first"),
        (lambda net, x, y: indexed(iter([1])), "the dataset is of type list_iterator; a Dataset that is read by number"),
        (lambda net, x, y: len(indexed(Unsized())), "the Dataset, of type Unsized, has no length"),
        (lambda net, x, y: evaluate(net, TooLong(x, y)), "example 30 of the Dataset is not there, whose length is 31"),
        (lambda net, x, y: pgd(net, x, y, eps=-1), "eps"),
        (lambda net, x, y: evaluate(net, (x, y), ["pdg"]), "attack: there is no 'pdg'; did you mean pgd"),
        (lambda net, x, y: evaluate(three(net), (x, y % 3), {"a": APGD(Linf(0.1), "t")}), "attack 'a' needs 4 classes; the n"),
        (lambda net, x, y: evaluate(three(net), (x, y % 3), {"a": Ensemble(Linf(0.1), ("fab", "apgd-t"))}), "'a' needs 4"),
        (lambda net, x, y: evaluate(net, (x, y), "pgd"), "a list of names"),
        (lambda net, x, y: evaluate(net, DataLoader(TensorDataset(x, y))), "its dataset is expected: loader.dataset"),
        (lambda net, x, y: evaluate(net, {"x": x}), "data is a dict"),
        (lambda net, x, y: evaluate(net, "nowhere"), "no such folder"),
        (lambda net, x, y: evaluate(net, ""), "no such folder"),
        (lambda net, x, y: select(net, x, y, method="gradmatch"), "did you mean grad_match"),
        (lambda net, x, y: select(net, x, y, by="classes"), "did you mean class"),
        (lambda net, x, y: select(net, x, y, 0.0), "fraction"),
        (lambda net, x, y: select(net, x, y, by="batch"), "by 'batch': the 30 examples are one batch; a batch= below 30 is"),
        (lambda net, x, y: make_selector("random", 0.1, foo=3), "RandomPerClass: unknown key 'foo'"),
        (lambda net, x, y: make_selector("random", 0.1, by="example", foo=3), "Random: unknown key 'foo'"),
        (lambda net, x, y: select(sure(net), x, y * 0), "no example is kept: the gradients of all are 0"),
        (lambda net, x, y: select(net, x, y, method=lambda *_: torch.arange(0)), "no example is kept: the selector returns none"),
        (lambda net, x, y: select(net, x, y, method=late("craig").selector), "method is Every, which says when to choose"),
        (lambda net, x, y: Reselect(net, (x, y), method=Once(1, make_selector())), "method is Once, which says when to choose"),
        (lambda net, x, y: select(net, x, y, layer="fcc"), "no linear layer of the network has that name; did you mean fc"),
        (lambda net, x, y: select(net, x, y, layer="scale"), r"layer 'scale' does not give the logits \[1, 5\]"),
        (lambda net, x, y: select(nn.Sequential(net, nn.Softmax(1)), x, y), "no linear layer gives .* layers: 0.fc"),
        (lambda net, x, y: select(net, x, y, method="glister"), "validation"),
        (lambda net, x, y: train(net, (x, y), "pdg"), "did you mean pgd"),
        (lambda net, x, y: train(net, TensorDataset(x * 255, y)), "hand over x / 255"),
        (lambda net, x, y: leanat.mi_fgsm(net, x, y, steps=0), "MIFGSM: steps 0; allowed: 1 or more"),
        (lambda net, x, y: leanat.di2_fgsm(net, x, y, steps=0), "DI2FGSM: steps 0; allowed: 1 or more"),
        (lambda net, x, y: pgd(net, x, y, eps=8), "eps 8: pixels are in .* 8 / 255 is meant"),
        (lambda net, x, y: pgd(net, x, y, mean=float("nan"), std=0.5), "of pixels in"),
        (lambda net, x, y: pgd(net, x, y, mean="a", std=0.5), "mean is 'a'; a number, or a list"),
        (lambda net, x, y: pgd(net.double(), x, y), "the network is float64, its images float32; float32 is expected"),
        (lambda net, x, y: pgd(net, x.double(), y), "the network is float32, its images float64; float32 is expected"),
        (lambda net, x, y: evaluate(net.double(), (x, y)), "the network is float64, its images float32"),
        (lambda net, x, y: train(net.double(), (x, y)), "the network is float64, its images float32"),
        (lambda net, x, y: pgd(net, x.half(), y), "x is float16, too coarse"),
        (lambda net, x, y: pgd(net.bfloat16(), x.bfloat16(), y), "x is bfloat16, too coarse"),
        (lambda net, x, y: pgd(inferred(), x, y), "made inside torch.inference_mode"),
        (lambda net, x, y: pgd(Detached(), x, y), "the network gives no gradient"),
        (lambda net, x, y: evaluate(net, (x[:, :1], y)), r"does not take the images of the data, \[1, 8, 8\]: .* 3 channels"),
        (lambda net, x, y: evaluate(net, (x, y), limit=True), "limit is True; a whole number from 1 on"),
        (lambda net, x, y: evaluate(net, (x, y), limit=0), "limit is 0; a whole number from 1 on"),
        (lambda net, x, y: evaluate(net, (x, y), limit=-1), "limit is -1; a whole number"),
        (lambda net, x, y: evaluate(net, (x, y), (name for name in ["pgd"])), "a list of names"),
        (lambda net, x, y: evaluate(net, (x, y), {"a": PGD}), r"attack is the class PGD; an object .* PGD\(...\)"),
        (lambda net, x, y: evaluate(Answer(), answered((x, y)), {"a": lambda net, step: None}), "the attack returns NoneType"),
        (lambda net, x, y: evaluate(Answer(), answered((x, y)), {"a": lambda net, step: step.x + 5}), "attack returns reach"),
        (lambda net, x, y: evaluate(Answer(), answered((x, y)), {"a": Outside()}), "attack returns reach"),
        (lambda net, x, y: evaluate(Answer(), answered((x, y)), {"a": OutsideInParts()}), "attack returns reach"),
        (lambda net, x, y: perturb(net, x, y, partial(ninefold, factor=9)), "attack returns reach"),
        (lambda net, x, y: perturb(net, x, y, PGD), "attack is the class PGD"),
        (lambda net, x, y: perturb(net, x, y, pgd), "attack is the function pgd, which takes images; an attack"),
        (lambda net, x, y: select(net, x, y, attack=pgd), "attack is the function pgd, which takes images; a name or an attack"),
        (lambda net, x, y: perturb(net, x, y, lambda net, step: step.x.long()), "the attack returns images of torch.int64"),
        (lambda net, x, y: perturb(net, x, y, lambda net, step: step.x.double()), "the attack returns images of torch.float64"),
        (lambda net, x, y: pgd(net, x, y, eps=128, norm="l2"), "eps 128: pixels are in .* where 13.86 is everything; 128 / 255"),
        (lambda net, x, y: evaluate(net, (x, y), eps=128, norm="l2"), "eps 128: pixels are in .* where 13.86 is everything"),
        (lambda net, x, y: evaluate(net, (x, y), {"a": fgsm_attack(Linf(8))}), "eps 8: pixels are in .* where 1 is everything"),
        (lambda net, x, y: select(net, x, y, attack="pgd", norm="l2", eps=128), "eps 128: pixels are in"),
        (lambda net, x, y: train(net, (x, y), make_method(eps=128, norm="l2")), "eps 128: pixels are in"),
        (lambda net, x, y: pgd(net, x.movedim(1, 3), y), r"the network does not take the images of x, \[8, 8, 3\]"),
        (lambda net, x, y: make_recipe(momentum=9), "momentum 9; allowed: from 0, below 1"),
        (lambda net, x, y: select(net, x, y, method=3), "method is 3; a name or what make_selector returns"),
        (lambda net, x, y: select(net, x, y, method=None), "method is None; a name"),
        (lambda net, x, y: select(net, x, y, objective=CrossEntropy), "objective is the class CrossEntropy"),
        (lambda net, x, y: select(nn.Flatten(), x, y), "the network has no parameters"),
        (lambda net, x, y: select(net, x, y, method="glister", validation=(x, y + 1)), "validation has the class number 5"),
        (lambda net, x, y: select(net, x, y, method="glister", validation=(x[..., :7, :7], y)), r"of validation, \[3, 7, 7\]"),
        (lambda net, x, y: Reselect(nn.Sequential(net, nn.Softmax(1)), (x, y), warmup=3), "no linear layer gives"),
        (lambda net, x, y: Reselect(net, (x, y), method="glister", warmup=3), "validation examples; hand them over"),
        (lambda net, x, y: Reselect(net, (x, y)).set_epoch(-1), "the epoch is -1; a whole number from 0"),
        (lambda net, x, y: Reselect(net, (x, y)).set_epoch("1"), "the epoch is '1'; a whole number from 0 on"),
        (lambda net, x, y: Reselect(net, (x, y)).set_epoch(1.5), "the epoch is 1.5; a whole number from 0 on"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict(None), "the state is None; what state_dict returns is exp"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict({}), "the state has nothing"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict(STATE), "has 31 numbers, with 30; .* from 0 to 29"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict(kept([-1, -2, 3])), "has 3 numbers, with -1; different"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict(kept([1, 1, 3])), "has 3 numbers, 1 more than once; d"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict(kept([1], torch.nan)), "weights that are NaN or"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict(kept([1], -1.0)), "weights from -1 to -1; 0 or more, not all 0"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict(STATE | {"index": torch.arange(3)}), r"\[31\]; \[3\] is exp"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict(STATE | {"index": [1]}), "the state has a list of 1; the"),
        (lambda net, x, y: Reselect(net, (x, y)).load_state_dict(kept([1]) | {"epoch": "a"}), "epoch is 'a'; a whole number"),
        (lambda net, x, y: evaluate(nn.Sequential(net, nn.Linear(5, 1)), (x, y * 0)), "the network returns one logit per image"),
        (lambda net, x, y: evaluate(net, (x, y), batch=2.5), "batch is 2.5; a whole number from 1 on"),
        (lambda net, x, y: evaluate(net, (x, y), batch=0), "batch is 0; a whole number from 1 on"),
        (lambda net, x, y: select(net, x, y, batch=2.5), "batch is 2.5; a whole number from 1 on"),
        (lambda net, x, y: evaluate(net, (x, y), seed="a"), "seed is 'a'; a whole number"),
        (lambda net, x, y: select(net, x, y, seed=None), "seed is None; a whole number"),
        (lambda net, x, y: train(net, (x, y), seed=1.5), "seed is 1.5; a whole number"),
        (lambda net, x, y: pgd(net, x, y, seed="a"), "seed is 'a'; a whole number"),
        (lambda net, x, y: train(net, (x, y), after_epoch=5), "after_epoch is 5; a function of an epoch's row"),
        (lambda net, x, y: train(net, (x, y), recipe=make_recipe(epochs=1, batch=30)), "the learning rate is 0 in every step"),
        (lambda net, x, y: train(net, (x, y), None), "method is None; what make_method returns"),
        (lambda net, x, y: train(net, (x, y), recipe={}), "recipe is of type dict; what make_recipe returns"),
        (lambda net, x, y: train(net, (x, y), augment="flip"), "augment is 'flip'; a tuple of pieces"),
        (lambda net, x, y: train(net, (x, y), augment=Flip()), r"augment is Flip\(\); a tuple of pieces"),
        (lambda net, x, y: train(net, (x, y), augment=(Flip,)), r"a piece of augment is the class Flip; .* Flip\(...\)"),
        (lambda net, x, y: train(net.requires_grad_(False), (x, y)), "the network has no parameter to train"),
        (lambda net, x, y: train(nn.Flatten(), (x, y)), "the network has no parameter to train"),
        (lambda net, x, y: make_method(choose="craig"), "choose is 'craig'; what make_selector returns"),
        (lambda net, x, y: train(net, (x, y), late("glister"), after_epoch=pytest.fail), "validation examples; hand them over"),
        (lambda net, x, y: train(net, (x, y), late("glister"), validation=(x, y + 4), after_epoch=pytest.fail), "number 8; the"),
        (lambda net, x, y: train(nn.Sequential(net, nn.Softmax(1)), (x, y), late("craig"), after_epoch=pytest.fail), "no linear"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(call, message, net, xy):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        call(net, *xy)
    assert "\n" not in str(error.value)


def test_a_caller_s_modes_change_nothing(net, xy):
    """Neither inference mode, no_grad nor another default of floats: the same numbers, and the modes are as they were."""

    def everything(own):
        rows = train(own, xy, "pgd", make_recipe(epochs=1, batch=10))
        return [
            pgd(net, *xy, seed=3), leanat.apgd(net, *xy, steps=3, seed=3), leanat.fab(net, *xy, steps=3, seed=3),
            evaluate(net, xy, seed=3)["pgd"].outcome.loss, select(net, *xy, 0.3).weight, rows[0]["loss"], own.conv.weight,
        ]  # fmt: skip

    copies = [copy.deepcopy(net) for _ in range(4)]
    usual = everything(copies[0])
    with torch.no_grad():
        blind = everything(copies[1])
    with torch.inference_mode():
        inferred, images = everything(copies[2]), torch.full((3, 3, 8, 8), 0.5)
        assert pgd(net, images, torch.zeros(3, dtype=torch.int64)).shape == images.shape
        assert torch.is_inference_mode_enabled()
    assert pgd(net, images, torch.zeros(3, dtype=torch.int64)).shape == images.shape
    torch.set_default_dtype(torch.float64)
    try:
        double = everything(copies[3])
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    for other in (blind, inferred, double):
        for value, right in zip(other, usual, strict=True):
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(right))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_caller_s_autocast_changes_nothing(precision, net, xy):
    """Passes forward and backward are as the recipe says, and each step is of the weights as they then are."""

    def everything(own):
        rows = train(own, xy, "pgd", make_recipe(epochs=2, batch=10, precision=precision))
        chosen, found = select(own, *xy, 0.3, by="example", attack="pgd"), evaluate(own, xy)["pgd"]
        return [rows[-1]["loss"], own.conv.weight, chosen.index, chosen.weight, found.outcome.loss]

    usual, own = everything(copy.deepcopy(net)), copy.deepcopy(net)
    with torch.autocast("cpu", torch.bfloat16):
        other, z = everything(own), own(xy[0])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(own(xy[0]), z), "no cast of weights as they were is kept"
    for value, right in zip(other, usual, strict=True):
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(right))


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps", "xpu"])
def test_a_caller_s_autocast_is_off_on_every_device(device):
    torch.set_autocast_enabled(device, True)
    try:
        with own_precision():
            assert not torch.is_autocast_enabled(device)
        assert torch.is_autocast_enabled(device)
    finally:
        torch.set_autocast_enabled(device, False)


@pytest.mark.parametrize("attack", [leanat.apgd, leanat.fab])
def test_float64_is_refused_by_what_computes_in_float32(attack, net, xy):
    with pytest.raises(ValueError, match=r"^APGD and FAB compute in float32 alone, x and the network are float64: net"):
        attack(net.double(), xy[0].double(), xy[1], steps=2)


def test_gradients_that_vanish_are_said():
    """Of logits so large that the probabilities of the right class are 1: the same network, hard to attack by gradients."""
    net, w = linear()
    x = 0.3 + 0.4 * torch.rand(200, 3, 2, 2)
    data = x, (x.flatten(1) @ w < 0).long()
    with torch.no_grad():
        net[1].weight *= 1e4
    found = evaluate(
        net, data, {"clean": "clean", "square": Square(Linf(0.1), 50), "pgd": "pgd", "apgd": "apgd"}, eps=0.1
    )
    assert {name: len(result.notes) for name, result in found.items()} == {
        "clean": 0, "square": 0, "pgd": 1, "apgd": 1, "worst": 1,
    }  # fmt: skip
    assert re.fullmatch(r"The input gradient is exactly 0 for \d+\.\d% of the images\.", found["pgd"].notes[0])
    assert evaluate(Answer(), data, {"mine": lambda net, step: step.x})["mine"].notes == ()


def test_robust_accuracy_of_a_linear_network_is_known():
    net, w = linear()
    x = 0.3 + 0.4 * torch.rand(200, 3, 2, 2)  # no image of the ball leaves the box
    score = x.flatten(1) @ w
    y = (score < 0).long()
    y[::10] = 1 - y[::10]
    right = (score * torch.where(y == 0, 1.0, -1.0)) > 0.1 * w.abs().sum()
    found = evaluate(net, (x, y), ["clean", "pgd"], eps=0.1)
    assert found["clean"].accuracy == pytest.approx(0.9)
    assert found["pgd"].accuracy == pytest.approx(right.float().mean().item())
    assert 0 < found["pgd"].accuracy < 0.9
    assert found["worst"].accuracy == found["pgd"].accuracy
    assert found["pgd"].outcome.correct.tolist() == right.tolist()


def own_gradients(net, x, y, mean=None, std=None):
    """Of each example's loss with respect to ``fc``, by autograd."""
    x = x if mean is None else (x - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    rows = []
    for i in range(len(x)):
        loss = F.cross_entropy(net(x[i : i + 1]), y[i : i + 1])
        weight, bias = torch.autograd.grad(loss, (net.fc.weight, net.fc.bias))
        rows.append(torch.cat([weight, bias[:, None]], 1).flatten())
    return torch.stack(rows)


@pytest.mark.parametrize("layer", [None, "fc"])
@pytest.mark.parametrize("method", ["grad_match", "craig"])
def test_a_selection_is_that_of_the_gradients_of_the_last_layer(method, layer, net, xy):
    g = own_gradients(net, *xy, MEAN, STD)
    solve = {
        "grad_match": lambda rows, k: matching_pursuit(rows, rows.sum(0), k)[:2],
        "craig": lambda rows, k: facility_location(Gradients.of(rows), k),
    }[method]
    index, weight = per_class(lambda members, k: solve(g[members], k), xy[1], 10)
    found = select(net, *xy, 1 / 3, method, layer=layer, mean=MEAN, std=STD)
    order, right = found.index.argsort(), index.argsort()
    assert torch.equal(found.index[order], index[right])
    assert torch.allclose(found.weight[order], weight[right], rtol=1e-3)
    assert len(found.index) == 10, "these are kept"


def test_an_adversarial_selection_is_that_of_adversarial_images(net, xy):
    attack = PGD(threat=Linf(eps=0.2), steps=2, step_size=0.1, start="none")
    x_adv = perturb(net, *xy, attack)
    here, there = select(net, *xy, 0.3, attack=attack), select(net, x_adv, xy[1], 0.3)
    assert torch.equal(here.index, there.index)
    assert torch.allclose(here.weight, there.weight, rtol=1e-3)
    assert not torch.equal(here.index.sort().values, select(net, *xy, 0.3).index.sort().values)


@pytest.mark.parametrize("by", ["class", "example", "batch"])
@pytest.mark.parametrize("method", ["grad_match", "craig", "glister", "loss", "el2n", "margin", "moderate", "random"])
def test_every_method_keeps_about_its_fraction(method, by, net, xy):
    if (method, by) in [("loss", "example"), ("loss", "batch")]:
        pytest.skip("by class alone")
    index, weight = select(net, *xy, 1 / 3, method, by, validation=xy, batch=5)
    assert len(index) == len(index.unique()) == len(weight) == 10
    assert weight.min() > 0
    if by == "class":
        assert xy[1][index].bincount().tolist() == [2] * 5


class Twice(Views):
    """Calls its last layer on other features first, and by keyword."""

    def forward(self, x):
        self.fc(input=torch.zeros(len(x), 4 * 36))
        return self.fc(input=F.relu(self.conv(x)).view(len(x), -1))


def test_features_are_those_that_the_logits_are_of(net, xy):
    twice = Twice()
    twice.load_state_dict(net.state_dict())
    here, there = (select(n, *xy, 0.3, "craig", "example") for n in (twice, net))
    assert torch.equal(here.index, there.index)
    assert torch.equal(here.weight, there.weight)


def compiled_in_place(net):
    net.compile(backend="eager")
    return net


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_logits_of_another_precision_choose_as_their_own(dtype, net, xy):
    """To their rounding, which the weights show and which hardly moves a choice."""
    chosen = select(net, *xy, 1 / 3, method="grad_match", by="class")
    other = select(Precise(net, dtype), *xy, 1 / 3, method="grad_match", by="class")
    assert torch.equal(other.index, chosen.index)
    assert torch.allclose(other.weight, chosen.weight, rtol=1e-5 if dtype == torch.float64 else 0.2)


@pytest.mark.parametrize("compiled", [lambda net: torch.compile(net, backend="eager"), compiled_in_place])
def test_a_compiled_network_chooses_as_it_does_uncompiled(compiled, net, xy):
    """Also where its graphs are there before it is asked."""

    def everything(own):
        own(xy[0])
        chosen = select(own, *xy, 1 / 3, "craig", "example", attack="pgd")
        sampler = Reselect(own, xy, 1 / 3, every=1)
        orders = [list(sampler), list(sampler)]
        method = make_method("pgd", steps=2, choose=make_selector("grad_match", 0.3))
        rows = train(own, xy, method, make_recipe(epochs=2, batch=10))
        return [chosen.index, chosen.weight, *orders, rows[-1]["loss"], net.conv.weight.detach().clone()]

    state = copy.deepcopy(net.state_dict())
    usual = everything(net)
    net.load_state_dict(state)
    for value, right in zip(everything(compiled(net)), usual, strict=True):
        assert torch.allclose(torch.as_tensor(value), torch.as_tensor(right), atol=1e-6)


def test_selection_leaves_the_network_as_it_was(net, xy):
    net = nn.Sequential(nn.BatchNorm2d(3), net).requires_grad_(False)
    before, strides = weights(net), [p.stride() for p in net.parameters()]
    select(net, *xy, 0.3, attack="pgd")
    assert same(weights(net), before)
    assert strides == [p.stride() for p in net.parameters()]
    assert not any(p.requires_grad for p in net.parameters())
    assert net.training


class Slow(Dataset):
    """The same images one by one, without a list of labels."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], int(self.y[i])


def test_tensors_datasets_and_folders_are_one(net, xy, tmp_path):
    from torchvision.io import write_png

    levels, y = (xy[0] * 255).byte(), xy[1]
    for i, (image, label) in enumerate(zip(levels, y.tolist(), strict=True)):
        (tmp_path / str(label)).mkdir(exist_ok=True)
        write_png(image, str(tmp_path / str(label) / f"{i:03d}.png"))
    order = y.argsort(stable=True)  # the folder's
    x, y = levels[order] / 255, y[order]
    sources = [(x, y), (levels[order], y), TensorDataset(x, y), Slow(x, y), Slow(levels[order], y), str(tmp_path)]
    found = [evaluate(net, data, {"pgd": "pgd"}, seed=4)["pgd"].outcome.loss.tolist() for data in sources]
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-5)
    trained = []
    for data in sources:
        torch.manual_seed(0)
        own = Views()
        train(own, data, "pgd", make_recipe(epochs=2, batch=10))
        trained.append(weights(own)["conv.weight"])
    assert all(torch.allclose(other, trained[0], atol=1e-5) for other in trained[1:])


def test_an_attack_that_works_in_place_leaves_the_images_alone(net, xy):
    """Neither the caller's nor those that the outcome is compared with; and what comes back is a tensor of its own."""
    x, y = xy[0].clone(), xy[1]
    x_adv = perturb(net, x, y, lambda net, step: step.x.zero_())
    assert torch.equal(x, xy[0])
    assert not x_adv.any()
    perturb(net, x, y, Clean()).zero_()
    assert torch.equal(x, xy[0])


def test_an_attack_of_the_user_s_changes_images_alone(xy):
    """Not the labels by which it is judged, not the mode in which the next images are classified, not the weights."""
    x, y = xy[0], xy[1].clone()

    def meddles(net, step):
        step.y.zero_()
        net.train()(step.x)
        return step.x

    def breaks(net, step):
        next(net.parameters()).data.zero_()
        return step.x

    net = Small(channels=3, n_classes=5).eval()
    before = weights(net)
    found = evaluate(net, (x, y), {"meddles": meddles, "clean": "clean"})
    perturb(net, x, y, meddles)
    assert found["meddles"].accuracy == found["clean"].accuracy > 0
    assert torch.equal(y, xy[1])
    assert same(weights(net), before)
    assert not net.training
    recipe, told = make_recipe(epochs=1, batch=10), replace(make_method("standard"), attack=breaks)
    ways = (
        lambda: evaluate(net, (x, y), {"breaks": breaks}),
        lambda: perturb(net, x, y, breaks),
        lambda: train(net, (x, y), told, recipe),
    )
    for way in ways:
        with pytest.raises(ValueError, match=r"the attack changes .* of the network"):
            way()
        assert same(weights(net), before)


def test_what_the_user_wrote_meets_the_network_in_evaluation_mode_and_leaves_no_gradient(xy):
    met = []

    def backward(net, x, y):
        met.append((net.training, net.head.weight.grad))
        x = x.clone().requires_grad_()
        F.cross_entropy(net(x), y).backward()
        return x.grad

    def attack(wrapped, step):
        return (step.x + 0.01 * backward(wrapped.net, step.x, step.y).sign()).clamp(0, 1)

    def selector(run, split):
        backward(run.net.net, *split.train.batch(torch.arange(8), 0))
        return torch.arange(8)

    for work in (
        lambda net: perturb(net, *xy, attack),
        lambda net: select(net, *xy, 0.5, attack=attack),
        lambda net: select(net, *xy, 0.5, selector),
        lambda net: list(Reselect(net, xy, 0.5, selector)),
    ):
        net, ones = Small(channels=3, n_classes=5), torch.ones(5, 5)
        net.head.weight.grad = ones
        modes, before = (
            [module.train(not index % 2).training for index, module in enumerate(net.modules())],
            weights(net),
        )
        work(net)
        assert [module.training for module in net.modules()] == modes
        assert same(weights(net), before)
        assert net.head.weight.grad is ones
        assert all(p.grad is None for p in net.body.parameters())
        assert torch.equal(ones, torch.ones(5, 5))
    assert set(met) == {(False, None)}


def test_a_layer_that_a_selector_froze_trains_on(xy):
    def freezes(run, split):
        run.net.net.body[1].eval()
        return torch.arange(20)

    net = Small(channels=3, n_classes=5)
    train(net, xy, make_method("standard", choose=freezes), make_recipe(epochs=2, batch=10))
    assert net.body[1].training
    assert net.body[1].running_mean.any()


def test_a_selector_of_the_user_s_that_changes_the_network_is_refused(xy):
    def breaks(run, split):
        next(run.net.parameters()).data.zero_()
        return torch.arange(4)

    for way in (
        lambda: select(Small(channels=3, n_classes=5), *xy, method=breaks),
        lambda: train(Small(channels=3, n_classes=5), xy, make_method("standard", choose=breaks), make_recipe(1, 10)),
    ):
        with pytest.raises(ValueError, match=r"the selector changes .* of the network; a rule chooses alone"):
            way()


class Poisoned(nn.Linear):
    """The logits of the third image of each batch are not finite."""

    def forward(self, x):
        return super().forward(x) + torch.where(torch.arange(len(x)) == 2, torch.nan, 0.0)[:, None]


@pytest.mark.parametrize("method", ["grad_match", "craig", "glister", "loss", "el2n", "margin", "moderate"])
def test_nothing_is_chosen_by_logits_that_are_not_finite(method, xy):
    net = nn.Sequential(nn.Flatten(), Poisoned(192, 5))
    with pytest.raises(ValueError, match="not finite for 3 of 30 images"):
        select(net, *xy, 0.5, method, batch=10, validation=xy)


def test_the_classes_that_an_attack_needs_are_those_of_the_network(tmp_path):
    """A folder may have fewer."""
    from torchvision.io import write_png

    for label in "ab":
        (tmp_path / label).mkdir()
        write_png(torch.randint(256, (3, 8, 8), dtype=torch.uint8), str(tmp_path / label / "0.png"))
    found = evaluate(Views(), str(tmp_path), {"dlr": APGD(Linf(0.1), "dlr", steps=2)})
    assert found["dlr"].n == 2


def test_grey_photographs_are_read_for_a_network_of_one_channel(tmp_path):
    from torchvision.io import write_png

    x, y = torch.randint(256, (10, 1, 8, 8), dtype=torch.uint8), torch.arange(10) % 5
    for i, (image, label) in enumerate(zip(x, y.tolist(), strict=True)):
        (tmp_path / str(label)).mkdir(exist_ok=True)
        write_png(image, str(tmp_path / str(label) / f"{i}.png"))
    own = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    assert evaluate(own, str(tmp_path), ["clean"])["clean"].clean == evaluate(own, (x, y), ["clean"])["clean"].clean
    train(own, str(tmp_path), make_method("standard", choose=make_selector("glister")), validation=str(tmp_path))


class Answer(nn.Module):
    """Answers the class that the first pixel says, of five."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * F.one_hot((x[:, 0, 0, 0] * 5).long().clamp(max=4), 5).float()


class Told(Slow):
    """With the attributes that are given, and labels one by one that ``label`` changes."""

    def __init__(self, x, y, label=lambda i, c: c, **attributes):
        super().__init__(x, y)
        self.label = label
        vars(self).update(attributes)

    def __getitem__(self, i):
        return self.x[i], self.label(i, self.y[i].item())


class Shifted(TensorDataset):
    def __getitem__(self, i):
        x, y = super().__getitem__(i)
        return x, (y + 1) % 5


def answered(xy):
    """Images that ``Answer`` gets right."""
    x, y = xy
    x[:, 0, 0, 0] = (y + 0.5) / 5
    return x, y


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: Shifted(x, y),
        lambda x, y: Told(x, y, lambda i, c: (c + 1) % 5, targets=y.tolist(), target_transform=lambda c: (c + 1) % 5),
        lambda x, y: Told(x, y, lambda i, c: (c + 1) % 5, targets=y.tolist()),
        lambda x, y: Told(x, y, lambda i, c: 4 - c if c in (0, 4) else c, labels=y, targets=None),
        lambda x, y: Told(x, y, labels=torch.arange(30)),
        lambda x, y: Told(x, y, labels=["a"] * 30, targets=3),
        lambda x, y: Told(x, y, lambda i, c: float(c), targets=[float(c) for c in y]),
        lambda x, y: Told(x, y, targets=y.numpy()),
    ],
)
def test_the_labels_of_a_dataset_are_those_of_its_examples(make, xy):
    dataset = make(*answered(xy))
    examples = [dataset[i] for i in range(30)]
    right = sum(Answer()(x[None]).argmax().item() == int(c) for x, c in examples) / 30
    assert evaluate(Answer(), dataset, ["clean"])["clean"].accuracy == pytest.approx(right, abs=1e-6)


def test_comparing_labels_draws_nothing(xy):
    told, state = Told(*xy, lambda i, c: c + 0 * int(torch.rand(())), targets=xy[1].tolist()), torch.get_rng_state()
    as_data(told, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: Told(x, y, lambda i, c: 1.7), "example 0 of the Dataset has the label 1.7; a whole class number"),
        (lambda x, y: Told(x, y, lambda i, c: F.one_hot(y)[i]), r"the label of shape \[5\]; a whole class number"),
        (lambda x, y: Told(x, y, lambda i, c: "cat"), "the label 'cat'; a whole"),
        (lambda x, y: Told(x, y, lambda i, c: c + (i == 29 and 1), targets=y), "example 29 .* label 5; it had 4 when"),
        (lambda x, y: [{"image": a, "label": 0} for a in x], r"example 0 of the Dataset is a dict; a pair \(image, label\)"),
        (lambda x, y: [(a,) for a in x], "is a tuple of 1; a pair"),
        (lambda x, y: [x, y], r"data is a list of 2 tensors; a tuple \(x, y\)"),
        (lambda x, y: [(a[:, : 8 - i], 0) for i, a in enumerate(x[:2])], r"shape \[3, 7, 8\], others \[3, 8, 8\]; all of"),
        (lambda x, y: [(a.numpy(), 0) for a in x], r"an image of type ndarray; a tensor \[C, H, W\]"),
        (lambda x, y: [((a * 255).long(), 0) for a in x], "an image of int64; uint8, or floating"),
        (lambda x, y: [(Image.new("P", (8, 8)), 0)], "an image of palette numbers"),
    ],
)  # fmt: skip
def test_examples_that_do_not_fit_are_refused_in_one_line(make, message, xy):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        evaluate(Answer(), make(*xy), ["clean"])
    assert "\n" not in str(error.value)


def test_images_keep_their_own_graph_to_themselves(net, xy):
    """They may come out of another network: no gradient goes back there, and none is asked twice of its graph."""
    leaf = xy[0].requires_grad_()
    rows = list(zip(leaf * 1.0, xy[1].tolist(), strict=True))
    for x, data in ((leaf, (leaf, xy[1])), (leaf, (leaf * 1.0, xy[1])), (leaf, rows)):
        train(net, data, "standard", make_recipe(epochs=2, batch=10))
        evaluate(net, data, ["pgd"])
        assert x.grad is None


def test_a_step_of_training_is_torch_s(net, xy):
    by_hand = Views()
    by_hand.load_state_dict(net.state_dict())
    recipe = make_recipe(epochs=1, batch=30, lr=0.1, warmup_share=0.0)
    rows = train(net, xy, "standard", recipe)
    opt = torch.optim.SGD(by_hand.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    loss = F.cross_entropy(by_hand(xy[0]), xy[1])
    loss.backward()
    opt.step()
    assert rows[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for ours, theirs in zip(net.parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("training", ["standard", "pgd", "fgsm_rs", "trades", "mart"])
def test_every_training_learns_and_can_be_ended(training, xy):
    net, seen = Small(3, 5), []
    rows = train(
        net, xy, training, make_recipe(epochs=9, batch=10), after_epoch=lambda row: seen.append(row) or len(seen) == 4
    )
    assert rows == seen
    assert len(rows) == 4
    assert rows[-1]["kept"] == 30


def test_training_on_a_subset(net, xy):
    chosen = make_method("pgd", steps=2, choose=leanat.make_selector("grad_match", 0.3))
    assert train(net, xy, chosen, make_recipe(epochs=2, batch=10))[-1]["kept"] == 9


def test_the_sampler_chooses_anew_and_knows_its_weights(net, xy):
    calls = []
    net.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    sampler = Reselect(net, xy, fraction=1 / 3, every=2, warmup=1)
    loader = DataLoader(indexed(TensorDataset(*xy)), batch_size=4, sampler=sampler)
    kept, orders = [], []
    for epoch in range(5):
        order = []
        for x, y, i in loader:
            assert torch.equal(x, xy[0][i])
            assert torch.equal(y, xy[1][i])
            order += i.tolist()
        assert sampler.epoch == epoch
        assert sorted(order) == sorted(sampler.index.tolist())
        assert len(sampler) == len(order)
        assert (sampler.weight > 0).nonzero().flatten().tolist() == sorted(order)
        kept.append(sorted(order))
        orders.append(order)
        with torch.no_grad():
            net.fc.weight.normal_()
    assert kept[0] == list(range(30))
    assert len(kept[1]) == 10
    assert kept[1] == kept[2] != kept[3] == kept[4]
    assert orders[1] != orders[2]
    wanted = select(net, *xy, 1 / 3)
    sampler.set_epoch(5)
    list(sampler)
    assert torch.equal(sampler.index, wanted.index)
    assert torch.equal(sampler.weight[wanted.index], wanted.weight)


def test_asking_for_the_length_does_not_choose_twice(net, xy):
    sampler, calls = Reselect(net, xy, fraction=1 / 3, every=2), []
    net.register_forward_hook(lambda module, inputs, output: calls.append(len(output)))
    assert len(sampler) == 10
    once = sum(calls)
    list(sampler)
    assert sum(calls) == once == 30


def test_the_sampler_goes_on_from_a_checkpoint(net, xy):
    first = Reselect(net, xy, fraction=1 / 3, every=4, seed=7)
    orders = [list(first) for _ in range(2)]
    state = first.state_dict()
    orders.append(list(first))
    again = Reselect(net, xy, fraction=1 / 3, every=4, seed=7)
    again.load_state_dict(state)
    assert list(again) == orders[2]
    assert again.epoch == 2
    again.load_state_dict({name: value for name, value in state.items() if name != "shuffle"})  # an older one
    assert list(again) == orders[2]


def test_a_choice_of_nothing_trains_on_nothing_and_goes_on_from_a_checkpoint(net, xy):
    """GRAD-MATCH keeps nothing where all gradients are 0."""
    own, data = sure(net), (xy[0], xy[1] * 0)
    sampler = Reselect(own, data)
    assert list(sampler) == []
    again = Reselect(own, data)
    again.load_state_dict(sampler.state_dict())
    assert (len(again), again.epoch) == (0, 0)
    before = weights(own)
    history = train(own, data, make_method("standard", choose=make_selector()), make_recipe(2, 10))
    assert [row["kept"] for row in history] == [0, 0]
    assert same(weights(own), before)


def test_a_rate_of_0_is_said_before_anything_is_trained(xy):
    norm = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match="the learning rate is 0 in every step"):
        train(nn.Sequential(norm, nn.Flatten(), nn.Linear(192, 5)), xy, "standard", make_recipe(1, 30))
    assert not norm.running_mean.any()


def test_an_epoch_s_row_is_the_caller_s_own(net, xy):
    recipe = make_recipe(epochs=1, batch=10)
    assert train(net, xy, "standard", recipe, after_epoch=lambda row: row.clear())[0]["kept"] == len(xy[0])


def test_a_batch_of_weight_0_is_named(net, xy):
    def choose(run, split):
        return torch.arange(30), (torch.arange(30) == 0).float()

    with pytest.raises(NonFiniteLoss, match=r"loss not finite: epoch 0, batch \d, seed 0, whose weights are all 0"):
        train(net, xy, make_method("standard", choose=choose), make_recipe(epochs=1, batch=10))


def test_whole_batches_stay_together_after_a_checkpoint(net, xy):
    method = GradMatch(fraction=0.5, granularity="whole_batches")
    first, again = (Reselect(net, xy, method=method, every=4, batch=5) for _ in range(2))
    list(first)
    again.load_state_dict(first.state_dict())
    assert list(again) == list(first)


def test_the_sampler_may_be_asked_without_gradients(net, xy):
    """What it hands out there goes into losses elsewhere."""

    def learn(sampler):
        losses = F.cross_entropy(net(xy[0]), xy[1], reduction="none")
        (sampler.weight * losses)[sampler.index].sum().backward()

    sampler, again = (Reselect(net, xy, fraction=1 / 3, every=1) for _ in range(2))
    for _ in range(2):
        with torch.inference_mode():
            order = list(sampler)
        learn(sampler)
        assert len(order) == 10
    with torch.inference_mode():
        again.load_state_dict(
            {name: torch.as_tensor(v).clone() for name, v in sampler.state_dict().items()} | {"epoch": 1}
        )
    learn(again)
    assert torch.equal(again.weight, sampler.weight)


@pytest.mark.parametrize("layer", [None, "fc"])
def test_the_sampler_follows_a_head_that_is_replaced(layer, net, xy):
    sampler = Reselect(net, xy, fraction=1 / 3, every=1, layer=layer)
    list(sampler)
    net.fc = nn.Linear(4 * 36, 5)
    list(sampler)
    assert torch.equal(sampler.index, select(net, *xy, 1 / 3).index)
    net.fc = nn.Sequential(nn.Linear(4 * 36, 5), nn.Softmax(1))
    with pytest.raises(ValueError, match="no linear layer"):
        list(sampler)


@pytest.mark.parametrize("example", [{"image": torch.zeros(3, 2, 2), "label": 1}, torch.zeros(3, 2, 2)])
def test_examples_that_cannot_be_numbered_are_refused(example):
    kind = type(example).__name__
    with pytest.raises(TypeError, match=rf"example 2 of the Dataset is a {kind}; a tuple, as \(image, label\), is exp"):
        indexed([example] * 4)[2]


WRONG = {
    "no tensor": lambda run, split: [0, 1],
    "no such example": lambda run, split: torch.tensor([99]),
    "twice": lambda run, split: torch.tensor([1, 1]),
    "weights that are too few": lambda run, split: (torch.arange(3), torch.ones(2)),
    "weights of 0 alone": lambda run, split: (torch.arange(3), torch.zeros(3)),
}


@pytest.mark.parametrize("choose", WRONG.values(), ids=WRONG)
def test_a_selector_of_the_user_s_that_chooses_what_is_not_there(choose):
    x, y, recipe = torch.rand(12, 3, 8, 8), torch.arange(12) % 3, make_recipe(epochs=1, batch=4)
    ways = {
        "select": lambda: select(Small(channels=3), x, y, method=choose),
        "Reselect": lambda: list(Reselect(Small(channels=3), (x, y), method=choose)),
        "train": lambda: train(Small(channels=3), (x, y), make_method("standard", choose=choose), recipe),
        "inside": lambda: train(
            Small(channels=3), (x, y), make_method("standard", choose=Every(period=1, warmup=0, inner=choose)), recipe
        ),
    }
    for way in ways.values():
        with pytest.raises(ValueError, match=r"^the selector returns [^\n]* expected$"):
            way()


class Own:
    """An objective of the user's."""

    def __init__(self, losses):
        self.losses = losses

    def __call__(self, net, step):
        return self.losses(F.cross_entropy(net(step.x_adv), step.y, reduction="none"))

    def of_logits(self, z, z_adv, y):  # at clean images alone
        return F.cross_entropy(z, y, reduction="none")


@pytest.mark.parametrize("losses", [torch.mean, lambda t: t[:, None], lambda t: t[1:], lambda t: None])
def test_losses_of_another_shape_would_be_broadcast(losses):
    x, y = torch.rand(12, 3, 8, 8), torch.arange(12) % 3
    method = replace(make_method("standard"), objective=Own(losses))
    with pytest.raises(
        ValueError, match=r"^the objective returns [^\n]*; a loss for each example, \[4\], is expected$"
    ):
        train(Small(channels=3), (x, y), method, make_recipe(epochs=1, batch=4))


def test_gradients_of_an_objective_at_clean_images_are_those_of_cross_entropy_there():
    x, y = torch.rand(12, 3, 8, 8), torch.arange(12) % 3
    own = select(Small(channels=3, seed=1), x, y, 0.5, "craig", objective=Own(lambda t: t), attack="pgd")
    usual = select(Small(channels=3, seed=1), x, y, 0.5, "craig")
    assert (own.index.tolist(), own.weight.tolist()) == (usual.index.tolist(), usual.weight.tolist())


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (lambda net, step: step.x + 5, "pixels of what the attack returns"),
        (lambda net, step: step.x[:-1], "the attack returns shape"),
        (lambda net, step: None, "the attack returns NoneType"),
    ],
)
def test_an_attack_of_the_user_s_is_checked_in_training_too(attack, said):
    x, y = torch.rand(12, 3, 8, 8), torch.arange(12) % 3
    with pytest.raises(ValueError, match=f"^{said}"):
        train(
            Small(channels=3), (x, y), replace(make_method("standard"), attack=attack), make_recipe(epochs=1, batch=4)
        )
