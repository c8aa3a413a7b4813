"""Files of outcomes, each of which records the network, the data, the runs and the spec that it was computed from."""

from __future__ import annotations

import glob
import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leanat.core.files import finite
from leanat.evaluation import outcome
from leanat.evaluation.outcome import Outcome
from leanat.plan.grid import CODE, digest
from leanat.runs import records
from leanat.runs.identity import differences

log = logging.getLogger("leanat")
Pieces = list[dict[str, Any]]  # who made it: provenance and seconds, an entry per process


@dataclass(frozen=True)
class StoredOutcome:
    """A file of an outcome or of arrays: ``<stem>-<hash of spec>-<hash of made_from>.npz``, which also holds both.

    made_from   hashes by name: network, data, and each run that the attack itself names
    """

    folder: Path
    stem: str
    spec: Mapping[str, Any]
    made_from: Mapping[str, str]

    @property
    def path(self) -> Path:
        return self.folder / f"{self._of_spec}-{digest(dict(self.made_from))}.npz"

    @property
    def _of_spec(self) -> str:
        return f"{self.stem}-{digest({'code': CODE, **self.spec})}"

    def outcome(
        self, index: np.ndarray, label: np.ndarray, parts: Sequence[str], *, transferred: bool = False
    ) -> tuple[Outcome | None, Pieces]:
        """The outcome so far and who made it; None if there is no file or, with a warning, if it is damaged or made from else.

        The outcome has to be that of the examples ``index`` of classes ``label``, attacked by ``parts`` (``outcome.fault``).
        """
        if not self.path.is_file():
            return None, []
        try:
            so_far, about = outcome.load(self.path), self._about(records.About)
            if why := outcome.fault(so_far, index, label, parts, transferred):
                raise ValueError(f"{self.path}: {why}")
        except ValueError as error:
            self._say(error)
            return None, []
        return so_far, about["pieces"]

    def arrays(self, kind: type[records.About]) -> tuple[dict[str, np.ndarray] | None, dict[str, Any]]:
        """The arrays that ``save`` was given, and its ``about``; (None, {}) where there is no file that can be read."""
        if not self.path.is_file():
            return None, {}
        try:
            arrays, about = records.arrays(self.path), self._about(kind)
        except ValueError as error:
            self._say(error)
            return None, {}
        return {k: v for k, v in arrays.items() if k != ABOUT}, about

    def _about(self, kind: type[records.About]) -> dict[str, Any]:
        """Raises ValueError where it is damaged, or not of this spec and of what this is made from."""
        about = read_about(self.path)
        if lines := records.wrong(kind, about):
            raise ValueError(f"{self.path}: {ABOUT}: {lines[0]}")
        if about["made_from"] != self.made_from or about["spec"] != self.spec:
            raise ValueError(f"{self.path}: made from something else than its name says")
        return about

    def _say(self, error: ValueError) -> None:
        why = str(error).removeprefix(f"{self.path}: ").partition("\n")[0]
        log.warning("%s: damaged (%s); it is made again", self.path, why)

    def save(self, arrays: Mapping[str, np.ndarray], **about: Any) -> None:
        """Writes the arrays; ``about`` has ``pieces`` and whatever else belongs to them, as JSON has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        description = json.dumps(
            finite({"spec": dict(self.spec), "made_from": dict(self.made_from), **about}), allow_nan=False
        )
        records.save_arrays(self.path, {**arrays, ABOUT: np.array(description, dtype=np.str_)})

    def others(self) -> str | None:
        """How the nearest other file of the same attack differs from this one, in words; None if there is no other, or this."""
        if self.path.exists():
            return None
        differing = []
        for path in sorted(self.folder.glob(f"{glob.escape(self._of_spec)}-*.npz")):
            with suppress(ValueError):
                differing.append(differences(read_about(path).get("made_from"), self.made_from))
        return min(differing, key=len, default=None)  # of several the nearest


ABOUT = "about"  # the array of an npz that holds JSON


def read_about(path: Path) -> dict[str, Any]:
    """Raises ValueError for a file that has none."""
    try:
        return dict(json.loads(str(records.arrays(path)[ABOUT])))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: does not say what it was made from ({error})") from None


def say_others(kept: Sequence[StoredOutcome]) -> None:
    """Logs one line if there are outcomes that were computed from something else."""
    others = [words for words in (k.others() for k in kept) if words]
    if others:
        log.info("%s: outcomes of other %s are not used; attacked again", kept[0].folder, others[0])


class Maker:
    """Seconds and provenance of what this process adds to a saved outcome."""

    def __init__(self, before: Pieces, provenance: Mapping[str, Any]):
        self.before, self.started, self.own = before, time.perf_counter(), dict(provenance)

    def pieces(self) -> Pieces:
        return [*self.before, self.own | {"seconds": time.perf_counter() - self.started}]


def latest(pieces: Pieces) -> dict[str, Any]:
    """The provenance of the newest piece, without its seconds; empty if there is none."""
    newest = max(pieces, key=lambda piece: piece["date"], default={})
    return {k: v for k, v in newest.items() if k != "seconds"}
