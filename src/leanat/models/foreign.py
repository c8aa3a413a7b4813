"""Networks of other programs: timm's and torchvision's by name, any other by a function; their weights are read from files.

Weights are read without executing code: ``.safetensors``, and ``.pth``, ``.pt``, ``.bin``, ``.ckpt``, ``.tar`` by torch's
``weights_only``. A function given as ``module:function`` is imported and called, so its code is executed.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leanat import models
from leanat.core import own_code
from leanat.core.own_code import Loaded
from leanat.models import io
from leanat.models.io import NetworkError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
# the keys under which programs save weights
NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile, a wrapper
MEANS, STDS = ("mean", "mu", "new_mean"), ("std", "sigma", "new_std")  # buffers of wrappers that standardise


@dataclass(frozen=True)
class Weights:
    """A file of weights: ``tensors`` without prefixes, and ``mean`` and ``std`` of a wrapper that standardises.

    ``raw``: all tensors with the names in the file. ``config``: the ``config.json`` of a folder. ``about``: leanat's own
    description, see ``io.save``; empty for files of other programs.
    """

    path: Path
    tensors: dict[str, Tensor]
    raw: dict[str, Tensor]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    config: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


def read(path: Path) -> Weights:
    """Reads a file or folder of weights. Raises NetworkError, one line, if it does not exist, has a format that cannot be read,
    or contains more than weights.
    """
    config: dict[str, Any] = {}
    file = path
    if path.is_dir():
        config, file = _folder(path)
    if not file.is_file():
        raise NetworkError(f"{file}: no such file")
    if file.suffix == ".safetensors":
        raw, about = io.read(file)
    elif file.suffix in SUFFIXES:
        raw, about = _unpickled(file), {}
    else:
        raise NetworkError(
            f"{file}: not a file of weights; allowed: {', '.join(SUFFIXES)}, or a folder with config.json"
        )
    if about:
        return Weights(path, raw, raw, about=about)
    tensors, mean, std = _stripped(raw, file)
    return Weights(path, tensors, raw, mean, std, config)


def _folder(path: Path) -> tuple[dict[str, Any], Path]:
    """The contents of ``config.json`` and the file of weights in a folder of the Hugging Face hub, ``model.safetensors`` or
    ``pytorch_model.bin``.
    """
    about = path / "config.json"
    if not about.is_file():
        raise NetworkError(
            f"{path}: a folder of a network needs config.json and model.safetensors; config.json is missing"
        )
    try:
        config = json.loads(about.read_text())
    except ValueError as error:
        raise NetworkError(f"{about}: not JSON ({error})") from None
    if not isinstance(config, dict):
        raise NetworkError(f"{about}: a mapping is expected, got {type(config).__name__}")
    files = [path / name for name in ("model.safetensors", "pytorch_model.bin")]
    return config, next((file for file in files if file.is_file()), files[0])


def _unpickled(file: Path) -> dict[str, Tensor]:
    try:
        value = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        if isinstance(error, pickle.UnpicklingError):  # torch advises to run the code
            reason = "a whole network or other objects? torch.save(net.state_dict(), ...) is expected"
        raise NetworkError(f"{file}: not weights that can be read without running code ({reason})") from None
    while isinstance(value, dict) and (inside := next((n for n in NESTED if isinstance(value.get(n), dict)), None)):
        value = value[inside]
    is_state = isinstance(value, dict) and value and all(isinstance(v, Tensor) for v in value.values())
    if not is_state or not all(isinstance(k, str) for k in value):
        held = ", ".join(map(str, list(value)[:5])) if isinstance(value, dict) else type(value).__name__
        raise NetworkError(f"{file}: holds no state dict (names to tensors) but: {held or 'nothing'}")
    for name, tensor in value.items():
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            kind = "on the meta device, without values" if tensor.is_meta else f"{tensor.layout}, {tensor.dtype}"
            raise NetworkError(f"{file}: {name} is {kind.replace('torch.', '')}; plain dense tensors are expected")
    return value


def _stripped(raw: dict[str, Tensor], file: Path) -> tuple[dict[str, Tensor], Any, Any]:
    """The weights without prefixes, and mean and std if a wrapper has them as buffers."""
    mean, std = (
        next((v for k, v in raw.items() if k.rpartition(".")[2] in names and v.numel() in (1, 3)), None)
        for names in (MEANS, STDS)
    )
    if mean is not None and std is not None:
        raw = {k: v for k, v in raw.items() if k.rpartition(".")[2] not in (*MEANS, *STDS)}
        mean, std = (tuple(v.flatten().float().tolist()) for v in (mean, std))
        if max(map(abs, mean)) > 1 or max(std) > 1 or min(std) <= 0:
            raise NetworkError(f"{file}: its mean {list(mean)} and std {list(std)} are not of pixels in [0, 1]")
    else:
        mean = std = None
    while True:
        raw = {k: v for k, v in raw.items() if not k.startswith("attacker.")}  # MadryLab's second copy of the network
        prefix = next((p for p in PREFIXES if raw and all(k.startswith(p) for k in raw)), None)
        if prefix is None:
            return raw, mean, std
        raw = {k.removeprefix(prefix): v for k, v in raw.items()}


def is_code(name: str) -> bool:
    """Whether a network's name is ``module:function`` or ``file.py:function``."""
    return ":" in name and name.partition(":")[0] not in ("timm", "torchvision")


