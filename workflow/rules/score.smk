rule score:
    input:
        splits=of_entry("<results>/private/{id}/splits.npz"),
        privacy=of_entry("<results>/privacy/{id}.json"),
        data=of_entry("<results>/data/{data}"),
        entry=entry_files,
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
        code=fingerprint("score"),
        phases=PHASES,
        track=entry_columns,
        entry=entry_flags,
        max_bytes=config["submissions"]["max_bytes"],
    shell:
        "{params.program} --track {wildcards.track} {params.track} --splits {input.splits}"
        " --privacy {input.privacy} --datasets {input.data}"
        " --phases {params.phases} {params.entry} --max-bytes {params.max_bytes}"
        " --output {output} 2> {log}"


rule collect_scores:
    input:
        all_entries,
    output:
        scores="<results>/scores.csv",
        comparisons="<results>/comparisons.csv",
        curves="<results>/curves.json",
        audit="<results>/audit.json",
        notes="<results>/notes.json",
    log:
        "<logs>/collect_scores.log",
    benchmark:
        "<benchmarks>/collect_scores.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("collect"),
        code=fingerprint("collect"),
        challenges=list(CHALLENGES),
    shell:
        "{params.program} --entries {input} --challenges {params.challenges}"
        " --scores {output.scores} --comparisons {output.comparisons}"
        " --curves {output.curves} --audit {output.audit} --notes {output.notes} 2> {log}"
