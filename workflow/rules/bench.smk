# The trial of config/bench.yaml, in parts of some forty runs. It belongs to no paper, and `all` does not ask for it.
from leanat.bench import settings as bench_settings
from leanat.core import own_code

try:
    TRIAL = bench_settings.read(ROOT / "config" / "bench.yaml", {})
    if STARTS and any(
        target == "bench" or target.startswith("figures/bench/")
        for target in ASKED.targets
    ):
        needed.check_sets(TRIAL.data, GRID, warn)
except ConfigError as error:
    raise WorkflowError(str(error)) from None
TRIAL_RUNS = (
    len(TRIAL.data)
    * len(TRIAL.trainings)
    * len(TRIAL.methods + TRIAL.own)
    * TRIAL.seeds
)
TRIAL_PARTS = -(-TRIAL_RUNS // 40)


rule bench_part:
    input:
        sorted(
            {str(path) for source in TRIAL.own for path in own_code.files_of(source)}
        ),
    output:
        touch(f"{RESULTS}/bench/{{part}}-of-{TRIAL_PARTS}.done"),
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
        expand(
            f"{RESULTS}/bench/{{part}}-of-{TRIAL_PARTS}.done",
            part=range(1, TRIAL_PARTS + 1),
        ),
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
