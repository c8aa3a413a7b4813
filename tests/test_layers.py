"""Imports run one way, and no file holds more than one idea's worth of lines."""

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "leanat"
FILES = sorted(SOURCE.rglob("*.py"))

# From the bottom up: a module imports only from rows above its own, or from its own package.
ROWS = [
    {"jobs", "resolve", "files", "draws", "passes", "progress", "distributed", "signals", "precision", "uploads"},
    {"devices", "tally", "sense", "held", "scale", "shape"},
    {"grid"},
    {"core"},
    {"identity", "measured"},
    {"threat", "schedules", "gradients"},
    {"attacks", "objectives", "memory", "models", "data", "checkpoint", "chosen", "outcome", "colour"},
    {"networks"},
    {"foreign", "momentum", "selection", "greedy_facility", "greedy_matching", "greedy_taylor", "strong", "distance"},
    {"greedy", "perceptual", "baselines", "loss_gradients"},
    {"coresets", "unseen", "jpeg"},
    {"papers"},
    {"folding"},
    {"evaluate"},
    {"masking", "features", "gradient_error"},
    {"config"},
    {"marks"},
    {"items"},
    {"plan"},
    {"structure"},
    {"targets", "experiment", "report", "options", "caption"},
    {"kept", "decoding"},
    {"assess", "walk", "timing"},
    {"forecast", "needed", "acting"},
    {"checking"},
    {"transferred", "training"},
    {"attacking", "costing"},
    {"cli"},
]
RANK = {name: i for i, row in enumerate(ROWS) for name in row}
PURE = {
    "devices",
    "jobs",
    "signals",
    "resolve",
    "files",
    "scale",
    "grid",
    "items",
    "marks",
    "structure",
    "targets",
    "walk",
    "needed",
    "sense",
    "shape",
    "caption",
    "options",
    "cli",
}


def part(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path, everywhere):
    """(module, whether inside a function) of every import of the package."""
    tree = ast.parse(path.read_text())
    inside = {n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if node in inside and not everywhere:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "leanat":
                yield from (f"leanat.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path):
    own = part(path)
    if own == "__init__":
        return
    assert own in RANK, f"{own} has no row"
    for name in imports(path, everywhere=own != "cli"):
        if name.startswith("leanat."):
            other = name.split(".")[1]
            if other == own and own == "papers":
                assert name.split(".")[2].startswith(path.stem.split("_")[0]), f"a paper imports another: {name}"
            elif other != own and other != "__version__":
                assert RANK[other] < RANK[own], f"{own} imports {other}"


@pytest.mark.parametrize("path", [p for p in FILES if part(p) in PURE], ids=lambda p: str(p.relative_to(SOURCE)))
def test_what_the_workflow_reads_at_every_start_is_light(path):
    heavy = {"torch", "torchvision", "timm", "pandas", "matplotlib", "seaborn", "sklearn", "scipy", "numpy"}
    assert not {name.split(".")[0] for name in imports(path, everywhere=False)} & heavy


def test_core_imports_torch_only():
    files = ("core", "draws", "passes", "tally", "distributed")
    outside = {n.split(".")[0] for f in files for n in imports(SOURCE / f"{f}.py", True)}
    assert outside - sys.stdlib_module_names == {"torch", "leanat"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_file_is_long(path):
    assert len(path.read_text().splitlines()) <= 400


def test_nothing_imports_snakemake():
    assert not [p for p in FILES for name in imports(p, True) if name.split(".")[0] == "snakemake"]
