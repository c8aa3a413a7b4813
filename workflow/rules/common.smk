import os
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
# Every process that is started from here on runs this checkout's code, whatever is installed.
CODE = os.pathsep.join(
    dict.fromkeys([str(ROOT / "src"), *os.getenv("PYTHONPATH", "").split(os.pathsep)])
)
os.environ.update(PYTHONPATH=CODE)

from leanat.plan import caption, jobs, needed, structure, targets, walk
from leanat.plan import settings as plan_settings
from leanat.plan.grid import canonical, digest
from leanat.plan.item import to_json
from leanat.core.errors import ConfigError
from leanat.runs import devices, progress, signals
from snakemake.cli import get_argument_parser
from snakemake.settings.types import ExecMode

ASKED = get_argument_parser().parse_known_args(sys.argv[1:])[0]
config.update(plan_settings.as_yaml(config))
# A wrong one is refused below, in one line. Without ./ and a slash at the end: Snakemake knows files by their text.
RESULTS = os.path.normpath(os.path.expanduser(str(config.get("results") or "results")))
# Of this folder the paths below have no ./ either.
BELOW = "" if RESULTS == "." else f"{RESULTS}/"
# Whether jobs start here: not in the processes that Snakemake starts for single jobs.
STARTS = ASKED.mode is ExecMode.DEFAULT and not (
    ASKED.touch or ASKED.unlock or ASKED.lint
)
warn = (lambda text: print(text, file=sys.stderr)) if ASKED.dryrun else None
PUBLISHED = ROOT / "published"

try:
    targets.check_profile(ASKED.workflow_profile, ROOT / "profiles")
    GRID = structure.load(ROOT / "config", config, Path(RESULTS))
    ITEMS, RUNS, EVALUATIONS = GRID.items, GRID.runs, GRID.evaluations
    SHARDS, EVALUATION_SHARDS = GRID.shards(), GRID.evaluation_shards()
    if (
        ASKED.mode is ExecMode.DEFAULT
    ):  # not in the processes that Snakemake starts for single jobs
        targets.check_targets(ASKED.targets, GRID)
        targets.check_values(ROOT, GRID, Path(RESULTS))
        if ASKED.touch:
            targets.check_touch(ASKED.targets)
    if STARTS:
        needed.check_data(ASKED.targets, GRID, Path(RESULTS), warn)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

PAGES = [f"figures/{item}.pdf" for item in ITEMS]
BESIDE = [
    f"figures/{item}.overview.pdf" for item in ITEMS if ITEMS[item].kind != "figure"
]
FIRST_TABLES = [f"figures/{item}.pdf" for item in targets.first_tables(GRID)]
RUNS_OF, SUITES_OF = walk.by_paper(GRID)
RUN_LISTS = {
    paper: f"figures/{paper}/runs.csv" for paper, runs in RUNS_OF.items() if runs
}
METRICS = f"{BELOW}runs/{{run}}/metrics.json"
TIMINGS = f"{BELOW}timings/{{paper}}.json"
SUITE = f"{BELOW}runs/{{evaluation}}.json"

# Jobs read the same configuration again, and an id names its spec: an edit in between is an error, never another run.
# By the environment, because none of this is a reason to compute anything again: where things lie, which device.
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:{os.getenv('PATH', '')}",
    "PYTHONUNBUFFERED": "1",
    "LEANAT_CONFIG_DIR": str(ROOT / "config"),
    "LEANAT_SET": canonical(targets.overrides(GRID.settings)),
    "LEANAT_RESULTS": RESULTS,
    "LEANAT_RUNNING": f"{RESULTS}/.running",
    "LEANAT_DATA_DIR": os.path.expanduser(config["data_dir"] or ""),
    "LEANAT_DEVICE": config["device"],
    "LEANAT_JOBS_PER_GPU": str(config["jobs_per_gpu"]),
    "LEANAT_DETERMINISTIC": "1" if config.get("deterministic") else "",
}
os.environ.update(ENVIRONMENT)
# exec: a signal for a job reaches it, not a shell that would die of it alone. Each command is a simple one.
shell.prefix("set -euo pipefail; exec ")

# GPUs of this machine are counted here and handed out by the jobs themselves (leanat.runs.devices). On a cluster a job gets
# what the profile says, and a limit for this machine would be one for all of it.
GPUS = (
    0
    if config["device"] == "cpu" or workflow.non_local_exec
    else devices.usable(config["device"])
)
if GPUS and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", GPUS * config["jobs_per_gpu"])


def needs(datasets, parts, processes=1):
    """The resources of a job whose runs or suites take about ``parts`` minutes; a retry gets more of them.

    ``processes`` train one run together. They are a resource, since another number is no reason to train again.
    """
    limit = 60 * config["max_hours"]
    memory = jobs.memory_mb(datasets, small=config["scale"] == "demo")
    found = {
        "runtime": jobs.growing(jobs.minutes(parts), limit),
        "mem_mb": jobs.growing(memory),
        "processes": processes,
    }
    if GPUS:
        found["gpu"] = processes * config["jobs_per_gpu"] if processes > 1 else 1
    elif processes > 1:
        found["gpu"] = processes
    if workflow.non_local_exec:
        found |= jobs.allocation(datasets, processes)
    return found


def group(kind, number, parts):
    """Short jobs of a kind share an allocation of a cluster, as many as the profile says; a long one has its own.

    A kind never holds a job and one that needs it: the whole chain would become one allocation.
    """
    return f"short_{kind}" if jobs.minutes(parts) <= jobs.SHORT else f"{kind}_{number}"


def claims_of(papers):
    """The files that say what the papers claim; a paper may have none."""
    paths = [
        ROOT / "src" / "leanat" / "papers" / paper / "claims.py" for paper in papers
    ]
    return [str(path) for path in paths if path.is_file()]


def in_report(path, kind, form):
    """A file of Snakemake's report, under its paper, with the caption workflow/report/<kind>.rst."""

    def category(wildcards):
        item = getattr(wildcards, "item", None)
        return (
            Path(item).parts[0] if item else getattr(wildcards, "paper", "all papers")
        )

    def labels(wildcards):
        name = Path(getattr(wildcards, "item", kind)).name
        return {
            "what": f"{name}, side by side" if kind == "beside" else name,
            "file": form,
        }

    caption = str(ROOT / "workflow" / "report" / f"{kind}.rst")
    return report(path, caption=caption, category=category, labels=labels)


wildcard_constraints:
    run=r"[a-z0-9_]+-[a-z0-9_]+-[a-z0-9_]+-s\d+-[0-9a-f]{8}",
    item="|".join(ITEMS),
    paper="|".join(GRID.papers),
