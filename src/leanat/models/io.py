"""The file of a trained network: safetensors, whose metadata describe how to build the network again."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import nn

from leanat import models
from leanat.core.files import atomic_write
from leanat.core.nouns import Data, eval_without_param_grad
from leanat.data.facts import STATISTICS

PARTS: dict[str, dict[str, type]] = {  # the parts of a description that are needed to build a network
    "model": {"name": str, "standardise": str},
    "data": {"name": str, "n_classes": int, "image_size": int, "channels": int, "mean": list, "std": list},
}
EXPECTED = "what leanat writes is expected; for other files, name network and data: --network, --data"


class NetworkError(ValueError):
    """A network's file cannot be used; the message says which and why, in one line."""


def package(name: str) -> ModuleType:
    """Imports torchvision, or timm, which needs it. Raises NetworkError if it does not load: a wheel of torchvision only loads
    with the torch that it was built for.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        pair = "constraints.txt has a pair that does"
        raise NetworkError(f"{name} does not load beside torch {torch.__version__}: {reason}; {pair}") from None


def describe(source: Data) -> dict[str, Any]:
    """The facts about its data that a network needs."""
    return {n: list(v) if isinstance(v := getattr(source, n), tuple) else v for n in PARTS["data"]}


def check(net: nn.Module, about: dict[str, Any], test: Data, where: Path | str) -> None:
    """Raises NetworkError, one line, if a network does not fit these data: classes, channels, size, values.

    ``about``: the result of ``describe`` for its training data, or empty if they are not known; then only the first
    convolution and a trial on two images are checked.
    """
    here = describe(test)
    if about and about["n_classes"] != here["n_classes"]:
        raise NetworkError(
            f"{where}: the network has {about['n_classes']} classes, {here['name']} has {here['n_classes']}"
        )
    check_images(about, here, where)
    own = channels_of(net)
    if own is not None and own != here["channels"]:
        raise NetworkError(f"{where}: takes {_channels(own)}, {here['name']} has {_channels(here['channels'])}")
    x, _ = test.batch(torch.arange(min(len(test), 2), device=test.labels.device), 0)
    if not (x.isfinite().all() and x.min() >= 0 and x.max() <= 1):
        raise NetworkError(f"{here['name']}: images are to be in [0, 1], these reach from {x.min():g} to {x.max():g}")
    try:
        with eval_without_param_grad(net), torch.no_grad():
            z = net(x)
    except Exception as error:  # the code of another program may raise anything
        size, reason = "x".join(map(str, x.shape[1:])), " ".join(str(error).split())[:120]
        kind = next((str(p.dtype) for p in net.parameters() if p.is_floating_point()), "torch.float32")
        if kind != "torch.float32":
            raise NetworkError(f"{where}: is {kind.removeprefix('torch.')}; float32 is expected: net.float()") from None
        raise NetworkError(f"{where}: does not take images of {size} ({reason or type(error).__name__})") from None
    if not isinstance(z, torch.Tensor) or z.dim() != 2 or len(z) != len(x):
        got = f"a tensor of shape {tuple(z.shape)}" if isinstance(z, torch.Tensor) else type(z).__name__
        raise NetworkError(f"{where}: logits [images, classes] are expected from the network, got {got}")
    if z.shape[1] != here["n_classes"]:
        raise NetworkError(f"{where}: the network has {z.shape[1]} classes, {here['name']} has {here['n_classes']}")


def check_images(about: dict[str, Any], here: dict[str, Any], where: Path | str, any_size: bool = False) -> None:
    """Raises NetworkError if a network was trained on images with other channels, size (unless ``any_size``) or values.

    ``about``: the result of ``describe``, or the description that ``read`` returns; nothing is compared if it is empty.
    """
    if not about:
        return
    trained_on = about.get("data", about)
    if trained_on["channels"] != here["channels"]:
        raise NetworkError(
            f"{where}: takes {_channels(trained_on['channels'])}, {here['name']} has {_channels(here['channels'])}"
        )
    if trained_on["image_size"] != here["image_size"] and not any_size:
        sizes = (f"{n}x{n}" for n in (trained_on["image_size"], here["image_size"]))
        raise NetworkError(f"{where}: takes images of {next(sizes)}, {here['name']} has {next(sizes)}")
    if max(map(abs, trained_on["mean"])) > 1 or max(trained_on["std"]) > 1:
        raise NetworkError(
            f"{where}: its mean {trained_on['mean']} and std {trained_on['std']} are not of pixels in [0, 1]"
        )


def channels_of(net: nn.Module) -> int | None:
    """The number of input channels of the network's first convolution; None if there is no convolution, or if it is not known
    yet.
    """
    first = next((m for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    return (first.in_channels or None) if first else None


def _channels(n: int) -> str:
    return f"{n} channel{'s' * (n != 1)}"


def build(name: str, standardise: str, about: dict[str, Any], seed: int) -> nn.Module:
    """A network by name for data that are described as by ``describe``. Raises the errors of ``models.build``.

    ``standardise``: as in ``models.build``, or "cifar10": CIFAR-10's mean and deviation for all data (SAT's code, on CIFAR-100).
    """
    shape = {k: about[k] for k in PARTS["data"] if k != "name"}
    if standardise == "cifar10":
        _, shape["mean"], shape["std"] = STATISTICS[standardise]
        standardise = "channel"
    return models.build(name, seed=seed, standardise=standardise, **shape)


def save(path: Path, net: nn.Module, description: dict[str, Any]) -> None:
    """Writes a network with its description, {model: {name, standardise}, data: the result of ``describe``, ...}.

    If a frozen network has a new head, the model also has ``hidden``, the number of units in the head's hidden layer.
    """
    write(path, net.state_dict(), description)


def write(path: Path, tensors: Mapping[str, torch.Tensor], description: dict[str, Any]) -> None:
    """Writes tensors by name, which ``read`` returns bit for bit, and their description; either completely or not at all."""
    tensors = {k: v.detach().contiguous().cpu() for k, v in tensors.items()}
    with atomic_write(path) as beside:
        beside.write_bytes(save_tensors(tensors, metadata={"leanat": json.dumps(description, sort_keys=True)}))


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and description; the description is empty for a file of another program.

    Raises NetworkError if the file does not exist, is not a safetensors file, or has a description that is not a mapping.
    """
    if not path.is_file():
        raise NetworkError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            description = json.loads((file.metadata() or {}).get("leanat", "{}"))
            if not isinstance(description, dict) or not isinstance(description.get("data", {}), dict):
                raise NetworkError(f"{path}: its description is no mapping of mappings; {EXPECTED}")
            return {k: file.get_tensor(k) for k in file.keys()}, description  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise NetworkError(f"{path}: not a safetensors file that can be read ({error})") from None


def load(path: Path, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a file of ``save``, in evaluation mode, and its description. Raises NetworkError."""
    tensors, description = read(path)
    if not description:
        raise NetworkError(f"{path}: has no description of its network; name it with --network and --data")
    _check_description(path, description)
    model = description["model"]
    net = build(model["name"], model["standardise"], description["data"], seed=0)
    if "hidden" in model:
        net = models.transfer_head(net, model["hidden"], description["data"]["n_classes"], seed=0)
    fit(net, tensors, path)
    return net.to(device).eval(), description


def _check_description(path: Path, description: dict[str, Any]) -> None:
    """Raises NetworkError, one line, if a value that is needed to build a network is missing or has another type."""
    for part, kinds in PARTS.items():
        values = description.get(part)
        for key, kind in kinds.items():
            value = values.get(key) if isinstance(values, dict) else None
            if not isinstance(value, kind):
                raise NetworkError(f"{path}: {part}.{key} of its description is {value!r}; {EXPECTED}")


def fit(net: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Loads weights. Raises NetworkError if names or shapes are not those of the network."""
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise NetworkError(f"{path}: its weights do not fit the network ({reason})") from None
