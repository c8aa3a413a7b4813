"""From papers and a scale to runs, evaluations and items. Pure Python, since the Snakefile imports it at every start.

A run is given by paper, data, model, method, seed, and the other facts of a cell. Its spec is what the paper's ``spec``
returns for them, then modified by the scale, then by the user's changes. Its id is readable and ends in the hash of the spec,
so that runs of different scales never overwrite each other, and papers share runs whose specs are equal.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leanat.core.errors import ConfigError, did_you_mean
from leanat.experiments import scales as scaling
from leanat.experiments.paper import Paper
from leanat.experiments.scales import Scale
from leanat.experiments.spec import PARTS, Upstream, assumptions, merge, nodes, plain, with_field
from leanat.plan.item import Item, Timed

CODE = 3  # the version of the training code; raised by hand when the same spec gives another result (``code``)
# selectors that may read gradients or scores at adversarial examples
AT_ADVERSARIAL = {"craig", "grad_match", "glister", "by_loss", "el2n", "margin", "moderate"}
# The facts on which no spec depends: how a row or a column is shown, and where the paper prints it.
SHOWN = {
    "label", "group", "unit", "digits", "better", "published", "ours", "missing", "settings", "best", "draws", "difference",
    "metric",
}  # fmt: skip
Change = tuple[str, str, str, Any]  # a change by the user: paper, method, field, value
UPSTREAM = "run:"  # a value of a spec that stands for the folder of another run


def canonical(value: Any) -> str:
    """The same JSON text for equal values, since Snakemake compares params as text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:8]


def code(spec: Mapping[str, Any]) -> int:
    """The version of the training code in which this spec last got another result; a part of its run's id.

    4   Selections read BatchNorm's averages as the training left them. Before, their attack in training mode had moved these;
        so had those of extras, for the rest of the training. GLISTER's validation examples are attacked even if misclassified.
    5   A rule of the user's leaves each module in its mode. Before, a layer that it put into evaluation mode stayed there.
    """
    method = spec["method"]
    if any(where.endswith(".from_file") for where, _ in nodes(method.get("selector"))):
        return 5
    if _has(method.get("extras"), "training_mode"):
        return 4
    for where, rule in nodes(method.get("selector")):
        if where.rpartition(".")[2] not in AT_ADVERSARIAL or not isinstance(rule, dict):
            continue
        attack, own = method.get("attack"), rule.get("validation_attack")
        moves = _has([attack, own], "training_mode") and not rule.get("training_mode")
        spares = where.endswith("glister") and own is None and _has(attack, "only_correct")
        if (moves or spares) and rule.get("adversarial", True):
            return 4
    return CODE


def _has(attacks: Any, field: str) -> bool:
    """Whether the field is set in one of the attacks in this part of a spec."""
    return any(value for at, value in nodes(attacks) if at.endswith(f".{field}"))


@dataclass(frozen=True)
class RunSpec:
    """A resolved run: ``id`` is the name of its folder, ``spec`` the input of the training."""

    id: str
    spec: dict[str, Any] = field(hash=False)
    needs: tuple[str, ...] = ()  # runs whose folders it reads
    # (what, value, reason), also those of the runs that it reads. These depend on facts that the spec does not depend on.
    assumed: tuple[tuple[str, Any, str], ...] = field(default=(), hash=False, compare=False)
    # changes by the user in this run or in a run that it reads
    changes: tuple[Change, ...] = field(default=(), hash=False, compare=False)


@dataclass(frozen=True)
class Evaluation:
    """All attacks of one suite on one run."""

    run: str
    suite: str  # <paper>-<suite>, and -after-<epoch> if a snapshot of the run is attacked
    attacks: dict[str, Any] = field(hash=False)
    sources: tuple[str, ...] = ()  # runs on which the attacks are made; empty: on the run itself
    snapshot: int | None = None  # epochs of training after which the network was saved; None: at the end

    @property
    def id(self) -> str:
        return f"{self.run}/suites/{self.suite}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The runs that it reads: the attacked run, the sources, and runs that the attacks themselves name."""
        return tuple(dict.fromkeys([self.run, *self.sources, *named_runs(self.attacks)]))


