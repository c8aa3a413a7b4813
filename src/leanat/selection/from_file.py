"""A selector of the user's own, from a file or a module, whose code is executed when it is imported."""

from __future__ import annotations

import hashlib
import inspect
import os
import random
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leanat.core import own_code
from leanat.core.component import Fraction, component
from leanat.core.errors import is_out_of_memory
from leanat.core.nouns import Run, Split, Subset, gradients_restored, modes_restored
from leanat.core.rng import generators_from, key

CHOOSES_ALONE = "a rule chooses alone: copy.deepcopy(run.net), clones of data, BatchNorm in evaluation mode"
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@component("from_file")
class FromFile:
    """A selector of the user. ``source``, ``file.py:Name`` or ``module:Name``, is called with ``fraction=`` and returns a rule.

    The rule is called with (run, split) at each selection, and returns the indices int64 [n] of the examples to KEEP, or
    these with weights [n], or a Subset. It must not change the network or the data (``only_choosing``). ``content`` makes the
    code part of a run's spec: it is the hash of the file, of the user's modules that it imports (also inside functions), and
    of the files whose names are written in these (``hash_of``).

    Raises ValueError with one line if the source cannot be imported, fails, chooses examples that do not exist, changes network
    or data, or imports a module whose name stands in no import statement.
    """

    source: str
    fraction: Fraction
    content: str

    def __call__(self, run: Run, split: Split) -> Subset:
        if "from_file" not in run.live:  # a selector may remember what it saw; not over a resumed run
            rule = load(self.source)
            run.live["from_file"] = rule, rule.chooser(self.fraction)
        rule, chooser = run.live["from_file"]
        if self.content != (now := rule.content()):
            raise ValueError(f"{self.source}: the file changed since this run was planned ({self.content}, now {now})")
        choice = rule.called(chooser, run, split)
        if unknown := rule.unknown():
            raise ValueError(
                f"{self.source}: imports {unknown[0]} by no import statement; write one, so that it is hashed"
            )
        return checked(choice, len(split.train), split.train.labels.device, f"{self.source}: returns")


@dataclass(frozen=True)
class Rule:
    """The class or function of ``source``, and the ``files`` that it depends on: its own, those of the user's modules that it
    imports, then those whose paths are strings in these, such as scores computed before.
    """

    source: str
    make: Callable[..., Any]
    files: tuple[Path, ...]
    code: own_code.Loaded

    def chooser(self, fraction: float) -> Callable[[Run, Split], Any]:
        """The object that chooses. Raises ValueError, one line, if it cannot be constructed or cannot be called."""
        try:
            with own_code.exits_are_errors():
                chooser = self.make(fraction=fraction)
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise ValueError(f"{self.source}: cannot be called with fraction={fraction} ({reason})") from error
        if not callable(chooser):
            kind = type(chooser).__name__
            raise ValueError(f"{self.source}: gives {kind}; what can be called with (run, split) is expected")
        return chooser

    def called(self, chooser: Callable[[Run, Split], Any], run: Run, split: Split) -> Any:
        """Calls the rule and returns its answer. Raises ValueError, one line with the place in the user's code, if that fails.

        Errors of leanat itself and of CUDA memory stay as they are.
        """
        try:
            with own_code.exits_are_errors(), only_choosing(run, split) as changed:
                choice = chooser(run, split)
        except Exception as error:
            if is_out_of_memory(error) or type(error).__module__.startswith("leanat"):
                raise
            raise ValueError(f"{self.source}: {own_code.failure(error, self.files)}") from error
        if changed:
            raise ValueError(f"{self.source}: changes {changed[0]}; {CHOOSES_ALONE}")
        return choice

    def content(self) -> str:
        """Eight digits of the SHA-256 of the file, or of the hashes of all files where there are several."""
        hashes = [hashlib.sha256(path.read_bytes()) for path in self.files]
        whole = hashes[0] if len(hashes) == 1 else hashlib.sha256(b"".join(h.digest() for h in hashes))
        return whole.hexdigest()[:8]

    def unknown(self) -> list[Path]:
        """The user's files that the rule has imported meanwhile and that are not in ``files``."""
        paths = {path.resolve() for path in self.files}
        return [path for path in self.code.files() if path.resolve() not in paths]


@contextmanager
def only_choosing(run: Run, split: Split) -> Iterator[list[str]]:
    """Within this context the user's code chooses, with generators of torch, numpy and Python that are seeded by seed and epoch,
    so that a resumed run draws the same numbers.

    Afterwards the generators, torch's modes, the working folder, and the modes and gradients of the network are as before. If the
    code has changed anything else of the network or the data, the yielded list names it.
    """
    changed: list[str] = []
    before = {name: (t, t.detach().clone(), t.requires_grad) for name, t in _tensors(run, split).items()}
    hooks, seed = _hooks(run.net), key(run.seed, "rule", run.epoch) % 2**32
    generators = np.random.get_state(), random.getstate()  # noqa: NPY002 (which the user's code may draw from)
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    try:
        with (
            chdir(os.getcwd()), generators_from(seed, run.device), torch.enable_grad(),
            modes_restored(run.net), gradients_restored(run.net),
        ):  # fmt: skip
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            yield changed
    finally:
        np.random.set_state(generators[0])  # noqa: NPY002
        random.setstate(generators[1])
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
    after = _tensors(run, split)
    for name, (tensor, copy, trained) in before.items():
        if after.get(name) is not tensor or tensor.requires_grad != trained or not same(tensor, copy):
            changed.append(name)
    if _hooks(run.net) != hooks or len(after) != len(before):
        changed.append("modules or hooks of the network")


