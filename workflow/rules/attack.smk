for number, shard in enumerate(EVALUATION_SHARDS):
    specs = [RUNS[EVALUATIONS[e].run].spec for e in shard]
    datasets = [GRID.datasets[spec["data"]["name"]] for spec in specs]
    parts = [
        jobs.attack_minutes(spec["model"]["name"], EVALUATIONS[e].attacks, dataset)
        for e, spec, dataset in zip(shard, specs, datasets)
    ]

    rule:
        name:
            f"attack_{number}"
        input:
            expand(
                METRICS,
                run=dict.fromkeys(run for e in shard for run in EVALUATIONS[e].needs),
            ),
        output:
            expand(SUITE, evaluation=shard),
        log:
            f"logs/attack/{EVALUATIONS[shard[0]].run}-{EVALUATIONS[shard[0]].suite}.log",
        group:
            group("attack", number, parts)
        threads: 1
        resources:
            **needs(datasets, parts),
        params:
            runs=[EVALUATIONS[e].run for e in shard],
            suite=EVALUATIONS[shard[0]].suite.replace("-", "/", 1),
            attacks=canonical(EVALUATIONS[shard[0]].attacks),
            sources=EVALUATIONS[shard[0]].sources,
        message:
            f"attacking {len(shard)} run(s), suite {EVALUATIONS[shard[0]].suite}"
        shell:
            "leanat attack {params.runs:q} --suite {params.suite:q} > {log:q} 2>&1"
