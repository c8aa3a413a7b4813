"""YAML layers to one resolved value: loading, merging, conditions, variables, assumptions. Pure Python, no torch."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# Keys that hold one named component each, {name: {field: value}}: another name replaces the whole, the same name merges.
COMPONENTS = {
    "objective", "attack", "selector", "budget", "lr", "threat", "inner", "before", "validation_attack", "members", "order",
}  # fmt: skip
FRACTION = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*")
EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


class ConfigError(ValueError):
    """Everything that is wrong with a configuration, a line each: file, key, what is wrong, what is allowed."""

    def __init__(self, problems: Iterable[str]):
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Assumed:
    """A value that the paper does not give, with the reason for ours."""

    value: Any
    reason: str


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """safe_load that also refuses a key written twice; YAML itself would keep the last one silently."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            name = self.construct_object(key_node, deep=deep)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} twice", key_node.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping with fractions such as ``8/255`` as numbers and assumptions as ``Assumed``.

    Raises ConfigError: no such file (with the names that exist), not YAML, not a mapping, an assumption without reason.
    """
    if not path.is_file():
        names = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ConfigError([f"{path}: no such file{near(path.stem, names)}"])
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(
            [f"{path}:{line}: not UTF-8; save it as UTF-8 (byte {error.object[error.start]:#x})"]
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise ConfigError([f"{path}{where}: not valid YAML: {getattr(error, 'problem', None) or error}"]) from None
    if not isinstance(value, dict):
        raise ConfigError([f"{path}: a mapping of keys to values is expected, got {type(value).__name__}"])
    problems: list[str] = []
    result = _read(value, str(path), "", problems)
    if problems:
        raise ConfigError(problems)
    return result


def _read(value: Any, file: str, where: str, problems: list[str]) -> Any:
    if isinstance(value, dict):
        if "assumption" in value and "what" not in value:  # an entry of ``assumed`` has no value in a spec
            if set(value) != {"value", "assumption"} or not isinstance(value["assumption"], str):
                problems.append(f"{file}: {where}: an assumption is written {{value: ..., assumption: reason}}")
            return Assumed(_read(value.get("value"), file, where, problems), str(value["assumption"]))
        return {str(k): _read(v, file, f"{where}.{k}".lstrip("."), problems) for k, v in value.items()}
    if isinstance(value, list):
        return [_read(v, file, f"{where}[{i}]", problems) for i, v in enumerate(value)]
    return number(value) if isinstance(value, str) else value


def number(text: str) -> str | float:
    """``8/255`` and ``1e-3`` as numbers (YAML 1.1 reads the second as text); any other text as it is."""
    if match := FRACTION.fullmatch(text):
        return float(match[1]) / float(match[2]) if float(match[2]) else text
    return float(text) if EXPONENT.fullmatch(text) else text


def near(name: str, known: Iterable[str]) -> str:
    """``; allowed: ...`` with the nearest known name first, for the end of an error line."""
    known = sorted(known)
    guess = difflib.get_close_matches(str(name), known, 1)
    hint = f"; did you mean {guess[0]}?" if guess else ""
    return f"{hint}; allowed: {', '.join(known) if known else 'none'}"


def named(found: Mapping[str, Any], name: str, where: str) -> Any:
    """``found[name]``; ValueError, one line, with the nearest names where there is none."""
    if name not in found:
        raise ValueError(f"{where}: there is no {name!r}{near(name, found)}")
    return found[name]


def merge(below: Any, above: Any, name: str = "") -> Any:
    """``above`` laid over ``below``: mappings merge key by key, everything else is replaced. The parts are shared, not copied."""
    if isinstance(below, Assumed) and isinstance(above, dict):
        below = below.value
    if not (isinstance(below, dict) and isinstance(above, dict)) or (
        name in COMPONENTS and set(below) != set(above) and not isinstance(above, Assumed)
    ):
        return above
    result = dict(below)
    for key, value in above.items():
        result[key] = merge(below[key], value, key) if key in below else value
    return result


def matches(when: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether every key of ``when`` has, among ``facts``, the value or one of the values it names."""
    return all(facts.get(k) in (v if isinstance(v, list) else [v]) for k, v in when.items())


def layered(rules: Iterable[Mapping[str, Any]], facts: Mapping[str, Any], below: dict) -> dict:
    """``below`` with the ``set`` of every rule whose ``when`` matches laid over it, in order."""
    for rule in rules:
        if matches(rule.get("when", {}), facts):
            below = merge(below, rule["set"])
    return below


def substitute(value: Any, variables: Mapping[str, Any], where: str, problems: list[str]) -> Any:
    """Replaces ``$name`` by the variable's value."""
    if isinstance(value, Assumed):
        return Assumed(substitute(value.value, variables, where, problems), value.reason)
    if isinstance(value, dict):
        return {k: substitute(v, variables, f"{where}.{k}", problems) for k, v in value.items()}
    if isinstance(value, list):
        return [substitute(v, variables, where, problems) for v in value]
    if isinstance(value, str) and value.startswith("$"):
        if value[1:] not in variables:
            problems.append(f"{where}: no variable {value}{near(value[1:], variables)}")
            return None
        return variables[value[1:]]
    return value


def plain(value: Any) -> Any:
    """The value without its assumption marks."""
    if isinstance(value, Assumed):
        return plain(value.value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


def assumptions(value: Any, where: str = "") -> Iterator[tuple[str, Any, str]]:
    """(key, value, reason) of every assumption inside."""
    if isinstance(value, Assumed):
        yield where, plain(value.value), value.reason
        value = value.value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from assumptions(item, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from assumptions(item, where)


def free_choices(choices: Iterable[Mapping[str, Any]], facts: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """(what, value, reason) of the choices without a value in a spec whose ``when`` matches: a paper's list ``assumed``."""
    for choice in choices:
        if matches(choice.get("when", {}), facts):
            yield choice["what"], choice["value"], choice["assumption"]
