# The trial of config/bench.yaml, in parts of some forty runs. It belongs to no paper, and `all` does not ask for it.
from leanat.bench import settings as bench_settings
from leanat.core import own_code

ASKED_FOR = any(
    target == "bench" or target.startswith("figures/bench/") for target in ASKED.targets
)
try:
    TRIAL = bench_settings.read(ROOT / "config" / "bench.yaml", {})
except ConfigError as error:
    # who asks for the papers alone needs no trial
    if ASKED_FOR:
        raise WorkflowError(str(error)) from None
    TRIAL = bench_settings.Settings()
TRIAL_RUNS = (
    len(TRIAL.data)
    * len(TRIAL.trainings)
    * len(TRIAL.methods + TRIAL.own)
    * TRIAL.seeds
)
TRIAL_PARTS = -(-TRIAL_RUNS // 40)
PART = f"{BELOW}bench/{{part}}-of-{TRIAL_PARTS}.done"
PARTS = expand(PART, part=range(1, TRIAL_PARTS + 1))
if STARTS and ASKED_FOR and not all(Path(part).is_file() for part in PARTS):
    try:
        needed.check_sets(TRIAL.data, GRID, warn)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


rule bench_part:
    input:
        sorted(
            {str(path) for source in TRIAL.own for path in own_code.files_of(source)}
        ),
    output:
        touch(PART),
    log:
        "logs/bench/{part}.log",
    threads: 1
    resources:
        **needs([GRID.datasets[name] for name in TRIAL.data], [60]),
    params:
        file=ROOT / "config" / "bench.yaml",
        trial=repr(TRIAL),
        parts=TRIAL_PARTS,
    message:
        "bench: part {wildcards.part} of {params.parts}"
    shell:
        "leanat bench --settings {params.file:q} --part {wildcards.part}/{params.parts} > {log:q} 2>&1"


rule bench:
    input:
        PARTS,
    output:
        expand("figures/bench/{data}.{kind}", data=TRIAL.data, kind=["pdf", "csv"]),
    log:
        "logs/bench/pages.log",
    localrule: True
    params:
        file=ROOT / "config" / "bench.yaml",
        trial=repr(TRIAL),
    message:
        "bench: tables, figures, verdicts"
    shell:
        "leanat bench --settings {params.file:q} --jobs 1 > {log:q} 2>&1"
