"""Hashes of what a number was computed from: networks, data as they were read, files of other runs.

Names and paths say where files are; these hashes decide whether files belong together. Imports torch only when tensors are
hashed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanat.core.files import read_json, write_text
from leanat.core.own_code import PACKAGES
from leanat.plan.grid import UPSTREAM, canonical, digest
from leanat.runs import records

if TYPE_CHECKING:
    from torch import Tensor, nn

    from leanat.core.nouns import Data
    from leanat.core.own_code import Loaded

LENGTH = 16  # hexadecimal digits
KEPT = (".safetensors", ".npz", ".pt")  # what a run leaves for others
# of a run of the configuration; other folders are named as their owner likes
NAME = re.compile(r".+-s\d+-([0-9a-f]{8})")
FILES = ("network", "teacher", "first_phase", "ranking")  # fields of specs that name a file or a folder, as ``File``
SPEC_AGAIN = "remove this file alone: what was trained stays, and has its spec in itself"
RECENT = 2.0  # seconds: a file younger than this may change again without a new time


class IdentityError(ValueError):
    """A file does not belong to the run, network or data that it is used for; the message says what differs, in one line."""


def of_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:LENGTH]


def of_value(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:LENGTH]


def of_network(net: nn.Module) -> str:
    """Hash of a network's parameters and buffers, of the kinds of its modules, of the plain values and tensors that these
    hold, and of the source files of modules that are of none of PACKAGES. Training mode, device and memory format do not
    count.
    """
    from torch import Tensor, nn

    sha, usual = hashlib.sha256(), vars(nn.Module()).keys()
    for name, tensor in itertools.chain(net.named_parameters(), net.named_buffers()):
        sha.update(name.encode())
        _add(sha, tensor)
    sources = set()
    for name, module in net.named_modules():
        kind = type(module)
        settings = {k: v for k, v in vars(module).items() if k[0] != "_" and k != "training" and _plain(v)}
        sha.update(f"{name} {kind.__module__}.{kind.__qualname__} {sorted(settings.items())}".encode())
        foreign = kind.__module__.split(".")[0] not in PACKAGES
        for key in sorted(vars(module).keys() - usual - settings.keys()):
            if foreign or isinstance(vars(module)[key], Tensor):
                _add_value(sha, key, vars(module)[key])
        if foreign:
            sources.add(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")
    for source in sorted(sources):
        sha.update((of_file(Path(source)) if os.path.isfile(source) else "").encode())
    return sha.hexdigest()[:LENGTH]


def of_code(code: Loaded) -> str:
    """Hash of the user's code files, and of the files that these imported."""
    return of_value([of_file(path) for path in code.files()])


def of_data(data: Data, cache: Path | None = None, decode: bool = False) -> str:
    """Hash of the images and labels as they are read, before any augmentation, and of the number of classes.

    Images that are streamed count by the bytes of their files. ``cache``: a folder where the hash of such a set is kept
    by path, size, times and inode of its files; a change of any of these reads all of them again. ``decode``: each is decoded,
    too, unless that was done when the hash was kept. Raises DataError, naming the file, for one that cannot be.
    """
    import torch

    sha = hashlib.sha256(f"{data.n_classes}".encode())
    _add(sha, data.labels)
    if hasattr(data, "images"):
        _add(sha, data.images)
    elif hasattr(data, "files"):
        files = _of_files(data.files, cache, data.check if decode else None)
        sha.update(f"{data.image_size} {data.resize} {files}".encode())
    else:
        plain, everyone = data.plain(), torch.arange(len(data), device=data.labels.device)
        for part in everyone.split(500):
            _add(sha, plain.batch(part, 0)[0])
    return sha.hexdigest()[:LENGTH]


def of_run(folder: Path) -> str:
    """Hashes of all files of a finished run that other jobs use: networks, snapshots, arrays.

    Raises IdentityError if these have changed since its training, FileNotFoundError if the run is not finished.
    """
    metrics = read_run(folder, "files")
    check_files(folder, metrics)
    return of_value(metrics["files"])


