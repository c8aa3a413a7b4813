"""The checkpoint of a Run. It is loaded with torch's ``weights_only``: tensors, numbers and text, never code."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from leanat.core.files import atomic_write
from leanat.core.meter import Meter
from leanat.core.nouns import Run, Subset
from leanat.runs.identity import differences

VERSION = 4


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says which and why, in one line."""


def save(path: Path, run: Run, made_from: Any) -> None:
    """Saves the whole state of a run, after an epoch or between two batches. The last checkpoint is kept as ``<name>.previous``.

    ``made_from``: hashes of the spec, the data and the runs that it is trained from, by name. Only a run with the same hashes
    can continue from the checkpoint.
    """
    state = {
        "version": VERSION,
        "made_from": made_from,
        "pieces": run.pieces,
        "epoch": run.epoch,
        "net": run.net.state_dict(),
        "opt": run.opt.state_dict(),
        "subset": None if run.subset is None else tuple(run.subset),
        "memory": run.memory,
        "meter": None if run.meter is None else run.meter.state(),
        "history": run.history,
    }
    with atomic_write(path) as beside:
        whole_state = io.BytesIO()  # given a file, torch hides a full disk behind an error of its own
        torch.save(state, whole_state)
        beside.write_bytes(whole_state.getbuffer())
        if path.exists():
            os.replace(path, previous(path))


def previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def load(path: Path, run: Run, made_from: Any, warn: Callable[[str], None] = lambda text: None) -> bool:
    """Restores ``run`` from ``path``, or from the checkpoint before it if that one is damaged.

    Returns False if none can be used; ``warn`` is called with a line for each that could not. If memory is full, the host's or
    the GPU's, the error is raised: the checkpoint is good, and a training from the start would overwrite it.
    """
    for candidate in (path, previous(path)):
        try:
            state = _read(candidate, made_from, run.device)
        except FileNotFoundError:
            continue
        except CheckpointError as error:
            warn(str(error))
            continue
        run.net.load_state_dict(state["net"])
        run.opt.load_state_dict(state["opt"])
        run.subset = None if state["subset"] is None else Subset(*state["subset"])
        run.epoch, run.memory, run.history = state["epoch"], state["memory"], state["history"]
        run.pieces = state["pieces"]
        run.meter = Meter.of_state(state["meter"]) if state["meter"] else None
        return True
    return False


def _read(path: Path, made_from: Any, device: torch.device) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with zipfile.ZipFile(path) as parts:  # torch itself reads tensors without their checksums
            if part := parts.testzip():
                raise ValueError(f"{part} has another checksum than was written")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (MemoryError, torch.OutOfMemoryError, torch.AcceleratorError):  # which say nothing about the file
        raise
    except Exception as error:
        if "can't allocate memory" in str(error):  # the same of the host's, by torch
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a checkpoint that can be read ({reason[:120]}); it is ignored") from None
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise CheckpointError(f"{path}: not a checkpoint of version {VERSION}; it is ignored")
    if (kept := state.get("made_from")) != made_from:
        raise CheckpointError(f"{path}: made from other {differences(kept, made_from)}; it is ignored")
    return state | {name: _on(device, state[name]) for name in ("subset", "memory", "meter")}


def _on(device: torch.device, value: Any) -> Any:
    """The same numbers, texts and tensors, with all tensors on the device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {k: _on(device, v) for k, v in value.items()}
    return type(value)(_on(device, v) for v in value) if isinstance(value, list | tuple) else value
