"""Requests to stop: a scheduler's SIGTERM or SIGUSR1 before it takes the machine away, a user's Ctrl-C, a closed terminal."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import Popen
from types import FrameType

from leanat.core.errors import Ended

AGAIN = 75  # exit status: EX_TEMPFAIL of sysexits.h. What is done is saved; the same command goes on from there
INTERRUPTED = 130  # as a shell has it for SIGINT; nothing is lost either
HANDED_ON = "LEANAT_HANDED_ON"  # the variable of processes to which the one that started them hands its signals on


@dataclass
class Asked:
    """True once a signal came."""

    number: int | None = None

    def __call__(self) -> bool:
        return self.number is not None

    @property
    def status(self) -> int:
        return INTERRUPTED if self.number == signal.SIGINT else AGAIN

    def wait_for(
        self, children: Sequence[Popen], stop: Callable[[Popen], None] = lambda child: child.terminate()
    ) -> None:
        """Waits until all these processes have ended; when a signal comes, each of them is stopped, once."""
        signalled = False
        while any(child.poll() is None for child in children):
            if self() and not signalled:
                for child in children:
                    stop(child)
                signalled = True
            time.sleep(0.1)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], *numbers: int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in no other
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def interrupted_once() -> None:
    """Makes the first Ctrl-C end the program as usual; further ones only print a line.

    Snakemake stops its jobs after the first Ctrl-C, and a second one would end it with a traceback. The jobs get both.
    """
    if threading.current_thread() is not threading.main_thread():
        return

    def again(number: int, frame: FrameType | None) -> None:
        sys.stderr.write("Stopping already; the jobs end now\n")

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, again)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, first)


@contextmanager
def ending() -> Iterator[None]:
    """Within this context SIGTERM raises an exception, so that temporary files are removed; the exit status is AGAIN."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Ended(AGAIN)

    with _handled(end, signal.SIGTERM):
        yield


@contextmanager
def heard() -> Iterator[Asked]:
    """Within this context a signal is only noted, so that the work can stop at a safe point; a second one ends it at once.

    A second one is ignored if another process passes signals on to this one (``HANDED_ON``, torchrun): a cluster signals every
    process of a job, so a single request arrives twice.
    """
    asked, twice = Asked(), HANDED_ON in os.environ or "LOCAL_RANK" in os.environ

    def note(number: int, frame: FrameType | None) -> None:
        if not asked():
            asked.number = number
        elif not twice:
            raise Ended(asked.status)

    numbers = [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # a terminal that is closed, unless nohup says not to mind
        numbers.append(signal.SIGHUP)
    with _handled(note, *numbers):
        yield asked
