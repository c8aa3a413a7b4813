"""Options that several verbs of the command line share, and the grid of runs that the settings define."""

from __future__ import annotations

import argparse
import difflib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from leanat.core.errors import ConfigError, complete_prefix, did_you_mean
from leanat.core.files import read_json
from leanat.experiments.paper import Paper
from leanat.plan import settings, structure
from leanat.plan.grid import Grid

T = TypeVar("T")
Add = Callable[..., Any]  # ``add_argument`` of a verb's parser


def path(text: str) -> Path:
    """The path, with ``~`` replaced by the home folder where the shell did not do so, as in ``--out=~/x``."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path is not allowed; . is this folder")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"{text} is not allowed; there is no such home folder") from None


def of_environment(name: str, kind: Callable[[Any], T], fallback: Any) -> T:
    """The value of the environment variable LEANAT_<name>, by which the workflow passes settings to its jobs, else
    ``fallback``. Raises ConfigError.
    """
    try:
        return kind(os.environ.get(f"LEANAT_{name}", fallback))
    except argparse.ArgumentTypeError as error:
        raise ConfigError([f"LEANAT_{name}: {error}"]) from None


def folder_or_none(text: str) -> str:
    return str(path(text)) if text else ""


def count(text: str) -> int:
    """A positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not allowed; a whole number from 1")
    return int(text)


def part(text: str) -> tuple[int, int]:
    """``2/4``, the second of four parts, as (1, 4)."""
    own, _, of = text.partition("/")
    if not (own.isdecimal() and of.isdecimal() and 1 <= int(own) <= int(of)):
        raise argparse.ArgumentTypeError(f"{text} is not allowed; I/N with I from 1 to N")
    return int(own) - 1, int(of)


def switch(value: Any) -> bool:
    """True or False, from the text of an environment variable or a value of the configuration."""
    words = {"1": True, "true": True, "yes": True, "": False, "0": False, "false": False, "no": False}
    if (word := str(value).lower()) not in words:
        raise argparse.ArgumentTypeError(f"{value!r} is not allowed; 1, true or yes, or 0, false, no or nothing")
    return words[word]


def hours(text: str) -> float:
    """A positive, finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not allowed; hours, a number above 0")
    return value


def numbers(text: str) -> list[float]:
    """``0.485,0.456,0.406``, or one number for all channels."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text} is not allowed; numbers with commas between, such as 0.5,0.5,0.5"
        ) from None


def named(suffix: str) -> Callable[[str], Path]:
    """A file whose name ends in ``suffix``."""

    def file(text: str) -> Path:
        if Path(text).suffix != suffix:
            raise argparse.ArgumentTypeError(f"{text} is not allowed; a name that ends in {suffix}")
        return path(text)

    return file


def config_folder() -> Path:
    """The folder ``config`` here if it is the package's, as in a checkout; otherwise the copy inside the installed package."""
    here, packaged = of_environment("CONFIG_DIR", path, "config"), Path(__file__).parent / "checkout" / "config"
    ours = (here / "datasets.yaml").is_file()
    return packaged if str(here) == "config" and not ours and packaged.is_dir() else here


def setting_pairs() -> list[str]:
    """The settings in LEANAT_SET, a JSON list of KEY=VALUE. Raises ConfigError."""
    try:
        pairs = json.loads(text := os.environ.get("LEANAT_SET", "[]"))
    except ValueError:
        pairs = None
    if not isinstance(pairs, list) or not all(isinstance(pair, str) for pair in pairs):
        raise ConfigError([f"LEANAT_SET: {text!r} is not allowed; a JSON list of texts, each KEY=VALUE"])
    return pairs


KINDS = {
    "count": "N",
    "path": "DIR",
    "folder_or_none": "DIR",
    "file": "FILE",
    "hours": "HOURS",
    "numbers": "R,G,B",
    "part": "I/N",
}


class Kinds(argparse.HelpFormatter):
    """Shows the value of an option by its kind, as in ``--seeds N`` and ``--out FILE``, else by its own name in capitals."""

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return KINDS.get(getattr(action.type, "__name__", ""), action.dest.upper())

    _get_default_metavar_for_positional = _get_default_metavar_for_optional


def config_option(add: Add) -> None:
    add(
        "--config-dir",
        type=path,
        default=config_folder(),
        help="folder of the configuration (default: config in this folder, else that of the package)",
    )


def config_options(add: Add) -> None:
    config_option(add)
    add(
        "--set",
        nargs="*",
        action="extend",
        metavar="KEY=VALUE",
        help="settings that replace those in config.yaml, such as scale=cpu seeds=5",
    )


def results_option(add: Add) -> None:
    add("--results", type=path, help="the folder of all results (default: that of config.yaml)")


def item_options(add: Add) -> None:
    add("--out", type=named(".pdf"), help="the PDF to write, with a CSV and a PNG beside it")
    add(
        "--keep",
        type=named(".csv"),
        help="write the CSV to this file, too, with an NPZ of each image's outcome beside it",
    )
    add(
        "--format",
        nargs="+",
        choices=["tex", "md", "html"],
        default=[],
        help="write it as LaTeX (booktabs), Markdown or HTML, too, beside the PDF",
    )
    add("--replicate", action="store_true", help="add finished runs' numbers to replicated/<paper>/<item>.csv")


