"""A suite of attacks on one network: an outcome an example and attack, kept; a summary of the suite, written last."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from leanat import config, core, evaluate, experiment, outcome, progress
from leanat.grid import digest
from leanat.masking import masking_report
from leanat.papers import saliency_maps, sat
from leanat.resolve import ConfigError
from leanat.threat import ThreatModel

log = logging.getLogger("leanat")


def assess(
    net: nn.Module,
    load: Callable[[str], core.Data],
    suite: dict[str, Any],
    folder: Path,
    seed: int,
    runs: Path,
    *,
    precision: str = "fp32",
) -> dict[str, Any]:
    """Runs every attack of a suite that has no outcome with the same spec in ``folder``; returns the suite's summary.

    ``suite``: name -> {attack, examples, statistics, holdout, label}, or {masking: {threat, limit, queries}} for the alarm,
    or {measure: ...}, whose arrays are left beside the outcomes. ``load`` gives the data's part, "train" or "test";
    ``runs`` is the folder of the runs that the suite names. An attack that was stopped goes on after its last part.
    Raises ConfigError for an attack that does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    attacks, alarms, measures = components(suite, runs)
    test = load("test")
    results, outcomes = {}, []
    for name, attack in attacks.items():
        entry, started = suite[name], time.perf_counter()
        spec = entry | {"seed": seed, "precision": precision, "name": name}
        kept = folder / f"{entry['label'] or name}-{digest(spec)}.npz"
        with Bar(name, list(attacks).index(name) + 1, len(attacks), folder.name) as bar:
            found = _attack(net, test, attack, entry, seed, precision, kept, bar)
        seconds = time.perf_counter() - started
        shown = outcome.summary(found) | {"per_class": outcome.per_class(found, test.n_classes)}
        results[name] = shown | {"spec": entry, "seconds": seconds, "file": f"{folder.name}/{kept.name}"}
        outcomes.append(found)
        _say(f"{name} ({entry['label']})" if entry["label"] else name, shown, seconds)
    whole = [o for o in outcomes if len(o) == len(test)]
    summary = {"attacks": results, "worst": outcome.accuracy(outcome.worst_case(whole).correct) if whole else None}
    if whole:
        _say("worst case of these", summary["worst"], 0.0)
    for name, measured in measures.items():
        numbers, arrays = measured(net, load(measured.part), seed)
        kept = folder / f"{name}-{digest(suite[name])}.npz"
        experiment.save_arrays(kept, arrays)
        summary.setdefault("measures", {})[name] = {"numbers": numbers, "file": f"{folder.name}/{kept.name}"}
        log.info("%s: %s", name, ", ".join(f"{k} {v:.4g}" for k, v in numbers.items() if v is not None))
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


def components(
    suite: dict[str, Any], runs: Path = Path()
) -> tuple[dict[str, core.Attack], dict[str, Alarm], dict[str, saliency_maps.Measure]]:
    """Raises ConfigError with every problem of the suite. ``runs``: the folder of the runs that it names."""
    problems: list[str] = []
    attacks, alarms, measures = {}, {}, {}
    for name, entry in experiment.located(suite, runs).items():
        if "measure" in entry:
            where = f"suite.{name}.measure"
            measures[name] = config.component(saliency_maps.Measure, entry["measure"], where, problems)
        elif "masking" in entry:
            alarms[name] = config.build(Alarm, entry["masking"], f"suite.{name}.masking", problems)
        else:
            attacks[name] = config.component(core.Attack, entry["attack"], f"suite.{name}.attack", problems)
    if problems:
        raise ConfigError(problems)
    return attacks, alarms, measures


def _say(name: str, shown: dict[str, Any], seconds: float) -> None:
    low, high = (100 * shown[k] for k in ("low", "high"))
    notes = "".join(f"\n    note: {note}" for note in shown.get("notes", ()))
    line = f"{name:<32}{100 * shown['accuracy']:6.2f} %   [{low:5.2f}, {high:5.2f}]   {shown['n']} images"
    log.info("%s   %.1f s%s", line, seconds, notes)


class Bar:
    """How far an attack is: a bar on a terminal; the workflow's ``leanat watch`` sees it too."""

    def __init__(self, attack: str, number: int, of: int, where: str):
        self.about = f"{attack} ({number} of {of})"
        self.job = progress.Job("attack", where)

    def __enter__(self) -> Bar:
        self.bar = tqdm(desc=self.about, unit="image", leave=False, disable=None)
        self.job.__enter__()
        return self

    def __call__(self, part: str, done: int, of: int) -> None:
        self.bar.total, self.bar.n = of, done
        self.bar.set_postfix_str(part)
        self.job.say(f"{self.about}, {part}: {done} of {of} images", done / max(of, 1))

    def __exit__(self, *error: object) -> None:
        self.bar.close()
        self.job.__exit__(*error)


def _batch(test: core.Data, statistics: str) -> int:
    """Images attacked at once: 500 of up to 64 x 64 pixels, of larger ones as many as have those pixels; no result depends
    on it but AutoAttack's, whose parts draw for a whole batch. The saliency paper's statistics of a batch are of 100."""
    if statistics == "batch":
        return 100
    return max(8, min(500, 500 * 64**2 // test.image_size**2))


def _attack(net, test, attack, entry, seed, precision, kept: Path, bar: Bar) -> outcome.Outcome:
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
        batch=_batch(test, entry["statistics"]),
        resume=so_far,
        after_part=lambda found: outcome.save(found, kept),
        progress=bar,
    )
