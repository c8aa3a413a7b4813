"""Errors of what a user writes: each is one line, and names the nearest name that exists."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class ConfigError(ValueError):
    """Everything that is wrong with a configuration, a line each: file, key, what is wrong, what is allowed."""

    def __init__(self, problems: Iterable[str]):
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; allowed: ...`` with the nearest known name first, for the end of an error line."""
    known = sorted(known)
    guess = difflib.get_close_matches(str(name), known, 1)
    hint = f"; did you mean {guess[0]}?" if guess else ""
    return f"{hint}; allowed: {', '.join(known) if known else 'none'}"


def named(found: Mapping[str, Any], name: str, where: str) -> Any:
    """``found[name]``; ValueError, one line, with the nearest names where there is none."""
    if name not in found:
        raise ValueError(f"{where}: there is no {name!r}{did_you_mean(name, found)}")
    return found[name]
