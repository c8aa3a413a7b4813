rule item:
    input:
        runs=lambda wildcards: expand(METRICS, run=ITEMS[wildcards.item].runs),
        suites=lambda wildcards: expand(
            SUITE, evaluation=ITEMS[wildcards.item].evaluations
        ),
        timings=lambda wildcards: (
            TIMINGS.format(paper=ITEMS[wildcards.item].paper)
            if ITEMS[wildcards.item].timed
            else []
        ),
        published=lambda wildcards: PUBLISHED / f"{ITEMS[wildcards.item].paper}.csv",
        claims=lambda wildcards: claims_of([ITEMS[wildcards.item].paper]),
    output:
        pdf=in_report("figures/{item}.pdf", "item", "PDF"),
        png=in_report("figures/{item}.png", "item", "picture"),
        csv=in_report("figures/{item}.csv", "item", "numbers"),
        kept=f"{BELOW}items/{config['scale']}/{{item}}.csv",
        examples=f"{BELOW}items/{config['scale']}/{{item}}.npz",
    log:
        "logs/items/{item}.log",
    localrule: True
    params:
        item=lambda wildcards: digest(to_json(ITEMS[wildcards.item])),
        about=lambda wildcards: caption.about(ITEMS[wildcards.item]),
        verb=lambda wildcards: (
            "figure" if ITEMS[wildcards.item].kind == "figure" else "table"
        ),
    message:
        "{params.verb} {wildcards.item}"
    shell:
        "leanat {params.verb} {wildcards.item:q} --out {output.pdf:q} --keep {output.kept:q} > {log:q} 2>&1"


rule time:
    output:
        TIMINGS,
    log:
        "logs/time/{paper}.log",
    threads: lambda wildcards: workflow.cores
    resources:
        runtime=jobs.growing(240),
        mem_mb=jobs.growing(16_000),
    params:
        timed=lambda wildcards: canonical(
            {k: to_json(t) for k, t in GRID.timed(wildcards.paper).items()}
        ),
    message:
        "measuring what the trainings of {wildcards.paper} take, alone on this machine"
    shell:
        "leanat time {wildcards.paper:q} --threads {threads} --out {output:q} > {log:q} 2>&1"


rule table1:
    input:
        FIRST_TABLES,
    output:
        "figures/table1.pdf",
    log:
        "logs/items/table1.log",
    localrule: True
    message:
        "Table 1 of every paper that has one, a page each"
    shell:
        "leanat collect {input:q} --out {output:q} > {log:q} 2>&1"


for paper in GRID.papers:

    rule:
        name:
            paper
        input:
            [page for page in PAGES + BESIDE if page.startswith(f"figures/{paper}/")],
            RUN_LISTS.get(paper, []),
        localrule: True
