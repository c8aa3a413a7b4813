"""No line of the papers' settings and of the scales is written in vain: each acts in some run or item at some scale."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "leanat"
FILES = [*sorted((SOURCE / "papers").glob("*/experiments.py")), *sorted(SOURCE.rglob("scales.py"))]


def lines_that_run():
    """By file, the lines that run while the papers are imported and the grids of all scales are resolved."""
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

    sys.settrace(of_call)
    from leanat.experiments.scales import SCALES
    from leanat.plan import structure

    for scale in SCALES:
        structure.load(ROOT / "config", {"scale": scale, "seeds": 1})
    sys.settrace(None)
    return {file: sorted(lines) for file, lines in found.items()}


def lines_of(code):
    """Numbers of the lines of a function's code, and of all that it defines."""
    yield from (line for _, _, line in code.co_lines() if line and code.co_flags & inspect.CO_OPTIMIZED)
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            yield from lines_of(constant)


def test_every_line_of_a_function_runs():
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    seen, left = json.loads(done.stdout), []
    for file in FILES:
        text = file.read_text()
        idle = sorted(set(lines_of(compile(text, str(file), "exec"))) - set(seen[str(file)]))
        left += [f"{file.parent.name}/{file.name}:{n}: {text.splitlines()[n - 1].strip()}" for n in idle]
    definition = ("def ", "class ", "@", '"""')
    assert [line for line in left if not line.split(": ", 1)[1].startswith(definition)] == []


if __name__ == "__main__":
    print(json.dumps(lines_that_run()))
