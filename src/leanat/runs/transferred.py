"""Adversarial examples computed on several networks and tested on each of them: Q-TART's in-transferability (section 4.4.2)."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from leanat import data
from leanat.core import nouns
from leanat.evaluation import evaluate, outcome
from leanat.models import io
from leanat.runs import experiment, identity, stored
from leanat.runs.assess import suite_parts

log = logging.getLogger("leanat")


@dataclass(frozen=True)
class Trained:
    """A finished run: its folder, its network in evaluation mode, the test data, its seed, the hash of the network's file."""

    folder: Path
    net: nn.Module
    test: nouns.Data
    seed: int
    device: torch.device
    file: Mapping[str, str] = field(default_factory=dict)  # {name: hash}

    @classmethod
    def load(cls, arguments: argparse.Namespace, run: str, snapshot: int | None = None) -> Trained:
        """Loads a run with its network as it was after ``snapshot`` epochs, or at the end.

        Raises FileNotFoundError for a run that is not finished, IdentityError where its spec, its files or its data are
        not those of its training, and what networks and data raise.
        """
        folder = arguments.results / "runs" / run
        metrics = identity.read_run(folder, "made_from.test data", "files")
        identity.check_files(folder, metrics)
        device = experiment.device_of(arguments.device)
        path = folder / f"model{'' if snapshot is None else -snapshot}.safetensors"
        net, about = io.load(path, device)
        test = data.load(about["data"]["name"], "test", arguments.data_dir or None, device)
        io.check(net, about["data"], test, path)
        here, then = identity.of_data(test, arguments.results / ".hashes"), metrics["made_from"]["test data"]
        if here != then:
            raise identity.IdentityError(
                f"{folder}: {test.name}'s test data are not those that it was evaluated on ({then}, now {here})"
            )
        return cls(folder, net, test, metrics["spec"]["seed"], device, {path.name: metrics["files"][path.name]})


def assess(
    sources: Mapping[str, Trained], targets: Mapping[str, Trained], test: nouns.Data, suite: dict[str, Any], seed: int
) -> dict[str, dict[str, Any]]:
    """One summary per target: for each attack the mean accuracy over the sources, its deviation ``sd``, and each source's own.

    The outcomes of every attack, source and target are kept in the targets' folders, and read back from there if they are
    of the same two networks and the same data.
    """
    runs = next(iter(targets.values())).folder.parent
    attacks, *_ = suite_parts(suite)
    hashes = {run: identity.of_network(t.net) for run, t in {**sources, **targets}.items()}
    here, about = identity.of_data(test, runs.parent / ".hashes"), experiment.provenance(test.labels.device)
    summaries: dict[str, dict[str, Any]] = {run: {"attacks": {}} for run in targets}
    makers: dict[str, stored.Pieces] = {run: [] for run in targets}

    def file(run: str, source: str, name: str) -> stored.StoredOutcome:
        spec = suite[name] | {"seed": seed, "name": name, "source": source}
        made_from = {"network": hashes[run], "source": hashes[source], "data": here}
        stem = f"{suite[name]['label'] or name}-transfer"
        return stored.StoredOutcome(
            targets[run].folder / "attacks", stem, spec, made_from | identity.upstream(suite[name], runs)
        )

    for run in targets:
        stored.say_others([file(run, source, name) for name in attacks for source in sources])
    answers: dict[int, dict[str, dict[str, torch.Tensor]]] = {}  # to plain images, by how many: the first so many
    for name, attack in tqdm(attacks.items(), unit="attack", leave=False, disable=None):
        entry, started = suite[name], time.perf_counter()
        index = evaluate.sample(len(test), entry["examples"])
        by_target: dict[str, dict[str, outcome.Outcome]] = {run: {} for run in targets}
        pieces: dict[str, stored.Pieces] = {run: [] for run in targets}
        for source, trained in sources.items():
            files = {run: file(run, source, name) for run in targets}
            criteria = index.numpy(), test.labels[index.to(test.labels.device)].cpu().numpy(), (type(attack).__name__,)
            there = {run: f.outcome(*criteria, transferred=True) for run, f in files.items()}
            if lost := [run for run in targets if there[run][0] is None]:
                nets, maker = {run: targets[run].net for run in lost}, stored.Maker([], about)
                clean = answers.setdefault(len(index), {})
                inputs = {source: trained.net}, nets, attack, test
                new = evaluate.transfer(*inputs, seed=seed, limit=entry["examples"], clean=clean)
                own = maker.pieces()
                for run in lost:
                    files[run].save(outcome.arrays(new[run][source]), pieces=own)
                    there[run] = new[run][source], own
            for run in targets:
                by_target[run][source] = there[run][0]
                pieces[run] += there[run][1]
        for run, outcomes in by_target.items():
            over = outcome.over_sources(outcomes)
            each = {source: outcome.summary(o) for source, o in outcomes.items()}
            record = {
                "accuracy": over["mean"],
                "sd": over["sd"],
                "sources": {s: o["accuracy"] for s, o in each.items()},
            }
            record |= {"not_finite": max(o["not_finite"] for o in each.values()), "pieces": pieces[run]}
            summaries[run]["attacks"][name] = record | {"n": len(next(iter(outcomes.values()))), "spec": entry}
            makers[run] += pieces[run]
            log.info("%-20s %-60s %6.2f %% +- %.2f", name, run, 100 * over["mean"], 100 * over["sd"])
            for note in dict.fromkeys(note for o in each.values() for note in o["notes"]):
                log.info("    note: %s", note)
        log.info("%-20s %.1f s", name, time.perf_counter() - started)
    models = {source: t.file for source, t in sources.items()}
    return {
        run: summary
        | {"made_from": {"network": hashes[run], "data": here}, "sources": models}
        | stored.latest(makers[run])
        for run, summary in summaries.items()
    }
