rule side_by_side:
    input:
        f"{RESULTS}/items/{config['scale']}/{{item}}.csv",
    output:
        pdf="figures/{item}.overview.pdf",
        png="figures/{item}.overview.png",
    log:
        "logs/overview/{item}.log",
    localrule: True
    message:
        "{wildcards.item} beside the paper's values"
    shell:
        "leanat overview {wildcards.item:q} --out {output.pdf:q} > {log:q} 2>&1"


rule overview:
    input:
        expand(f"{RESULTS}/items/{config['scale']}/{{item}}.csv", item=ITEMS),
    output:
        pdf="figures/overview.pdf",
        png="figures/overview.png",
        csv="figures/overview.csv",
    log:
        "logs/overview/all.log",
    localrule: True
    message:
        "how far the papers' orderings hold, one line for each item"
    shell:
        "leanat overview --out {output.pdf:q} > {log:q} 2>&1"
