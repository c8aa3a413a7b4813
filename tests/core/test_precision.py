"""fp32 is fp32: on a GPU whose convolutions round to TF32 where torch's flag lets them, reported numbers do not change.

The GPU's rounding is emulated: operands of convolutions keep 10 of their 23 bits of mantissa while the flag allows it.
"""

import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from test_perceptual import batch, step_of, trained  # noqa: F401 - a fixture
from torch import nn

import leanat
from leanat.attacks.lpips import Lpips
from leanat.attacks.perceptual import PPGD
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.loop import train
from leanat.core.nouns import Method, Recipe, Run, Split
from leanat.core.precision import cast_once, deterministic, exact_fp32, say_emulation, searching
from leanat.cost.timing import images
from leanat.evaluation.evaluate import evaluate
from leanat.models import io
from leanat.selection.basic import Everything
from leanat.training.fat import FAT
from leanat.training.objectives import CrossEntropy


def tf32(x):
    """Rounded to nearest, ties to even, as Ampere's tensor cores read their operands; gradients pass through."""
    bits = x.detach().float().contiguous().view(torch.int32)
    bits = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    return x + (bits.view(torch.float32) - x).detach()


@pytest.fixture
def gpu(monkeypatch):
    """Convolutions as on an Ampere GPU, with torch's flag as torch sets it."""
    conv = F.conv2d

    def conv2d(x, weight, *rest, **options):
        if torch.backends.cudnn.allow_tf32:
            x, weight = tf32(x), tf32(weight)
        return conv(x, weight, *rest, **options)

    assert torch.backends.cudnn.allow_tf32, "torch's default"
    monkeypatch.setattr(F, "conv2d", conv2d)


class Pictures:
    n_classes = 4

    def __init__(self, x, y):
        self.x, self.labels = x, y

    def __len__(self):
        return len(self.labels)

    def batch(self, index, epoch, view=0):
        return self.x[index], self.labels[index]


class WithDistance:
    def __init__(self, attack, net):
        self.attack, self.lpips = attack, Lpips(net)

    def __call__(self, net, step):
        step.aux["lpips"] = self.lpips
        return self.attack(net, step)


def test_perceptual_attacks_measure_as_in_fp32(trained, gpu):  # noqa: F811
    net, alexnet, x, y = trained
    attack = WithDistance(PPGD(0.05, 10), alexnet)
    found = evaluate(net, Pictures(x, y), attack, seed=0)
    with exact_fp32():
        x_adv = attack(net, step_of(x, y))
        right = net(x_adv).argmax(1) == y
        exact = attack.lpips.distance(x, x_adv)
        search = attack.attack.search(net, attack.lpips, x, y, x + 1e-2)
    assert (found.correct == (right & (net(x).argmax(1) == y)).numpy()).all()
    assert torch.equal(attack(net, step_of(x, y)), x_adv), "by hand"
    rounded = attack.attack.search(net, attack.lpips, x, y, x + 1e-2)
    assert (rounded - search).abs().max() > 1e-3, "the emulation does something"
    assert (exact <= 0.05 * 1.001).all()


def test_a_training_in_fp32_has_the_bits_of_fp32(gpu):
    def trained_weights():
        data = images({"classes": 4, "channels": 3, "size": 8, "train": 32}, 32, torch.device("cpu"), ())
        net = io.build("resnet_tiny", "channel", io.describe(data), 0)
        method = Method(CrossEntropy(), PGD(Linf(0.03), 2, 0.02, "uniform"), Everything())
        run = Run(net, method, Recipe(1, 16, lambda epoch, epochs: 0.1, 0.9, True, 0.0), 0)
        train(run, Split(data, None))
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    on_gpu = trained_weights()
    with exact_fp32():
        assert torch.equal(on_gpu, trained_weights())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leanat.core.loop.exact_fp32", nullcontext)
        assert not torch.equal(on_gpu, trained_weights()), "the emulation does something"


