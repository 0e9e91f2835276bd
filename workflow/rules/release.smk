rule release:
    input:
        seeds=job(jobs.private_seeds),
        memberships=job(jobs.memberships_file),
        splits=job(jobs.private_splits),
        shards=lambda wildcards: plan.shard_paths(plan.of(wildcards)),
        tables=lambda wildcards: plan.shard_paths(plan.of(wildcards), ".csv"),
    output:
        challenge=directory("<results>/challenge/{track}/{challenge}"),
        checksums="<results>/checksums/{track}/{challenge}.sha256",
    log:
        "<logs>/release/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/release/{track}/{challenge}.tsv"
    wildcard_constraints:
        challenge=jobs.one_of("challenge", plan.trained),
    conda:
        environment("train")
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
    params:
        program=program("release"),
        code=code("release"),
        phases=plan.phases,
        scenario=field("id"),
        disclosed=field("disclosed"),
        shards=job_files(jobs.listed_shards),
    shell:
        "{params.program} --scenario {params.scenario} --seeds {input.seeds}"
        " --memberships {input.memberships} --splits {input.splits}"
        " --shards {params.shards}"
        " --phases {params.phases} --disclosed {params.disclosed}"
        " --output {output.challenge} --checksums {output.checksums} 2> {log}"


# A release that somebody else made is no input, since its times may be anything, and is only read.
rule given_challenge:
    output:
        challenge=directory("<results>/challenge/{track}/{challenge}"),
        checksums="<results>/checksums/{track}/{challenge}.sha256",
    log:
        "<logs>/given_challenge/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/given_challenge/{track}/{challenge}.tsv"
    wildcard_constraints:
        challenge=jobs.one_of("challenge", plan.released),
    conda:
        environment("train")
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        program=program("given_challenge"),
        code=code("given_challenge"),
        release=job(jobs.released),
        state=job(jobs.released_state),
        architecture=field("architecture"),
        disclosed=field("disclosed"),
    shell:
        "{params.program} --release {params.release:q} --architecture {params.architecture:q}"
        " --disclosed {params.disclosed} --output {output.challenge}"
        " --checksums {output.checksums} 2> {log}"


rule bundle:
    input:
        challenges=plan.for_track("<results>/challenge/{track}/{challenge}"),
        checksums=plan.for_track("<results>/checksums/{track}/{challenge}.sha256"),
        privacy=plan.for_track("<results>/privacy/{id}.json"),
        splits=plan.for_track("<results>/private/{id}/splits.npz"),
        data=plan.for_track("<results>/data/{data}"),
        kit=multiext(
            f"{SCRIPTS}/mico/release/starter_kit/", "README.md", "starter_kit.py"
        ),
        card=SCRIPTS / "mico/release/data_card.md",
    output:
        public="<results>/bundles/{track}.zip",
        solutions="<results>/private/bundles/{track}-solutions.zip",
    log:
        "<logs>/bundle/{track}.log",
    benchmark:
        "<benchmarks>/bundle/{track}.tsv"
    wildcard_constraints:
        track=jobs.any_of(plan.packed),
    conda:
        environment("train")
    resources:
        mem_mb=growing(resources.bundle_mb),
        runtime=growing(30),
    params:
        program=program("bundle"),
        code=code("bundle", jobs.network_sources, jobs.own_networks),
        scenarios=job(jobs.track_json),
        phases=plan.phases,
        max_bytes=plan.configuration.submissions.max_bytes,
        seeds=job(jobs.bundle_seeds),
    shell:
        "{params.program} --track {wildcards.track} --challenges {input.challenges}"
        " --checksums {input.checksums} --scenarios {params.scenarios:q}"
        " --privacy {input.privacy} --splits {input.splits} --data {input.data}"
        " --phases {params.phases} --max-bytes {params.max_bytes} {params.seeds}"
        " --output {output.public} --solutions {output.solutions} 2> {log}"


# What a participant hands in, of a built-in attack.
rule submission:
    input:
        predictions=job(jobs.track_predictions),
    output:
        "<results>/submissions/{participant}/{track}.zip",
    log:
        "<logs>/submission/{participant}/{track}.log",
    benchmark:
        "<benchmarks>/submission/{participant}/{track}.tsv"
    wildcard_constraints:
        track=jobs.any_of(track for track in plan.tracks if plan.of_track(track)),
    conda:
        "../../envs/score.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("submission"),
        code=code("submission"),
        phases=plan.phases,
        numbers=job(jobs.numbers_json),
    shell:
        "{params.program} --predictions {input.predictions} --phases {params.phases}"
        " --numbers {params.numbers:q}"
        " --output {output} 2> {log}"
