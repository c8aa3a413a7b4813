"""Progress of the work: a bar on a terminal, a line now and then in a file, and a note that ``leanat watch`` reads."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

log = logging.getLogger("leanat")

FOLDER = "LEANAT_RUNNING"  # the variable that names the folder of the notes; set for every verb that works long
EVERY = 1.0  # seconds between two notes
LOST = 600  # seconds after which the note of a process on another machine counts as left behind


class Job:
    """A note of this process in the folder of notes, as long as it works; nothing is written if no folder is named."""

    def __init__(self, kind: str, name: str):
        folder = os.environ.get(FOLDER)
        self.kind, self.name, self.written = kind, name, 0.0
        self.path = Path(folder) / f"{socket.gethostname()}-{os.getpid()}.json" if folder else None

    def __enter__(self) -> Job:
        self.started = time.monotonic()
        self.say("starts", 0.0)
        return self

    def due(self) -> bool:
        return self.path is not None and time.monotonic() - self.written >= EVERY

    def say(self, text: str, share: float) -> None:
        """Notes that ``share`` of the work is done, from 0 to 1."""
        now = time.monotonic()  # which no clock that is set takes back
        if self.path is None or (0 < share < 1 and not self.due()):
            return
        left = (now - self.started) / share * (1 - share) if share else None
        note = {"kind": self.kind, "name": self.name, "text": text, "left": left, "at": time.time()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside = self.path.with_suffix(".new")
            beside.write_text(json.dumps(note | {"pid": os.getpid(), "host": socket.gethostname()}))
            os.replace(beside, self.path)
        except OSError:  # a full or read-only disk: the work itself will say so
            self.path = None
        self.written = now

    def __exit__(self, *error: object) -> None:
        if self.path is not None:
            with suppress(OSError):  # the work is done, whatever became of the folder
                self.path.unlink(missing_ok=True)


def running(folder: Path) -> Iterator[str]:
    """A line for each job that is running, from its note; notes of processes that have ended are removed."""
    for path in sorted(folder.glob("*.json")):
        try:
            note = json.loads(path.read_text())
            gone = not _alive(note)
            left = "" if note["left"] is None else f"  {duration(note['left'])} left"
            line = f"{note['kind']} {note['name']}: {note['text']}{left}"
        except (OSError, ValueError, KeyError, TypeError, OverflowError):  # cut, or none of ours
            continue
        if not gone:
            yield line
            continue
        with suppress(OSError):  # of results that only others may write to
            path.unlink(missing_ok=True)


def tell(folder: Path, every: float = 30.0) -> None:
    """Prints the lines of ``running`` on standard error, from a thread, as long as this process lives."""

    def say() -> None:
        while True:
            time.sleep(every)
            for line in running(folder):
                sys.stderr.write(f"  {time.strftime('%H:%M:%S')}  {line}\n")

    threading.Thread(target=say, daemon=True).start()


def _alive(note: dict[str, Any]) -> bool:
    if note["host"] != socket.gethostname():
        return time.time() - note["at"] < LOST
    try:
        os.kill(note["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def duration(seconds: float) -> str:
    """Seconds in words, such as ``45 s``, ``3 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


class Progress:
    """The epochs of one training: number, loss, examples kept, remaining time.

    ``shown`` is False for a process that trains together with another one, which shows the progress of both.
    """

    def __init__(self, epochs: int, name: str = "", shown: bool = True):
        self.epochs, self.started, self.logged_at, self.bar = epochs, time.monotonic(), 0.0, None
        self.step, self.steps, self.done, self.loss = 0, 0, 0, ""  # steps of this epoch and of the last one
        self.job, self.shown = Job("train", name), shown
        if not shown:
            self.job.path = None

    def __enter__(self) -> Progress:
        self.bar = tqdm(total=self.epochs, unit="epoch", leave=False, disable=None if self.shown else True)
        self.first: int | None = None
        self.job.__enter__()
        return self

    def __call__(self, run: Any) -> None:
        row = run.history[-1]
        self.first = run.epoch - 1 if self.first is None else self.first
        self.done, self.step, self.steps = run.epoch, 0, self.step or self.steps
        if row["kept"]:  # an epoch without training has no loss
            self.loss = f"{row['loss']:.3f}"
        self.bar.n = run.epoch
        self.bar.set_postfix(loss=self.loss, kept=int(row["kept"]))
        self._say(float(run.epoch))
        now = time.monotonic()
        if self.bar.disable and (now - self.logged_at > 30 or run.epoch == self.epochs):
            left = (now - self.started) / (run.epoch - self.first) * (self.epochs - run.epoch)
            log.info(
                "epoch %d/%d  loss %s  examples %d  %.2f s per epoch  %.0f s left",
                run.epoch, self.epochs, self.loss or "?", row["kept"], row["seconds"], left,
            )  # fmt: skip
            self.logged_at = now

    def tick(self) -> bool:
        """Called before each step; moves the bar. Returns False, so that it may stand in an ``or``."""
        self.step += 1
        if self.steps:
            self.bar.n = round(self.done + min(self.step / self.steps, 1.0), 2)
        self.bar.set_postfix_str(f"loss {self.loss or '?'}, step {self.step}{f' of {self.steps}' * bool(self.steps)}")
        if self.job.due():
            self._say(self.done + min(self.step / self.steps, 1.0) if self.steps else float(self.done))
        return False

    def _say(self, epochs: float) -> None:
        first = self.first or 0
        loss = f", loss {self.loss}" if self.loss else ""
        step = f", step {self.step}" if self.step else ""
        self.job.say(f"epoch {self.done} of {self.epochs}{step}{loss}", (epochs - first) / max(self.epochs - first, 1))

    def __exit__(self, *error: object) -> None:
        self.bar.close()
        self.job.__exit__(*error)
