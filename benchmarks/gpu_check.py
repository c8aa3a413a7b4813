"""What this GPU does with leanat: minutes of one GPU, before anything is believed of it.

    python benchmarks/gpu_check.py               # all parts; also `make gpu-check`
    python benchmarks/gpu_check.py speed bits    # some of them
    python benchmarks/gpu_check.py --tiny --device cpu speed bits memory    # that the script itself runs

tests       those that need CUDA, and those that pretend it elsewhere
benchmarks  attacks and training beside public implementations
speed       images per second of each objective on ResNet-18 (an epoch of random images of CIFAR-10's shape), and the share of
            the operations a second that a bf16 matrix product reaches here
bits        whether an epoch that is repeated, or left and resumed from a checkpoint, has the same bits, and its seconds, in the
            usual and in the deterministic mode
memory      whether an attack that does not fit into memory comes through, with the outcomes of a small batch

A line for each result; all of them, with the device and the versions, in gpu-check.json. Exit status 1 where tests or
benchmarks failed, or the deterministic mode could not be run; what the other parts found is for the reader.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from leanat.attacks.pgd import PGD, Clean
from leanat.attacks.threat import Linf
from leanat.core import precision
from leanat.core.loop import train
from leanat.core.nouns import Method, Recipe, Run, Split, Step
from leanat.cost.timing import clocked as seconds
from leanat.cost.timing import images
from leanat.data.augment import Crop, Flip
from leanat.evaluation.evaluate import evaluate
from leanat.models import io
from leanat.plan.jobs import GMACS
from leanat.runs import checkpoint, experiment
from leanat.selection.basic import Everything
from leanat.training.awp import AWP
from leanat.training.fat import FAT
from leanat.training.free import Free
from leanat.training.objectives import MART, TRADES, CrossEntropy

ROOT = Path(__file__).parents[1]
PARTS = ("tests", "benchmarks", "speed", "bits", "memory")
TESTS = (
    "test_pretended_gpu.py", "core/test_precision.py", "core/test_rng.py", "core/test_searching.py", "runs/test_devices.py",
    "library/test_library_gpu.py",
)  # fmt: skip
BALL, STEP = Linf(8 / 255), 2 / 255


def methods(steps: int) -> dict[str, Method]:
    ce, everything, pgd = CrossEntropy(), Everything(), PGD(BALL, steps, STEP, "uniform")
    free, awp = Free(BALL, 8 / 255), AWP(CrossEntropy(), 0.01)
    return {
        "standard": Method(ce, Clean(), everything),
        "FGSM-RS": Method(ce, PGD(BALL, 1, 10 / 255, "uniform", training_mode=True), everything),
        f"PGD-{steps}": Method(ce, pgd, everything),
        f"TRADES-{steps}": Method(TRADES(6.0), PGD(BALL, steps, STEP, "gaussian", "kl"), everything),
        f"MART-{steps}": Method(MART(5.0), PGD(BALL, steps, STEP, "gaussian"), everything),
        f"AWP-{steps}": Method(awp, pgd, everything, extras=(awp,)),
        "Free-8": Method(ce, free, everything, extras=(free,), replays=8),
        f"FAT-{steps}": Method(ce, FAT(BALL, steps, STEP, 0), everything),
    }


@dataclass(frozen=True)
class Size:
    """How much is computed."""

    network: str
    images: int
    pixels: int
    batch: int
    steps: int  # of attacks
    matrix: int


FULL = Size("resnet18", 12_800, 32, 128, 10, 8192)
TINY = Size("resnet_tiny", 16, 8, 8, 2, 64)


def new_run(
    size: Size, method: Method, device: torch.device, number: str = "bf16", epochs: int = 1
) -> tuple[Run, Split]:
    shape = {"classes": 10, "channels": 3, "size": size.pixels}
    data = images(shape, size.images, device, (Crop(4), Flip()))
    net = io.build(size.network, "channel", io.describe(data), 0).to(device)
    recipe = Recipe(epochs, size.batch, lambda epoch, epochs: 0.01, 0.9, True, 5e-4, precision=number)
    return Run(net, method, recipe, 0), Split(data, None)


def matrix_rate(n: int, device: torch.device) -> float:
    """Operations a second of a product of two n x n matrices in bf16."""
    a = torch.randn(n, n, device=device).bfloat16()
    for _ in range(3):
        a @ a
    return 10 * 2 * n**3 / seconds(lambda: [a @ a for _ in range(10)], device)


def speed(size: Size, device: torch.device) -> dict[str, Any]:
    rate = matrix_rate(size.matrix, device)
    print(f"speed: a bf16 matrix product reaches {rate / 1e12:.4g} TFLOP/s", flush=True)
    found: dict[str, Any] = {"matrix_flops": rate}
    for name, method in methods(size.steps).items():
        for number in ("bf16", "fp32") if name in ("standard", f"PGD-{size.steps}") else ("bf16",):
            warm, split = new_run(size, method, device, number)
            split = Split(split.train.take(torch.arange(2 * size.batch)), None)
            train(warm, split)  # cuDNN's search
            run, split = new_run(size, method, device, number)
            took = seconds(lambda run=run, split=split: train(run, split), device)
            row = run.history[-1]
            # A pass backward to the image costs about one forward; a training step has the weights' gradients besides.
            passes = row["forward"] + row["backward"] + size.images * method.replays
            share = passes * 2e9 * GMACS.get(size.network, 0.0) / took / rate
            found[f"{name} {number}"] = {"images_per_second": size.images / took, "share": share, "seconds": took}
            text = f"{size.images / took:10.0f} images/s, {took * 50_000 / size.images:7.1f} s for 50,000, {share:6.1%} of it"
            print(f"speed: {name:10} {number}  {text}", flush=True)
    return found


def weights(run: Run) -> torch.Tensor:
    return torch.cat([v.detach().flatten().double().cpu() for v in run.net.state_dict().values()])


def bits(size: Size, device: torch.device) -> dict[str, Any]:
    """One process is of one mode: see ``main``."""
    same = torch.are_deterministic_algorithms_enabled()
    found: dict[str, Any] = {}
    for number in ("fp32", "bf16"):
        method = methods(size.steps)[f"PGD-{size.steps}"]
        runs = []
        for _ in range(2):
            run, split = new_run(size, method, device, number, 2)
            took = seconds(lambda run=run, split=split: train(run, split), device)
            runs.append(weights(run))
        left, split = new_run(size, method, device, number, 2)
        train(left, split, after_epoch=lambda run: run.epoch == 1)
        resumed, split = new_run(size, method, device, number, 2)
        with TemporaryDirectory() as folder:
            checkpoint.save(Path(folder) / "resume.pt", left, "this check")
            checkpoint.load(Path(folder) / "resume.pt", resumed, "this check")
        train(resumed, split)
        row = {"repeated": torch.equal(*runs), "resumed": torch.equal(runs[0], weights(resumed)), "seconds": took}
        found[number] = row
        said = ", ".join(f"{k}: {'the same bits' if row[k] else 'other bits'}" for k in ("repeated", "resumed"))
        print(f"bits: {number}, {'deterministic' if same else 'usual'} mode, {took:.1f} s; {said}", flush=True)
    return found


@dataclass(frozen=True)
class TooLarge:
    """An attack that asks for more memory than there is when it gets more than ``most`` images."""

    most: int
    attack: PGD

    def __call__(self, net: torch.nn.Module, step: Step) -> torch.Tensor:
        if len(step.x) > self.most:
            if step.x.device.type == "cpu":
                raise torch.OutOfMemoryError("as a GPU would")
            torch.empty(2**50, dtype=torch.uint8, device=step.x.device)  # more than any GPU has
        return self.attack(net, step)


def memory(size: Size, device: torch.device) -> dict[str, Any]:
    run, split = new_run(size, methods(size.steps)["standard"], device, "fp32")
    attack, index = PGD(BALL, size.steps, STEP, "uniform"), torch.arange(min(512, size.images))
    data = split.train.plain()
    data.labels[:] = run.net.eval()(data.batch(index, 0)[0]).argmax(1).mode().values  # so that many are right
    halved = evaluate(run.net, data, TooLarge(size.batch // 2, attack), seed=0, batch=4 * size.batch, index=index)
    small = evaluate(run.net, data, attack, seed=0, batch=size.batch // 2, index=index)
    alike = float((halved.correct == small.correct).mean())
    print(
        f"memory: an attack that did not fit came through; {alike:.2%} of the outcomes as in a small batch", flush=True
    )
    return {"outcomes_alike": alike, "images": len(index)}


def called(device: torch.device, *words: str) -> int:
    """The exit status of a process of its own, which sees the GPU that is asked for alone, as ``cuda``."""
    print(f"$ {' '.join(words)}", flush=True)
    env = dict(os.environ)
    if device.type == "cuda" and device.index is not None:
        seen = [name for name in env.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        env["CUDA_VISIBLE_DEVICES"] = seen[device.index] if device.index < len(seen) else str(device.index)
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=env).returncode


def tests(device: torch.device) -> dict[str, int]:
    return {"exit_status": called(device, "-m", "pytest", "-q", "-m", "not slow", *(f"tests/{name}" for name in TESTS))}


def benchmarks(device: torch.device) -> dict[str, int]:
    words = ["benchmarks/training.py", "--device", device.type, "--batch", "128", "--steps", "50", "--quick"]
    return {"attacks": called(device, "benchmarks/attacks.py", device.type), "training": called(device, *words)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N; cpu to try the script (default: cuda)")
    parser.add_argument("--tiny", action="store_true", help="seconds in place of minutes; the numbers mean nothing")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"))
    # of bits, in a process of its own
    parser.add_argument("--deterministic", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if arguments.device != "cpu" and not torch.cuda.is_available():
        print("gpu-check: no GPU that torch can use here; nothing was checked")
        return 1
    if arguments.deterministic:
        precision.deterministic()
    device, size = torch.device(arguments.device), TINY if arguments.tiny else FULL
    found: dict[str, Any] = {"size": vars(size)} | experiment.provenance(device)
    failed = []
    for part in arguments.parts or PARTS:
        if work := {"tests": tests, "benchmarks": benchmarks}.get(part):
            found[part] = work(device)
            failed += [part] if any(found[part].values()) else []
        else:
            found[part] = {"speed": speed, "bits": bits, "memory": memory}[part](size, device)
        if part == "bits" and not (arguments.deterministic or arguments.tiny):  # a mode holds for a whole process
            with TemporaryDirectory() as folder:
                out = Path(folder) / "bits.json"
                done = called(device, __file__, "bits", "--deterministic", "--device", device.type, "--out", str(out))
                found["bits, deterministic"] = (
                    json.loads(out.read_text())["bits"] if done == 0 else f"exit status {done}"
                )
                failed += ["bits, deterministic"] if done else []
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    print(arguments.out)
    if failed:
        print(f"gpu-check: failed: {'; '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
