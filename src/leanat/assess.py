"""A suite of attacks on one network: an outcome an example and attack, kept; a summary of the suite, written last."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from leanat import config, core, evaluate, outcome
from leanat.grid import digest
from leanat.masking import masking_report
from leanat.papers import sat
from leanat.resolve import ConfigError
from leanat.threat import ThreatModel

log = logging.getLogger("leanat")


def assess(
    net: nn.Module, test: core.Data, suite: dict[str, Any], folder: Path, seed: int, *, precision: str = "fp32"
) -> dict[str, Any]:
    """Runs every attack of a suite that has no outcome with the same spec in ``folder``; returns the suite's summary.

    ``suite``: name -> {attack, examples, statistics, holdout, label}, or {masking: {threat, limit, queries}} for the alarm. An
    attack that was stopped goes on after its last part. Raises ConfigError for an attack that does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    attacks, alarms = components(suite)
    results, outcomes = {}, []
    for name, attack in (bar := tqdm(attacks.items(), unit="attack", leave=False, disable=None)):
        bar.set_description(name)
        entry, started = suite[name], time.perf_counter()
        spec = entry | {"seed": seed, "precision": precision, "name": name}
        kept = folder / f"{entry['label'] or name}-{digest(spec)}.npz"
        found = _attack(net, test, attack, entry, seed, precision, kept)
        seconds = time.perf_counter() - started
        shown = outcome.summary(found) | {"per_class": outcome.per_class(found, test.n_classes)}
        results[name] = shown | {"spec": entry, "seconds": seconds, "file": kept.name}
        outcomes.append(found)
        _say(f"{name} ({entry['label']})" if entry["label"] else name, shown, seconds)
    whole = [o for o in outcomes if len(o) == len(test)]
    summary = {"attacks": results, "worst": outcome.accuracy(outcome.worst_case(whole).correct) if whole else None}
    if whole:
        _say("worst case of these", summary["worst"], 0.0)
    for name, alarm in alarms.items():
        reasons = masking_report(net, test, alarm.threat, seed=seed, limit=alarm.limit, queries=alarm.queries)
        summary.setdefault("masking", {})[name] = reasons
        log.info("gradient masking: %s", " ".join(reasons) or "no sign of it")
    return summary


@dataclass(frozen=True)
class Alarm:
    """The search for signs of gradient masking (see ``masking``) on ``limit`` examples."""

    threat: ThreatModel
    limit: int
    queries: int


def components(suite: dict[str, Any]) -> tuple[dict[str, core.Attack], dict[str, Alarm]]:
    """Raises ConfigError with every problem of the suite."""
    problems: list[str] = []
    attacks, alarms = {}, {}
    for name, entry in suite.items():
        if "masking" in entry:
            alarms[name] = config.build(Alarm, entry["masking"], f"suite.{name}.masking", problems)
        else:
            attacks[name] = config.component(core.Attack, entry["attack"], f"suite.{name}.attack", problems)
    if problems:
        raise ConfigError(problems)
    return attacks, alarms


def _say(name: str, shown: dict[str, Any], seconds: float) -> None:
    low, high = (100 * shown[k] for k in ("low", "high"))
    notes = "".join(f"\n    note: {note}" for note in shown.get("notes", ()))
    line = f"{name:<32}{100 * shown['accuracy']:6.2f} %   [{low:5.2f}, {high:5.2f}]   {shown['n']} images"
    log.info("%s   %.1f s%s", line, seconds, notes)


def _attack(net, test, attack, entry, seed, precision, kept: Path) -> outcome.Outcome:
    index = None
    if entry["holdout"] is not None:  # what early stopping chose the epoch by is not reported
        index = sat.holdout_indices(len(test), entry["holdout"], seed=0)[1]
        index = index[evaluate.sample(len(index), entry["examples"])]
    so_far = None
    if kept.exists():
        try:
            so_far = outcome.load(kept)
        except ValueError as error:
            log.warning("%s; it is made again", error)
    return evaluate.evaluate(
        net,
        test,
        attack,
        seed=seed,
        limit=entry["examples"],
        index=index,
        precision=precision,
        statistics=entry["statistics"],
        batch=100 if entry["statistics"] == "batch" else 500,
        resume=so_far,
        after_part=lambda found: outcome.save(found, kept),
    )
