"""Arithmetic over named numbers, as the claims write it: ``ours - sgd``, ``100 * (at - ours) / at``, ``max(a, b)``."""

from __future__ import annotations

import ast
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
