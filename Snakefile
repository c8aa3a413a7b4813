"""leanat: five papers on cheap robust training. Targets: figures/table1.pdf, figures/<paper>/<item>.pdf, a paper's name, all."""

from snakemake.utils import min_version

min_version("9.20")


report: "workflow/report/workflow.rst"


configfile: workflow.source_path("config/config.yaml")


container: "docker://python:3.11-slim"


include: "workflow/rules/common.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/attack.smk"
include: "workflow/rules/items.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/site.smk"
include: "workflow/rules/bench.smk"


# Snakemake copies its global names several times for each job, and each rule adds one: with thousands of both that is minutes.
for name in [n for n in globals() if n.startswith(("__train_", "__attack_"))]:
    del globals()[name]


rule all:
    default_target: True
    input:
        "figures/table1.pdf" if FIRST_TABLES else [],
        "figures/overview.pdf",
        "figures/claims.pdf",
        PAGES,
        BESIDE,
        RUN_LISTS.values(),
    localrule: True


onstart:
    signals.interrupted_once()
    if not ASKED.touch:
        sys.stderr.write(
            "What the jobs do is said here now and then; all of it: leanat watch, in another terminal\n"
        )
        progress.tell(Path(RESULTS, ".running"))


onsuccess:
    if ASKED.touch:
        print("\nTouched: what is there counts as made now; nothing was computed")
    else:
        print(
            "\nDone. Tables and figures, as PDF, PNG and CSV, are in the folder figures/"
        )


onerror:
    print(
        "\nNot finished: stopped, or a job failed, whose log is printed above and kept under logs/."
        "\nWhat is done is kept; the same command goes on from there."
    )
