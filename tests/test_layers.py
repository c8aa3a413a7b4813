"""Imports run one way, and no file holds more than one idea's worth of lines."""

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "leanat"
FILES = sorted(SOURCE.rglob("*.py"))

# From the bottom up: a folder imports only from those above its own line.
FOLDERS = [
    "core",  # the loop of all papers, and what it is made of
    "data",
    "models",
    "attacks",
    "evaluation",
    "selection",
    "training",
    "experiments",  # what the papers' settings are written with
    "papers",  # a folder each, none of which imports another
    "library",  # the public interface: networks and data of one's own
    "plan",  # from the papers' settings to runs, evaluations, items and jobs
    "options",
    "runs",
    "cost",
    "report",
    "site",
    "archive",
    "bench",
    "checking",
    "deciding",
    "cli",
]
RANK = {name: i for i, name in enumerate(FOLDERS)}
PURE = {  # what the Snakefile and the command line read at every start
    *(f"core/{name}" for name in ("errors", "files")),
    *(f"runs/{name}" for name in ("devices", "progress", "signals")),
    *(f"experiments/{name}" for name in ("claim", "metrics", "paper", "scales", "spec")),
    *(
        f"plan/{name}"
        for name in (
            *("cache", "caption", "grid", "items", "jobs", "looks", "marks", "needed", "sense", "settings"),
            *("structure", "targets", "walk"),
        )
    ),
    *(f"bench/{name}" for name in ("command", "experiments", "settings")),
    "options",
    "cli",
}


def name_of(path):
    return path.relative_to(SOURCE).with_suffix("").as_posix()


def part(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path, everywhere):
    """Every module of the package, or of others, that a file imports; those inside functions too if ``everywhere``."""
    tree = ast.parse(path.read_text())
    inside = {n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if node in inside and not everywhere:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module.startswith("leanat"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_run_one_way(path):
    own = part(path)
    if own == "__init__":
        return
    assert own in RANK, f"{own} has no line"
    for name in imports(path, everywhere=own != "cli"):
        if not name.startswith("leanat."):
            continue
        other = name.split(".")[1]
        if other == own == "papers":
            assert name.split(".")[2] == path.relative_to(SOURCE).parts[1], f"a paper imports another: {name}"
        elif other not in (own, "__version__"):
            assert RANK[other] < RANK[own], f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in FILES if name_of(p) in PURE], ids=name_of)
def test_what_the_workflow_reads_at_every_start_is_light(path):
    heavy = {"torch", "torchvision", "timm", "pandas", "matplotlib", "seaborn", "sklearn", "scipy", "numpy"}
    assert not {name.split(".")[0] for name in imports(path, everywhere=False)} & heavy


def test_all_that_is_to_be_light_is_there():
    assert {name_of(path) for path in FILES} >= PURE


def test_core_imports_torch_and_what_checks_fields_only():
    outside = {n.split(".")[0] for p in (SOURCE / "core").glob("*.py") for n in imports(p, True)}
    assert outside - sys.stdlib_module_names == {"torch", "pydantic", "annotated_types", "leanat"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_long(path):
    # all tables and figures of a paper stand in one file, and so do its claims, and all verbs of the command line
    most = {"experiments.py": 850, "claims.py": 500, "cli.py": 600}.get(path.name, 400)
    assert len(path.read_text().splitlines()) <= most


def test_nothing_imports_snakemake():
    assert not [p for p in FILES for name in imports(p, True) if name.split(".")[0] == "snakemake"]
