"""Finished runs that nobody trained, of two items: files as a training and its attacks leave them, with numbers at random."""

import csv
import json

import numpy as np

from leanat.core.files import write_json
from leanat.plan.grid import digest

ITEMS = ("qtart/table1", "qtart/decomposition")
TEST, CLASSES = 1197, 10


def cells(item, seeds):
    """An item's CSV, as far as it names the runs of its numbers, those of the first ``seeds``."""
    lines = ["row,column,published,values,missing,runs"]
    for row, column, cell in item.flat:
        runs = [run for run in cell.runs if int(run.split("-s")[-1].split("-")[0]) < seeds]
        lines.append(f'"{row.name}","{column.name}",,"{[1.0] * len(runs)}",,{" ".join(runs)}')
    return "\n".join(lines) + "\n"


def outcome(rng):
    """The summary of an evaluation of TEST images."""
    n = np.full(CLASSES, TEST // CLASSES)
    n[: TEST % CLASSES] += 1
    right = rng.binomial(n, rng.uniform(0.3, 0.99))
    share = right.sum() / TEST
    return {
        "n": TEST, "correct": int(right.sum()), "accuracy": share, "low": share - 0.02, "high": min(1, share + 0.02),
        "loss": 1.0, "not_finite": 0, "notes": [], "per_class": {"correct": right.tolist(), "n": n.tolist()},
    }  # fmt: skip


def write(grid, results, items=ITEMS):
    """Files of all that the items need."""
    rng = np.random.default_rng(0)
    for name in items:
        for run in grid.items[name].all_runs:
            write_run(grid.runs[run], results / "runs" / run, rng)
        for evaluation in grid.items[name].evaluations:
            made = grid.evaluations[evaluation]
            attacks = {k: outcome(rng) for k, entry in made.attacks.items() if "attack" in entry}
            about = {"run": made.run, "suite": made.suite, "attacks": attacks, "worst": outcome(rng)}
            about |= {"made_from": {"data": "t"}, "file": {}, "masking": {}}
            (results / "runs" / made.run / "suites").mkdir(exist_ok=True)
            write_json(results / "runs" / f"{evaluation}.json", about)


def write_run(run, folder, rng):
    if (folder / "metrics.json").exists():
        return
    folder.mkdir(parents=True)
    epochs, total = 6, 600
    removed = rng.choice(total, 5, replace=False)
    kept = np.setdiff1d(np.arange(total), removed)
    index = [np.arange(total), kept]
    np.savez_compressed(
        folder / "selection.npz", epochs=np.array([1, 4]), sizes=np.array([len(i) for i in index]),
        index=np.concatenate(index), weight=np.ones(sum(map(len, index)), np.float32),
    )  # fmt: skip
    rows = [
        {"epoch": e, "lr": 0.1, "loss": 2 / e, "kept": 600, "forward": 600, "backward": 600, "seconds": 0.1}
        for e in range(1, epochs + 1)
    ]
    for row in rows[1::2]:
        row["test_clean"] = float(rng.integers(100, 200) / 2)
    with open(folder / "history.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "test_clean"])
        writer.writeheader()
        writer.writerows(rows)
    metrics = {
        "run": run.id, "spec": run.spec, "spec_hash": digest(run.spec), "made_from": {"training data": "d", "test data": "t"},
        "files": {"model.safetensors": "m"}, "clean": outcome(rng), "validation": outcome(rng),
        "examples": {"train": total, "kept": len(kept), "test": TEST, "forward": 3600, "backward": 3600}, "epochs": epochs,
        "seconds": 0.6, "wall_seconds": 0.9, "peak_memory_mb": 100.0, "parameters": 1000, "device": "CPU (x86_64)", "threads": 1,
        "versions": {"leanat": "0", "torch": "0"}, "revision": "abc", "date": "2026-11-28T20:56:10+00:00", "pieces": [],
    }  # fmt: skip
    (folder / "spec.json").write_text(json.dumps(run.spec))
    write_json(folder / "metrics.json", metrics)
