"""A suite of attacks on one network: the outcome of every example under every attack is saved; a summary is written last."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import PositiveInt
from torch import nn
from tqdm import tqdm

from leanat.attacks.threat import ThreatModel
from leanat.core import nouns
from leanat.core.component import component
from leanat.core.errors import ConfigError
from leanat.core.files import finite
from leanat.core.precision import exact_fp32
from leanat.evaluation import evaluate, outcome
from leanat.evaluation.gradient_masking import masking_report
from leanat.evaluation.measured import Measure
from leanat.models import io
from leanat.models.classifier import Classifier
from leanat.plan import components
from leanat.plan.grid import named_runs
from leanat.runs import experiment, identity, progress, records, stored
from leanat.training.early_stop import holdout_indices

log = logging.getLogger("leanat")

FEW = 8  # numbers of a measure that the terminal shows


@exact_fp32()
def assess(
    net: nn.Module,
    load: Callable[[str], nouns.Data],
    suite: dict[str, Any],
    folder: Path,
    seed: int,
    runs: Path,
    *,
    precision: str = "fp32",
    code: str | None = None,
) -> dict[str, Any]:
    """Runs every attack of a suite for which ``folder`` has no outcome with the same spec, network, data and runs.

    ``suite``: name -> {attack, examples, statistics, holdout, label}, or {masking: {threat, limit, queries}} to check for
    gradient masking, or {measure: ...}, whose arrays are saved beside the outcomes. ``load`` gives the data's part, "train"
    or "test"; ``runs`` is the folder of the runs that the suite names; ``code``: a hash of the user's code that the network
    is. An attack that was stopped continues after its last finished part. Returns the suite's summary, with the provenance of
    each outcome; it does not depend on when the summary is made. Raises ConfigError for an attack that does not exist or a
    measure that is not for this network, IdentityError for a run that is not what its training left.
    """
    attacks, alarms, measures = suite_parts(suite, runs)
    _check_layers(net, suite, measures)
    folder.mkdir(parents=True, exist_ok=True)
    test, cache, network = load("test"), runs.parent / ".hashes", identity.of_network(net)
    about = experiment.provenance(test.labels.device)
    sources = {"network": network, "data": identity.of_data(test, cache)} | ({} if code is None else {"code": code})

    def kept_as(name: str, data: str = sources["data"]) -> stored.StoredOutcome:
        entry = suite[name]
        spec = entry | {"seed": seed, "precision": precision, "name": name}
        made_from = sources | {"data": data} | identity.upstream(entry, runs)
        return stored.StoredOutcome(folder, str(entry.get("label") or name), spec, made_from)

    files = {name: kept_as(name) for name in [*attacks, *alarms]}
    for path in upstream_networks(suite, runs):
        io.check_images(io.read(path)[1], io.describe(test), path)
    stored.say_others(list(files.values()))
    results, outcomes, makers = {}, [], []
    for number, (name, attack) in enumerate(attacks.items(), 1):
        entry, started = suite[name], time.perf_counter()
        with _bar(f"{name} ({number} of {len(attacks)})", folder.name) as bar:
            result, pieces = _attack(net, test, attack, entry, seed, precision, files[name], about, bar)
        makers += pieces
        numbers = outcome.summary(result) | {"per_class": outcome.per_class(result, test.n_classes)}
        results[name] = numbers | {
            "spec": entry,
            "seconds": sum(piece["seconds"] for piece in pieces),
            "file": f"{folder.name}/{files[name].path.name}",
            "pieces": pieces,
        }
        outcomes.append(result)
        _say(f"{name} ({entry['label']})" if entry["label"] else name, numbers, time.perf_counter() - started)
    whole = [o for o in outcomes if len(o) == len(test)]
    summary = {"attacks": results, "worst": outcome.accuracy(outcome.worst_case(whole).correct) if whole else None}
    if whole:
        _say("worst case of these", summary["worst"], 0.0)
    for name, measured in measures.items():
        data = load(measured.part)
        file = kept_as(name, identity.of_data(data, cache))
        arrays, record = file.arrays(records.AboutMeasure)
        if arrays is None:
            maker = stored.Maker([], about)
            numbers, arrays = measured(net, data, seed)
            record = {"numbers": finite(numbers), "pieces": maker.pieces()}
            file.save(arrays, **record)
        makers += record["pieces"]
        row = {"numbers": record["numbers"], "file": f"{folder.name}/{file.path.name}", "pieces": record["pieces"]}
        summary.setdefault("measures", {})[name] = row | {"spec": suite[name]}
        lines = [f"{k} {v:.4g}" for k, v in record["numbers"].items() if v is not None]
        more = f" and {len(lines) - FEW} more" if len(lines) > FEW else ""
        log.info("%s: %s%s", name, ", ".join(lines[:FEW]), more)
    for name, alarm in alarms.items():
        arrays, record = files[name].arrays(records.AboutAlarm)
        if arrays is None:
            maker = stored.Maker([], about)
            reasons = masking_report(net, test, alarm.threat, seed=seed, limit=alarm.limit, queries=alarm.queries)
            record = {"reasons": reasons, "pieces": maker.pieces()}
            files[name].save({}, **record)
        makers += record["pieces"]
        summary.setdefault("masking", {})[name] = record["reasons"]
        summary.setdefault("masking_spec", {})[name] = suite[name]
        log.info("gradient masking: %s", " ".join(record["reasons"]) or "no sign of it")
    return summary | {"made_from": sources} | stored.latest(makers)


def _check_layers(net: nn.Module, suite: dict[str, Any], measures: dict[str, Measure]) -> None:
    """Raises ConfigError for a measure of layers if a network of the user's does not name these layers as ours do."""
    for name, measured in measures.items():
        if getattr(measured, "reads_layers", False) and not isinstance(net, Classifier):
            kind = next(iter(suite[name]["measure"]))
            raise ConfigError([f"suite.{name}: {kind} reads layers by name, which only leanat's own networks have"])


