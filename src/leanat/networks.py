"""The file of a trained network: safetensors, with what is needed to build the network again in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import nn

from leanat import models
from leanat.core import Data
from leanat.data.facts import STATISTICS
from leanat.files import whole


class NetworkError(ValueError):
    """A file of a network that cannot be used; the message says which and why, in one line."""


def check_torchvision() -> None:
    """A torchvision wheel loads only beside the torch it was built for. Raises NetworkError where it does not."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        pair = "constraints.txt has a pair that does"
        raise NetworkError(f"torchvision does not load beside torch {torch.__version__}: {reason}; {pair}") from None


def describe(source: Data) -> dict[str, Any]:
    """What a network has to know of its data."""
    names = ("name", "n_classes", "image_size", "channels", "mean", "std")
    return {n: list(v) if isinstance(v := getattr(source, n), tuple) else v for n in names}


def build(name: str, standardise: str, about: dict[str, Any], seed: int) -> nn.Module:
    """A network by name for data that are described as ``describe`` does. Raises what ``models.build`` raises.

    ``standardise``: as there, or "cifar10", by CIFAR-10's mean and deviation whatever the data (SAT's code, on CIFAR-100).
    """
    shape = {k: about[k] for k in ("n_classes", "image_size", "channels", "mean", "std")}
    if standardise == "cifar10":
        _, shape["mean"], shape["std"] = STATISTICS[standardise]
        standardise = "channel"
    return models.build(name, seed=seed, standardise=standardise, **shape)


def save(path: Path, net: nn.Module, description: dict[str, Any]) -> None:
    """``description``: {model: {name, standardise}, data: as ``describe``, ...}.

    The model also has ``hidden``, the units of the hidden layer of its head, where a frozen network got a new head.
    """
    write(path, net.state_dict(), description)


def write(path: Path, tensors: Mapping[str, torch.Tensor], description: dict[str, Any]) -> None:
    """Tensors by name, which ``read`` gives back bit for bit, and their description; whole or not at all."""
    tensors = {k: v.detach().contiguous().cpu() for k, v in tensors.items()}
    with whole(path) as beside:
        beside.write_bytes(save_tensors(tensors, metadata={"leanat": json.dumps(description, sort_keys=True)}))


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and description; the description is empty for a file of another program.

    Raises NetworkError: no such file, not a safetensors file.
    """
    if not path.is_file():
        raise NetworkError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            description = json.loads((file.metadata() or {}).get("leanat", "{}"))
            return {k: file.get_tensor(k) for k in file.keys()}, description  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise NetworkError(f"{path}: not a safetensors file that can be read ({error})") from None


def load(path: Path, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a file of ``save``, in evaluation mode, and its description. Raises NetworkError."""
    tensors, description = read(path)
    if not description:
        raise NetworkError(f"{path}: has no description of its network; name it with --network and --data")
    model = description["model"]
    net = build(model["name"], model["standardise"], description["data"], seed=0)
    if "hidden" in model:
        net = models.transfer_head(net, model["hidden"], description["data"]["n_classes"], seed=0)
    fit(net, tensors, path)
    return net.to(device).eval(), description


def fit(net: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Loads weights. Raises NetworkError where names or shapes are not the network's."""
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise NetworkError(f"{path}: its weights do not fit the network ({reason})") from None