def _tensors(run: Run, split: Split) -> dict[str, Tensor]:
    """All tensors of the network and of the data that are in memory."""
    tensors = {f"{name} of the network": p for name, p in (*run.net.named_parameters(), *run.net.named_buffers())}
    for part, data in (("training", split.train), ("validation", split.validation)):
        for name in ("images", "labels"):
            if isinstance(tensor := getattr(data, name, None), Tensor):
                tensors[f"{name} of the {part} data"] = tensor
    return tensors


def _hooks(net: torch.nn.Module) -> list[int]:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [len(getattr(module, kind)) for module in net.modules() for kind in kinds]


def same(tensor: Tensor, copy: Tensor) -> bool:
    """Whether two tensors are equal, where NaN counts as equal to NaN."""
    if (tensor.dtype, tensor.device, tensor.shape) != (copy.dtype, copy.device, copy.shape):
        return False
    return bool(((tensor == copy) | ((tensor != tensor) & (copy != copy))).all())


def load(source: str) -> Rule:
    """Imports the rule. Raises ValueError, one line."""
    where, colon, name = source.rpartition(":")
    if not colon or not name.isidentifier():
        raise ValueError(f"{source}: file.py:Name or module:Name is expected")
    if where.endswith(".py") and not Path(where).is_file():
        raise ValueError(f"{source}: no such file")
    try:
        with own_code.exits_are_errors():
            code = own_code.load(where)
    except Exception as error:
        raise ValueError(f"{source}: {type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    if not callable(make := getattr(code.module, name, None)):
        own = [
            n
            for n, v in vars(code.module).items()
            if callable(v) and getattr(v, "__module__", "") == code.module.__name__
        ]
        raise ValueError(f"{source}: there is no class or function {name!r}; there are: {', '.join(own) or 'none'}")
    first = where if where.endswith(".py") else inspect.getsourcefile(make)
    if not first:
        raise ValueError(f"{source}: no such file")
    files = [Path(first), *(f for f in code.files() if f.resolve() != Path(first).resolve())]
    code_paths = {path.resolve() for path in files}
    data = {path for file in files for path in own_code.named_files(file)} - code_paths
    return Rule(source, make, (*files, *sorted(data, key=lambda path: (path.name, path))), code)


def hash_of(source: str) -> str:
    """The ``content`` of a rule. Raises ValueError, one line, for what cannot be imported."""
    return load(source).content()


def checked(choice: Any, n: int, device: torch.device, who: str, least: int = 1) -> Subset:
    """Converts a rule's answer, distinct indices int64 [m] below ``n``, or these with weights [m], to a Subset on that device.

    ``least``: the smallest allowed m. Raises ValueError, one line that begins with ``who``, for anything else.
    """
    index, weight, *shuffle = choice if isinstance(choice, tuple) and len(choice) in (2, 3) else (choice, None)
    if not isinstance(index, Tensor) or index.dim() != 1 or index.is_meta or index.dtype not in WHOLE:
        kind = f"{index.dtype} {list(index.shape)}" if isinstance(index, Tensor) else f"a {type(index).__name__}"
        kind += f" of {len(index)}" if isinstance(index, tuple | list) else ""
        raise ValueError(
            f"{who} {kind}; the numbers of the examples to keep, int64 [n], or these and weights [n], are expected"
        )
    index = index.to(device).long()
    outside, sorted_ = index[(index < 0) | (index >= n)], index.sort().values
    twice = sorted_[1:][sorted_[1:] == sorted_[:-1]]
    if len(index) < least or len(outside) or len(twice):
        which = f", with {outside[0]}" if len(outside) else f", {twice[0]} more than once" if len(twice) else ""
        raise ValueError(f"{who} {len(index)} numbers{which}; different ones from 0 to {n - 1} are expected")
    if not (weight is None or (isinstance(weight, Tensor) and not weight.is_meta and not weight.is_complex())):
        kind = weight.dtype if isinstance(weight, Tensor) else f"a {type(weight).__name__}"
        raise ValueError(f"{who} as weights {kind}; a tensor [{len(index)}] is expected")
    weight = torch.ones(len(index), device=device) if weight is None else weight.detach().to(device).float()
    if weight.shape != index.shape:
        raise ValueError(f"{who} weights of shape {list(weight.shape)}; [{len(index)}] is expected")
    if not weight.isfinite().all():
        raise ValueError(f"{who} weights that are NaN or infinite; numbers of 0 or more are expected")
    if (weight < 0).any() or (len(index) and not weight.any()):
        raise ValueError(f"{who} weights from {weight.min():g} to {weight.max():g}; 0 or more, not all 0, are expected")
    return Subset(index, weight, *shuffle)
