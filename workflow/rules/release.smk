rule release:
    input:
        seeds=private("seeds.csv"),
        splits=private("splits.npz"),
        shards=shard_models,
    output:
        challenge=directory("<results>/challenge/{track}/{challenge}"),
        checksums="<results>/challenge/{track}/{challenge}.sha256",
    log:
        "<logs>/release/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/release/{track}/{challenge}.tsv"
    conda:
        environment("train")
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
    params:
        program=program("release"),
        code=fingerprint("release"),
        phases=PHASES,
        disclosed=field("disclosed"),
    shell:
        "{params.program} --seeds {input.seeds} --splits {input.splits} --shards {input.shards}"
        " --phases {params.phases} --disclosed {params.disclosed}"
        " --output {output.challenge} --checksums {output.checksums} 2> {log}"


rule bundle:
    input:
        challenges=of_whole_track("<results>/challenge/{track}/{challenge}"),
        checksums=of_whole_track("<results>/challenge/{track}/{challenge}.sha256"),
        privacy=of_whole_track("<results>/privacy/{id}.json"),
        splits=of_whole_track("<results>/private/{id}/splits.npz"),
        data=of_whole_track("<results>/data/{data}"),
        kit=multiext(f"{SCRIPTS}/mico/release/starter_kit/", "README.md", "starter_kit.py"),
        card=SCRIPTS / "mico/release/data_card.md",
    output:
        bundle="<results>/bundles/{track}.zip",
        solutions="<results>/private/bundles/{track}-solutions.zip",
    log:
        "<logs>/bundle/{track}.log",
    benchmark:
        "<benchmarks>/bundle/{track}.tsv"
    conda:
        environment("train")
    resources:
        mem_mb=growing(bundle_mb),
        runtime=growing(30),
    params:
        program=program("bundle"),
        code=fingerprint("bundle"),
        scenarios=track_scenarios,
        phases=PHASES,
        max_bytes=config["submissions"]["max_bytes"],
    shell:
        "{params.program} --track {wildcards.track} --challenges {input.challenges}"
        " --checksums {input.checksums} --scenarios {params.scenarios:q}"
        " --privacy {input.privacy} --splits {input.splits} --data {input.data}"
        " --phases {params.phases} --max-bytes {params.max_bytes}"
        " --output {output.bundle} --solutions {output.solutions} 2> {log}"
