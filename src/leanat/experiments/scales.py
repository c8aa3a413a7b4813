"""How a scale shrinks a paper's settings. Pure Python; every factor comes from ``config/scales/<scale>.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leanat.experiments.resolve import Assumed, matches


def _rescale(value: Any, convert) -> Any:
    if isinstance(value, Assumed):
        return Assumed(_rescale(value.value, convert), value.reason)
    if isinstance(value, list):
        return [_rescale(v, convert) for v in value]
    return convert(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _walk(value: Any, change) -> Any:
    """``value`` with ``change(key, value)`` applied to every entry of every mapping inside it, outermost first."""
    if isinstance(value, Assumed):
        return Assumed(_walk(value.value, change), value.reason)
    if isinstance(value, list):
        return [_walk(v, change) for v in value]
    if isinstance(value, dict):
        return {k: _walk(change(k, v), change) for k, v in value.items()}
    return value


def shrink_epochs(spec: dict, rule: Mapping[str, Any], keys: list[str]) -> dict:
    """Epochs by ``factor`` with a ``minimum``, and every other count of epochs (``keys``) in the same proportion."""
    recipe = spec.get("recipe", {})
    whole = recipe.get("epochs")
    whole = whole.value if isinstance(whole, Assumed) else whole
    if not isinstance(whole, (int, float)):
        return spec
    epochs = max(rule["minimum"], round(whole * rule["factor"]))
    if epochs >= whole:
        return spec

    def change(key, value):
        if key == "epochs":
            return _rescale(value, lambda v: epochs)
        if key in keys:
            # What comes before the end of the paper's training comes before the end of this one.
            last = epochs - 1 if key in ("drops", "tau") else epochs

            def convert(v):
                shrunk = max(1, round(v * epochs / whole)) if v else 0
                return min(shrunk, last) if v < whole else shrunk

            return _distinct(_rescale(value, convert))
        return value

    return _walk(spec, change)


def _distinct(value: Any) -> Any:
    """Epochs that have become equal are one."""
    return list(dict.fromkeys(value)) if isinstance(value, list) else value


def shrink_counts(spec: dict, rule: Mapping[str, Any], examples: int, paper_examples: int) -> dict:
    """Counts of examples (``keys``) as ``times`` their share of the paper's training set, at least one where it had one."""

    def change(key, value):
        if key not in rule["keys"]:
            return value
        return _rescale(value, lambda v: max(1, round(rule["times"] * v / paper_examples * examples)) if v else 0)

    return _walk(spec, change)


def adjust(spec: dict, rules: list[Mapping[str, Any]], facts: Mapping[str, Any]) -> dict:
    """Fields by name, wherever they stand in a spec: ``times`` a factor each, or ``set``; ``rules`` {when, times, set}, all."""
    for rule in rules:
        if matches(rule.get("when", {}), facts):
            spec = _walk(spec, lambda key, value, rule=rule: _adjusted(rule, key, value))
    return spec


def _adjusted(rule: Mapping[str, Any], key: str, value: Any) -> Any:
    if key in rule.get("set", {}):
        return rule["set"][key]
    factor = rule.get("times", {}).get(key)
    return value if factor is None else _rescale(value, lambda v: v * factor)


def shrink_radii(spec: dict, rules: list[Mapping[str, Any]], facts: Mapping[str, Any]) -> dict:
    """Radii and the step sizes beside them, by a factor for each threat model; ``rules`` are {when, linf, l2}, first match."""
    rule = next((r for r in rules if matches(r.get("when", {}), facts)), {})

    def change(key, value):
        inner = value.value if isinstance(value, Assumed) else value
        if not (isinstance(inner, dict) and "threat" in inner):
            return value
        threat = inner["threat"].value if isinstance(inner["threat"], Assumed) else inner["threat"]
        norm = next(iter(threat), None) if isinstance(threat, dict) else None
        factor = rule.get(norm)
        if factor is None or not isinstance(threat[norm], dict):
            return value  # where components are built, what is no threat model is refused
        scaled = {
            k: _rescale(v, lambda v: v * factor) if k in ("step_size", "robust_step_size") else v
            for k, v in inner.items()
        }
        eps = {k: _rescale(v, lambda v: v * factor) if k == "eps" else v for k, v in threat[norm].items()}
        return scaled | {"threat": {norm: eps}}

    return _walk(spec, change)
