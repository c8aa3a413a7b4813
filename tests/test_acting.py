"""No line of the papers' settings and of the scales is written in vain: each acts in some run or item at some scale."""

import sys
from pathlib import Path

import pytest

from leanat.plan import structure

ROOT = Path(__file__).parents[1]
FILES = [
    *sorted((ROOT / "src/leanat/papers").glob("*/experiments.py")),
    *sorted((ROOT / "src/leanat").rglob("scales.py")),
]


def lines_of(code):
    """Numbers of the lines of a code object, and of all that it defines."""
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            yield from lines_of(constant)
    yield from (line for _, _, line in code.co_lines() if line)


@pytest.fixture(scope="module")
def seen():
    """By file, the lines that ran while the grids of all scales were resolved."""
    found = {str(file): set() for file in FILES}

    def of_call(frame, event, argument):
        lines = found.get(frame.f_code.co_filename)
        if lines is None:
            return None

        def of_line(frame, event, argument):
            lines.add(frame.f_lineno)
            return of_line

        lines.add(frame.f_lineno)
        return of_line

    before = sys.gettrace()
    sys.settrace(of_call)
    try:
        for scale in ("demo", "lite", "subset", "paper"):
            structure.load(ROOT / "config", {"scale": scale})
    finally:
        sys.settrace(before)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_line_of_a_function_runs(file, seen):
    text = file.read_text()
    module = compile(text, str(file), "exec")
    bodies = {line for code in module.co_consts if hasattr(code, "co_code") for line in lines_of(code)}
    idle = sorted(bodies - seen[str(file)])
    written = text.splitlines()
    left = [f"{file.name}:{n}: {written[n - 1].strip()}" for n in idle]
    definition = ("def ", "class ", "@", '"""')
    assert not [line for line in left if not line.split(": ", 1)[1].startswith(definition)]
