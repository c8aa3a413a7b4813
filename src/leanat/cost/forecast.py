"""Forecasts the cost of jobs on this device before they start: a few steps of each kind are measured, the rest is computed.

A kind is a network, an input size, an objective, an attack, a batch size and a precision. Random images and untrained
networks are sufficient, as in ``timing``; ``cost.predict`` gives the number of times that a run needs each piece.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.machine import peak_bytes, usable_cores
from leanat.core.nouns import eval_without_param_grad
from leanat.core.precision import exact_fp32
from leanat.cost import predict, timing
from leanat.data import TensorData
from leanat.evaluation.evaluate import batch_of, evaluate, fitting, step_of
from leanat.experiments.spec import named_part
from leanat.models import io
from leanat.papers.sat.method import AttackOnlySubset
from leanat.plan import cache, components, jobs
from leanat.plan.grid import Grid, digest, named_runs
from leanat.runs import checkpoint, experiment

BUDGET = 0.1  # seconds of measurement per piece, with at least one call
# Longest time in seconds of a step, or of an attack's step, that is measured; for more images the time is extrapolated.
LARGE = 0.5
STEPS = 3  # number of steps of PGD after the first whose time is measured
FEW, MORE = predict.FEW, 5  # number of images at first, and the largest factor to the next number
UNIMPORTANT = {  # fields that do not affect a step's time
    "threat", "step_size", "network", "teacher", "first_phase", "bound", "smoothing", "episodes", "sign", "epochs_each",
    "patience", "bounds", "warmup_epochs",
}  # fmt: skip
RUN, ITEM, WORKFLOW = 0.6, 5.0, 4.0  # seconds for a run's data, network and files; for a table; for Snakemake


@dataclass
class Forecast:
    """Forecasts of seconds, disk and memory; each kind is measured once. ``start``: seconds until a process begins to work."""

    grid: Grid
    device: torch.device
    say: Callable[[str], None]
    start: float
    folder: Path  # folder of untrained networks that replace those of upstream runs
    known: dict[str, dict[str, float]] = field(default_factory=dict)
    steps: int = 0  # number of kinds of steps among them

    @classmethod
    @contextmanager
    def on(cls, grid: Grid, device: torch.device, say: Callable[[str], None]) -> Iterator[Forecast]:
        """Measures how long a process takes to start; the untrained networks are removed at the end of this context."""
        with tempfile.TemporaryDirectory() as place:
            cache.write(grid, cache.path_of(grid, Path(place)))
            arguments = str(grid.folder), grid.settings, place
            code = (
                f"import json; from pathlib import Path; from leanat.plan import structure; "
                f"from leanat.runs import attacking, training; "
                f"a, b, c = json.loads({json.dumps(json.dumps(arguments))}); structure.load(Path(a), b, Path(c)); "
                f"import torch; torch.zeros(1, device='{device}')"
            )
            clock = _of_children if device.type == "cpu" else time.perf_counter
            started = clock()
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            start = clock() - started
            yield cls(grid, device, say, start, Path(place))

    def train(self, run: str) -> float:
        """Seconds of a run, without the start of the process."""
        spec, shape = self._of(run)
        parts, pieces = components.read(spec), self._pieces(run)
        seconds = predict.training(parts, pieces, shape["train"], shape["test"], shape["classes"])
        reading = predict.decoding(parts, pieces, shape["train"]) or 0.0  # on one core
        if self.device.type == "cpu":
            return RUN + seconds + reading
        return RUN + max(seconds, reading / usable_cores())  # files are decoded ahead

    def attack(self, evaluation: str, together: int = 1) -> float:
        """Seconds of a suite, without process start. ``together``: evaluations that share attacks on source networks."""
        suite = self.grid.evaluations[evaluation]
        _, shape = self._of(suite.run)
        seconds = predict.evaluation(suite.attacks, self._pieces(suite.run), shape["test"], shape["classes"])
        return RUN + seconds * (len(suite.sources) / together if suite.sources else 1)

    def time(self, paper: str) -> float:
        """Seconds of ``leanat time``, which measures each kind of step of the papers' own settings once.

        On a CPU these are seconds of one core, as everywhere here; the job uses all cores and takes correspondingly less.
        """
        seconds, seen = 0.0, set()
        for entry in self.grid.timed(paper).values():
            kind, spec, shape = entry.step, entry.spec, entry.shape
            if kind in seen:
                continue
            seen.add(kind)
            pieces = self._once(spec, shape, False)
            cpu = self.device.type == "cpu"
            part, times = (FEW / spec["recipe"]["batch"], 4) if cpu else (1.0, 6)
            seconds += part * times * (2 * pieces["step"] + pieces["bare"] + pieces["look"]) + pieces["solve"]
        return seconds

    def disk(self, run: str) -> float:
        """Bytes on disk of a run: its network and snapshots, two checkpoints, its selections and each attack's outcome."""
        spec, shape = self._of(run)
        weights = 4 * self._pieces(run)["parameters"]
        epochs = predict.plan(components.read(spec), shape["train"])
        chosen = sum(epoch.share for epoch in epochs if epoch.selects) + 1
        suites = [e for e in self.grid.evaluations.values() if e.run == run]
        return (
            weights * (5 + len(spec.get("snapshots", ())))
            + shape["train"] * 6 * chosen
            + 30 * shape["test"] * sum(len(e.attacks) for e in suites)
        )

    def memory(self, run: str) -> float:
        """Approximate memory of a run in bytes: data that stay on the device, and the memory of this process after its steps."""
        _, shape = self._of(run)
        resident = (shape["train"] + shape["test"]) * shape["channels"] * shape["size"] ** 2
        return self._pieces(run)["memory"] + (resident if shape["size"] < 100 else 0)

    def _of(self, run: str) -> tuple[dict[str, Any], dict[str, int]]:
        spec = self.grid.runs[run].spec
        return spec, self.grid.datasets[spec["data"]["name"]]

    def _pieces(self, run: str) -> dict[str, float]:
        """The primitives of ``cost.predict`` for a run, with its network's ``parameters`` and the measured ``memory``."""
        spec, shape = self._of(run)
        return self._once(spec, shape, True)

    def _once(self, spec: dict[str, Any], shape: dict[str, int], whole: bool) -> dict[str, float]:
        """The primitives of a spec; those with the same network, objective, attack, batch or solver are measured once."""
        method, recipe, parts = spec["method"], spec["recipe"], components.read(spec).method
        network = [shape["size"], shape["channels"], spec["model"], bool(spec.get("init", {}).get("frozen"))]
        selector, few = timing.gradient_based(parts.selector), whole and isinstance(parts.budget, AttackOnlySubset)
        kinds: dict[str, Callable[[timing.Bench], dict[str, float]]] = {
            digest([network, "network"]): lambda bench: self._network(bench, shape),
            digest([network, whole, recipe["batch"], recipe["precision"], _bare(method["objective"]), _bare(method["attack"])]):
                lambda bench: self._step(spec, shape, whole, bench),
            digest([shape, repr(selector)]): lambda bench: bench.solve() if selector else {"solve": 0.0},
        }  # fmt: skip
        if jobs.large(shape) and whole:
            kinds[digest([shape["size"], "decode"])] = lambda bench: bench.decode() if bench.crop else {}
        if few:
            kinds[digest([network, _bare(method["attack"]), "few"])] = lambda bench: self._few(spec, shape, bench)
        new = [kind for kind in kinds if kind not in self.known]
        if new:
            if whole:
                self._upstream(spec)
            bench = self._bench(spec, shape, whole, FEW, 1)
            for kind in new:
                self.known[kind] = kinds[kind](bench)
                self._tell(spec, shape, self.known[kind])
        pieces = {k: v for kind in kinds for k, v in self.known[kind].items()}
        return pieces | {"select": pieces["step"] - pieces["bare"] + 2 * pieces["look"]}

    def _tell(self, spec: dict[str, Any], shape: dict[str, int], pieces: dict[str, float]) -> None:
        if "step" not in pieces:
            return
        names = [named_part(spec["method"][slot])[0] for slot in ("objective", "attack")]
        words = {"step": "step", "bare": "without attack", "look": "forward pass"}
        times = ", ".join(f"{word} {1000 * pieces[k]:.3g} ms" for k, word in words.items())
        size = f"{shape['size']} x {shape['size']}, batch {spec['recipe']['batch']}, {spec['recipe']['precision']}"
        self.steps += 1
        self.say(f"[{self.steps}] {spec['model']['name']} {size}, {', '.join(names)}: {times}")

    def _upstream(self, reader: dict[str, Any]) -> None:
        """Writes untrained networks into the folders that a spec reads."""
        for run in named_runs(reader):
            folder = self.folder / run
            if not folder.exists():
                spec, shape = self._of(run)
                about = io.describe(timing.images(shape, shape["classes"], torch.device("cpu"), ()))
                model = {k: spec["model"][k] for k in ("name", "standardise")}
                net = io.build(model["name"], model["standardise"], about, 0)
                folder.mkdir()
                for name in ("model", *(f"model-{epoch}" for epoch in spec.get("snapshots", ()))):
                    io.save(folder / f"{name}.safetensors", net, {"model": model, "data": about})

    def _bench(
        self, spec: dict[str, Any], shape: dict[str, int], whole: bool, batch: int | None, steps: int | None = None
    ) -> timing.Bench:
        method = spec["method"] | {"attack": _with_steps(spec["method"]["attack"], steps)}
        spec = experiment.resolve_run_paths(spec | {"method": method}, self.folder)
        return _Quick.of(spec, shape, self.device, batch, 1, whole)

    def _step(self, spec: dict[str, Any], shape: dict[str, int], whole: bool, few: timing.Bench) -> dict[str, float]:
        """Seconds of a step on the whole batch with its attack and without it, and of a clean forward pass.

        ``whole=False`` is for ``leanat time``, which itself measures ``FEW`` images.
        """
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats(self.device)
        batch = spec["recipe"]["batch"]
        most = batch if cuda or whole else min(FEW, batch)
        benches: dict[int, timing.Bench] = {}

        def bare(size: int) -> float:
            benches[size] = few if size == FEW and not cuda else self._bench(spec, shape, whole, size, 1)
            return benches[size].bare() / benches[size].factor

        sizes = [most] if cuda or most <= FEW else [size for size, _ in growing(bare, most)]
        sizes = sizes[-1:] if sizes[-1] == most else sizes[-2:]
        parts = [(size, self._parts(spec, shape, whole, size, benches.get(size))) for size in sizes]
        pieces = {
            k: batch / most * extrapolated([(size, part[k]) for size, part in parts], most)
            for k in ("step", "bare", "look")
        }
        return pieces | {"memory": 2**20 * experiment.peak_memory(self.device) if cuda else _resident()}

    def _few(self, spec: dict[str, Any], shape: dict[str, int], bench: timing.Bench) -> dict[str, float]:
        """Seconds of only the attack on ``FEW`` images; most of this is the constant cost of each operator."""
        attacked = self._bench(spec, shape, True, FEW).attacked()
        return {"few": (attacked - bench.bare()) / bench.factor}

    def _parts(
        self, spec: dict[str, Any], shape: dict[str, int], whole: bool, size: int, bench: timing.Bench | None
    ) -> dict[str, float]:
        """Seconds for ``size`` images. For a long attack, one step and the additional time of a second step are measured."""
        bench = bench or self._bench(spec, shape, whole, size, 1)
        pieces = {"bare": bench.bare(), "look": bench.look()}
        steps = _steps(spec["method"]["attack"])
        if spec["method"]["attack"] == "clean":
            pieces["step"] = pieces["bare"]
        elif self.device.type == "cuda" or pieces["bare"] / bench.factor * max(steps, 1) < MORE * LARGE:
            pieces["step"] = self._bench(spec, shape, whole, size).attacked()
        else:
            pieces["step"] = bench.attacked()
            if steps > 1:
                more = self._bench(spec, shape, whole, size, 2).attacked() - pieces["step"]
                pieces["step"] += (steps - 1) * max(more, pieces["look"])
        return {k: seconds / bench.factor for k, seconds in pieces.items()}

    def _network(self, bench: timing.Bench, shape: dict[str, int]) -> dict[str, float]:
        """Seconds per test image of a forward pass and of a step of PGD, as in an evaluation; seconds for a new batch size and
        for a checkpoint.
        """
        net, cpu = bench.run.net, self.device.type == "cpu"

        def attacked(n: int, steps: int = 1) -> Callable[[], Any]:
            """An attack on correctly classified images, with a radius so small that it hardly fools any."""
            data = timing.images(shape, n, self.device, ())
            pgd = PGD(Linf(1e-3), steps, 1e-3, "uniform", only_correct=True)
            with eval_without_param_grad(net), exact_fp32(), torch.no_grad():
                data.labels[:] = net(step_of(data, torch.arange(n, device=self.device), 0).x).argmax(1)
            return lambda: evaluate(net, data, pgd, seed=0, batch=n)

        def forward(n: int) -> float:
            x = step_of(timing.images(shape, n, self.device, ()), torch.arange(n, device=self.device), 0).x
            with eval_without_param_grad(net), exact_fp32(), torch.no_grad():
                return self._seconds(lambda: fitting(lambda m: [net(part) for part in x.split(m)], n))

        def ascend(n: int) -> float:  # seconds of each further step
            return (self._seconds(attacked(n, 1 + STEPS)) - self._seconds(attacked(n))) / STEPS

        def spent(work: Callable[[], Any]) -> float:  # processor time
            return timing.clocked(work, self.device, time.process_time)

        most = batch_of(shape["size"])
        ascents = growing(ascend, most) if cpu else [(most, ascend(most))]
        n, passes = ascents[-1][0], [(m, forward(m)) for m, _ in ascents[-2:]]
        size = 0.0  # seconds for a new batch size on a CPU, where kernels are made for each size
        if cpu and n > 3 * FEW:
            few = [attacked(n - k) for k in (3, 7, 12)]
            size = max(0.0, statistics.fmean(spent(work) - spent(work) for work in few) / 2)
        keep = self._seconds(lambda: checkpoint.save(self.folder / "resume.pt", bench.run, "0"))
        parameters = sum(p.numel() for p in net.parameters())
        each = {"ascend": extrapolated(ascents, most) / most, "forward": extrapolated(passes, most) / most}
        return each | {"size": size, "keep": keep, "parameters": parameters}

    def _seconds(self, work: Callable[[], Any]) -> float:
        return median(work, self.device)


