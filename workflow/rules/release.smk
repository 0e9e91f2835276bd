rule release:
    input:
        seeds=private("seeds.csv"),
        splits=private("splits.npz"),
        shards=shard_weights,
    output:
        challenge=directory("<results>/challenge/{track}/{challenge}"),
        checksums="<results>/challenge/{track}/{challenge}.sha256",
    log:
        "<logs>/release/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/release/{track}/{challenge}.tsv"
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=1000,
        runtime=20,
    params:
        program=program("release"),
        code=fingerprint("release"),
        phases=PHASES,
        disclosed=lookup(dpath="{challenge}/disclosed", within=CHALLENGES),
        private=private_flag,
    shell:
        "{params.program} --seeds {input.seeds} --splits {input.splits} --shards {input.shards}"
        " --phases {params.phases} --disclosed {params.disclosed} {params.private}"
        " --output {output.challenge} --checksums {output.checksums} 2> {log}"
