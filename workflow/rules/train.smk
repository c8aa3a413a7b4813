for number, shard in enumerate(SHARDS):

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
        threads: 1
        params:
            runs=shard,
            spec=canonical([RUNS[run].spec for run in shard]),
        message:
            f"training {len(shard)} run(s), {shard[0]} first"
        shell:
            "leanat train {params.runs:q} > {log:q} 2>&1"
