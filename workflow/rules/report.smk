rule side_by_side:
    input:
        f"{BELOW}items/{config['scale']}/{{item}}.csv",
    output:
        pdf=in_report("figures/{item}.overview.pdf", "beside", "PDF"),
        png=in_report("figures/{item}.overview.png", "beside", "picture"),
    log:
        "logs/overview/{item}.log",
    localrule: True
    message:
        "{wildcards.item} beside the paper's values"
    shell:
        "leanat overview {wildcards.item:q} --out {output.pdf:q} > {log:q} 2>&1"


rule overview:
    input:
        expand(f"{BELOW}items/{config['scale']}/{{item}}.csv", item=ITEMS),
    output:
        pdf=in_report("figures/overview.pdf", "overview", "PDF"),
        png=in_report("figures/overview.png", "overview", "picture"),
        csv=in_report("figures/overview.csv", "overview", "numbers"),
    log:
        "logs/overview/all.log",
    localrule: True
    message:
        "how far the papers' orderings hold, one line for each item"
    shell:
        "leanat overview --out {output.pdf:q} > {log:q} 2>&1"


rule runs:
    input:
        runs=lambda wildcards: expand(METRICS, run=RUNS_OF[wildcards.paper]),
        suites=lambda wildcards: expand(SUITE, evaluation=SUITES_OF[wildcards.paper]),
    output:
        csv=in_report("figures/{paper}/runs.csv", "runs", "numbers"),
    log:
        "logs/runs/{paper}.log",
    localrule: True
    params:
        runs=lambda wildcards: len(RUNS_OF[wildcards.paper]),
    message:
        "the runs of {wildcards.paper}: where, when, how long"
    shell:
        "leanat runs {wildcards.paper:q} --out {output.csv:q} > {log:q} 2>&1"
