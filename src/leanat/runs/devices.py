"""A GPU for each job on one machine. Snakemake only counts GPUs; lock files decide which job gets which, before torch starts."""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from leanat.core.errors import ConfigError

log = logging.getLogger("leanat")

DRIVER, FILES = Path("/proc/driver/nvidia/gpus"), Path("/dev")
POLL = 0.5  # seconds between looks for a free GPU


def visible() -> list[str]:
    """The GPUs that this process may use, as CUDA names them: those of ``CUDA_VISIBLE_DEVICES``, else all of the machine.

    Raises ConfigError where that names one twice, or LEANAT_GPUS is no number.
    """
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:  # like CUDA, up to the first name that is no GPU's
        names = list(itertools.takewhile(partial(_is_one, installed()), map(_plain, listed.split(","))))
        if len(set(_numbered(names).values())) < len(names):
            raise ConfigError([f"CUDA_VISIBLE_DEVICES: {listed!r} is not allowed; each GPU once"])
        return names
    return [str(k) for k in range(installed())]


def _plain(name: str) -> str:
    """Without spaces, and a number without zeros before it."""
    name = name.strip()
    return str(int(name)) if _number(name) else name


def _number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _is_one(installed: int, name: str) -> bool:
    """Whether CUDA may take this for a GPU: an identifier, or the number of a GPU of this machine if these can be counted."""
    return (not installed or int(name) < installed) if _number(name) else name.startswith(("GPU-", "MIG-"))


def installed() -> int:
    """GPUs of this machine that are not hidden from this process, or as many as LEANAT_GPUS says.

    Raises ConfigError where that is no number.
    """
    setting = os.environ.get("LEANAT_GPUS")
    if setting is None:
        return len(_listed())
    if not setting.isdecimal():
        raise ConfigError([f"LEANAT_GPUS: {setting!r} is not allowed; a number of GPUs, 0 or more"])
    return int(setting)


def _listed() -> list[Path]:
    """The driver's folders of the GPUs that are not hidden, in the order of their places on the bus.

    The driver lists all. A cgroup, as SLURM makes it, hides those that are not the job's, and CUDA numbers the rest anew.
    """
    return [folder for folder in sorted(DRIVER.glob("*")) if not _hidden(folder)]


def _hidden(folder: Path) -> bool:
    number = re.search(r"Device Minor:\s*(\d+)", _about(folder))
    if number is None:
        return False
    file = FILES / f"nvidia{number[1]}"  # not there before CUDA's first use makes it
    return file.exists() and not os.access(file, os.R_OK | os.W_OK)


def usable(device: str) -> int:
    """How many GPUs jobs for ``device`` can use at once: all visible ones for auto and cuda, one for cuda:N, none for cpu."""
    return len(visible()) if device in ("auto", "cuda") else int(device != "cpu")


def assigned(processes: int = 1) -> bool:
    """Whether a launcher or a scheduler has already chosen the GPU of this process, or there is only one choice."""
    return "LOCAL_RANK" in os.environ or ("CUDA_VISIBLE_DEVICES" in os.environ and len(visible()) == processes)


@contextmanager
def claimed(device: str = "cpu", jobs_per_gpu: int = 1, processes: int = 1) -> Iterator[None]:
    """Waits for ``processes`` free GPUs among the visible ones, and makes only these visible to this process.

    Does nothing if no GPU is asked for or visible, or if the choice is made already: by a scheduler or launcher
    (``assigned``), or by the user with a numbered ``device``. Up to ``jobs_per_gpu`` jobs share a GPU. The kernel frees the
    locks when the process ends, even by kill -9. Raises ConfigError if fewer GPUs are visible than are asked for.
    """
    here = [] if device not in ("auto", "cuda") or assigned(processes) else visible()
    if not here:
        yield
        return
    if processes > len(here):
        raise ConfigError([f"{processes} GPUs are asked for, and this machine has {len(here)}"])
    before, held = os.environ.get("CUDA_VISIBLE_DEVICES"), _lock(here, processes, jobs_per_gpu)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
    try:
        yield
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
        if before is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = before
        for file in held.values():
            file.close()


def _lock(here: list[str], gpus: int, jobs_per_gpu: int) -> dict[str, object]:
    """Open lock files by GPU; where they are not free, a line says once that this process waits for them.

    Inside a SLURM allocation that was given GPUs they are numbered anew, so it has locks of its own.
    """
    allocation = os.environ.get("SLURM_JOB_ID") if "CUDA_VISIBLE_DEVICES" in os.environ else None
    folder = Path(tempfile.gettempdir()) / f"leanat-gpus-{os.getuid()}{f'-{allocation}' if allocation else ''}"
    folder.mkdir(mode=0o700, exist_ok=True)
    names = _numbered(here)
    waits = False
    while True:
        held: dict[str, object] = {}
        for slot in range(jobs_per_gpu):  # all first slots before any second one: jobs spread over the GPUs
            for gpu in here:
                if gpu in held or len(held) == gpus:
                    continue
                file = open(folder / f"{names[gpu]}.{slot}.lock", "w")  # noqa: SIM115
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held[gpu] = file
                except BlockingIOError:
                    file.close()
                except OSError as error:
                    why = f"no locks there ({error.strerror}); set TMPDIR to a local folder, or CUDA_VISIBLE_DEVICES"
                    raise ConfigError([f"{folder}: {why}"]) from None
        if len(held) == gpus:
            return held
        for file in held.values():
            file.close()
        if not waits:
            taken_gpus = ", ".join(gpu for gpu in here if gpu not in held)
            what = "a free GPU" if gpus == 1 else f"{gpus} free GPUs"
            message = "waiting for %s (taken: %s; locks in %s; --jobs-per-gpu shares)"
            log.info(message, what, taken_gpus, folder)
            waits = True
        time.sleep(POLL)


def _numbered(here: list[str]) -> dict[str, str]:
    """The name of each GPU's lock: its number, even if the GPU is given by its identifier or the beginning of it.

    Numbers follow the places on the bus, as CUDA numbers GPUs that are alike. A part of a GPU (MIG) keeps its own name, of
    which the older kind, MIG-GPU-<identifier>/1/0, has slashes.
    """
    seen = [re.search(r"GPU-[0-9a-f-]+", _about(folder)) for folder in _listed()]
    number_by_identifier = {found[0]: str(k) for k, found in enumerate(seen) if found}
    numbers = {gpu: [k for identifier, k in number_by_identifier.items() if identifier.startswith(gpu)] for gpu in here}
    return {gpu: found[0] if len(found) == 1 else gpu.replace("/", "_") for gpu, found in numbers.items()}


def _about(folder: Path) -> str:
    try:
        return (folder / "information").read_text(errors="replace")
    except OSError:
        return ""
