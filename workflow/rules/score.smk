# What every entry is scored on.
SCORED_ON = {
    "splits": plan.for_entry("<results>/private/{id}/splits.npz", with_outputs=True),
    "privacy": plan.for_entry("<results>/privacy/{id}.json"),
    "data": plan.for_entry("<results>/data/{data}"),
}


rule score:
    input:
        **SCORED_ON,
        predictions=job(jobs.predictions),
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
        entry=job_files(jobs.predictions_flags),
        max_bytes=plan.configuration.submissions.max_bytes,
    shell:
        "{params.program} --track {wildcards.track} {params.track} --splits {input.splits}"
        " --privacy {input.privacy} --datasets {input.data}"
        " --phases {params.phases} {params.entry} --max-bytes {params.max_bytes}"
        " --output {output} 2> {log}"


# A submission is no input: its time is what its participant's clock said, and it may be gone. The
# entry's name depends on its content. Snakemake records no parameter that is derived from inputs,
# and a path may be anything. Jobs that SLURM runs look for no submissions.
use rule score as score_submission with:
    input:
        **SCORED_ON,
    wildcard_constraints:
        entry=submissions.ENTRY,
    localrule: True
    params:
        entry=job_files(jobs.submission_flags),
        times=job(jobs.submission_times),
        taken=job(jobs.taken_names),


ruleorder: score_submission > score


rule collect_scores:
    input:
        entries=plan.all_entries,
    output:
        scores=report(
            "<results>/scores.csv",
            caption="../report/scores.rst",
            category="Scores",
            labels={"what": "scores, a table"},
        ),
        comparisons=report(
            "<results>/comparisons.csv",
            caption="../report/comparisons.rst",
            category="Scores",
            labels={"what": "differences, a table"},
        ),
        curves="<results>/curves.json",
        audit=report(
            "<results>/audit.json",
            caption="../report/audit.rst",
            category="Scores",
            labels={"what": "audits"},
        ),
        notes="<results>/notes.json",
        submissions="<results>/submissions.json",
        checksums="<results>/scores.sha256",
    log:
        "<logs>/collect_scores.log",
    benchmark:
        "<benchmarks>/collect_scores.tsv"
    localrule: True
    conda:
        "../../envs/score.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("collect"),
        code=code("collect"),
        challenges=list(plan.challenges),
        passed_over=job(jobs.passed_over_json),
        entries=job_files(jobs.listed_entries),
    shell:
        "{params.program} --entries {params.entries} --challenges {params.challenges}"
        " --passed-over {params.passed_over:q} --scores {output.scores}"
        " --comparisons {output.comparisons} --curves {output.curves} --audit {output.audit}"
        " --notes {output.notes} --submissions {output.submissions}"
        " --checksums {output.checksums} 2> {log}"
