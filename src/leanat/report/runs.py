"""The runs of a paper, one line each: what they are, where and when they were made, and what they took."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from leanat.core.files import atomic_write
from leanat.runs import identity, records

COLUMNS = [
    "run", "data", "network", "seed", "epochs", "examples forward", "examples backward", "training (s)", "attacks (s)",
    "memory (MB)", "device", "threads", "revision", "date", "torch", "spec",
]  # fmt: skip

NEED = (  # of the metrics
    "epochs", "examples.forward", "examples.backward", "wall_seconds", "peak_memory_mb", "device", "threads", "revision", "date",
    "versions.torch",
)  # fmt: skip

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 13px/1.4 system-ui, sans-serif; margin: 1em; color: #111; background: #fff; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .15em .7em; text-align: right; white-space: nowrap; }}
th {{ border-bottom: 1.5px solid #333; position: sticky; top: 0; background: #fff; }}
td:first-child, th:first-child {{ text-align: left; font-family: monospace; }}
tr:nth-child(even) td {{ background: #f4f4f4; }}
</style></head><body><h3>{title}</h3><p>{lead}</p><table>
<tr>{head}</tr>
{body}
</table></body></html>
"""


def lines(runs: Iterable[str], results: Path) -> list[list[Any]]:
    """A row of COLUMNS for each run. Raises FileNotFoundError for one that is not finished."""
    found = []
    for run in runs:
        folder = results / "runs" / run
        metrics = identity.read_run(folder, *NEED)
        suites = [records.suite(path) for path in sorted((folder / "suites").glob("*.json"))]
        attacks = sum(a.get("seconds", 0.0) for suite in suites for a in suite["attacks"].values())
        examples, spec = metrics["examples"], metrics["spec"]
        found.append([
            run, spec["data"]["name"], spec["model"]["name"], spec["seed"], metrics["epochs"], examples["forward"],
            examples["backward"], round(metrics["wall_seconds"], 1), round(attacks, 1), round(metrics["peak_memory_mb"]),
            metrics["device"], metrics["threads"], metrics["revision"], metrics["date"], metrics["versions"]["torch"],
            metrics["spec_hash"],
        ])  # fmt: skip
    return found


def write(paper: str, scale: str, runs: Iterable[str], results: Path, stem: Path) -> None:
    """``stem``.csv, and ``stem``.html, which needs nothing but itself."""
    rows = lines(runs, results)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    hours = sum(row[7] + row[8] for row in rows) / 3600
    page = _PAGE.format(
        title=html.escape(f"Runs of {paper}, scale {scale}"),
        lead=f"{len(rows)} runs, {hours:.2f} hours of training and attacks, one after the other.",
        head="".join(f"<th>{html.escape(c)}</th>" for c in COLUMNS),
        body="\n".join("<tr>" + "".join(f"<td>{html.escape(_shown(v))}</td>" for v in row) + "</tr>" for row in rows),
    )
    stem.parent.mkdir(parents=True, exist_ok=True)
    for kind, content in (("csv", text.getvalue()), ("html", page)):
        with atomic_write(Path(f"{stem}.{kind}")) as file:
            file.write_text(content, encoding="utf-8")


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
