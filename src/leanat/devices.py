"""A GPU for each job of one machine. Snakemake counts GPUs, it does not say which: locks do, before torch is imported."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leanat.resolve import ConfigError

DRIVER = Path("/proc/driver/nvidia/gpus")
POLL = 0.5  # seconds between looks for a free GPU


def count() -> int:
    """GPUs of this machine; the variable LEANAT_GPUS says so where the driver does not. Raises ConfigError."""
    given = os.environ.get("LEANAT_GPUS")
    if given is None:
        return len(list(DRIVER.glob("*")))
    if not given.isdecimal():
        raise ConfigError([f"LEANAT_GPUS: {given!r} is not allowed; a number of GPUs, 0 or more"])
    return int(given)


def assigned() -> bool:
    """Whether a scheduler, a launcher or the user has already said which GPUs this process sees."""
    return any(name in os.environ for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "LOCAL_RANK"))


@contextmanager
def claimed(device: str = "cpu", jobs_per_gpu: int = 1, processes: int = 1) -> Iterator[None]:
    """Waits for ``processes`` free GPUs and shows them alone to this process; nothing where GPUs are assigned or not asked for.

    ``device``: auto or cuda; a numbered one is the user's choice. A GPU is shared by up to ``jobs_per_gpu`` jobs. The locks
    are the kernel's: they go with the process, also by kill -9.
    """
    here = 0 if assigned() or device not in ("auto", "cuda") else count()
    if not here:
        yield
        return
    if processes > here:
        raise ConfigError([f"{processes} GPUs are asked for, and this machine has {here}"])
    held = _lock(here, processes, jobs_per_gpu)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, held))
    try:
        yield
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
        for file in held.values():
            file.close()


def _lock(here: int, gpus: int, jobs_per_gpu: int) -> dict[int, object]:
    folder = Path(tempfile.gettempdir()) / f"leanat-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    while True:
        held: dict[int, object] = {}
        for slot in range(jobs_per_gpu):  # all first slots before any second one: jobs spread over the GPUs
            for gpu in range(here):
                if gpu in held or len(held) == gpus:
                    continue
                file = open(folder / f"{gpu}.{slot}.lock", "w")  # noqa: SIM115
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held[gpu] = file
                except BlockingIOError:
                    file.close()
        if len(held) == gpus:
            return held
        for file in held.values():
            file.close()
        time.sleep(POLL)
