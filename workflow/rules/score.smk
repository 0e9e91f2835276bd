rule score:
    input:
        splits=plan.for_entry("<results>/private/{id}/splits.npz"),
        privacy=plan.for_entry("<results>/privacy/{id}.json"),
        data=plan.for_entry("<results>/data/{data}"),
        entry=job(jobs.entry_files),
    output:
        "<results>/entries/{track}/{entry}.json",
    log:
        "<logs>/score/{track}/{entry}.log",
    benchmark:
        "<benchmarks>/score/{track}/{entry}.tsv"
    conda:
        "../../envs/score.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        program=program("score"),
        code=code("score"),
        phases=plan.phases,
        track=job(jobs.entry_columns),
        entry=job_files(jobs.entry_flags),
        max_bytes=plan.configuration.submissions.max_bytes,
    shell:
        "{params.program} --track {wildcards.track} {params.track} --splits {input.splits}"
        " --privacy {input.privacy} --datasets {input.data}"
        " --phases {params.phases} {params.entry} --max-bytes {params.max_bytes}"
        " --output {output} 2> {log}"


rule collect_scores:
    input:
        plan.all_entries,
    output:
        scores="<results>/scores.csv",
        comparisons="<results>/comparisons.csv",
        curves="<results>/curves.json",
        audit="<results>/audit.json",
        notes="<results>/notes.json",
        checksums="<results>/scores.sha256",
    log:
        "<logs>/collect_scores.log",
    benchmark:
        "<benchmarks>/collect_scores.tsv"
    conda:
        "../../envs/score.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("collect"),
        code=code("collect"),
        challenges=list(plan.challenges),
    shell:
        "{params.program} --entries {input} --challenges {params.challenges}"
        " --scores {output.scores} --comparisons {output.comparisons}"
        " --curves {output.curves} --audit {output.audit} --notes {output.notes}"
        " --checksums {output.checksums} 2> {log}"
