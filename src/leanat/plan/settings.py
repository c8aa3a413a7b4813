"""The user's settings: ``config/config.yaml``, the command line, and the table of data sets. Imports no torch."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from leanat.core.errors import ConfigError, did_you_mean
from leanat.experiments.scales import SCALES

FRACTION = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*")
EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
KEYS = {
    "scale": str, "data_dir": (str, type(None)), "results": str, "seeds": (int, type(None)), "device": str,
    "gpus": int, "jobs_per_gpu": int, "max_hours": int, "other_counts": bool, "deterministic": bool,
    "papers": (list, type(None)), "change": (dict, type(None)), "more_seeds": (dict, type(None)),
}  # fmt: skip
OPTIONAL = {"other_counts", "deterministic", "papers", "change", "more_seeds"}
PARTS = {  # the parts of a spec, with an example of a field in each
    "data": "data.augment", "model": "model.standardise", "recipe": "recipe.epochs", "method": "method.attack.steps",
}  # fmt: skip
PATHS = ("results", "data_dir")  # settings in which 2026/11 is a folder and not a fraction
MOST_SEEDS = 1000  # each seed trains every run
COMMAND_LINE = "command line (--config or --set)"
DEVICE = re.compile(r"auto|cpu|cuda(:(0|[1-9][0-9]*))?")
AT_LEAST_1 = (lambda value: value >= 1, "at least 1")
RULES: dict[str, tuple[tuple[Callable[[Any], Any], str], ...]] = {  # for values of the right type that are not null
    "seeds": (
        (lambda value: value >= 1, "at least 1, or null for as many as the scale says"),
        (lambda value: value <= MOST_SEEDS, f"at most {MOST_SEEDS}, each trains every run"),
    ),
    "results": ((bool, "a folder"), (lambda text: not {*"{}"} & {*text}, "{ and } are Snakemake's wildcards")),
    "papers": ((bool, "names of papers, or null for all"),),
    **dict.fromkeys(("gpus", "jobs_per_gpu", "max_hours"), (AT_LEAST_1,)),
    "device": ((DEVICE.fullmatch, "allowed: auto, cpu, cuda, cuda:N"),),
}
VARIABLE = re.compile(r"\$(\w+|\{\w+\})")  # a shell's variable as a whole part of a path
COUNTS = {"train": 1, "test": 1, "classes": 2, "channels": 1, "size": 1}  # keys of a data set, and their least values


def load(folder: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of ``config.yaml`` in ``folder``, with ``overrides`` of the command line. Raises ConfigError."""
    file = folder / "config.yaml"
    if not file.is_file():
        raise ConfigError([f"{file}: no such file; run in the checkout, or name its folder: --config-dir DIR"])
    own = load_yaml(file)
    settings = own | _numbers(dict(overrides), COMMAND_LINE)
    for key in PATHS:
        if isinstance(value := settings.get(key), str) and value.startswith("~"):
            settings[key] = os.path.expanduser(value)
    if problems := list(_problems(settings, own, file)):
        raise ConfigError(problems)
    return settings


