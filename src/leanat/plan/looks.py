"""The numbers of seeds that ``leanat decide`` has given to single items, saved below the results; and the looks.

A look is a number of seeds, fixed beforehand, at which claims are tested; docs/verdicts.md says how they share the error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanat.core.errors import ConfigError
from leanat.core.files import write_json
from leanat.plan.settings import MOST_SEEDS

LOOKS = (3, 5, 8, 12, 20)  # numbers of seeds


def path_of(results: Path, scale: str) -> Path:
    return results / f"more_seeds.{scale}.json"


def read(results: Path, scale: str) -> dict[str, int]:
    """The numbers of seeds by ``<paper>/<item>``; empty without a file. Raises ConfigError for a damaged file."""
    path = path_of(results, scale)
    try:
        more: Any = json.loads(path.read_text())
    except FileNotFoundError:
        if results.is_symlink() and not results.exists():  # its disk is missing or not mounted
            raise ConfigError([f"results: {results} is a link to {results.readlink()}, which is not there"]) from None
        return {}
    except OSError as error:
        raise ConfigError([f"results: {results} is no folder for results: {path}: {error.strerror}"]) from None
    except ValueError:
        more = None
    if not isinstance(more, dict) or not all(type(seeds) is int and 0 < seeds <= MOST_SEEDS for seeds in more.values()):
        raise ConfigError(
            [f"{path}: not JSON of seeds by item, 1 to {MOST_SEEDS}; remove it, and leanat decide begins anew"]
        )
    return more


def write(results: Path, scale: str, seeds: Mapping[str, int]) -> None:
    write_json(path_of(results, scale), dict(sorted(seeds.items())))
