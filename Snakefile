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


# Snakemake copies its global names several times for each job, and each rule adds one: with thousands of both that is minutes.
for name in [name for name in globals() if name.startswith("__rule_")]:
    del globals()[name]


rule all:
    default_target: True
    input:
        "figures/table1.pdf",
        "figures/overview.pdf",
        "figures/claims.pdf",
        PAGES,
        BESIDE,
        RUN_LISTS.values(),
    localrule: True


onsuccess:
    shell(
        "printf '\\nDone. Tables and figures, as PDF, PNG and CSV, are in the folder figures/\\n'"
    )


onerror:
    shell(
        "printf '\\nFailed. The log of the job that failed is printed above, and kept under logs/\\n'"
    )
