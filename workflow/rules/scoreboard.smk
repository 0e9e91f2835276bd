# Who has entries is known where the run was planned: jobs that SLURM runs look for no submissions.


rule scoreboard:
    input:
        entries=plan.whole_entries,
        templates=multiext(
            f"{SCRIPTS}/mico/pages/templates/",
            "scoreboard.html.j2",
            "scoreboard.js",
            "taking_away.css.j2",
            "taking_away.js",
        ),
    output:
        page=report(
            "<results>/scoreboard/{track}.html",
            caption="../report/scoreboard.rst",
            category="Scoreboards",
            labels={"track": "{track}"},
        ),
        winners="<results>/scoreboard/{track}-winners.json",
    log:
        "<logs>/scoreboard/{track}.log",
    benchmark:
        "<benchmarks>/scoreboard/{track}.tsv"
    wildcard_constraints:
        track=jobs.any_of(plan.ranked),
    localrule: True
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("scoreboard"),
        code=code("scoreboard"),
        entries=job_files(jobs.listed_entries),
        challenges=job(jobs.named_challenges),
        synthetic=job(jobs.synthetic_flag),
        public_seeds=job(jobs.public_seeds_flag),
        reveal=plan.configuration.reveal,
    shell:
        "{params.program} --track {wildcards.track} --entries {params.entries}"
        " --challenges {params.challenges} {params.synthetic} {params.public_seeds}"
        " --reveal {params.reveal}"
        " --output {output.page} --winners {output.winners} 2> {log}"


rule detailed_results:
    input:
        entries=plan.whole_entries,
        templates=multiext(
            f"{SCRIPTS}/mico/pages/templates/",
            "detailed_results.html.j2",
            "layout.html.j2",
            "page.css.j2",
            "taking_away.css.j2",
            "taking_away.js",
        ),
    output:
        directory("<results>/detailed_results/{track}"),
    log:
        "<logs>/detailed_results/{track}.log",
    benchmark:
        "<benchmarks>/detailed_results/{track}.tsv"
    wildcard_constraints:
        track=jobs.any_of(plan.ranked),
    localrule: True
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("detailed_results"),
        code=code("detailed_results"),
        entries=job_files(jobs.listed_entries),
        reveal=plan.configuration.reveal,
        synthetic=job(jobs.synthetic_flag),
    shell:
        "{params.program} --entries {params.entries} --reveal {params.reveal} {params.synthetic}"
        " --output {output} 2> {log}"
