"""Errors in what a user writes. Each is one line and suggests the nearest existing name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class ConfigError(ValueError):
    """All errors of a configuration, one line each: file, key, what is wrong, what is allowed."""

    def __init__(self, problems: Iterable[str]):
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class Ended(SystemExit):
    """Raised by a signal to end the program, wherever it is; ``code`` is the exit status."""


# What CUDA, cuBLAS and cuDNN say where they, and not torch's allocator, find no memory: RuntimeError, or a kind of it.
NO_MEMORY = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",  # cuDNN 9's name for the one above
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that a GPU's memory was full, whichever library raised it. Needs no torch."""
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)


def nearest(name: Any, names: Iterable[str]) -> str:
    """Returns ``; did you mean ...?`` with the nearest of ``names``, or nothing where none is near. Nearest is one that ends
    in the whole name after a dot, as method.objective.beta does in beta.
    """
    names = list(names)
    guess = [n for n in names if n.endswith(f".{name}")] or difflib.get_close_matches(str(name), names, 1)
    return f"; did you mean {guess[0]}?" if guess else ""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns ``; allowed: ...`` for the end of an error line, with the nearest of ``names`` first."""
    names = sorted(names)
    return f"{nearest(name, names)}; allowed: {', '.join(names) if names else 'none'}"


def complete_prefix(name: str, names: Iterable[str]) -> tuple[str | None, list[str]]:
    """Returns the exact match or the unique completion of ``name`` (None if there is neither), and all names that start
    with it.
    """
    sorted_names = sorted(names)
    begin = [other for other in sorted_names if other.startswith(name)]
    return name if name in sorted_names else begin[0] if len(begin) == 1 else None, begin


def named(values: Mapping[str, Any], name: str, where: str) -> Any:
    """Returns ``values[name]``. Raises ValueError, one line with the nearest name, where there is none."""
    if not isinstance(name, str) or name not in values:  # what cannot be hashed, too
        raise ValueError(f"{where}: there is no {name!r}{did_you_mean(name, values)}")
    return values[name]