def build(name: str, weights: Weights) -> nn.Module:
    """The network ``timm:<name>``, ``timm:<name>.<tag>`` or ``torchvision:<name>``, with the numbers of classes and channels of
    the weights.

    Its inputs are images as its own program standardises them, its outputs logits. Raises NetworkError.
    """
    library, _, model = name.partition(":")
    own = io.package(library)
    names = own.list_models() if library == "timm" else own.models.list_models(module=own.models)
    network = model.partition(".")[0] if library == "timm" else model
    if network not in names:
        nearest = ", ".join(get_close_matches(network, names, 3)) or "none"
        raise NetworkError(f"--network {name}: {library} has no network {network!r}; nearest: {nearest}")
    pretrained_cfg(name)  # refuses a wrong tag before anything is built
    net = (_timm if library == "timm" else _torchvision)(model, weights)
    fit(net, weights.tensors, weights.path, name)
    for module in net.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    return net


def pretrained_cfg(name: str) -> dict[str, Any]:
    """What timm says of the weights that the tag in ``timm:<name>.<tag>`` names: mean, std and input_size among others; empty
    for other names. Raises NetworkError if the network has no such weights.
    """
    library, _, model = name.partition(":")
    network, _, tag = model.partition(".")
    if library != "timm" or not tag:
        return {}
    timm = io.package(library)
    try:
        known = timm.models.get_pretrained_cfg(model)
    except RuntimeError:
        tags = ", ".join(each.partition(".")[2] for each in timm.list_pretrained(f"{network}.*")) or "none"
        raise NetworkError(f"--network {name}: timm has no weights {tag!r} of {network}; allowed: {tags}") from None
    return known.to_dict() if known else {}


def _timm(model: str, weights: Weights) -> nn.Module:
    import timm

    with torch.device("meta"):
        about = timm.create_model(model).pretrained_cfg
    first = about["classifier"][0] if isinstance(about["classifier"], (tuple, list)) else about["classifier"]
    stem = about["first_conv"][0] if isinstance(about["first_conv"], (tuple, list)) else about["first_conv"]
    classes, channels = _size(weights, first, 0, f"timm:{model}"), _size(weights, stem, 1, f"timm:{model}")
    return timm.create_model(model, pretrained=False, num_classes=classes, in_chans=channels)


def _torchvision(model: str, weights: Weights) -> nn.Module:
    import warnings

    import torchvision

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about future initialisations
        with torch.device("meta"):
            whole = torchvision.models.get_model(model, weights=None)
        heads = [n for n, p in whole.named_parameters() if p.dim() > 1 and p.shape[0] == 1000]
        classes = _size(weights, heads[-1].removesuffix(".weight"), 0, f"torchvision:{model}")
        return torchvision.models.get_model(model, weights=None, num_classes=classes)


def _size(weights: Weights, layer: str, axis: int, name: str) -> int:
    tensor = weights.tensors.get(f"{layer}.weight")
    if tensor is None or tensor.dim() <= axis:
        some = ", ".join(list(weights.tensors)[:3])
        raise NetworkError(f"{weights.path}: not a {name}: it has no {layer}.weight; its first weights are {some}")
    return tensor.shape[axis]


def call(name: str, weights: Weights | None) -> tuple[nn.Module, Loaded]:
    """Calls the function ``module:function`` or ``file.py:function``. Returns the network that it returns, with the weights of a
    file if one is given, and the function's code.

    The function is called without arguments, in this process: only use code that you trust. Raises NetworkError.
    """
    where, _, function = name.rpartition(":")
    try:
        with own_code.exits_are_errors():
            code = own_code.load(where)
            net = getattr(code.module, function)()
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise NetworkError(f"--network {name}: {type(error).__name__}: {reason}") from error
    if not isinstance(net, nn.Module):
        raise NetworkError(f"--network {name}: returns {type(net).__name__}; a torch.nn.Module is expected")
    if weights is not None:
        own = set(net.state_dict())
        fit(net, weights.raw if own == set(weights.raw) else weights.tensors, weights.path, name)
    return net, code


def fit(net: nn.Module, tensors: dict[str, Tensor], path: Path, name: str) -> None:
    """Loads weights. Raises NetworkError, one line, if names or shapes are not those of the network."""
    own = net.state_dict()
    counters = {k for k in own if k.endswith("num_batches_tracked")}  # not used in evaluation, missing in old files
    absent = [k for k in own if k not in tensors and k not in counters]
    unknown = [k for k in tensors if k not in own]
    other = [k for k in own if k in tensors and own[k].shape != tensors[k].shape]
    problems = []
    if other:
        here, there = ("x".join(map(str, t[other[0]].shape)) for t in (tensors, own))
        problems.append(
            f"{len(other)} of other shapes, the first {other[0]}: {here} in the file, {there} in the network"
        )
    problems += [f"{len(k)} {what}, the first {k[0]}" for k, what in ((absent, "missing"), (unknown, "unknown")) if k]
    if problems:
        raise NetworkError(f"{path}: its weights are not those of {name}: {'; '.join(problems)}")
    net.load_state_dict(tensors, strict=False)


def named_by(config: dict[str, Any], path: Path) -> str:
    """The name of the network in ``config.json``, one of timm's. Raises NetworkError if it cannot be built by name."""
    if isinstance(config.get("architecture"), str):
        return f"timm:{config['architecture']}"
    what = config.get("architectures") or config.get("model_type")
    what = ", ".join(map(str, what)) if isinstance(what, list) else what
    raise NetworkError(
        f"{path}/config.json: names no network of timm ({what or 'no architecture'}); "
        "name it with --network, or write a function that returns it: --network module:function"
    )


def standardised(net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """The network with inputs in [0, 1], which are standardised by mean and std [C] first."""
    return nn.Sequential(models.PerChannel(mean, std), net)