def upstream_networks(suite: dict[str, Any], runs: Path) -> list[Path]:
    """The networks of other runs that a suite names."""
    return [runs / run / "model.safetensors" for run in dict.fromkeys(named_runs(suite))]


@component()
class MaskingCheck:
    """The search for signs of gradient masking (see ``gradient_masking``) on ``limit`` examples."""

    threat: ThreatModel
    limit: PositiveInt
    queries: PositiveInt


def suite_parts(
    suite: dict[str, Any], runs: Path = Path()
) -> tuple[dict[str, nouns.Attack], dict[str, MaskingCheck], dict[str, Measure]]:
    """Raises ConfigError with every problem of the suite. ``runs``: the folder of the runs that it names."""
    problems: list[str] = []
    attacks, alarms, measures = {}, {}, {}
    kinds = {"measure": (Measure, measures), "masking": (MaskingCheck, alarms), "attack": (nouns.Attack, attacks)}
    for name, entry in experiment.resolve_run_paths(suite, runs).items():
        kind = next((kind for kind in kinds if kind in entry), None)
        if kind is None:
            problems.append(f"suite.{name}: attack, masking or measure is expected")
            continue
        hint, parts = kinds[kind]
        try:
            parts[name] = components.build(hint, entry[kind], f"suite.{name}.{kind}")
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return attacks, alarms, measures


def _say(name: str, numbers: dict[str, Any], seconds: float) -> None:
    if not numbers["n"]:
        log.info("%-32s no images", name)
        return
    low, high = (100 * numbers[k] for k in ("low", "high"))
    notes = "".join(f"\n    note: {note}" for note in numbers.get("notes", ()))
    line = f"{name:<32}{100 * numbers['accuracy']:6.2f} %   [{low:5.2f}, {high:5.2f}]   {numbers['n']} images"
    log.info("%s   %.1f s%s", line, seconds, notes)


@contextmanager
def _bar(about: str, where: str) -> Iterator[Callable[[str, int, int], None]]:
    """The progress of an attack: a bar on a terminal, which ``leanat watch`` shows, too."""
    with tqdm(desc=about, unit="image", leave=False, disable=None) as bar, progress.Job("attack", where) as job:

        def show(part: str, done: int, of: int) -> None:
            bar.total, bar.n = of, done
            bar.set_postfix_str(part)
            job.say(f"{about}, {part}: {done} of {of} images", done / max(of, 1))

        yield show


def _attack(
    net, test, attack, entry, seed, precision, file: stored.StoredOutcome, about, bar
) -> tuple[outcome.Outcome, stored.Pieces]:
    index = evaluate.sample(len(test), entry["examples"])
    if entry["holdout"] is not None:
        # images by which early stopping chose the epoch are not used for the reported accuracy
        index = holdout_indices(len(test), entry["holdout"], seed=0)[1]
        index = index[evaluate.sample(len(index), entry["examples"])]
    labels = test.labels[index.to(test.labels.device)].cpu().numpy()
    so_far, pieces = file.outcome(index.numpy(), labels, tuple(evaluate.parts_of(attack, test.n_classes)))
    maker = stored.Maker(pieces, about)

    def keep(result: outcome.Outcome) -> None:
        nonlocal pieces
        pieces = maker.pieces()
        file.save(outcome.arrays(result), pieces=pieces)

    result = evaluate.evaluate(
        net,
        test,
        attack,
        seed=seed,
        index=index,
        precision=precision,
        statistics=entry["statistics"],
        # the saliency paper's statistics of a batch are of 100
        batch=100 if entry["statistics"] == "batch" else evaluate.batch_of(test.image_size),
        resume=so_far,
        after_part=keep,
        progress=bar,
    )
    return result, pieces
