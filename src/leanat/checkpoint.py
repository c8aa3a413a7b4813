"""The checkpoint of a Run, and the file of a trained network. Nothing here is ever loaded with pickle: tensors, numbers and text only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from leanat.core import Run, Subset
from leanat.files import whole

VERSION = 1


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says which and why, in one line."""


def save(path: Path, run: Run, digest: str) -> None:
    """The whole state of a run after an epoch. The checkpoint before it is kept as ``<name>.previous``."""
    state = {
        "version": VERSION,
        "digest": digest,
        "epoch": run.epoch,
        "net": run.net.state_dict(),
        "opt": run.opt.state_dict(),
        "subset": None if run.subset is None else tuple(run.subset),
        "memory": run.memory,
        "history": run.history,
    }
    with whole(path) as beside:
        torch.save(state, beside)
        if path.exists():
            os.replace(path, previous(path))


def previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def load(path: Path, run: Run, digest: str, warn: Callable[[str], None] = lambda text: None) -> bool:
    """Restores ``run`` from ``path``, or from the checkpoint before it if that one is damaged.

    Returns False where there is none that fits; ``warn`` gets a line for each that could not be used.
    """
    for candidate in (path, previous(path)):
        try:
            state = _read(candidate, digest, run.device)
        except FileNotFoundError:
            continue
        except CheckpointError as error:
            warn(str(error))
            continue
        run.net.load_state_dict(state["net"])
        run.opt.load_state_dict(state["opt"])
        run.subset = None if state["subset"] is None else Subset(*state["subset"])
        run.epoch, run.memory, run.history = state["epoch"], state["memory"], state["history"]
        return True
    return False


def _read(path: Path, digest: str, device: torch.device) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a checkpoint that can be read ({reason[:120]}); it is ignored") from None
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise CheckpointError(f"{path}: not a checkpoint of version {VERSION}; it is ignored")
    if state["digest"] != digest:
        raise CheckpointError(f"{path}: belongs to another spec ({state['digest']}, not {digest}); it is ignored")
    return state


def save_model(path: Path, net: nn.Module, description: dict[str, Any]) -> None:
    """Weights as safetensors, with what is needed to build the network again in the file's metadata."""
    tensors = {k: v.detach().contiguous().cpu() for k, v in net.state_dict().items()}
    with whole(path) as beside:
        save_file(tensors, beside, metadata={"leanat": json.dumps(description, sort_keys=True)})


def read_model(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and description of a file of ``save_model``; the description is empty for a file of another program.

    Raises CheckpointError: no such file, not a safetensors file.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            description = json.loads((file.metadata() or {}).get("leanat", "{}"))
            return {k: file.get_tensor(k) for k in file.keys()}, description  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: not a safetensors file that can be read ({error})") from None
