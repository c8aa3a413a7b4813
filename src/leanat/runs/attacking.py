"""Suites of attacks on runs of the workflow and on files of networks: what ``leanat attack`` does."""

from __future__ import annotations

import argparse
import csv
import difflib
import logging
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from leanat import data, models
from leanat.core import own_code
from leanat.core.errors import ConfigError, complete_prefix, is_out_of_memory
from leanat.core.files import atomic_write, write_json
from leanat.core.nouns import Data
from leanat.evaluation.evaluate import classes_needed
from leanat.experiments.spec import ball_of
from leanat.library.network import own_modes
from leanat.models import foreign, io
from leanat.models.io import NetworkError
from leanat.plan.grid import Evaluation, Grid
from leanat.runs import assess, experiment, identity, training, transferred
from leanat.runs.transferred import Trained

log = logging.getLogger("leanat")


def attack_runs(grid: Grid, runs: list[str], suite: str, arguments: argparse.Namespace) -> None:
    """Writes ``<run>/suites/<suite>.json``, and a file per outcome under ``<run>/attacks/`` or, of a snapshot,
    ``<run>/attacks-after-<epoch>/``, of each run.

    Runs with the same source networks are attacked together, so that each adversarial example is made only once. Raises
    ConfigError for data that are missing and what ``identity.read_run`` raises, of all of them before the first is attacked.
    """
    evaluations = {e.run: e for e in grid.evaluations.values() if e.suite == suite}
    chosen = [evaluations[_whole_name(run, suite, evaluations)] for run in runs]
    names = dict.fromkeys(grid.runs[one.run].spec["data"]["name"] for one in chosen)
    training.check_counts(set(names), arguments)
    # before the first attack, so that data that are missing and a run that is not finished are named then
    if len(names) > 1 and (problems := list(training.missing_data(names, arguments.data_dir or None))):
        raise ConfigError(problems)
    for run in dict.fromkeys(run for one in chosen for run in one.needs):
        identity.read_run(arguments.results / "runs" / run)
    groups: dict[object, list[Evaluation]] = {}
    for evaluation in chosen:
        groups.setdefault(evaluation.sources or evaluation.run, []).append(evaluation)
    for number, group in enumerate(groups.values(), 1):
        log.info("[%d/%d] %s", number, len(groups), ", ".join(e.run for e in group))
        targets = {e.run: Trained.load(arguments, e.run, e.snapshot) for e in group}
        first = targets[group[0].run]
        if group[0].sources:
            sources = {run: targets.get(run) or Trained.load(arguments, run) for run in group[0].sources}
            for t in {**sources, **targets}.values():
                io.check(t.net, io.describe(t.test), first.test, t.folder)
            summaries = transferred.assess(sources, targets, first.test, group[0].attacks, first.seed)
        else:
            one, load = group[0], _parts(first.test, arguments, first.device)
            kept = first.folder / ("attacks" if one.snapshot is None else f"attacks-after-{one.snapshot}")
            summary = assess.assess(first.net, load, one.attacks, kept, first.seed, first.folder.parent)
            summaries = {one.run: summary}
        for run, summary in summaries.items():
            about = {"run": run, "suite": suite, "seed": first.seed, "file": targets[run].file}
            write_json(targets[run].folder / "suites" / f"{suite}.json", about | summary)


def _whole_name(run: str, suite: str, evaluations: Iterable[str]) -> str:
    """The whole name of a run given by its folder, its name, or a beginning that no other name shares. Raises ConfigError."""
    name, run_ids = Path(run).name, list(evaluations)
    whole_name, begin = complete_prefix(name, run_ids)
    if whole_name is None:
        near = begin[:3] or difflib.get_close_matches(name, run_ids, 3, 0)
        which = f"{len(begin)} runs begin so" if begin else f"the nearest of {len(run_ids)}"
        raise ConfigError([f"attack: no item evaluates run {run!r} by suite {suite!r}; {which}: {', '.join(near)}"])
    return whole_name