class _Quick(timing.Bench):
    """Measures each piece for ``BUDGET`` seconds instead of a number of times."""

    def _median(self, work: Callable[[], Any], data: TensorData | None = None) -> float:
        with exact_fp32():  # as in training
            return median(work, self.run.device, lambda: self.label(self.data if data is None else data))


def growing(measure: Callable[[int], float], most: int) -> list[tuple[int, float]]:
    """(images, seconds) for a few images, and for growing numbers up to ``most`` while a measurement takes at most ``LARGE``.

    A few images say little about many, because of the constant cost of operators; so twice as many are always measured.
    """
    measurements = [(min(FEW, most), measure(min(FEW, most)))]
    while (n := measurements[-1][0]) < most:
        seconds = measurements[-1][1]
        if len(measurements) == 1:
            more = 2 * n
        else:
            each = (extrapolated(measurements, 2 * n) - seconds) / n
            more = min(MORE * n, int(n + (LARGE - seconds) / max(each, 1e-9)))
        if min(more, most) < min(2 * n, most):
            break
        measurements.append((min(more, most), measure(min(more, most))))
    return measurements


def extrapolated(measurements: Sequence[tuple[int, float]], most: int) -> float:
    """Seconds for ``most`` images, extrapolated linearly from the last two measurements."""
    n, seconds = measurements[-1]
    each = seconds / n
    if len(measurements) > 1:
        fewer, before = measurements[-2]
        each = min(max((seconds - before) / (n - fewer), 0.0), each)
    return seconds + (most - n) * each