def as_yaml(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings from Snakemake in the form of ``--set``: texts that YAML reads as numbers, true, false or null are converted.

    From ``--config`` Snakemake itself converts only whole values that are numbers, True or False; all others stay text, also
    inside lists and mappings. Settings whose type is text, such as a folder called 2026, stay text.
    """
    texts = {"scale", "results", "device"}
    found = {key: value if key in texts else _as_yaml(value) for key, value in config.items()}
    if config.get("data_dir") is not None:
        found["data_dir"] = None if config["data_dir"] == "null" else config["data_dir"]
    return found


def _as_yaml(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_yaml(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_yaml(part) for part in value]
    try:
        found = yaml_value(value) if isinstance(value, str) and value else value
    except (yaml.YAMLError, ValueError):  # a doubtful number such as 010 stays text, and is refused later
        return value
    return found if isinstance(found, bool | int | float | None) else value


def data_sets(folder: Path) -> dict[str, dict[str, Any]]:
    """The table of data sets by name, from ``datasets.yaml`` in ``folder``. Raises ConfigError."""
    facts_by_set = load_yaml(folder / "datasets.yaml")
    if problems := list(_of_data_sets(facts_by_set, folder / "datasets.yaml")):
        raise ConfigError(problems)
    return facts_by_set


def said_by(key: str, value: Any, own: Mapping[str, Any], path: Path) -> str:
    """The origin of a value: the file, whose contents are ``own``, or the command line, which overrides the file."""
    same = repr(own.get(key)) == repr(value)  # True is 1 to ==
    of_file = key in own and (same or str(own[key]).startswith("~"))
    return str(path) if of_file else COMMAND_LINE


def _problems(settings: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> Iterator[str]:
    """A line for each problem, which names the file or the command line; ``own``: the contents of the file."""

    def where(key: str) -> str:
        return said_by(key, settings[key], own, path)

    yield from (f"{where(k)}: unknown key {k!r}{did_you_mean(k, KEYS)}" for k in settings if k not in KEYS)
    yield from (f"{path}: key {k!r} is missing" for k in KEYS if k not in settings and k not in OPTIONAL)
    for key, kind in KEYS.items():
        if key not in settings:
            continue
        value, kinds = settings[key], kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            allowed = "expected " + " or ".join(k.__name__.replace("NoneType", "null") for k in kinds)
        else:
            rules = RULES.get(key, ()) if value is not None else ()
            allowed = next((words for holds, words in rules if not holds(value)), None)
        if allowed:
            yield f"{where(key)}: {key}: {value!r} is not allowed; {allowed}"
    if isinstance(more := settings.get("more_seeds"), dict):
        for item, count in more.items():
            if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_SEEDS:
                allowed = f"a whole number from 1 to {MOST_SEEDS}"
                yield f"{where('more_seeds')}: more_seeds.{item}: {count!r} is not allowed; {allowed}"
    for key in PATHS:
        if isinstance(value := settings.get(key), str) and value.startswith("~"):  # could not be expanded
            yield f"{where(key)}: {key}: {value} is not allowed; there is no such home folder"
        elif isinstance(value, str) and any(map(VARIABLE.fullmatch, value.split("/"))):
            why = "only a shell puts in variables; write the folder itself"
            yield f"{where(key)}: {key}: {value} is not allowed; {why}"
    if isinstance(change := settings.get("change"), dict):
        yield from (f"{where('change')}: {line}" for line in _of_change(change))
    if isinstance(scale := settings.get("scale"), str) and scale not in SCALES:
        yield f"{where('scale')}: scale: there is no scale {scale!r}{did_you_mean(scale, SCALES)}"


def _of_change(change: Mapping[str, Any]) -> Iterator[str]:
    """A line for each fault of ``change``. It has fields by paper and method: ``{qtart: {sgd: {recipe.lr.lr: 0.05}}}``."""
    for paper, methods in change.items():
        if not isinstance(methods, dict):
            yield f"change.{paper}: a mapping of methods (or all) is expected, got {methods!r}"
            continue
        wrong = {method: values for method, values in methods.items() if not isinstance(values, dict)}
        yield from (
            f"change.{paper}.{m}: a mapping of fields to values is expected, got {v!r}" for m, v in wrong.items()
        )
        whole = [(m, name) for m, values in methods.items() if m not in wrong for name in values if name in PARTS]
        yield from (f"change.{paper}.{m}.{p}: not a whole part; name its fields, such as {PARTS[p]}" for m, p in whole)


def _of_data_sets(facts_by_set: Mapping[str, Any], path: Path) -> Iterator[str]:
    for name, facts in facts_by_set.items():
        if not isinstance(facts, dict):
            yield f"{path}: {name}: a mapping is expected: {{{', '.join(COUNTS)}}}"
            continue
        unknown = (k for k in facts if k not in (*COUNTS, "about"))
        yield from (f"{path}: {name}: unknown key {k!r}{did_you_mean(k, [*COUNTS, 'about'])}" for k in unknown)
        for key, least in COUNTS.items():
            value = facts.get(key)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                yield f"{path}: {name}.{key}: {value!r} is not allowed; a whole number from {least}"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """The safe loader, which here also refuses keys that are lists or mappings, and keys that are written twice (YAML would
    silently keep the last).
    """

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is no text", key_node.start_mark)
            name = self.construct_object(key_node, deep=deep)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} twice", key_node.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def _as_written(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    """A number. Refuses numbers that YAML 1.1 reads differently than they are written: ``010`` as 8, ``1:30`` as 90."""
    if ":" in node.value or re.fullmatch(r"[-+]?0[0-9_]+", node.value):
        why = f"{node.value} would be read as another number; write it without a colon and without a zero before it"
        raise yaml.constructor.ConstructorError(None, None, why, node.start_mark)
    whole = node.tag.endswith(":int")
    return loader.construct_yaml_int(node) if whole else loader.construct_yaml_float(node)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _as_written)


def yaml_value(text: str) -> Any:
    """The value of a YAML text. Raises YAMLError, and ValueError for a date that does not exist."""
    return yaml.load(text, _Loader)


def load_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML mapping, with fractions such as ``8/255`` as numbers.

    Raises ConfigError if the file does not exist (with the names that do), is not YAML, or is not a mapping.
    """
    if not path.is_file():
        names = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ConfigError([f"{path}: no such file{did_you_mean(path.stem, names)}"])
    try:
        value = yaml_value(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(
            [f"{path}:{line}: not UTF-8; save it as UTF-8 (byte {error.object[error.start]:#x})"]
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise ConfigError([f"{path}{where}: not valid YAML: {getattr(error, 'problem', None) or error}"]) from None
    if not isinstance(value, dict):
        raise ConfigError([f"{path}: a mapping of keys to values is expected, got {type(value).__name__}"])
    return _numbers(value, str(path))


def _numbers(value: Any, source: str, where: str = "", inside: tuple[int, ...] = ()) -> Any:
    """The value, with texts that are numbers converted. Raises ConfigError for values that JSON cannot express.

    ``source``: the origin of the value; ``where``: its key, with dots; ``inside``: ids of the values that contain this one.
    """
    if id(value) in inside:
        raise ConfigError([f"{source}: {where}: an alias of a value that it is a part of"])
    below = (*inside, id(value))
    if isinstance(value, dict):
        return {str(k): _numbers(v, source, f"{where}.{k}".lstrip("."), below) for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers(v, source, f"{where}[{k}]", below) for k, v in enumerate(value)]
    if isinstance(value, str):
        return value if where in PATHS else number(value)
    if not isinstance(value, int | float | None) or (isinstance(value, float) and not math.isfinite(value)):
        allowed = "allowed: text, a finite number, true, false, null, and lists and mappings of these"
        raise ConfigError([f"{source}: {where}: {value!r} is not allowed; {allowed}"])
    return value


def number(text: str) -> str | float:
    """Converts ``8/255`` and ``1e-3`` (which YAML 1.1 reads as text) to numbers; any other text is returned unchanged."""
    if match := FRACTION.fullmatch(text):
        return float(match[1]) / float(match[2]) if float(match[2]) else text
    value = float(text) if EXPONENT.fullmatch(text) else math.inf
    return value if math.isfinite(value) else text  # 1e999 stays text
