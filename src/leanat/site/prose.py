"""What a paper's folder says in words for its page: ``report.toml`` with ``scope``, ``method``, ``easy`` and ``hard``."""

from __future__ import annotations

import tomllib
from importlib import resources

PARTS = ("scope", "method", "easy", "hard")


def load(paper: str) -> dict[str, list[str]]:
    """Paragraphs by part; empty where the paper has no such file. Raises ValueError for a part that is none of PARTS."""
    file = resources.files(f"leanat.papers.{paper}").joinpath("report.toml")
    if not file.is_file():
        return {part: [] for part in PARTS}
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    if strange := sorted(set(found) - set(PARTS)):
        raise ValueError(f"{file}: {strange[0]!r} is not allowed; allowed: {', '.join(PARTS)}")
    return {part: [" ".join(p.split()) for p in found.get(part, "").split("\n\n") if p.strip()] for part in PARTS}
