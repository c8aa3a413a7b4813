rule table:
    input:
        runs=lambda wildcards: expand(METRICS, run=ITEMS[wildcards.item]["runs"]),
        suites=lambda wildcards: expand(
            SUITE, evaluation=ITEMS[wildcards.item]["evaluations"]
        ),
        published=lambda wildcards: PUBLISHED / f"{ITEMS[wildcards.item]['paper']}.csv",
    output:
        pdf="figures/{item}.pdf",
        png="figures/{item}.png",
        csv="figures/{item}.csv",
        kept=f"{RESULTS}/items/{config['scale']}/{{item}}.csv",
    log:
        "logs/items/{item}.log",
    localrule: True
    params:
        item=lambda wildcards: canonical(ITEMS[wildcards.item]),
    message:
        "table {wildcards.item}"
    shell:
        "leanat table {wildcards.item:q} --out {output.pdf:q} --keep {output.kept:q} > {log:q} 2>&1"


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
            [page for page in PAGES if page.startswith(f"figures/{paper}/")],
        localrule: True
