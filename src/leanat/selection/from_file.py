"""A selector of the user's own, out of a file or a module: code that is imported and runs."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leanat.core.component import Fraction, component
from leanat.core.nouns import Run, Split, Subset


@component("from_file")
class FromFile:
    """``source``, written ``file.py:Name`` or ``module:Name``, called with ``fraction=`` gives what chooses.

    That is called with (run, split) whenever a choice is due, and returns the numbers int64 [n] of the examples to KEEP, or
    these with weights [n], or a Subset. ``content`` is the hash of the file (``hash_of``): it makes the file part of a run's
    identity. Raises ValueError, one line, for what cannot be imported or chooses what is not there.
    """

    source: str
    fraction: Fraction
    content: str

    def __call__(self, run: Run, split: Split) -> Subset:
        if self.content != (now := hash_of(self.source)):
            raise ValueError(f"{self.source}: the file changed since this run was planned ({self.content}, now {now})")
        chooser = run.live.get("from_file") or load(self.source)(fraction=self.fraction)
        run.live["from_file"] = chooser  # a selector may remember what it saw; not over a resumed run
        return _checked(chooser(run, split), len(split.train), split.train.labels.device, self.source)


def load(source: str) -> Callable[..., Any]:
    """The class or function. Raises ValueError, one line."""
    where, colon, name = source.rpartition(":")
    if not colon or not name.isidentifier():
        raise ValueError(f"{source}: file.py:Name or module:Name is expected")
    try:
        if where.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(where).stem, where)
            module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
            spec.loader.exec_module(module)  # type: ignore[union-attr]
        else:
            module = importlib.import_module(where)
    except Exception as error:
        raise ValueError(f"{source}: {type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    if not callable(found := getattr(module, name, None)):
        own = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", None) == module.__name__]
        raise ValueError(f"{source}: there is no class or function {name!r}; there are: {', '.join(own) or 'none'}")
    return found


def hash_of(source: str) -> str:
    """Eight digits of the file's SHA-256. Raises ValueError, one line, where there is no such file."""
    where = source.rpartition(":")[0]
    path = Path(where) if where.endswith(".py") else Path(inspect.getsourcefile(load(source)) or "")
    if not path.is_file():
        raise ValueError(f"{source}: no such file")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def _checked(found: Any, n: int, device: torch.device, source: str) -> Subset:
    index, weight, *shuffle = found if isinstance(found, tuple) else (found, None)
    if not isinstance(index, Tensor) or index.dim() != 1 or index.is_floating_point() or index.dtype == torch.bool:
        shown = f"{index.dtype} {list(index.shape)}" if isinstance(index, Tensor) else type(index).__name__
        raise ValueError(f"{source}: returns {shown}; the numbers of the examples to keep, int64 [n], are expected")
    index = index.to(device).long()
    if not len(index) or index.min() < 0 or index.max() >= n or len(index.unique()) < len(index):
        raise ValueError(f"{source}: returns {len(index)} numbers; different ones from 0 to {n - 1} are expected")
    weight = torch.ones(len(index), device=device) if weight is None else weight.to(device).float()
    if weight.shape != index.shape or not (weight.isfinite().all() and weight.min() >= 0 and weight.sum() > 0):
        raise ValueError(f"{source}: weights of shape {list(weight.shape)}; [{len(index)}] of 0 or more are expected")
    return Subset(index, weight, *shuffle)