def attack_file(grid: Grid, paper: str, suite: str, arguments: argparse.Namespace) -> None:
    """A suite on any network: from a run's file, from timm or torchvision by name with a file of weights, or from a function.

    Writes ``<paper>-<suite>.json`` and ``.csv`` beside the outcomes. Raises NetworkError if the weights do not match the network
    or the network does not match the data, and ValueError if an attack needs gradients that the network does not have.
    """
    device = experiment.device_of(arguments.device)
    net, load, about = _any_network(arguments, device)
    name, test = about["data"], load("test")
    training.check_counts({name}, arguments)
    trained = about.pop("trained on").get("data", {})
    code = about.pop("code", None)
    io.check(net, trained, test, about["model"])  # calls the network, whose code may import more
    facts = {"paper": paper, "data": name, "model": "", "method": "", "item": ""}
    # a scale's radii are chosen for its own drawn images and digits
    whole = grid.suite(facts, suite, scale_radii=data.is_embedded(name))
    runs_folder, precision = arguments.results / "runs", arguments.precision
    if absent := [path.parent.name for path in assess.upstream_networks(whole, runs_folder) if not path.is_file()]:
        needed = f"needs a network that is not trained yet; leanat train {absent[0]}"
        raise ConfigError([f"--suite {paper}/{suite}: {needed}"])
    attacks, left_out = _possible(whole, test, runs_folder)
    if left_out:
        about["not run"] = left_out
    if not attacks:
        raise ConfigError([f"--suite {paper}/{suite}: {name} has {test.n_classes} classes, too few for {left_out}"])
    if arguments.examples is not None:
        if arguments.examples > len(test):
            raise ConfigError(
                [f"--examples {arguments.examples}: {name} has {len(test)} test images; at most that many"]
            )
        attacks = {k: _fewer(v, arguments.examples) for k, v in attacks.items()}
    path = arguments.model
    folder = arguments.out or _beside(path)
    about["precision"] = precision
    log.info("%s", "\n".join(f"{k}: {v}" for k, v in about.items()))
    log.info("suite: %s of %s at scale %s", suite, paper, grid.scale.name)
    code_hash = None if code is None else identity.of_code(code)
    try:
        with own_modes(), own_code.exits_are_errors():
            summary = assess.assess(net, load, attacks, folder, 0, runs_folder, precision=precision, code=code_hash)
    except Exception as error:
        files = [] if code is None else code.files()
        own = own_code.failure(error, files)
        if is_out_of_memory(error) or own == own_code.failure(error, []):  # it did not come through the user's files
            raise
        raise NetworkError(f"{about['model']}: {own}") from error
    out = folder / f"{paper}-{suite}.json"
    write_json(out, about | summary)
    if not (rows := _rows(summary["attacks"], precision)):  # measures alone
        log.info("%s", out)
        return
    way = {"encoding": "utf-8", "errors": "backslashreplace"}  # names of files need not be UTF-8
    with atomic_write(out.with_suffix(".csv")) as beside, open(beside, "w", newline="", **way) as file:
        csv.DictWriter(file, rows[0]).writerows([dict(zip(rows[0], rows[0], strict=True)), *rows])
    log.info("\n%s\n\n%s and .csv", _as_text(rows), out)


def _beside(path: Path) -> Path:
    """The folder for the outcomes of a network, beside its file or folder (which may be ``.``)."""
    path = path if path.name and path.name != ".." else path.resolve()
    return path.with_name(f"{path.name if path.is_dir() else path.stem}-attacks")


