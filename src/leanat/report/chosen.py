"""The examples that a run trained on, by class and over time: as text for a terminal, and as CSV."""

from __future__ import annotations

from pathlib import Path

from tabulate import tabulate

from leanat.core.files import write_csv
from leanat.report.run_files import Selection, folder_of, selection
from leanat.runs import identity

SHOWN = 8  # selections side by side


def make(run: str, results: Path, out: Path | None) -> str:
    """A table of the number of examples of each class in each selection. ``out``: all selections as CSV. Raises ConfigError."""
    folder = folder_of(run, results)
    metrics = identity.read_run(folder, "examples.train", "epochs")
    record = selection(folder, metrics["spec"], metrics["examples"]["train"])
    if record is None:
        return f"{folder.name}: no record of what it trained on"
    if out is not None:
        write(record, out)
    head = f"{folder.name}: {len(record.epochs)} selection{'s' * (len(record.epochs) != 1)} of {record.total:,} training examples"
    return f"{head}\n\n" + tabulate(*table(record, metrics["epochs"]), tablefmt="github", disable_numparse=True)


def some(record: Selection) -> list[int]:
    """The positions of at most SHOWN selections, including the first and the last."""
    last = len(record.epochs) - 1
    return sorted({round(k * last / (SHOWN - 1)) for k in range(SHOWN)}) if last >= SHOWN else list(range(last + 1))


def table(record: Selection, epochs: int) -> tuple[list[list[str]], list[str]]:
    """Rows and heads: a row for each class and one for all classes, a column for each selection that is shown."""
    entries = some(record)
    ends = [*(epoch - 1 for epoch in record.epochs[1:]), epochs]
    spans = [str(record.epochs[k]) if record.epochs[k] == ends[k] else f"{record.epochs[k]}–{ends[k]}" for k in entries]
    rows = []
    if record.labels is not None:
        whole, counts = record.all_by_class(), [record.by_class(k) for k in entries]
        rows = [[f"class {c}", str(n), *(str(count[c]) for count in counts)] for c, n in enumerate(whole)]
    rows.append(["all", str(record.total), *(str(len(record.index[k])) for k in entries)])
    if any(len(w) and w.min() != w.max() for w in record.weight):
        spread = [f"{w.min():.3g} to {w.max():.3g}" if len(w) else "–" for w in (record.weight[k] for k in entries)]
        rows.append(["weights", "", *spread])
    return rows, ["", "there are", *(f"epochs {span}" if "–" in span else f"epoch {span}" for span in spans)]


def write(record: Selection, path: Path) -> None:
    """A row for each selection and example: the epoch from which it holds, the example's index, its class and its weight."""
    rows = [["from_epoch", "example", "class", "weight"]]
    for epoch, index, weight in zip(record.epochs, record.index, record.weight, strict=True):
        classes = [""] * len(index) if record.labels is None else record.labels[index].tolist()
        rows += ([epoch, i, c, f"{w:.6g}"] for i, c, w in zip(index.tolist(), classes, weight.tolist(), strict=True))
    write_csv(path, rows)