def upstream(value: Any, runs: Path) -> dict[str, str]:
    """A hash for each run (``run:<id>``) and each path of this machine that a spec names. Raises what ``of_run`` raises."""
    hashes = {}
    for name, text in _texts(value):
        if text.startswith(UPSTREAM):
            hashes[text] = of_run(runs / text.removeprefix(UPSTREAM))
        elif (name in FILES or os.sep in text) and os.path.exists(text):
            hashes[text] = of_value(files_of(Path(text))) if os.path.isdir(text) else of_file(Path(text))
    return hashes


def files_of(folder: Path) -> dict[str, str]:
    """The files of a run that other jobs use, with their hashes."""
    paths = (p for p in folder.iterdir() if p.suffix in KEPT and not p.name.startswith((".", "resume")) and p.is_file())
    return {path.name: of_file(path) for path in sorted(paths)}


def differences(kept: Any, now: Any) -> str:
    """The differences between the recorded and the current hashes, in words, such as "training data (1a…, now 2b…)"."""
    if not (isinstance(kept, Mapping) and isinstance(now, Mapping)):
        return f"{kept}, now {now}"
    names = [name for name in dict.fromkeys([*now, *kept]) if kept.get(name) != now.get(name)]
    return ", ".join(f"{name} ({kept.get(name, 'none')}, now {now.get(name, 'none')})" for name in names)


def changes(kept: Any, now: Any, where: str = "") -> list[str]:
    """The fields in which two specs differ, such as "recipe.epochs 3, now 4"."""
    if isinstance(kept, Mapping) and isinstance(now, Mapping):
        names = dict.fromkeys([*kept, *now])
        inner = (changes(kept.get(k), now.get(k), f"{where}.{k}".lstrip(".")) for k in names)
        return list(itertools.chain.from_iterable(inner))
    return [] if kept == now else [f"{where} {kept!r}, now {now!r}"]


def check_name(folder: Path, spec: Mapping[str, Any]) -> None:
    """Raises IdentityError if the name of a run's folder ends in the hash of another spec."""
    named = NAME.fullmatch(folder.name)
    if named and named.group(1) != (own := digest(spec)):
        raise IdentityError(
            f"{folder}: the name is of spec {named.group(1)}, the spec has hash {own}; "
            "put a changed spec.json into a folder of another name"
        )


def check_unfinished(folder: Path, spec: Mapping[str, Any]) -> None:
    """Raises IdentityError if the folder holds a checkpoint of another spec, which training this one would overwrite."""
    path = folder / "spec.json"
    if not path.is_file() or not any(folder.glob("resume.pt*")):
        return
    if digest(kept := _kept_spec(path)) != digest(spec):
        differ = "; ".join(changes(kept, spec)[:3])
        raise IdentityError(
            f"{folder} holds an unfinished training of another spec ({differ}); remove it, or use another name"
        )


