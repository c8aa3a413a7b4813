"""Code of the user's own, as ``file.py`` or by the name of a module: it is imported, and runs."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

PACKAGES = ("torch", "torchvision", "timm", "leanat")  # whose code is known by its version
INSTALLED = tuple(Path(sysconfig.get_path(n)).resolve() for n in ("stdlib", "platstdlib", "purelib", "platlib"))


@dataclass
class _Last:
    """What the code loaded last has changed in this process."""

    folder: str | None = None  # first on sys.path
    before: frozenset[str] = frozenset()  # names of the modules that were there before
    brought: tuple[str, ...] = ()  # and of the user's that came with it


_last = _Last()


@dataclass(frozen=True)
class Loaded:
    module: ModuleType
    before: frozenset[str]

    def files(self) -> list[Path]:
        """Its own file, then those of all modules that came with it or since, but for what is installed; by name."""
        others = [path for name, path in _of_the_user(self.before) if sys.modules[name] is not self.module]
        own = getattr(self.module, "__file__", None)
        return [Path(own), *others] if own else others


def load(where: str) -> Loaded:
    """Imports the file or module anew, and with it what lies beside it: two files may each have a ``helper.py``.

    Its folder (of a module: the one where the program runs) stays first on ``sys.path``, for what it imports when it is
    called. Raises whatever the code raises.
    """
    is_file = where.endswith(".py")
    _forget()
    _last.folder = str(Path(where).resolve().parent) if is_file else os.getcwd()
    _last.before = frozenset(sys.modules)
    sys.path.insert(0, _last.folder)
    importlib.invalidate_caches()
    try:
        module = _of_file(Path(where)) if is_file else importlib.import_module(where)
    finally:
        _last.brought = tuple(name for name, _ in _of_the_user(_last.before))
    return Loaded(module, _last.before)


def _forget() -> None:
    """Takes the code loaded last out of ``sys.modules``, with what it imported from its folder since, and that folder."""
    folder = _last.folder
    if folder is None:
        return
    beside = [name for name, path in _of_the_user(_last.before) if path.is_relative_to(folder)]
    for name in {*_last.brought, *beside}:
        sys.modules.pop(name, None)
    if sys.path[0] == folder:
        del sys.path[0]


def _of_file(path: Path) -> ModuleType:
    # with its content in the name, it neither hides another module nor passes for another version
    name = f"{path.stem}_{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def _of_the_user(before: frozenset[str]) -> list[tuple[str, Path]]:
    """The modules that are new since then and not installed, by name, with their files."""
    found = []
    for name in sorted(sys.modules.keys() - before):
        file = getattr(sys.modules[name], "__file__", None)
        if file and name.partition(".")[0] not in PACKAGES:
            path = Path(file).resolve()
            if not any(path.is_relative_to(folder) for folder in INSTALLED):
                found.append((name, path))
    return found
