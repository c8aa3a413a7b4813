"""Adversarial examples made on several networks and tried on each of them: Q-TART's in-transferability (section 4.4.2)."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from leanat import core, data, evaluate, experiment, networks, outcome
from leanat.assess import components
from leanat.files import read_json
from leanat.grid import digest

log = logging.getLogger("leanat")


@dataclass(frozen=True)
class Trained:
    """A finished run: its folder, its network in evaluation mode, the test data, its seed."""

    folder: Path
    net: nn.Module
    test: core.Data
    seed: int
    device: torch.device

    @classmethod
    def load(cls, arguments: argparse.Namespace, run: str, snapshot: int | None = None) -> Trained:
        """With the network as it was after ``snapshot`` epochs, or at the end.

        Raises FileNotFoundError for a run that is not finished, and what networks and data raise.
        """
        folder = arguments.results / "runs" / run
        metrics = read_json(folder / "metrics.json", "the metrics of a finished run")
        device = experiment.device_of(arguments.device)
        net, about = networks.load(folder / f"model{'' if snapshot is None else -snapshot}.safetensors", device)
        test = data.load(about["data"]["name"], "test", arguments.data_dir or None, device)
        return cls(folder, net, test, metrics["spec"]["seed"], device)


def assess(
    sources: Mapping[str, Trained], targets: Mapping[str, Trained], test: core.Data, suite: dict[str, Any], seed: int
) -> dict[str, dict[str, Any]]:
    """A summary a target: of each attack the mean accuracy over the sources, its deviation ``sd``, and each source's own.

    The outcomes of every attack, source and target are kept in the targets' folders, and read back where they are there.
    """
    attacks, *_ = components(suite)
    made: dict[str, dict[str, Any]] = {run: {} for run in targets}
    for name, attack in tqdm(attacks.items(), unit="attack", leave=False, disable=None):
        entry, started = suite[name], time.perf_counter()
        found: dict[str, dict[str, outcome.Outcome]] = {run: {} for run in targets}
        for source, trained in sources.items():
            spec = entry | {"seed": seed, "name": name, "source": source}
            files = {
                run: t.folder / "attacks" / f"{entry['label'] or name}-transfer-{digest(spec)}.npz"
                for run, t in targets.items()
            }
            if lost := [run for run in targets if not files[run].is_file()]:
                nets = {run: targets[run].net for run in lost}
                new = evaluate.transfer({source: trained.net}, nets, attack, test, seed=seed, limit=entry["examples"])
                for run in lost:
                    files[run].parent.mkdir(exist_ok=True)
                    outcome.save(new[run][source], files[run])
            for run in targets:
                found[run][source] = outcome.load(files[run])
        for run, outcomes in found.items():
            over = outcome.over_sources(outcomes)
            each = {source: outcome.summary(o)["accuracy"] for source, o in outcomes.items()}
            shown = {"accuracy": over["mean"], "sd": over["sd"], "sources": each}
            made[run][name] = shown | {"n": len(next(iter(outcomes.values()))), "spec": entry}
            log.info("%-20s %-60s %6.2f %% +- %.2f", name, run, 100 * over["mean"], 100 * over["sd"])
        log.info("%-20s %.1f s", name, time.perf_counter() - started)
    return {run: {"attacks": attacks} for run, attacks in made.items()}
