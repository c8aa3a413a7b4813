"""The files from which an item's numbers are read."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from leanat.core.errors import named
from leanat.evaluation import outcome
from leanat.plan.grid import digest
from leanat.plan.item import Item
from leanat.report import replicated, run_files
from leanat.runs import identity, records


class Sources:
    """The files that an item's numbers come from, each read once."""

    def __init__(self, item: Item, results: Path, papers: Path, real: Path):
        self.results, self.papers, self.item = results, papers, item
        self.found = replicated.load(item.paper, item.item, real)
        # by data set: the first run on it, and what that run was made from
        self.data: dict[str, tuple[str, dict[str, str]]] = {}
        self.unrecorded: set[str] = set()  # runs that do not record what they were made from

    @cache  # noqa: B019 - lives as long as one item is made
    def metrics(self, run: str) -> dict[str, Any]:
        """The metrics of a run. Raises IdentityError if the folder has another spec, or if runs of the item used other data."""
        folder = self.results / "runs" / run
        metrics = identity.read_run(folder, "clean", "examples.test", "device", "date")
        own = {k: v for k, v in metrics.get("made_from", {}).items() if k.endswith(" data")}
        if not own or "files" not in metrics:
            self.unrecorded.add(run)
            return metrics
        data = metrics["spec"].get("data", {})
        key = str((data.get("name"), data.get("validation")))
        first, expected = self.data.setdefault(key, (run, own))
        if own != expected:
            differ = identity.differences(expected, own)
            raise identity.IdentityError(
                f"{run}: made from other {differ} than {first}, of the same item; train one anew"
            )
        return metrics

    @cache  # noqa: B019
    def suite(self, evaluation: str) -> dict[str, Any]:
        """The summary of a suite. Raises IdentityError if its attacks are not those that the item asks for, or if they were made
        on other networks or data than those in the runs' metrics.
        """
        path = self.results / "runs" / f"{evaluation}.json"
        suite = records.suite(path)
        run = evaluation.partition("/")[0]
        for name, files in {run: suite.get("file", {}), **suite.get("sources", {})}.items():
            trained = self.metrics(name).get("files", {}) if files else {}
            kept = {file: trained.get(file) for file in files}
            if kept != files:
                raise identity.IdentityError(
                    f"{path}: attacked another network of {name}: {identity.differences(files, kept)}"
                )
        metrics = self.metrics(run)
        identity.check_suite(suite, self.item.attacks.get(evaluation, {}), metrics["examples"]["test"], path)
        attacked, tested = suite.get("made_from", {}).get("data"), metrics.get("made_from", {}).get("test data")
        if attacked != tested:
            raise identity.IdentityError(
                f"{path}: attacked on other test data ({attacked}) than {run} was tested on ({tested})"
            )
        return suite

    @cache  # noqa: B019
    def arrays(self, evaluation: str, measure: str) -> dict[str, np.ndarray]:
        file = named(self.suite(evaluation)["measures"], measure, measure)["file"]
        path = self.results / "runs" / evaluation.partition("/")[0] / file
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; {again(path)}")
        return records.arrays(path, again=again(path))

    def outcome(self, run: str, file: str) -> outcome.Outcome:
        """The outcome of each example, in the order of their indices."""
        return outcome_of(self.results / "runs" / run / file)

    @cache  # noqa: B019
    def history(self, run: str) -> list[dict[str, str]]:
        return run_files.epochs(self.results / "runs" / run)

    @cache  # noqa: B019
    def timings(self) -> dict[str, Any]:
        return records.timings(self.results / "timings" / f"{self.item.paper}.json")

    def primitives(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The measured primitives of one training. Raises ValueError if these settings were not measured."""
        paper, primitives = self.item.paper, self.timings()["primitives"].get(digest(spec))
        if primitives is None:
            path = self.results / "timings" / f"{paper}.json"
            raise ValueError(f"{path}: these settings were not measured; measure again: leanat time {paper}")
        return primitives


def outcome_of(file: Path) -> outcome.Outcome:
    """The outcome that a training or an attack has saved: ``<run>/clean.npz`` or ``<run>/attacks/<name>.npz``.

    Raises FileNotFoundError or ValueError, one line that says what to do, if the file is missing or damaged.
    """
    try:
        return outcome.load(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{file}: no such file; {again(file)}") from None
    except ValueError as error:
        raise ValueError(f"{error}; {again(file)}") from None


def again(file: Path) -> str:
    """How to make such a file again. The workflow looks for the summary that names the file, not for the file itself."""
    if file.name == outcome.PLAIN:
        return f"remove {file.parent}, and it is trained anew"
    return f"remove the summary in {file.parents[1] / 'suites'} that names it, and it is attacked again"
