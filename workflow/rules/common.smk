import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))

from leanat import structure, targets
from leanat.grid import canonical
from leanat.resolve import ConfigError

RESULTS = config.get("results", "results")
PUBLISHED = ROOT / "published"
REPLICATED = ROOT / "replicated"

try:
    targets.check_command_line(sys.argv, ROOT / "profiles")
    GRID = structure.load(ROOT / "config", config)
    ITEMS, RUNS, EVALUATIONS = GRID.items, GRID.runs, GRID.evaluations
    SHARDS, EVALUATION_SHARDS = GRID.shards(), GRID.evaluation_shards()
    targets.check_targets(sys.argv, GRID)
    targets.check_values(ROOT, GRID, Path(RESULTS))
except ConfigError as error:
    raise WorkflowError(str(error)) from None

PAGES = [f"figures/{item}.pdf" for item in ITEMS]
FIRST_TABLES = [
    f"figures/{paper}/table1.pdf" for paper in GRID.papers if f"{paper}/table1" in ITEMS
]
# Jobs read the same configuration again, and an id names its spec: an edit in between is an error, never another run.
CONFIG = ["--config-dir", str(ROOT / "config"), "--set"]
CONFIG += [
    f"{key}={'null' if value is None else value}"
    for key, value in GRID.settings.items()
]
WHERE = ["--results", RESULTS, "--device", config["device"]]
if config["data_dir"]:
    WHERE += ["--data-dir", config["data_dir"]]

# The same interpreter and package for every job, whatever the shell's PATH; changing it re-runs nothing.
shell.prefix(
    f"set -euo pipefail; export PATH={Path(sys.executable).parent}:$PATH PYTHONPATH={ROOT / 'src'} PYTHONUNBUFFERED=1; "
)


wildcard_constraints:
    run=r"[a-z0-9_]+-[a-z0-9_]+-[a-z0-9_]+-s\d+-[0-9a-f]{8}",
    item="|".join(ITEMS),
    paper="|".join(GRID.papers),
