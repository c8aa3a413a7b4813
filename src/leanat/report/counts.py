"""Checks that runs were made from as many images and classes as ``config/datasets.yaml`` says; the runs record their numbers."""

from __future__ import annotations

from pathlib import Path

from leanat.plan.grid import Grid
from leanat.plan.item import Item
from leanat.runs import identity, records


def check(item: Item, grid: Grid, results: Path, keep: bool = False) -> None:
    """Raises IdentityError if a finished run of the item, or a run that it starts from, used image files whose numbers of images
    or classes differ from ``datasets.yaml``. With the setting ``other_counts`` this is allowed, and the foot says it.

    ``keep``: the numbers are kept in ``replicated/``, where they have no foot; then ``other_counts`` has no effect.
    """
    if grid.settings.get("other_counts") and not keep:
        return
    for run in item.all_runs:
        name, path = grid.runs[run].spec["data"]["name"], results / "runs" / run / "metrics.json"
        if not grid.of_image_files(name) or not path.is_file():
            continue
        from leanat.data import folders  # loads torch

        metrics = records.metrics(path, "examples.train", "examples.test")
        held_out = metrics.get("validation", {}).get("n", 0)
        counts = {"train": metrics["examples"]["train"] + held_out, "test": metrics["examples"]["test"]}
        if classes := metrics.get("clean", {}).get("per_class", {}).get("n"):
            counts["classes"] = len(classes)
        if differences := folders.other_counts(counts, grid.datasets[name]):
            then = "--replicate does not keep its numbers" if keep else folders.ALLOWED_BY
            raise identity.IdentityError(f"{run}: {name} was {differences}; {then}")