def median(work: Callable[[], Any], device: torch.device, before: Callable[[], Any] = lambda: None) -> float:
    """Median seconds per call of ``work``, called until BUDGET seconds are spent, at least once.

    The first call is a warm-up and excluded, unless on a CPU it alone has used up the budget. On a GPU it never counts, since it
    loads kernels and searches for algorithms, which takes longer than the work. ``before`` is called before each call, untimed.
    On a CPU the seconds are processor time, which does not depend on other work of the machine.
    """
    cpu = device.type == "cpu"
    clock = time.process_time if cpu else time.perf_counter
    seconds: list[float] = []
    while len(seconds) < (1 if cpu else 2) or sum(seconds[0 if cpu else 1 :]) < BUDGET:
        before()
        seconds.append(timing.clocked(work, device, clock))
    return statistics.median(seconds[1:] or seconds)


def _of_children() -> float:
    """Processor seconds of the child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _resident() -> float:
    """The current memory of this process in bytes; the peak could come from a larger network that was measured before."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return peak_bytes()
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _bare(part: Any) -> Any:
    """A component without the fields that do not affect a step's time: radii, paths, and the size of weights other than 0."""
    if isinstance(part, dict):
        kept = {k: v for k, v in part.items() if k not in UNIMPORTANT}
        return {k: bool(v) if k in ("beta", "gamma", "ks") else _bare(v) for k, v in kept.items()}
    return part


def _steps(attack: Any) -> int:
    if not isinstance(attack, dict):
        return 0
    return max([attack["steps"]] if "steps" in attack else [_steps(v) for v in attack.values()], default=0)


def _with_steps(attack: Any, steps: int | None) -> Any:
    if steps is None or not isinstance(attack, dict):
        return attack
    return {k: steps if k == "steps" else _with_steps(v, steps) for k, v in attack.items()}
