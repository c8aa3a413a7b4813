"""One run, from its spec to the files in its folder: trains, saves checkpoints, tests on clean images, writes metrics last."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

import leanat
from leanat import data, models
from leanat.attacks.pgd import Clean
from leanat.core import distributed, loop, machine, nouns
from leanat.core.errors import ConfigError
from leanat.core.files import finite, remove_leftovers, write_json, write_text
from leanat.core.meter import Stopped
from leanat.data import DataError
from leanat.evaluation import evaluate, outcome
from leanat.models import io
from leanat.plan import components, jobs
from leanat.plan.grid import UPSTREAM, digest
from leanat.plan.settings import DEVICE
from leanat.runs import checkpoint, curves, devices, identity, records
from leanat.runs.selection_log import SelectionLog
from leanat.training.early_stop import EarlyStop

log = logging.getLogger("leanat")


@dataclass
class Experiment:
    """Everything a run needs, built from its spec."""

    run: nouns.Run
    split: nouns.Split
    test: nouns.Data
    early_stop: EarlyStop | None


def device_of(name: str) -> torch.device:
    """The device of that name; ``auto`` is the GPU where there is one, else the CPU.

    Raises ConfigError if the named GPU does not exist, and if ``auto`` finds one that torch cannot use, since the job would
    silently take hours on the CPU. Warns if the driver does not list the GPU that torch uses.
    """
    if not DEVICE.fullmatch(name):
        raise ConfigError([f"device: {name!r} is not allowed; allowed: auto, cpu, cuda, cuda:N"])
    if name != "cpu" and not torch.cuda.is_available():
        if name != "auto":
            why = "this machine has no GPU that torch can use; allowed here: auto, cpu"
            raise ConfigError([f"device: {name!r} is asked for, and {why}"])
        if devices.installed() and devices.visible():
            why = (
                "is built without CUDA"
                if torch.version.cuda is None
                else f"needs a driver for CUDA {torch.version.cuda}"
            )
            raise ConfigError(
                [f"device: this machine has a GPU that torch {torch.__version__} cannot use: it {why}; or device=cpu"]
            )
        return torch.device("cpu")
    if name in ("auto", "cuda") and not devices.visible():
        message = (
            "torch has a GPU that %s does not list (so it is under WSL2): jobs side by side would share it unseen; "
            "LEANAT_GPUS in the environment says how many there are"
        )
        log.warning(message, devices.DRIVER)
    device = torch.device("cuda" if name == "auto" else name)
    if device.index is not None and device.index >= (count := torch.cuda.device_count()):
        raise ConfigError([f"device: {name!r} is asked for; allowed here: auto, cpu, cuda, cuda:0 to cuda:{count - 1}"])
    return device


def prepare(spec: dict[str, Any], data_dir: str | None, device: torch.device) -> Experiment:
    """Raises ConfigError (every problem of the spec) and DataError (files that are missing or damaged)."""
    parts = components.read(spec)
    split, test = load(parts, data_dir, device)
    net = distributed.prepared(initial(parts, io.describe(test), device))
    names = (hook.name for hook in parts.method.hooks)
    distributed.check_trainable(names, {*jobs.SHARED, "teacher"}, parts.method.uneven)
    return Experiment(nouns.Run(net, parts.method, parts.recipe, parts.seed), split, test, parts.early_stop)


def load(parts: components.Spec, data_dir: str | None, device: torch.device) -> tuple[nouns.Split, nouns.Data]:
    """The training and validation data of a run, and its test data. Raises DataError."""
    augment = data.Augmentation(parts.data.augment)
    everyone = data.load(parts.data.name, "train", data_dir, device, parts.seed, augment)
    test = data.load(parts.data.name, "test", data_dir, device)
    fraction = parts.data.validation
    split = nouns.Split(everyone, None) if fraction is None else data.split(everyone, fraction, seed=0)
    return split, test


def initial(parts: components.Spec, about: dict[str, Any], device: torch.device) -> torch.nn.Module:
    """The network that a run begins with: a new one, that of another run, or the latter frozen, with a new head."""
    if parts.init is not None and parts.init.frozen:
        source, trained_on = io.load(parts.init.file, device)
        # saliency's teacher D comes from larger images
        io.check_images(trained_on, about, parts.init.file, any_size=True)
        return models.transfer_head(source, parts.init.hidden, about["n_classes"], parts.seed)
    net = io.build(parts.model.name, parts.model.standardise, about, parts.seed)
    if parts.init is not None:
        tensors, trained_on = io.read(parts.init.file)
        io.check_images(trained_on, about, parts.init.file)
        io.fit(net, tensors, parts.init.file)
    return net.to(device)


def made_from(spec: dict[str, Any], split: nouns.Split, test: nouns.Data, runs: Path) -> dict[str, str]:
    """Hashes of everything that determines a run, by name: the spec, the data, and the runs that it is trained from.

    Raises IdentityError if a run that the spec names is not as its own training left it, and DataError for an image that cannot
    be read. Otherwise a damaged test image would be noticed only after the training, and mending it would change the test set.
    """
    cache = runs.parent / ".hashes"
    hashes = {"spec": digest(spec), "training data": identity.of_data(split.train, cache, decode=True)}
    if split.validation is not None:
        hashes["validation data"] = identity.of_data(split.validation, cache, decode=True)
    return hashes | {"test data": identity.of_data(test, cache, decode=True)} | identity.upstream(spec, runs)


def finished(folder: Path, spec: dict[str, Any], data_dir: str | None, device: torch.device) -> dict[str, Any] | None:
    """The metrics of a run that is finished and made from this spec, these data and these runs; None if it is not finished.

    A finished run is not changed; only a missing ``metrics.json`` is written again, since Snakemake removes the output of a job
    before it starts the job. Raises IdentityError, one line, for a run that was made from something else, and the errors of
    ``identity.finished``.
    """
    record = folder / "finished.json"
    if (metrics := identity.finished(folder, spec)) is None:
        return None
    identity.check_files(folder, metrics)
    try:
        split, test = load(components.read(resolve_run_paths(spec, folder.parent)), data_dir, device)
    except DataError as error:
        log.warning("%s: finished; not compared with its data: %s", folder.name, error)
    else:
        now = made_from(spec, split, test, folder.parent)
        if now != metrics["made_from"]:
            differ = identity.differences(metrics["made_from"], now)
            raise identity.IdentityError(f"{folder}: finished, but made from other {differ}; {identity.anew(folder)}")
    if not (folder / "spec.json").is_file():
        write_json(folder / "spec.json", spec)
    path = folder / "metrics.json"
    if not path.is_file() or path.read_bytes() != record.read_bytes():
        write_text(path, record.read_text())
    # what a process that was killed at its very end had no time for
    shutil.rmtree(folder / "selection", ignore_errors=True)
    log.info("%s: finished on %s; left alone", folder.name, metrics["date"][:10])
    return metrics


def resolve_run_paths(value: Any, runs: Path) -> Any:
    """The spec with ``run:<id>`` replaced by the folder of that run."""
    if isinstance(value, str) and value.startswith(UPSTREAM):
        return str(runs / value.removeprefix(UPSTREAM))
    if isinstance(value, dict):
        return {k: resolve_run_paths(v, runs) for k, v in value.items()}
    return [resolve_run_paths(v, runs) for v in value] if isinstance(value, list) else value


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within this context no other process works on the run's folder. The lock is released when its process ends, in any way."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("%s: another process works on this run; waiting for it", folder.name)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:  # some network file systems have no locks
            message = "%s: this file system has no locks (%s); see to it that no second process trains this run"
            log.warning(message, folder, error.strerror)
        yield


def train_run(
    name: str,
    spec: dict[str, Any],
    folder: Path,
    data_dir: str | None,
    device: torch.device,
    progress: Callable[[nouns.Run], None] = lambda run: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """Trains a run, or resumes it from the last checkpoint, and writes its files. Returns its metrics.

    Raises ConfigError, DataError, NonFiniteLoss, and Stopped after ``stop()`` is True and the checkpoint is written. Raises
    IdentityError for a folder that belongs to something else, such as the unfinished training of another spec. A checkpoint
    of other data is ignored with a warning; a finished run is not changed (``finished``). With several processes, only
    process 0 writes and returns metrics; the others return None.
    """
    if distributed.rank() > 0:
        return follow(spec, folder, data_dir, device, stop)
    with locked(folder):
        remove_leftovers(folder)
        if (kept := finished(folder, spec, data_dir, device)) is not None:
            distributed.broadcast_from_rank0(lambda: (None,), device)
            return kept
        write_json(folder / "spec.json", spec)
        experiment, mark = prepare(resolve_run_paths(spec, folder.parent), data_dir, device), digest(spec)
        source = made_from(spec, experiment.split, experiment.test, folder.parent)
        distributed.broadcast_from_rank0(lambda: (source,), device)
        run, resume = experiment.run, folder / "resume.pt"
        if checkpoint.load(resume, run, source, log.warning):
            log.info("%s: resumed after epoch %d", name, run.epoch)
        check_alike(run, folder)
        piece = {"epochs": [run.epoch, run.epoch], "wall_seconds": 0.0} | provenance(device)
        run.pieces.append(piece)
        chosen, accuracies = SelectionLog(folder / "selection.npz", run), curves.of(run)
        started = time.perf_counter()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

        def save(run: nouns.Run) -> None:
            piece["epochs"][1], piece["wall_seconds"] = run.epoch, time.perf_counter() - started
            checkpoint.save(resume, run, source)

        def about(run: nouns.Run) -> dict[str, Any]:
            shape = io.describe(experiment.test)
            model = {k: spec["model"][k] for k in ("name", "standardise")}
            if spec.get("init", {}).get("frozen"):
                model["hidden"] = run.net.head[0].out_features
            return {"model": model, "data": shape, "epoch": run.epoch, "spec_hash": mark}

        def after_epoch(run: nouns.Run) -> bool:
            chosen.note(run)
            accuracies(run, experiment.test)
            if run.epoch in spec.get("snapshots", ()):
                io.save(folder / f"model-{run.epoch}.safetensors", run.net, about(run))
            records.write_history(folder / "history.csv", run.history)
            if experiment.early_stop is not None:
                experiment.early_stop(run, len(experiment.test), robust)
            save(run)
            progress(run)
            return ended(run)

        def robust(index: torch.Tensor) -> float:
            attack = experiment.early_stop.attack
            with distributed.alone(run.net):  # of several processes the others do not come here
                found = evaluate.evaluate(run.net, experiment.test, attack, seed=0, index=index)
            return float(found.correct.mean())

        try:
            if not ended(run):  # which a run may be before its last epoch
                loop.train(run, experiment.split, after_epoch, stop)
        except Stopped:
            save(run)
            raise
        best = run.epoch if experiment.early_stop is None else experiment.early_stop.restore(run)
        io.save(folder / "model.safetensors", run.net, about(run))
        chosen.finish()
        for hook in run.method.hooks:
            if arrays := hook.arrays(run):
                records.save_arrays(folder / f"{hook.name}.npz", {k: np.asarray(v) for k, v in arrays.items()})
            if tensors := hook.tensors(run):
                io.write(folder / f"{hook.name}.safetensors", tensors, {"spec_hash": mark})
        clean = evaluate.evaluate(run.net, experiment.test, Clean(), seed=spec["seed"])
        records.save_arrays(folder / outcome.PLAIN, outcome.arrays(clean))
        held = experiment.split.validation
        validation = (
            {} if held is None else {"validation": outcome.summary(evaluate.evaluate(run.net, held, Clean(), seed=0))}
        )
        piece["epochs"][1], piece["wall_seconds"] = run.epoch, time.perf_counter() - started
        metrics = {
            "run": name,
            "spec": spec,
            "spec_hash": mark,
            "made_from": source,
            "files": identity.files_of(folder),
            "clean": outcome.summary(clean) | {"per_class": outcome.per_class(clean, experiment.test.n_classes)},
            **validation,
            **in_numbers(experiment),
            "epoch_kept": best,
            "peak_memory_mb": peak_memory(device),
            **provenance(device),
        }
        metrics = finite(metrics)
        for record in ("finished.json", "metrics.json"):
            write_json(folder / record, metrics)
        chosen.clear()
    return metrics


def in_numbers(experiment: Experiment) -> dict[str, Any]:
    """The part of the metrics about the training itself and its data."""
    run = experiment.run
    return {
        "history": run.history[-1],
        "examples": {
            "train": len(experiment.split.train),
            "kept": len(run.subset.index),
            "test": len(experiment.test),
            "forward": sum(int(row["forward"]) for row in run.history),
            "backward": sum(int(row["backward"]) for row in run.history),
        },
        "epochs": run.epoch,
        "seconds": sum(row["seconds"] for row in run.history),
        "wall_seconds": sum(part["wall_seconds"] for part in run.pieces),
        "parameters": sum(p.numel() for p in run.net.parameters()),
        "planted_difficulty": planted_difficulty(experiment.test),
        **{k: v for hook in run.method.hooks for k, v in hook.report(run).items()},
        "pieces": run.pieces,
    }


def ended(run: nouns.Run) -> bool:
    """Whether a hook (``overfitting.OverfittingMonitor``) has ended the training."""
    return any(hook.ended(run) for hook in run.method.hooks)


def follow(
    spec: dict[str, Any], folder: Path, data_dir: str | None, device: torch.device, stop: Callable[[], bool]
) -> None:
    """The work of every process except the first: it trains on its share of each mini-batch, and writes nothing."""
    (source,) = distributed.broadcast_from_rank0(lambda: (None,), device)
    if source is None:  # the run is finished
        return
    experiment = prepare(resolve_run_paths(spec, folder.parent), data_dir, device)
    checkpoint.load(folder / "resume.pt", experiment.run, source)
    check_alike(experiment.run, folder)
    loop.train(experiment.run, experiment.split, stop=stop)


def check_alike(run: nouns.Run, folder: Path) -> None:
    """Raises ConfigError in each of several processes unless all go on from the same step: on several machines one may not
    see the checkpoint, and all would wait for each other in the end.
    """
    here = run.epoch, len(run.meter.losses) if run.meter else 0
    if len(places := set(distributed.all_gather(here))) > 1:
        steps = " and ".join(f"epoch {epoch}, step {step}" for epoch, step in sorted(places))
        raise ConfigError(
            [f"{folder}: its processes would go on from {steps}; all of them have to see the same folder"]
        )


def planted_difficulty(test: nouns.Data) -> list[int] | None:
    """For each class the number of easier classes, if this is known because the images are drawn with planned difficulty."""
    order = getattr(test, "hard_to_easy", None)
    return None if order is None else [len(order) - 1 - order.index(c) for c in range(len(order))]


def peak_memory(device: torch.device) -> float:
    """MB, of the GPU where training is there, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return machine.peak_bytes() / 2**20


def provenance(device: torch.device) -> dict[str, Any]:
    """The provenance of a number: code, machine, versions, time."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "device": gpu or f"CPU ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "deterministic": device.type == "cpu" or torch.are_deterministic_algorithms_enabled(),
        "versions": {
            "leanat": leanat.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "revision": revision(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def revision() -> str | None:
    """The git revision of the package's checkout, with ``+`` where files differ from it; None where git does not track it.

    A package that lies in somebody's own repository without being part of it has no revision.
    """
    file = Path(__file__).resolve()
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | {"LC_ALL": "C"}

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=file.parent, capture_output=True, text=True, env=env)

    try:
        if git("ls-files", "--error-unmatch", file.name).returncode:
            return None
        head, state = git("rev-parse", "--short=10", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    except FileNotFoundError:
        return None
    return head.stdout.strip() + ("+" if state.stdout.strip() else "") if head.returncode == 0 else None
