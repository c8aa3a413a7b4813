"""Files that appear whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends, and is removed when it fails.

    So a reader sees the old file or the new one, never a part; a full disk loses nothing that was there.
    """
    beside = path.with_name(f".{os.getpid()}.{path.name}")  # the suffix stays: some writers choose their format by it
    try:
        yield beside
        with open(beside, "rb") as written:
            os.fsync(written.fileno())
        os.replace(beside, path)
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk names no file by itself
    finally:
        beside.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Removes a file, a link or a folder with all that is in it, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what killed processes were writing in ``folder``; only for one who knows that nobody writes there now."""
    for path in folder.glob(".[0-9]*.*"):
        remove(path)


def write_text(path: Path, text: str) -> None:
    """Writes the file in UTF-8 with the line ends of ``text``, and makes its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside:
        beside.write_bytes(text.encode())


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """The rows as a CSV, as ``write_text`` writes."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def write_json(path: Path, value: Any) -> None:
    """Writes strict JSON, which cannot express numbers that are not finite: they become null."""
    write_text(path, json.dumps(finite(value), indent=1, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """The value with None in place of every float that is NaN or infinite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return [finite(v) for v in value] if isinstance(value, list | tuple) else value


def read_json(path: Path, what: str) -> Any:
    """Raises FileNotFoundError or ValueError with one line that names the file and ``what`` it should be.

    A key written twice is refused, of which JSON would keep the last one silently.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; it is to hold {what}")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or a key twice
        raise ValueError(f"{path}: not {what} ({error})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in value if names.count(n) > 1)!r} twice")
    return value