FLAGS = """
import os, sys, warnings
import torch
from leanat.core.precision import exact_fp32
backends = torch.backends
parts = backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul
parts += backends.mkldnn.conv, backends.mkldnn.rnn, backends.mkldnn.matmul
older = torch.get_float32_matmul_precision, lambda: backends.cudnn.allow_tf32, lambda: backends.cuda.matmul.allow_tf32

def flag(read):
    try:
        return read()
    except RuntimeError:
        return "torch raises"

def flags():
    wholes = backends, backends.cudnn, backends.mkldnn
    return [p.fp32_precision for p in (*parts, *wholes)] + [flag(read) for read in older]

warnings.simplefilter("ignore")
for number, setting in enumerate(sys.argv[1:]):
    if os.fork() == 0:  # each of them starts from torch's defaults
        exec(setting)
        before = flags()
        for _ in range(2):
            with exact_fp32():
                with exact_fp32():
                    pass
                assert {p.fp32_precision for p in parts} == {"ieee"}, flags()
            assert flags() == before, (before, flags())
        if "backends.fp32" in setting:
            backends.fp32_precision = other = "ieee" if "tf32" in setting else "tf32"
            assert {p.fp32_precision for p in parts} == {other}, "its parts still follow the whole"
        print(number, flush=True)
        os._exit(0)
    os.wait()
"""
SETTINGS = [
    "",
    "backends.cudnn.allow_tf32 = False",
    "backends.cuda.matmul.allow_tf32 = True",
    "torch.set_float32_matmul_precision('high')",
    "torch.set_float32_matmul_precision('medium')",
    "backends.fp32_precision = 'tf32'",
    "backends.fp32_precision = 'ieee'",
    "backends.cudnn.conv.fp32_precision = 'ieee'",
    "backends.cudnn.fp32_precision = 'tf32'",
    "backends.cuda.matmul.fp32_precision = 'tf32'",
    "backends.mkldnn.matmul.fp32_precision = 'bf16'",
]


@pytest.fixture(scope="module")
def put_back():
    done = subprocess.run([sys.executable, "-c", FLAGS, *SETTINGS], text=True, capture_output=True)
    return {SETTINGS[int(number)] for number in done.stdout.split()}, done.stderr


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_flags_are_put_back(setting, put_back):
    """However they were set: torch has an older and a newer interface, and raises where the two differ."""
    assert setting in put_back[0], put_back[1]


def test_weights_cast_once_give_the_same_bits_in_fewer_casts():
    """In bf16 on the CPU: perturbation, trained weights and modes; a pass casts nothing but its input."""
    data = images({"classes": 4, "channels": 3, "size": 8, "train": 32}, 32, torch.device("cpu"), ())

    def trained_weights():
        net = io.build("resnet_tiny", "channel", io.describe(data), 0)
        method = Method(CrossEntropy(), PGD(Linf(0.03), 3, 0.02, "uniform"), Everything())
        run = Run(net, method, Recipe(1, 16, lambda epoch, epochs: 0.1, 0.9, True, 0.0, precision="bf16"), 0)
        with torch.profiler.profile() as profile:
            train(run, Split(data, None))
        assert all(p.dtype == torch.float32 and p.requires_grad for p in net.parameters())
        casts = sum(e.count for e in profile.key_averages() if e.key == "aten::_to_copy")
        return torch.cat([p.detach().flatten() for p in net.parameters()]), casts

    once, few = trained_weights()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leanat.attacks.pgd.cast_once", lambda net: nullcontext())
        every, many = trained_weights()
    layers = sum(
        isinstance(m, nn.Conv2d | nn.Linear) for m in io.build("resnet_tiny", "channel", io.describe(data), 0).modules()
    )
    assert torch.equal(once, every)
    assert many - few >= 2 * 2 * layers, "of two steps with three passes, two passes each"


def weight_types(net, x, monkeypatch):
    """Of the weights that each layer's own operator gets in a forward pass, as autocast finds them."""
    types = []
    for name in ("conv2d", "linear"):
        plain = getattr(F, name)

        def noted(x, weight, *rest, plain=plain, **options):
            types.append(weight.dtype)
            return plain(x, weight, *rest, **options)

        monkeypatch.setattr(F, name, noted)
    with torch.no_grad():
        net(x)
    monkeypatch.undo()
    return types


def test_layers_that_compute_with_their_weights_keep_them(monkeypatch):
    class Scaled(nn.Conv2d):
        pass

    x = torch.rand(2, 3, 4, 4)
    net = nn.Sequential(Scaled(3, 4, 1), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)).requires_grad_(False)
    own = list(net.parameters())
    with cast_once(net):
        assert weight_types(net, x, monkeypatch) == [torch.float32] * 2, "no autocast"
    with torch.autocast("cpu", torch.bfloat16), cast_once(net):
        assert weight_types(net, x, monkeypatch) == [torch.float32, torch.bfloat16]
        with torch.autocast("cpu", enabled=False):
            assert weight_types(net, x, monkeypatch) == [torch.float32] * 2
        with torch.autocast("cpu", torch.float16):
            assert weight_types(net, x, monkeypatch) == [torch.float32] * 2, "these are cast to another type"
        with pytest.raises(RuntimeError):
            net(torch.rand(2, 3, 4))
        assert all(a is b for a, b in zip(net.parameters(), own, strict=True)), "outside of the layers' own work"
    assert all(a is b for a, b in zip(net.parameters(), own, strict=True))
    assert weight_types(net, x, monkeypatch) == [torch.float32] * 2
    assert not any(m._forward_pre_hooks or m._forward_hooks or m._forward_hooks_always_called for m in net.modules())


