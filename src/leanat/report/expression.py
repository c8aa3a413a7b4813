"""Arithmetic over named numbers, as the claims write it: ``ours - sgd``, ``100 * (at - ours) / at``, ``max(a, b)``."""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Mapping
from typing import Any

BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
CALLS = {"max": max, "min": min, "abs": abs, "mean": lambda *x: sum(x) / len(x), "std": lambda *x: _std(x)}


def names(text: str) -> set[str]:
    """The numbers that an expression asks for; ValueError, one line, for what is no such arithmetic."""
    tree = _parse(text)
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    if unknown := called - set(CALLS):
        raise ValueError(f"{text!r}: no function {sorted(unknown)[0]}; allowed: {', '.join(CALLS)}")
    found = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - called
    _value(tree.body, dict.fromkeys(found, 1.0), text)
    return found


def evaluate(text: str, values: Mapping[str, float]) -> float:
    """The number, nan where it would divide by zero."""
    try:
        return _value(_parse(text).body, values, text)
    except ZeroDivisionError:
        return float("nan")


def parts(text: str, above: bool = True) -> list[str]:
    """Expressions that are all above any bound (or below it) if and only if ``text`` is; ``[text]`` where there are none.

    ``ours - max(a, b)`` is above 0 where ``ours - a`` and ``ours - b`` are. The largest of several noisy means is too large
    on average; of each part by itself the mean is right.
    """
    found = _parts(_parse(text).body, above)
    return [text] if found is None else [ast.unparse(ast.fix_missing_locations(part)) for part in found]


def _parts(node: ast.expr, above: bool) -> list[ast.expr] | None:
    """None for what is the largest of its parts where the smallest is asked for, or the reverse."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            found = _parts(operand, not above)
            return found and [ast.UnaryOp(ast.USub(), part) for part in found]
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            sides = _parts(left, above), _parts(right, above == isinstance(op, ast.Add))
            return None if None in sides else [ast.BinOp(a, op, b) for a, b in itertools.product(*sides)]
        case ast.Call(func=ast.Name(id="min" | "max" | "abs" as name), args=arguments):
            arguments = [*arguments, ast.UnaryOp(ast.USub(), arguments[0])] if name == "abs" else arguments
            found = [_parts(argument, above) for argument in arguments]
            return None if (name == "min") != above or None in found else list(itertools.chain(*found))
    called = {n.func.id for n in ast.walk(node) if isinstance(n, ast.Call)}
    return None if called & {"min", "max", "abs"} else [node]


def _parse(text: str) -> ast.Expression:
    try:
        return ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{text!r}: {error.msg}") from None


def _value(node: Any, values: Mapping[str, float], text: str) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return BINARY[type(op)](_value(left, values, text), _value(right, values, text))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in CALLS and arguments:
            return CALLS[name](*(_value(a, values, text) for a in arguments))
    raise ValueError(f"{text!r}: allowed are names, numbers, + - * / ( ) and {', '.join(CALLS)}")


def _std(values: tuple[float, ...]) -> float:
    mean = sum(values) / len(values)
    return (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
