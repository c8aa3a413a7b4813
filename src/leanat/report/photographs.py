"""The findings in README.md on real photographs: sentences and tables whose numbers are read from ``replicated/``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from leanat.experiments.scales import SCALES
from leanat.report import published, replicated
from leanat.report.findings import Findings, told


def photographs(real: Path, papers: Path) -> list[str]:
    """The findings on real photographs, one entry per item in ``real``; ``papers``: the folder of the printed numbers."""
    of, entries, scales = of_replicated(real, papers), [], {}
    for item, tell in SENTENCES.items():
        if (real / f"{item}.csv").is_file():
            scale = next(iter(replicated.load(*item.split("/"), real).values())).scale
            words, *table = tell(of).split("\n")
            entries += [f"{words} Scale {scale}.", *table]
            differences = (SCALES[scale].attacked, SCALES[scale].ensemble) if scale in SCALES else ()
            scales[scale] = ", ".join(filter(None, differences))
    return entries + [f"- At scale {scale}: {attacked}." for scale, attacked in scales.items() if attacked]


# The findings of an item on real photographs: the text, and after a newline the lines of a table.
SENTENCES: dict[str, Callable[[Findings], str]] = {
    item: lambda of, item=item: "\n".join(told(item.replace("/", "_"), of))
    for item in (
        *("coreset/table3", "coreset/autopsy", "qtart/decomposition", "sat/figure2", "sat/autopsy", "sat/figure6"),
        *("saliency/phase1", "saliency/autopsy", "advprune/variants"),
    )
}


def of_replicated(folder: Path, papers: Path) -> Findings:
    """The findings from ``replicated/``, with the papers' numbers."""
    kept: dict[str, dict[tuple[str, str], replicated.Cell]] = {}

    def cell(item: str, row: str, column: str) -> replicated.Cell:
        if item not in kept:
            cells = replicated.load(*item.split("/"), folder)
            kept[item] = {(r, c): cell for (r, c, _), cell in cells.items()}
        if (row, column) not in kept[item]:
            raise ValueError(f"README: {folder}/{item}.csv has no cell {row!r}, {column!r}")
        return kept[item][row, column]

    def printed(item: str, row: str, column: str) -> str:
        return published.lookup(*item.split("/"), row, column, papers).text

    return Findings(lambda *name: cell(*name).values, printed, lambda *name: cell(*name).interval())