class Islands(nn.Module):
    """Parts in float32 under autocast, as heads and routers often are: of a layer, and of its weights read by hand."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.gate, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = self.conv(x).relu().mean((2, 3))
        with torch.autocast(x.device.type, enabled=False):
            h = h.float() * F.linear(h.float(), self.gate.weight).sigmoid()
        h = self.gate(h)
        with torch.autocast(x.device.type, enabled=False):
            return self.head(h.float())


def trained_by(attack):
    method, recipe = replace(leanat.make_method("pgd"), attack=attack), Recipe(1, 4, precision="bf16", **PLAIN)
    return lambda net, x, y: leanat.train(net, (x, y), method, recipe)


PLAIN = {"lr": lambda epoch, epochs: 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.0}
ISLANDS = {
    "training": trained_by(PGD(Linf(0.03), 3, 0.02, "uniform")),
    "friendly": trained_by(FAT(Linf(0.03), 3, 0.02, 1)),
    "pgd": lambda net, x, y: leanat.pgd(net, x, y, steps=3, restarts=2, seed=0),
}


@pytest.mark.parametrize("work", ISLANDS)
def test_a_network_with_parts_in_float32_is_attacked_as_it_is(work, monkeypatch):
    def done():
        net, x = Islands(), torch.rand(8, 3, 6, 6, generator=torch.Generator().manual_seed(1))
        autocast = torch.autocast("cpu", torch.bfloat16) if work == "pgd" else nullcontext()
        with autocast:
            found = ISLANDS[work](net, x, torch.arange(8) % 4)
        return found if work == "pgd" else torch.cat([p.detach().flatten() for p in net.parameters()])

    once = done()
    for module in ("attacks.pgd", "training.fat"):
        monkeypatch.setattr(f"leanat.{module}.cast_once", lambda net: nullcontext())
    assert torch.equal(once, done())


BF16 = """
import logging, torch
from leanat.models import io as networks
from leanat.attacks.pgd import Clean
from leanat.core.loop import train
from leanat.core.nouns import Method, Recipe, Run, Split
from leanat.evaluation.evaluate import evaluate
from leanat.training.objectives import CrossEntropy
from leanat.selection.basic import Everything
from leanat.cost.timing import images
logging.basicConfig(format="%(message)s")
data = images({"classes": 4, "channels": 3, "size": 8, "train": 8}, 8, torch.device("cpu"), ())
net = networks.build("mlp", "channel", networks.describe(data), 0)
evaluate(net, data, Clean(), seed=0, precision="fp32")
print("before", torch.ops.mkldnn._is_mkldnn_bf16_supported(), flush=True)
for _ in range(2):
    recipe = Recipe(1, 8, lambda epoch, epochs: 0.1, 0.9, True, 0.0, precision="bf16")
    run = Run(net, Method(CrossEntropy(), Clean(), Everything()), recipe, 0)
    train(run, Split(data, None))
print("after", flush=True)
"""


def test_a_cpu_that_emulates_bf16_says_so_once_before_the_first_batch():
    env = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", BF16], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines = done.stdout.splitlines()
    assert [lines[0], lines[-1]] == ["before False", "after"], done.stdout
    (said,) = lines[1:-1]
    assert "emulates" in said
    assert "3 to 8 times slower" in said
    assert "recipe.precision: fp32" in said


def test_a_cpu_with_bf16_says_nothing(monkeypatch, caplog):
    monkeypatch.setattr("leanat.core.precision.emulates_bf16", lambda device: device.type == "cpu")
    say_emulation.cache_clear()
    say_emulation(torch.device("cuda"), "x")
    assert not caplog.records
    say_emulation(torch.device("cpu"), "set this")
    say_emulation(torch.device("cpu"), "set this")
    assert [r.message.endswith("set this") for r in caplog.records] == [True]
    say_emulation.cache_clear()


def test_the_deterministic_mode(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    try:
        deterministic()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        with searching(torch.device("cuda"), True):
            assert not torch.backends.cudnn.benchmark, "the fastest may differ from time to time"
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic = False
    with searching(torch.device("cuda"), True):
        assert torch.backends.cudnn.benchmark