def attack_options(add: Add) -> None:
    add("--suite", required=True, help="<paper>/<suite>, or <paper> for its main suite (listed in docs/attacking.md)")
    add(
        "--model",
        type=path,
        metavar="FILE",
        help="attack the network with these weights instead of runs: .safetensors, .pth, .pt, or a folder with config.json",
    )
    add(
        "--network",
        metavar="NAME",
        help="architecture of --model, unless the file says it: timm:NAME or timm:NAME.TAG, torchvision:NAME, a name of this "
        "package, or module:function, whose code is executed",
    )
    add("--data", help="test images: folder:PATH (with one folder of images per class), or the name of a data set")
    add("--mean", type=numbers, help="mean per channel, subtracted from pixels in [0, 1]")
    add("--std", type=numbers, help="standard deviation per channel, by which they are then divided")
    add("--size", type=count, help="side in pixels to which images of a folder are resized and cropped")
    add("--examples", type=count, help="attack at most N test images, the same ones for every network")
    add(
        "--precision",
        default="fp32",
        choices=["fp32", "bf16"],
        help="precision in which the network of --model computes (default: fp32, as in all tables)",
    )
    add("--out", type=path, help="folder for the results of --model (default: beside its file)")


def of_runs(arguments: argparse.Namespace) -> None:
    """Raises ConfigError if runs are attacked with an option that is only for other networks, or if they lie in another folder
    of results. Tables read the outcomes of runs, so these have to be those of the suite.
    """
    if arguments.model is not None or arguments.network is not None:
        raise ConfigError(["attack: either runs, or --model and --network; not both"])
    names = ("data", "mean", "std", "size", "examples", "out")
    flags = [f"--{name}" for name in names if getattr(arguments, name) is not None]
    flags += ["--precision bf16"] if arguments.precision != "fp32" else []
    if flags:
        what = "a run is attacked as its suite says, and tables read it"
        raise ConfigError([f"attack: {', '.join(flags)}: of --model and --network alone; {what}"])
    folder = arguments.results / "runs"
    for run in map(Path, arguments.runs):
        if len(run.parts) > 1 and run.parent.resolve() != folder.resolve():
            raise ConfigError([f"attack: {run}: not in {folder}; name its folder of results: --results DIR"])


def run_options(add: Add) -> None:
    results_option(add)
    add("--data-dir", type=folder_or_none, help="folder of the real data sets (default: that of config.yaml)")
    add("--device", help="auto, cpu, cuda or cuda:N (default: that of config.yaml)")
    text = "make a GPU compute the same bits from the same inputs, which is slower"
    add("--deterministic", action="store_true", default=None, help=text)
    add("--jobs-per-gpu", type=count, help="number of jobs that share a GPU (default: 1)")


SETTLED: dict[str, tuple[Callable[[Any], Any], Any]] = {  # by option: its type and its default
    "results": (path, "results"),
    "data_dir": (lambda text: folder_or_none(text or ""), None),
    "device": (str, "auto"),
    "deterministic": (switch, False),
    "jobs_per_gpu": (int, 1),
}


def settle(arguments: argparse.Namespace) -> None:
    """Fills in each option of ``SETTLED`` that the command line leaves out: from the environment, by which the workflow passes
    it to its jobs, else from --set, else from ``config.yaml``. Raises ConfigError.
    """
    pairs = setting_pairs()
    of_environment("JOBS_PER_GPU", count, "1")
    if getattr(arguments, "set", pairs) is None:
        arguments.set = pairs
    left = [name for name in SETTLED if getattr(arguments, name, "") is None]
    config, folder = {}, getattr(arguments, "config_dir", None) or config_folder()
    if any(f"LEANAT_{name.upper()}" not in os.environ for name in left) and (folder / "config.yaml").is_file():
        config = settings.load(folder, overrides(arguments))
    for name in left:
        kind, usual = SETTLED[name]
        setattr(arguments, name, of_environment(name.upper(), kind, config.get(name, usual)))


def overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of --set, or of LEANAT_SET for a verb without --set. Raises ConfigError if one is not KEY=VALUE."""
    values = {}
    for pair in getattr(arguments, "set", setting_pairs()):
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError([f"--set {pair}: written KEY=VALUE"])
        try:
            values[key] = settings.yaml_value(value)
        except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist, such as 2026-13-01
            why = getattr(error, "problem", None) or error
            raise ConfigError([f"--set {pair}: {value!r} is not a YAML value ({why})"]) from None
    return values


def grid(arguments: argparse.Namespace) -> Grid:
    """The runs and items of the configuration. Raises ConfigError with every problem of it."""
    return structure.load(arguments.config_dir, overrides(arguments), arguments.results)


def paper(grid: Grid, name: str, where: str) -> Paper:
    """The paper of that name. ``where``: the verb or option that names it, for the error. Raises ConfigError."""
    if name not in grid.papers:
        raise ConfigError([f"{where}: no paper {name!r}{did_you_mean(name, grid.papers)}"])
    return grid.papers[name]


def specs(arguments: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """The named runs, with their specs from the configuration or from their folders. Raises ConfigError."""
    run_grid, named_specs = None, []
    for run in arguments.runs:
        if (Path(run) / "spec.json").is_file():
            name = os.path.basename(os.path.abspath(run))  # also of `.`
            named_specs.append((name, read_json(Path(run) / "spec.json", "the spec of a run")))
            continue
        run_grid = run_grid or grid(arguments)
        name, begin = complete_prefix(run, run_grid.runs)  # the hash may be left out if no other name begins so
        if name is None:
            names = begin[:3] or difflib.get_close_matches(run, run_grid.runs, 3, 0) or list(run_grid.runs)[:3]
            which = f"{len(begin)} runs begin with {run!r}" if begin else f"no run {run!r}"
            scale = run_grid.scale.name
            raise ConfigError(
                [f"train: {which} at scale {scale}; the nearest of {len(run_grid.runs)}: {', '.join(names)}"]
            )
        named_specs.append((name, run_grid.runs[name].spec))
    return named_specs
