"""Two runs side by side: the differences of their specs, and the results of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate

from leanat.core.files import write_text
from leanat.report.run_files import folder_of, leaves
from leanat.runs import identity, records

ABSENT = "–"
NEED = (  # keys of the metrics
    "clean", "examples.train", "examples.forward", "examples.backward", "epochs", "seconds", "device", "revision", "date",
)  # fmt: skip


class Row(NamedTuple):
    """The name of a compared value, and the value in the first and in the second run."""

    what: str
    first: str
    second: str


def make(first: str, second: str, results: Path, out: Path | None) -> str:
    """Both runs as Markdown, which can also be read in a terminal; ``out``: a file with the same. Raises ConfigError."""
    folders = [folder_of(run, results) for run in (first, second)]
    metrics = [identity.read_run(folder, *NEED) for folder in folders]
    both = [facts(m, summaries(folder)) for m, folder in zip(metrics, folders, strict=True)]
    spec = differences(*(dict(leaves(m["spec"])) for m in metrics))
    heads = [folder.name for folder in folders]
    text = "\n\n".join(
        [
            f"# {heads[0]} and {heads[1]}",
            table("Settings that differ", spec, heads) or "All settings are the same.",
            table("Results", side_by_side(*both), heads),
        ]
    )
    if out is not None:
        write_text(out, text + "\n")
    return text


def summaries(folder: Path) -> list[dict[str, Any]]:
    """The summaries of the suites that attacked a run."""
    return [records.suite(path, "suite") for path in sorted((folder / "suites").glob("*.json"))]


def differences(first: Mapping[str, str], second: Mapping[str, str]) -> list[Row]:
    """The settings that differ between both runs."""
    return [row for row in side_by_side(first, second) if row.first != row.second]


def side_by_side(first: Mapping[str, str], second: Mapping[str, str]) -> list[Row]:
    return [Row(name, first.get(name, ABSENT), second.get(name, ABSENT)) for name in dict.fromkeys([*first, *second])]


def facts(metrics: Mapping[str, Any], suites: list[dict[str, Any]]) -> dict[str, str]:
    """The results of a run, by name: accuracies with their 95 % interval over test images, cost, machine."""
    examples = metrics["examples"]
    accuracies = {"clean accuracy (%)": accuracy(metrics["clean"])}
    accuracies |= {f"{suite}: {name} (%)": accuracy(attack) for suite, name, attack in attacked(suites)}
    counts = [examples["train"], *([examples["kept"]] if examples.get("kept") is not None else [])]
    return accuracies | {
        "epochs": f"{metrics['epochs']}",
        "training examples, kept at the end": ", ".join(f"{count:,}" for count in counts),
        "images forward": f"{examples['forward']:,}",
        "images backward": f"{examples['backward']:,}",
        "seconds of training": f"{metrics['seconds']:.1f}",
        "device": str(metrics["device"]),
        "revision": str(metrics["revision"]),
        "date": metrics["date"][:10],
    }


def attacked(suites: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    """The suite, the attack and its result, for every attack that has an accuracy."""
    every = ((suite["suite"], name, attack) for suite in suites for name, attack in suite["attacks"].items())
    return [(suite, name, attack) for suite, name, attack in every if attack.get("accuracy") is not None]


def accuracy(outcome: Mapping[str, Any]) -> str:
    """The accuracy in percent, with its interval over the test images if there is one."""
    if "low" not in outcome:
        return f"{100 * outcome['accuracy']:.1f}"
    low, high = (100 * outcome[k] for k in ("low", "high"))
    return f"{100 * outcome['accuracy']:.1f} [{low:.1f}, {high:.1f}], n = {outcome['n']:,}"


def table(title: str, rows: list[Row], heads: list[str]) -> str:
    """A Markdown table, its columns as wide as their widest cell; empty if there are no rows."""
    if not rows:
        return ""
    return f"## {title}\n\n" + tabulate(rows, ["", *heads], tablefmt="github", disable_numparse=True)
