"""The user's own code, given as ``file.py`` or as the name of a module: it is imported, and so it runs."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from leanat.core.errors import Ended

PACKAGES = ("torch", "torchvision", "timm", "leanat")  # whose code is known by its version
INSTALLED = tuple(Path(sysconfig.get_path(n)).resolve() for n in ("stdlib", "platstdlib", "purelib", "platlib"))


@dataclass
class _Last:
    """What the code loaded last has changed in this process."""

    folder: str | None = None  # first on sys.path
    before: frozenset[str] = frozenset()  # names of the modules that were there before
    brought: tuple[str, ...] = ()  # and of the user's that came with it


_last = _Last()


@contextmanager
def exits_are_errors() -> Iterator[None]:
    """Inside, code of the user's that calls exit() raises RuntimeError as any other error; a signal still ends the program."""
    try:
        yield
    except Ended:
        raise
    except SystemExit as error:
        raise RuntimeError(f"it calls exit({error.code!r})").with_traceback(error.__traceback__) from error


def failure(error: Exception, files: Iterable[Path]) -> str:
    """The error in one line, with the place in these files that it came through last, if it came through any."""
    own = {path.resolve() for path in files}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() in own]
    where = f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""
    return f"{where}{type(error).__name__}: {' '.join(str(error).split())[:200]}"


@dataclass(frozen=True)
class Loaded:
    module: ModuleType
    before: frozenset[str]

    def files(self) -> list[Path]:
        """Its own file, then, sorted by name, those of all modules imported with it or since, except installed ones, and of
        those that imports inside functions lead to and that have not run yet.
        """
        others = {name: path for name, path in _of_the_user(self.before) if sys.modules[name] is not self.module}
        own = getattr(self.module, "__file__", None)
        if not own:
            return list(others.values())
        package = getattr(self.module, "__package__", None) or ""
        folder = Path(own).resolve().parents[len(package.split(".")) if package else 0]
        for path in imported(Path(own), folder) - {Path(own).resolve(), *others.values()}:
            others[".".join(_parts(path, folder)).removesuffix(".__init__")] = path
        return [Path(own), *(others[name] for name in sorted(others))]


def imported(file: Path, folder: Path) -> set[Path]:
    """This file and all files below ``folder`` that its import statements, also those inside functions, lead to; runs nothing.

    ``folder``: where modules are looked for. A file that cannot be read or parsed leads nowhere.
    """
    folder = folder.resolve()
    files: set[Path] = set()
    left = [file.resolve()]
    while left:
        path = left.pop()
        if path not in files:
            files.add(path)
            left += [module for name in _names(path, folder) for module in _modules(name, folder)]
    return files


def named_files(path: Path) -> set[Path]:
    """The files whose whole path is a string in this code, relative to its folder or the working folder; runs nothing."""
    folders, paths = (path.resolve().parent, Path.cwd()), set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # os.path: a text that can be no path, such as a long one, is no file
            paths |= {str(folder / node.value) for folder in folders if os.path.isfile(folder / node.value)}
    return {Path(name).resolve() for name in paths}


def files_of(source: str) -> set[Path]:
    """The files behind ``file.py:Name`` or ``module:Name`` (of the working folder), and those that their texts name; runs
    nothing.
    """
    where = source.rpartition(":")[0]
    is_file = where.endswith(".py")
    folder = Path(where).resolve().parent if is_file else Path.cwd()
    starts = [Path(where)] if is_file else _modules(tuple(where.split(".")), folder)
    code = {path for start in starts for path in imported(start, folder)}
    return code | {path for file in code for path in named_files(file)}


def _parsed(path: Path) -> ast.AST:
    """Its code, or none where it cannot be read or parsed."""
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _names(path: Path, folder: Path) -> set[tuple[str, ...]]:
    """What the file imports, each name as its parts; of ``from a import b`` both ``a`` and ``a.b``, as b may be a module."""
    names: set[tuple[str, ...]] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            names |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _parts(path, folder)[: -node.level] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            names |= {base, *((*base, alias.name) for alias in node.names)}
    return names


def _parts(path: Path, folder: Path) -> tuple[str, ...]:
    """The name of a file as a module of ``folder``; where a link leads out of it, the path."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).with_suffix("").parts


def _modules(name: tuple[str, ...], folder: Path) -> list[Path]:
    """The files of a module and of the packages around it."""
    if not name or name[0] in PACKAGES:
        return []
    stems = [folder.joinpath(*name[: k + 1]) for k in range(len(name))]
    files = [file for stem in stems for file in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")]
    return [file.resolve() for file in files if file.is_file()]


def load(where: str) -> Loaded:
    """Imports the file or module anew, with what it imports from its own folder: two files may each have their own ``helper.py``.

    Its folder (for a module: the working folder) stays first on ``sys.path``, for imports that it makes later, when called.
    Raises whatever the code raises.
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
    modules = []
    for name in sorted(sys.modules.keys() - before):
        file = getattr(sys.modules[name], "__file__", None)
        if file and name.partition(".")[0] not in PACKAGES:
            path = Path(file).resolve()
            if not any(path.is_relative_to(folder) for folder in INSTALLED):
                modules.append((name, path))
    return modules
