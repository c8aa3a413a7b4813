for number, shard in enumerate(SHARDS):
    datasets = [GRID.datasets[RUNS[run].spec["data"]["name"]] for run in shard]
    parts = [
        jobs.train_minutes(RUNS[run].spec, dataset)
        for run, dataset in zip(shard, datasets)
    ]
    together = all(
        jobs.together(RUNS[run].spec, dataset) for run, dataset in zip(shard, datasets)
    )
    processes = " --processes {resources.processes}" if together else ""

    rule:
        name:
            f"train_{number}"
        input:
            expand(
                METRICS,
                run=[n for run in shard for n in RUNS[run].needs],
            ),
        output:
            expand(METRICS, run=shard),
        log:
            f"logs/train/{shard[0]}.log",
        group:
            group(f"train{GRID.level(shard[0])}", number, parts)
        threads: 1
        resources:
            **needs(datasets, parts, config["gpus"] if together else 1),
        params:
            runs=shard,
            spec=canonical([RUNS[run].spec for run in shard]),
        message:
            f"training {len(shard)} run(s), {shard[0]} first"
        shell:
            f"leanat train {{params.runs:q}}{processes} > {{log:q}} 2>&1"
