"""What a run trained on, by class and over time: for a terminal, and as CSV."""

from __future__ import annotations

from pathlib import Path

from leanat.core.files import write_csv
from leanat.report.run_files import Selection, folder_of, selection
from leanat.runs import identity

SHOWN = 8  # entries side by side


def make(run: str, results: Path, out: Path | None) -> str:
    """How many examples of each class each selection held. ``out``: every entry as CSV. Raises ConfigError."""
    folder = folder_of(run, results)
    metrics = identity.read_run(folder, "examples.train", "epochs")
    made = selection(folder, metrics["spec"], metrics["examples"]["train"])
    if made is None:
        return f"{folder.name}: no record of what it trained on"
    if out is not None:
        write(made, out)
    head = f"{folder.name}: {len(made.epochs)} selection{'s' * (len(made.epochs) != 1)} of {made.total:,} training examples"
    from tabulate import tabulate

    return f"{head}\n\n" + tabulate(*table(made, metrics["epochs"]), tablefmt="github", disable_numparse=True)


def some(made: Selection) -> list[int]:
    """At most SHOWN entries, the first and the last among them."""
    last = len(made.epochs) - 1
    return sorted({round(k * last / (SHOWN - 1)) for k in range(SHOWN)}) if last >= SHOWN else list(range(last + 1))


def table(made: Selection, epochs: int) -> tuple[list[list[str]], list[str]]:
    """Rows and heads: a row for each class and one for all, a column for each entry that is shown."""
    shown = some(made)
    ends = [*(epoch - 1 for epoch in made.epochs[1:]), epochs]
    spans = [str(made.epochs[k]) if made.epochs[k] == ends[k] else f"{made.epochs[k]}–{ends[k]}" for k in shown]
    rows = []
    if made.labels is not None:
        whole, counts = made.all_by_class(), [made.by_class(k) for k in shown]
        rows = [[f"class {c}", str(n), *(str(count[c]) for count in counts)] for c, n in enumerate(whole)]
    rows.append(["all", str(made.total), *(str(len(made.index[k])) for k in shown)])
    if any(len(w) and w.min() != w.max() for w in made.weight):
        spread = [f"{w.min():.3g} to {w.max():.3g}" if len(w) else "–" for w in (made.weight[k] for k in shown)]
        rows.append(["weights", "", *spread])
    return rows, ["", "there are", *(f"epochs {span}" if "–" in span else f"epoch {span}" for span in spans)]


def write(made: Selection, path: Path) -> None:
    """A row for each entry and example: from which epoch on, which example, its class and its weight."""
    rows = [["from_epoch", "example", "class", "weight"]]
    for epoch, index, weight in zip(made.epochs, made.index, made.weight, strict=True):
        classes = [""] * len(index) if made.labels is None else made.labels[index].tolist()
        rows += ([epoch, i, c, f"{w:.6g}"] for i, c, w in zip(index.tolist(), classes, weight.tolist(), strict=True))
    write_csv(path, rows)