def finished(folder: Path, spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """The metrics of a finished run of this spec; None where nothing in the folder is finished.

    Raises IdentityError where its name, its metrics or its checkpoint are of another spec, ValueError for damaged metrics.
    """
    check_name(folder, spec)
    record = folder / "finished.json"
    if not record.is_file():
        check_unfinished(folder, spec)
        return None
    metrics = records.metrics(record, "made_from", "date", "clean", "wall_seconds")
    if metrics["spec"] != spec:
        differ = "; ".join(changes(metrics["spec"], spec)[:3])
        raise IdentityError(f"{folder}: finished with another spec ({differ}); {anew(folder)}")
    return metrics


def anew(folder: Path) -> str:
    """Advice for a run that does not match its spec."""
    return f"to train it anew, remove {folder}"


def _kept_spec(path: Path) -> dict[str, Any]:
    try:
        return read_json(path, "the spec of a run")
    except ValueError as error:
        raise ValueError(f"{error}; {SPEC_AGAIN}") from None


def read_run(folder: Path, *need: str) -> dict[str, Any]:
    """The metrics of a finished run whose name, spec.json, spec and spec_hash agree, with the keys ``need``.

    Raises FileNotFoundError for a run that is not finished, ValueError for damaged metrics, IdentityError for others'.
    """
    path = folder / "metrics.json"
    metrics = records.metrics(path, *need)
    check_name(folder, metrics["spec"])
    if metrics["spec_hash"] != (own := digest(metrics["spec"])):
        raise IdentityError(f"{path}: spec_hash is {metrics['spec_hash']}, its spec has hash {own}; train the run anew")
    if (folder / "spec.json").is_file():
        spec = _kept_spec(folder / "spec.json")
        if spec != metrics["spec"]:
            differ = "; ".join(changes(metrics["spec"], spec)[:3])
            raise IdentityError(f"{folder}: spec.json is not the spec that was trained ({differ}); {SPEC_AGAIN}")
    return metrics


def check_files(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Raises IdentityError if networks or arrays in a run's folder have changed since its training."""
    there, left = files_of(folder), metrics.get("files", {})
    wrong = [name for name, kept in left.items() if there.get(name) != kept]
    if wrong or not left:
        what = (
            differences({n: left[n] for n in wrong}, {n: there[n] for n in wrong if n in there}) or "no record of them"
        )
        raise IdentityError(
            f"{folder}: not the files that its training left: {what}; put them back, or remove the folder to train anew"
        )


def check_suite(suite: Mapping[str, Any], specs: Mapping[str, Any], test: int, path: Path) -> None:
    """Raises IdentityError if an attack of a summary was run with another spec than ``specs`` has for it, or on more of the
    ``test`` images than its spec asks for or, if none are held out for early stopping, on fewer.
    """
    ran = {name: record.get("spec") for kind in ("attacks", "measures") for name, record in suite.get(kind, {}).items()}
    ran |= suite.get("masking_spec", {})
    for name, entry in specs.items():
        now = json.loads(canonical(entry))  # as a file has it
        if ran.get(name) not in (None, now):
            differ = "; ".join(changes(ran[name], now)[:3])
            raise IdentityError(f"{path}: {name} was run with another spec ({differ}); attack again")
    for name, record in suite["attacks"].items():
        spec, n = record.get("spec") or {}, record.get("n")
        most = min(spec.get("examples") or test, test)
        if n is not None and (n > most or (spec and not spec.get("holdout") and n < most)):
            raise IdentityError(f"{path}: {name} is of {n} images, {most} are asked for; attack again")


def _add(sha: Any, tensor: Tensor) -> None:
    import torch

    tensor = tensor.detach().cpu().contiguous()
    sha.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    sha.update(tensor.reshape(-1).view(torch.uint8).numpy())


def _add_value(sha: Any, name: str, value: Any) -> None:
    """Tensors, arrays and plain values, also in lists and mappings; nothing of other objects."""
    import numpy as np
    from torch import Tensor

    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        sha.update(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
    elif isinstance(value, Tensor):
        sha.update(name.encode())
        _add(sha, value)
    elif _plain(value):
        sha.update(f"{name} {value!r}".encode())
    elif isinstance(value, list | tuple):
        for k, inner in enumerate(value):
            _add_value(sha, f"{name}.{k}", inner)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _add_value(sha, f"{name}.{key}", inner)


def _plain(value: Any) -> bool:
    simple = (bool, int, float, str, type(None))
    return isinstance(value, simple) or (isinstance(value, tuple | list) and all(isinstance(v, simple) for v in value))


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text inside a nested value, with its key."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, key)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, name)


def _of_files(files: Sequence[str], cache: Path | None, check: Callable[[int], None] | None = None) -> str:
    """Hash of the bytes of all files, in this order; ``check`` is called with the number of each."""
    stamps, newest = hashlib.sha256(), 0.0
    for file in files:
        s = os.stat(file)
        stamps.update(os.fsencode(file))  # names need not be UTF-8
        stamps.update(f"\0{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino}\n".encode())
        newest = max(newest, s.st_ctime)
    stamp = stamps.hexdigest()[:32]
    names = [stamp, f"{stamp}.checked"] if check is None else [f"{stamp}.checked"]
    for name in names if cache is not None else ():
        with suppress(OSError, ValueError):  # there is none, or it is damaged
            if re.fullmatch(f"[0-9a-f]{{{LENGTH}}}", cached := (cache / name).read_text()):
                return cached
    settled = time.time() - newest > RECENT

    def read(number: int) -> str:
        if check is not None:
            check(number)
        return of_file(Path(files[number]))

    with ThreadPoolExecutor(8) as pool:
        sha = of_value(list(pool.map(read, range(len(files)))))
    if cache is not None and settled:
        with suppress(OSError):  # results that are read-only, or a full disk: the files are read again next time
            write_text(cache / names[0], sha)
    return sha
