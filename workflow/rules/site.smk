rule site:
    input:
        figures=PAGES,
        beside=BESIDE,
        cells=expand(f"{BELOW}items/{config['scale']}/{{item}}.csv", item=ITEMS),
        claims=claims_of(GRID.papers),
    output:
        "site/index.html",
    log:
        "logs/site.log",
    localrule: True
    params:
        # the folder is made anew: the pages and not only the first
        folder=lambda wildcards, output: str(Path(output[0]).parent),
    message:
        "the site: from a claim to a cell, from a cell to its runs"
    shell:
        "leanat site --out {params.folder:q} > {log:q} 2>&1"


rule archive:
    input:
        figures=PAGES,
        claims="figures/claims.json",
        overview="figures/overview.csv",
        runs=RUN_LISTS.values(),
    output:
        f"leanat-{config['scale']}.zip",
    log:
        "logs/archive.log",
    localrule: True
    message:
        "one zip to cite: numbers, verdicts, settings and outcomes, described by RO-Crate"
    shell:
        "leanat archive --out {output:q} > {log:q} 2>&1"
