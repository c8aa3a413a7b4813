LEDGER = f"{BELOW}items/{config['scale']}/{{item}}.csv"


rule claims:
    input:
        cells=expand(LEDGER, item=ITEMS),
        claims=claims_of(GRID.papers),
        errata=PUBLISHED / "claims.csv",
    output:
        pdf=in_report("figures/claims.pdf", "claims", "PDF"),
        png=in_report("figures/claims.png", "claims", "picture"),
        csv=in_report("figures/claims.csv", "claims", "numbers"),
        json=in_report("figures/claims.json", "claims", "data"),
    log:
        "logs/claims/all.log",
    localrule: True
    message:
        "the ledger: each claim of the papers, and whether the numbers here support it"
    shell:
        "leanat claims --out {output.pdf:q} > {log:q} 2>&1"


rule claims_of_a_paper:
    input:
        cells=lambda wildcards: expand(
            LEDGER, item=[i for i in ITEMS if i.startswith(f"{wildcards.paper}/")]
        ),
        claims=lambda wildcards: claims_of([wildcards.paper]),
        errata=PUBLISHED / "claims.csv",
    output:
        pdf=in_report("figures/{paper}/claims.pdf", "claims", "PDF"),
        png=in_report("figures/{paper}/claims.png", "claims", "picture"),
        csv=in_report("figures/{paper}/claims.csv", "claims", "numbers"),
        json=in_report("figures/{paper}/claims.json", "claims", "data"),
    log:
        "logs/claims/{paper}.log",
    localrule: True
    message:
        "the ledger of {wildcards.paper}"
    shell:
        "leanat claims {wildcards.paper:q} --out {output.pdf:q} > {log:q} 2>&1"
