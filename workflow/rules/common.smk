import os
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))

from leanat import structure, targets
from leanat.grid import canonical
from leanat.resolve import ConfigError
from snakemake.cli import get_argument_parser
from snakemake.settings.types import ExecMode

ASKED = get_argument_parser().parse_known_args(sys.argv[1:])[0]
RESULTS = config.get("results", "results")
PUBLISHED = ROOT / "published"

try:
    targets.check_profile(ASKED.workflow_profile, ROOT / "profiles")
    GRID = structure.load(ROOT / "config", config)
    ITEMS, RUNS, EVALUATIONS = GRID.items, GRID.runs, GRID.evaluations
    SHARDS, EVALUATION_SHARDS = GRID.shards(), GRID.evaluation_shards()
    if (
        ASKED.mode is ExecMode.DEFAULT
    ):  # not in the processes that Snakemake starts for single jobs
        targets.check_targets(ASKED.targets, GRID)
        targets.check_values(ROOT, GRID, Path(RESULTS))
except ConfigError as error:
    raise WorkflowError(str(error)) from None

PAGES = [f"figures/{item}.pdf" for item in ITEMS]
BESIDE = [
    f"figures/{item}.overview.pdf" for item in ITEMS if ITEMS[item]["kind"] != "figure"
]
FIRST_TABLES = [
    f"figures/{paper}/table1.pdf" for paper in GRID.papers if f"{paper}/table1" in ITEMS
]
METRICS = f"{RESULTS}/runs/{{run}}/metrics.json"
TIMINGS = f"{RESULTS}/timings/{{paper}}.json"
SUITE = f"{RESULTS}/runs/{{evaluation}}.json"

# Jobs read the same configuration again, and an id names its spec: an edit in between is an error, never another run.
# By the environment, because none of this is a reason to compute anything again: where things lie, which device.
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:{os.getenv('PATH', '')}",
    "PYTHONPATH": str(ROOT / "src"),
    "PYTHONUNBUFFERED": "1",
    "LEANAT_CONFIG_DIR": str(ROOT / "config"),
    "LEANAT_SET": " ".join(
        f"{k}={'null' if v is None else v}" for k, v in GRID.settings.items()
    ),
    "LEANAT_RESULTS": RESULTS,
    "LEANAT_DATA_DIR": config["data_dir"] or "",
    "LEANAT_DEVICE": config["device"],
}
os.environ.update(ENVIRONMENT)
shell.prefix("set -euo pipefail; ")


wildcard_constraints:
    run=r"[a-z0-9_]+-[a-z0-9_]+-[a-z0-9_]+-s\d+-[0-9a-f]{8}",
    item="|".join(ITEMS),
    paper="|".join(GRID.papers),
