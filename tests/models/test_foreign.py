"""Networks of other programs: their own logits are the oracle; a wrong file or name is one line."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from leanat import data
from leanat.models import foreign, io
from leanat.models.io import NetworkError

ROOT = Path(__file__).parents[2]
timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    made = {
        "timm:resnet18": timm.create_model("resnet18", num_classes=5),
        "torchvision:resnet18": torchvision.models.resnet18(num_classes=5),
    }
    return {name: net.eval() for name, net in made.items()}


@pytest.fixture
def photos(tmp_path):
    """Six 64x64 PNGs for each of five classes, and what programs leave beside them."""
    rng = np.random.default_rng(0)
    for c in range(5):
        folder = tmp_path / "photos" / f"class{c}"
        folder.mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (tmp_path / "photos" / ".ipynb_checkpoints").mkdir()
    return tmp_path / "photos"


def prefixed(tensors, prefix):
    return {prefix + k: v for k, v in tensors.items()}


X = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
WRAPPER = {"normalize.mean": torch.tensor([0.5, 0.4, 0.3]), "normalize.std": torch.tensor([0.2, 0.3, 0.4])}


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:resnet18"])
@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("net.pth", lambda t: t),
        ("net.safetensors", lambda t: t),
        ("net.pt", lambda t: {"state_dict": prefixed(t, "module."), "epoch": 3}),
        ("net.pth", lambda t: prefixed(t, "_orig_mod.")),
        ("net.pth", lambda t: {"model": prefixed(t, "module._orig_mod.model.")}),
        ("net.pth", lambda t: {k: v for k, v in t.items() if "num_batches_tracked" not in k}),
        ("net.pth", lambda t: {k: v.half() if v.is_floating_point() else v for k, v in t.items()}),
    ],
)
def test_logits_are_those_of_the_network_that_was_saved(tmp_path, nets, name, file, change):
    tensors = change(nets[name].state_dict())
    (save_file if file.endswith("safetensors") else torch.save)(tensors, tmp_path / file)
    found = foreign.build(name, foreign.read(tmp_path / file)).eval()
    half = any(torch.is_tensor(v) and v.dtype == torch.float16 for v in tensors.values())
    with torch.no_grad():
        torch.testing.assert_close(found(X), nets[name](X), atol=0.05 if half else 0, rtol=0)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_mean_and_std_of_a_wrapper_stand_before_its_network(tmp_path, nets, prefix):
    net = nets["torchvision:resnet18"]
    torch.save(prefixed(prefixed(net.state_dict(), "model.") | WRAPPER, prefix), tmp_path / "net.pt")
    weights = foreign.read(tmp_path / "net.pt")
    assert weights.mean == pytest.approx((0.5, 0.4, 0.3))
    assert weights.std == pytest.approx((0.2, 0.3, 0.4))
    found = foreign.standardised(foreign.build("torchvision:resnet18", weights), weights.mean, weights.std).eval()
    mean, std = (WRAPPER[f"normalize.{k}"].view(1, 3, 1, 1) for k in ("mean", "std"))
    with torch.no_grad():
        torch.testing.assert_close(found(X), net((X - mean) / std))


def test_classes_and_channels_are_those_of_the_weights(tmp_path):
    net = timm.create_model("resnet10t", num_classes=7, in_chans=1)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    found = foreign.build("timm:resnet10t", foreign.read(tmp_path / "net.pth"))
    assert found(torch.zeros(2, 1, 64, 64)).shape == (2, 7)


MODEL = {"name": "resnet_tiny", "standardise": "channel"}
DATA = {"name": "digits", "n_classes": 10, "image_size": 8, "channels": 1, "mean": [0.3], "std": [0.4]}


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize(
    ("file", "value", "said"),
    [
        ("net.pt", {"state_dict": {"x": Bomb()}}, "not weights that can be read without running code"),
        ("net.pt", nn.Linear(2, 2), "not weights that can be read without running code"),
        (
            "net.pt",
            nn.Linear(2, 2),
            "(a whole network or other objects? torch.save(net.state_dict(), ...) is expected)",
        ),
        ("net.pt", {"epoch": 3}, "holds no state dict (names to tensors) but: epoch"),
        ("net.pt", [torch.ones(2)], "holds no state dict"),
        ("net.h5", {"x": torch.ones(2)}, "not a file of weights; allowed: .safetensors"),
        ("net.pth", {0: torch.ones(2), 1: torch.ones(2)}, "holds no state dict (names to tensors) but: 0, 1"),
        ("net.pth", {"fc.weight": torch.eye(3).to_sparse()}, "fc.weight is sparse_coo, float32; plain dense tensors"),
        ("net.pth", {"fc.weight": torch.empty(3, 3, device="meta")}, "fc.weight is on the meta device, without values"),
        ("net.pth", {"x": torch.ones(2)}, "not a timm:resnet18: it has no fc.weight"),
    ],
)
def test_a_file_that_is_no_state_dict_is_refused_and_never_run(tmp_path, monkeypatch, file, value, said):
    monkeypatch.chdir(tmp_path)
    torch.save(value, tmp_path / file)
    with pytest.raises(NetworkError) as error:
        foreign.build("timm:resnet18", foreign.read(tmp_path / file))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ([1], "its description is no mapping"),
        ({"data": 3}, "its description is no mapping"),
        ({"data": DATA}, "model.name of its description is None"),
        ({"model": {"name": "resnet_tiny"}, "data": DATA}, "model.standardise of its description is None"),
        ({"model": MODEL, "data": DATA | {"n_classes": "ten"}}, "data.n_classes of its description is 'ten'"),
    ],
)
def test_a_description_that_does_not_say_the_network(tmp_path, description, said):
    io.write(tmp_path / "net.safetensors", {"x": torch.ones(2)}, description)
    with pytest.raises(NetworkError) as error:
        io.load(tmp_path / "net.safetensors", torch.device("cpu"))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_of_another_network_are_named(tmp_path, nets):
    torch.save(nets["torchvision:resnet18"].state_dict(), tmp_path / "net.pth")
    with pytest.raises(NetworkError, match=r"not those of timm:resnet34: \d+ missing, the first layer1.2.conv1.weight"):
        foreign.build("timm:resnet34", foreign.read(tmp_path / "net.pth"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def make(): return 3", "returns int; a torch.nn.Module is expected"),
        ("def make(): return 1 / 0", "ZeroDivisionError"),
        ("def other(): pass", "AttributeError"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
    ],
)
def test_a_function_that_gives_no_network(tmp_path, code, said):
    (tmp_path / "own.py").write_text(code)
    with pytest.raises(NetworkError, match=said):
        foreign.call(f"{tmp_path}/own.py:make", None)


def test_a_function_beside_a_dataclass_and_a_module_of_its_own(tmp_path):
    code = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport beside\nfrom torch import nn\n"
    )
    code += "@dataclass\nclass Width:\n    n: int\n\ndef make():\n    return nn.Linear(2, Width(beside.N).n)\n"
    (tmp_path / "own.py").write_text(code)
    (tmp_path / "beside.py").write_text("N = 3\n")
    net, loaded = foreign.call(f"{tmp_path}/own.py:make", None)
    assert net.out_features == 3
    assert [path.name for path in loaded.files()] == ["own.py", "beside.py"]


def attack(folder, *words):
    command = [
        sys.executable,
        "-m",
        "leanat.cli",
        "attack",
        "--suite",
        "coreset/linf",
        "--device",
        "cpu",
        "--config-dir",
    ]
    return subprocess.run([*command, str(ROOT / "config"), *words], capture_output=True, text=True, cwd=folder)


def test_a_tag_names_the_weights_and_says_how_they_see_pixels(tmp_path):
    name = "resnet10t.c3_in1k"
    torch.save(timm.create_model(name, num_classes=5).state_dict(), tmp_path / "net.pth")
    weights = foreign.read(tmp_path / "net.pth")
    net = foreign.build(f"timm:{name}", weights).eval()
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(net(x), foreign.build("timm:resnet10t", weights).eval()(x))
    inception = foreign.pretrained_cfg("timm:vit_tiny_patch16_224.augreg_in21k")
    assert inception["mean"] == inception["std"] == (0.5, 0.5, 0.5)
    assert foreign.pretrained_cfg("timm:resnet10t") == foreign.pretrained_cfg("torchvision:resnet18") == {}
    with pytest.raises(NetworkError, match="timm has no weights 'c4' of resnet10t; allowed: c3_in1k"):
        foreign.build("timm:resnet10t.c4", weights)
    with pytest.raises(NetworkError, match="timm has no network 'resnet10u'; nearest: resnet10t"):
        foreign.build("timm:resnet10u.c3_in1k", weights)


@pytest.mark.slow
def test_the_commands_of_the_readme(tmp_path, photos, nets):
    """A plain state dict on a folder of PNGs, in one command: clean accuracy as the network itself has it."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    (tmp_path / "hub").mkdir()
    config = {
        "architecture": "resnet18",
        "pretrained_cfg": {"mean": mean.flatten().tolist(), "std": std.flatten().tolist()},
    }
    (tmp_path / "hub" / "config.json").write_text(json.dumps(config))
    save_file(nets["timm:resnet18"].state_dict(), tmp_path / "hub" / "model.safetensors")
    for name in nets:
        torch.save(nets[name].state_dict(), tmp_path / f"{name.partition(':')[0]}.pth")
    (tmp_path / "own.py").write_text(
        "import torchvision\ndef net(): return torchvision.models.resnet18(num_classes=5)\n"
    )
    ways = {
        "timm:resnet18": [["--model", "timm.pth", "--network", "timm:resnet18"], ["--model", "hub"]],
        "torchvision:resnet18": [
            ["--model", "torchvision.pth", "--network", "torchvision:resnet18"],
            [
                "--model",
                "torchvision.pth",
                "--network",
                "own:net",
                "--mean",
                "0.485,0.456,0.406",
                "--std",
                "0.229,0.224,0.225",
            ],
        ],
    }
    test = data.load_folder(str(photos))
    x, y = test.batch(torch.arange(30), 0)
    for name, commands in ways.items():
        with torch.no_grad():
            right = int((nets[name]((x - mean) / std).argmax(1) == y).sum())
        for number, words in enumerate(commands):
            out = tmp_path / f"out{number}-{name.partition(':')[0]}"
            done = attack(tmp_path, *words, "--data", "folder:photos", "--out", str(out))
            assert done.returncode == 0, done.stderr
            assert "robust %" in done.stdout
            found = json.loads((out / "coreset-linf.json").read_text())["attacks"]["pgd50_10"]
            assert found["clean"]["correct"] == right
            assert found["n"] == 30
            with open(out / "coreset-linf.csv", newline="") as file:
                (row,) = csv.DictReader(file)
            assert float(row["robust"]) == pytest.approx(100 * found["accuracy"], abs=0.01)
            assert row["radius"] == "linf 8/255"
