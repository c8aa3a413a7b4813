"""The cores that a process may use and the memory that it has used, on every operating system. Needs no torch."""

from __future__ import annotations

import os
import sys


def usable_cores() -> int:
    """Cores that this process may use, which a scheduler may have made fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_bytes() -> int:
    """The most memory that this process ever had at once."""
    import resource  # which Windows has not, where the library runs

    unit = 1 if sys.platform == "darwin" else 1024  # of getrusage
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