def _any_network(
    arguments: argparse.Namespace, device: torch.device
) -> tuple[torch.nn.Module, Callable[[str], Data], dict[str, Any]]:
    """The network in evaluation mode, the function that loads a part of its data, and a description of both.

    ``trained on`` is the description of the data of a run, empty for other files; ``code`` is there where a function made
    the network.
    """
    name, path = arguments.network, arguments.model
    code = name is not None and foreign.is_code(name)
    weights = foreign.read(path) if path is not None else None
    if weights is None and not code:
        raise ConfigError(
            [f"--network {name}: needs a file of weights, --model FILE; only module:function may do without"]
        )
    if weights is None and arguments.out is None:
        raise ConfigError([f"--network {name}: without --model, --out FOLDER says where the outcomes go"])
    about = weights.about if weights else {}
    where = str(path or name)
    set_name = arguments.data or about.get("data", {}).get("name")
    if set_name is None:
        raise ConfigError([f"{where}: does not say its data set; name it with --data"])
    if about and name is None:
        if arguments.mean or arguments.std:
            raise ConfigError([f"{where}: a run's file knows its mean and std; leave --mean and --std away"])
        net, _ = io.load(path, device)
        load = _loader_for(set_name, arguments, device, about["data"]["channels"], about["data"]["image_size"])
        description = {"model": where, "network": about["model"]["name"], "data": set_name, "trained on": about}
        return net, load, description
    config = weights.config if weights else {}
    if name is None and config:
        name = foreign.named_by(config, path)
    if name is None:
        raise ConfigError([f"{where}: does not say its network; name it with --network"])
    pretrained, source = config.get("pretrained_cfg", {}), "config.json"
    if code:
        net, loaded = foreign.call(name, weights)
    elif ":" in name:
        net = foreign.build(name, weights)
        if not pretrained:
            pretrained, source = foreign.pretrained_cfg(name), f"those of {name}"
    else:
        net = None  # one of ours: built once its data are known
    channels = (io.channels_of(net) if net else None) or 3
    shape = arguments.size or (pretrained.get("input_size") or [None])[-1]
    load = _loader_for(set_name, arguments, device, channels, shape)
    test = load("test")
    mean, std, source = _standardisation(arguments, weights, (pretrained, source), test, code)
    if net is None:
        described = io.describe(test) | {"mean": mean, "std": std}
        net = io.build(name, "channel", described, 0)
        own = set(net.state_dict()) == set(weights.raw)
        io.fit(net, weights.raw if own else _ours(net, weights.tensors), path)
    elif mean is not None:
        net = foreign.standardised(net, mean, std)
    elif code:
        net = torch.nn.Sequential(models.Copied(), net)
    pixels = "as they are, in [0, 1]" if mean is None else f"minus {_digits(mean)}, over {_digits(std)} ({source})"
    description = {"model": where, "network": name, "data": set_name, "pixels": pixels, "trained on": {}}
    if isinstance(test, data.StreamedData):
        size = f"central {test.image_size} x {test.image_size} of a shorter side of {test.resize}"
        description["images"] = f"{len(test):,} of {test.n_classes} classes ({', '.join(test.class_names[:8])}), {size}"
    if code:
        description["code"] = loaded
    return net.to(device).eval(), load, description


def _standardisation(
    arguments: argparse.Namespace,
    weights: foreign.Weights | None,
    pretrained: tuple[dict[str, Any], str],
    test: Data,
    code: bool,
) -> tuple[Any, Any, str]:
    """Mean and std [C] of the standardisation, and their source; (None, None, "") if a function's network takes plain pixels.
    ``pretrained``: what is known of the weights, and who says so.
    """
    if (arguments.mean is None) != (arguments.std is None):
        raise ConfigError(["--mean and --std: both are needed, or none"])
    if weights and weights.mean is not None:
        if arguments.mean is not None:
            raise ConfigError([f"{weights.path}: standardises by its own mean and std; leave --mean and --std away"])
        mean, std, source = weights.mean, weights.std, "the file's own"
    elif arguments.mean is not None:
        mean, std, source = arguments.mean, arguments.std, "--mean and --std"
    elif code:
        return None, None, ""
    elif "mean" in pretrained[0] and "std" in pretrained[0]:
        mean, std, source = pretrained[0]["mean"], pretrained[0]["std"], pretrained[1]
    else:
        mean, std = test.mean, test.std
        source = "ImageNet's" if test.name.startswith("folder:") else f"those of {test.name}"
    mean, std = ([*v] * test.channels if len(v) == 1 else [*v] for v in (mean, std))
    if not len(mean) == len(std) == test.channels:
        raise ConfigError([f"mean {_digits(mean)} and std {_digits(std)}: {test.channels} numbers each are needed"])
    if any(not abs(m) <= 1 for m in mean) or any(not 0 < s <= 1 for s in std):
        raise ConfigError(
            [f"mean {_digits(mean)} and std {_digits(std)}: allowed are those of pixels in [0, 1]; divide by 255"]
        )
    return mean, std, source


