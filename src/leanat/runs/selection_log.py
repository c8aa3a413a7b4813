"""The record of which examples a run trained on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from leanat.core import nouns
from leanat.runs import records


class SelectionLog:
    """Which examples were trained on, with which weights, from which epoch on; one entry for each change.

    During training there is one file per entry, so that none is lost if the run is killed; at the end there is a single file.
    Raises ValueError for a run that goes on, of whose first epochs there are none.
    """

    def __init__(self, path: Path, run: nouns.Run):
        self.path, self.parts = path, path.with_suffix("")
        if run.epoch and not path.is_file() and not (self.parts / _name(1)).is_file():
            what = f"no record of what epochs 1 to {run.epoch} were trained on"
            raise ValueError(f"{self.parts}: {what}; put it back, or remove {path.parent}, and it is trained anew")
        self.parts.mkdir(exist_ok=True)
        for part in self._files():
            if int(part.stem) > run.epoch:
                part.unlink()
        self.last = None
        for part in self._files():  # all of them: a damaged one is no news for the end of a training
            self.last = self._read(part)

    def _files(self) -> list[Path]:
        return sorted(part for part in self.parts.glob("*.npz") if part.stem.isdecimal())

    def _read(self, part: Path) -> dict[str, np.ndarray]:
        """Raises ValueError with the file where it is damaged."""
        again = f"remove {self.path.parent}, and it is trained anew"
        return records.arrays(part, "index", "weight", again=again)

    def note(self, run: nouns.Run) -> None:
        now, last = run.subset, self.last
        arrays = {"index": now.index.int().cpu().numpy(), "weight": now.weight.float().cpu().numpy()}
        if last is None or not all(np.array_equal(arrays[k], last[k]) for k in arrays):
            records.save_arrays(self.parts / _name(run.epoch), arrays)
            self.last = arrays

    def finish(self) -> None:
        """One file: ``epochs`` (first epoch of each entry), ``sizes``, and ``index`` and ``weight`` end to end."""
        entries = {int(part.stem): self._read(part) for part in self._files()}
        if not entries:
            return
        arrays = {
            "epochs": np.array(list(entries)),
            "sizes": np.array([len(saved["index"]) for saved in entries.values()]),
            **{k: np.concatenate([saved[k] for saved in entries.values()]) for k in ("index", "weight")},
        }
        records.save_arrays(self.path, arrays)

    def clear(self) -> None:
        """Removes the files of the entries, all or none of them: a killed run must never make its one file from some."""
        gone = self.parts.with_name(f".{os.getpid()}.{self.parts.name}")
        self.parts.rename(gone)
        shutil.rmtree(gone)


def _name(epoch: int) -> str:
    return f"{epoch:05d}.npz"