@dataclass
class Grid:
    """All runs, evaluations and items of the papers at one scale; ``structure.load`` makes it, ``items`` fills it."""

    folder: Path
    settings: dict[str, Any]
    scale: Scale
    datasets: dict[str, Any]
    papers: dict[str, Paper]
    runs: dict[str, RunSpec] = field(default_factory=dict, init=False)  # in the order in which items ask for them
    evaluations: dict[str, Evaluation] = field(default_factory=dict, init=False)
    items: dict[str, Item] = field(default_factory=dict, init=False)  # <paper>/<item>
    _paper_scale: Grid | None = field(default=None, init=False)
    _asked: dict[str, Any] = field(default_factory=dict, init=False)  # cache: items ask for each run many times

    def run(self, facts: Mapping[str, Any], seed: int, settings: Mapping[str, Any] | None = None) -> RunSpec:
        """The run for ``facts`` (paper, item, data, model, method, and the other facts of the cell).

        ``settings``: keyword arguments for the paper's ``spec``.
        """
        cell = {k: v for k, v in facts.items() if k not in SHOWN}  # all facts on which the answer depends
        shared = self._once(("spec", cell, settings), lambda: self._spec(cell, settings))
        return self._once(("run", cell, seed, settings), lambda: self._run(cell, seed, *shared))

    def scale_of(self, paper: str) -> Scale:
        """The scale, with what it changes for this paper only."""
        return self.papers[paper].scales.get(self.scale.name, self.scale)

    def of_image_files(self, data: str) -> bool:
        """Whether a data set is a folder of image files, whose number may differ from that in ``datasets.yaml``."""
        return self.datasets[data]["size"] > 32 and data != "stl10"

    def _once(self, question: tuple, answer: Callable[[], Any]) -> Any:
        key = repr(question)
        if key not in self._asked:
            self._asked[key] = answer()
        return self._asked[key]

    def _spec(self, facts: Mapping[str, Any], settings: Mapping[str, Any] | None) -> tuple[Any, ...]:
        """What all seeds share: the spec, the data set and the network of this scale, and the user's changes in the spec."""
        spec = dict(self.papers[facts["paper"]].spec(facts, **(settings or {})))
        for key in ("data", "model", "recipe", "method"):
            if not isinstance(spec.get(key), dict):
                where = f"leanat/papers/{facts['paper']}/experiments.py: {facts['method']}"
                raise ConfigError([f"{where}: spec.{key}: a mapping is expected, got {spec.get(key)!r}"])
        spec = self._shrunk(spec, facts)
        spec, changes = self._changed(spec, facts)
        stand_in, named = self.stand_in(facts), plain(spec.get("model", {})).get("name", facts["model"])
        model = self.scale_of(facts["paper"]).models.get(facts["model"], named)
        # a name that does not change stays marked as assumed
        network = {"name": model} if model != named or "name" not in plain(spec.get("model", {})) else {}
        spec = merge(spec, {"data": {"name": stand_in}, "model": network})
        return spec, stand_in, model, [change for change in changes if _stands(change, spec)]

    def _run(
        self,
        facts: Mapping[str, Any],
        seed: int,
        spec: dict[str, Any],
        stand_in: str,
        model: str,
        changes: list[Change],
    ) -> RunSpec:
        needs: list[RunSpec] = []
        spec = self._upstream(spec, facts, seed, needs)
        bare = plain(spec)
        bare = {"code": code(bare), "seed": seed} | bare
        name = "-".join(re.sub(r"[^a-z0-9]+", "_", v.lower()) for v in (stand_in, model, facts["method"]))
        own = [*assumptions(spec), *self.papers[facts["paper"]].choices(facts)]
        assumed = (*own, *(mark for other in needs for mark in other.assumed))
        touched = tuple(dict.fromkeys((*changes, *(change for other in needs for change in other.changes))))
        run = RunSpec(f"{name}-s{seed}-{digest(bare)}", bare, tuple(other.id for other in needs), assumed, touched)
        self.runs.setdefault(run.id, run)
        return run

    def at_paper_scale(self) -> Grid:
        """The grid of the same papers with all their own values, from which the costs of trainings are computed."""
        if self._paper_scale is None:
            self._paper_scale = Grid(self.folder, self.settings, Scale(), self.datasets, self.papers)
        return self._paper_scale

    def all_runs(self) -> Iterator[RunSpec]:
        """The runs of the items, and the runs from which costs are computed."""
        yield from self.runs.values()
        yield from () if self._paper_scale is None else self._paper_scale.runs.values()

    def _upstream(self, value: Any, facts: Mapping[str, Any], seed: int, needs: list[RunSpec]) -> Any:
        """Replaces each ``upstream(...)``, which names another run by the facts that differ, by ``run:<id>``."""
        if isinstance(value, Upstream):
            at = seed if value.seed is None else value.seed
            needs.append(self.run({**facts, **value.cell}, at, value.settings or None))
            return UPSTREAM + needs[-1].id
        if isinstance(value, dict):
            return {k: self._upstream(v, facts, seed, needs) if isinstance(v, PARTS) else v for k, v in value.items()}
        return [self._upstream(v, facts, seed, needs) for v in value] if isinstance(value, list) else value

    def stand_in(self, facts: Mapping[str, Any]) -> str:
        """The data set that replaces the paper's at this scale."""
        return self.scale_of(facts["paper"]).stand_in(facts)

    def here(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The facts for a scale: ``data`` is the data set of this scale, ``paper_data`` that of the paper."""
        return {**facts, "data": self.stand_in(facts), "paper_data": facts["data"]}

    def _shrunk(self, spec: dict, facts: Mapping[str, Any]) -> dict:
        cell = self.here(facts)
        for name in (facts["data"], cell["data"]):
            if name not in self.datasets:
                where = f"{facts['paper']} at scale {self.scale.name}: a run of {facts['method']}"
                raise ConfigError([f"{where}: there is no data set {name!r}{did_you_mean(name, self.datasets)}"])
        sizes = self.datasets[cell["data"]]["train"], self.datasets[facts["data"]]["train"]
        return self.scale_of(facts["paper"]).shrunk(spec, cell, *sizes)

    def _changed(self, spec: dict, facts: Mapping[str, Any]) -> tuple[dict, list[Change]]:
        """The spec with the values of ``change`` in ``config.yaml``, for this method or for ``all``, and the changes made."""
        paper, acted = facts["paper"], []
        wanted = (self.settings.get("change") or {}).get(paper, {})
        for method in ("all", facts["method"]):
            for name, value in wanted.get(method, {}).items():
                if (changed := with_field(spec, name.split("."), value)) is not None:
                    spec = changed
                    acted.append((paper, method, name, canonical(value)))
        return spec, acted

    def skipped(self, facts: Mapping[str, Any]) -> str | None:
        """The reason why these runs do not exist in the paper or at this scale, or None if they do."""
        return self.papers[facts["paper"]].skip(facts) or self.scale_of(facts["paper"]).skip(facts)

    def unmeasured(self, facts: Mapping[str, Any]) -> str | None:
        """The reason why the time or memory of these runs is not measured at this scale, or None if it is."""
        return self.scale_of(facts["paper"]).unmeasured(facts)

    def suite(self, facts: Mapping[str, Any], name: str, seed: int = 0, scale_radii: bool = True) -> dict[str, Any]:
        """The attacks of a suite as this scale runs them, by the paper's name of each.

        Each is {attack, examples, statistics, holdout, label}; a shortened attack has a label of its own and is never called
        by the paper's name. Other entries are {masking: ...} or {measure: ...}, see ``runs.assess``. ``seed``: that of the
        attacked run, and of the runs that the suite itself names. ``scale_radii``: False keeps the paper's radii.
        """
        bare_facts = {k: v for k, v in facts.items() if k not in SHOWN}
        arguments = bare_facts, name, seed, scale_radii
        return self._once(("suite", *arguments), lambda: self._suite(*arguments))

    def _suite(self, facts: Mapping[str, Any], name: str, seed: int, scale_radii: bool) -> dict[str, Any]:
        suites = self.papers[facts["paper"]].suites
        if name not in suites:
            raise ConfigError([f"{facts['paper']}: no suite {name!r}{did_you_mean(name, suites)}"])
        attacks, scale = {}, self.scale_of(facts["paper"])
        cell = self.here(facts) | {"suite": name}
        radii = scale.radii(cell) if scale_radii else {}
        for attack, entry in suites[name].items():
            if attack == "sources":
                continue
            if "attack" in entry:
                entry = {"examples": None, "statistics": "running", "holdout": None, "label": None} | entry
            entry = scale.attack(entry, attack, cell)
            entry = self._upstream(scaling.shrink_radii(entry, radii), facts, seed, [])
            attacks[attack] = plain(entry)
        return attacks

    def evaluation(self, run: RunSpec, facts: Mapping[str, Any], suite: str) -> Evaluation:
        """The evaluation of a run by a suite. If the suite has ``sources``, such as {model: [a, b]}, the attacks are made on the
        runs that differ from ``facts`` in these values.

        ``snapshot`` in ``facts``: the number, from 1, of the run's snapshot that is attacked instead of the final network.
        """
        axes = plain(self.papers[facts["paper"]].suites.get(suite, {})).get("sources", {})
        others = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] if axes else []
        sources = tuple(self.run({**facts, **other}, run.spec["seed"], facts.get("settings")).id for other in others)
        name, after = f"{facts['paper']}-{suite}", None
        if (number := facts.get("snapshot")) is not None:
            snapshots = run.spec["snapshots"]
            if not isinstance(snapshots, list) or len(snapshots) < number:
                raise ConfigError(
                    [f"{run.id}: snapshots: {snapshots!r}; allowed: epochs, {number} of them, for suite {suite!r}"]
                )
            after = snapshots[number - 1]
            name += f"-after-{after}"
        evaluation = Evaluation(run.id, name, self.suite(facts, suite, run.spec["seed"]), sources, after)
        return self.evaluations.setdefault(evaluation.id, evaluation)

    def timed(self, paper: str) -> dict[str, Timed]:
        """The trainings that ``leanat time`` measures for a paper: those of all its items, each spec once."""
        return {k: v for item in self.items.values() if item.paper == paper for k, v in item.timed.items()}

    def shards(self) -> list[list[str]]:
        """Run ids in shards, one shard per process, since the start of a process takes nearly as long as a demo run.

        They are ordered item by item, after the runs that they need. A run is never in a shard with a run that it reads.
        """
        return _shards(self.scale.shard, ((i.all_runs, self.level) for i in self.items.values()))

    def evaluation_shards(self) -> list[list[str]]:
        """Evaluation ids in shards, one shard per process; all of a shard have the same suite.

        Evaluations with the same sources are in one shard, so that each adversarial example is computed only once.
        """
        groups = ((i.evaluations, self._kind) for i in self.items.values())
        return _shards(self.scale.shard, groups, whole=lambda kind: bool(kind[1]))

    def _kind(self, evaluation: str) -> tuple[str, tuple[str, ...]]:
        return self.evaluations[evaluation].suite, self.evaluations[evaluation].sources

    def level(self, run: str) -> int:
        """The length of the longest chain of runs that have to be trained before this one."""
        return max((1 + self.level(r) for r in self.runs[run].needs), default=0)

    def with_needs(self, runs: Iterable[str]) -> list[str]:
        """The runs and all runs that they read, in the order in which they have to be trained."""
        run_ids: dict[str, None] = {}
        for run in runs:
            run_ids |= dict.fromkeys([*self.with_needs(self.runs[run].needs), run])
        return list(run_ids)


def named_runs(value: Any) -> Iterator[str]:
    """The ids of the runs that a resolved value names."""
    return (
        text.removeprefix(UPSTREAM) for _, text in nodes(value) if isinstance(text, str) and text.startswith(UPSTREAM)
    )


def _stands(change: Change, spec: dict[str, Any]) -> bool:
    """Whether the spec still has the value of a change, which a later step may have replaced."""
    _, _, name, value = change
    return plain(with_field(spec, name.split("."), json.loads(value))) == plain(spec)


def _shards(size: int, groups: Iterable[tuple[Sequence[str], Any]], whole: Any = lambda kind: False) -> list[list[str]]:
    """Shards of at most ``size`` ids, all of one kind; a kind for which ``whole(kind)`` is true makes a single shard."""
    shards, seen = [], set()
    for ids, kind in groups:
        new = [i for i in ids if i not in seen]
        seen |= set(new)
        for level in sorted({kind(i) for i in new}):
            alike = [i for i in new if kind(i) == level]
            # Every k-th id, not k in a row: neighbours have similar costs, and shards should take equally long.
            count = 1 if whole(level) else -(-len(alike) // size)
            shards += [alike[k::count] for k in range(count)]
    return shards