def _ours(net: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of one of our networks without its standardisation: mean and std as the network has them."""
    return {k: v for k, v in net.state_dict().items() if k.startswith("normalise.")} | tensors


def _digits(values: Any) -> str:
    return ", ".join(f"{v:.4g}" for v in values)


def _possible(suite: dict[str, Any], test: Data, runs: Path) -> tuple[dict[str, Any], str]:
    """The suite without the attacks that need more classes than there are, and a sentence that names these."""
    needed = {name: classes_needed(a, test.n_classes) for name, a in assess.suite_parts(suite, runs)[0].items()}
    left_out = {name: least for name, least in needed.items() if least > test.n_classes}
    words = ", ".join(f"{name} (needs {least} classes)" for name, least in left_out.items())
    return {name: entry for name, entry in suite.items() if name not in left_out}, words


def _fewer(entry: dict[str, Any], examples: int) -> dict[str, Any]:
    """The attack on at most so many images."""
    if "attack" not in entry:
        return entry
    return entry | {"examples": min(examples, entry["examples"] or examples)}


def _rows(attacks: dict[str, Any], precision: str) -> list[dict[str, Any]]:
    """One for each attack, accuracies in percent."""
    return [
        {
            "attack": name,
            "as_run": result["spec"]["label"] or name,
            "radius": _radius(result["spec"]["attack"]),
            "images": result["n"],
            "clean": round(100 * result["clean"]["accuracy"], 2),
            "robust": round(100 * result["accuracy"], 2),
            "low": round(100 * result["low"], 2),
            "high": round(100 * result["high"], 2),
            "seconds": round(result["seconds"], 1),
            "precision": precision,
            "file": result["file"],
        }
        for name, result in attacks.items()
    ]


def _radius(attack: Any) -> str:
    """The radius, as in ``linf 8/255`` or ``l2 0.5``; empty if the attack has no l_p ball."""
    if (ball := ball_of(attack)) is None:
        return ""
    norm, eps = ball
    return f"{norm} {255 * eps:.4g}/255" if norm == "linf" else f"{norm} {eps:.4g}"


def _as_text(rows: list[dict[str, Any]]) -> str:
    """The rows as a table for a terminal."""
    lines = [["attack", "as run", "radius", "images", "clean %", "robust %", "95 % interval", "seconds"]]
    for row in rows:
        interval = f"{row['low']:.2f} to {row['high']:.2f}"
        numbers = f"{row['clean']:.2f}", f"{row['robust']:.2f}", interval, f"{row['seconds']:.1f}"
        lines.append([row["attack"], row["as_run"], row["radius"], str(row["images"]), *numbers])
    sides = ["left"] * 3 + ["right"] * 5
    return tabulate(lines, tablefmt="plain", disable_numparse=True, colalign=sides)


def _loader_for(
    name: str, arguments: argparse.Namespace, device: torch.device, channels: int, size: int | None
) -> Callable[[str], Data]:
    """Loads a data set by name, or any folder of images, ``folder:PATH``, whose images are used for both parts."""
    if not name.startswith("folder:"):
        if arguments.size:
            raise ConfigError([f"--size: {name} has a size of its own; only images of folder:PATH are resized"])
        return cache(lambda part: data.load(name, part, arguments.data_dir or None, device))
    whole_folder = data.load_folder(name.removeprefix("folder:"), device, channels, size)
    return lambda part: whole_folder


def _parts(test: Data, arguments: argparse.Namespace, device: torch.device) -> Callable[[str], Data]:
    """Gives the test part that is there, and loads the other one when it is first asked for."""
    return cache(
        lambda part: test if part == "test" else data.load(test.name, part, arguments.data_dir or None, device)
    )
