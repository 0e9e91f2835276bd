from mico.workflow.description import description


rule describe:
    input:
        data=expand("<results>/data/{data}", data=plan.datasets),
    output:
        "<results>/run.json",
    log:
        "<logs>/describe.log",
    benchmark:
        "<benchmarks>/describe.tsv"
    conda:
        environment("train")
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        program=program("describe"),
        code=code("describe"),
        run=description(plan, config),
    shell:
        "{params.program} --data {input.data} --run {params.run:q} --output {output} 2> {log}"


# What pages show of the run.
SHOWN = {
    "run": "<results>/run.json",
    "scores": "<results>/scores.csv",
    "curves": "<results>/curves.json",
    "comparisons": "<results>/comparisons.csv",
    "audit": "<results>/audit.json",
    "notes": "<results>/notes.json",
    "checksums": "<results>/scores.sha256",
    "submissions": "<results>/submissions.json",
    "privacy": expand("<results>/privacy/{scenario}.json", scenario=plan.run.scenarios),
    "ceilings": expand(
        "<results>/ceilings/{scenario}.json", scenario=plan.run.scenarios
    ),
    "models": plan.model_rows,
}


rule report:
    input:
        **SHOWN,
        templates=multiext(
            f"{SCRIPTS}/mico/pages/templates/",
            "curves.js",
            "layout.html.j2",
            "macros.html.j2",
            "page.css.j2",
            "report.html.j2",
            "report.js.j2",
            "risk.html.j2",
            "taking_away.css.j2",
            "taking_away.js",
        ),
    output:
        report(
            "<results>/report.html",
            caption="../report/report.rst",
            category="Scores",
            labels={"what": "the report"},
        ),
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("report"),
        code=code("report"),
        models=job_files(jobs.listed_models),
        own="",
    shell:
        "{params.program} --run {input.run} --scores {input.scores} --curves {input.curves}"
        " --comparisons {input.comparisons} --audit {input.audit} --notes {input.notes}"
        " --privacy {input.privacy} --ceilings {input.ceilings} --models {params.models}"
        " --submissions {input.submissions} {params.own}"
        " --output {output} 2> {log}"


# It tells of memberships, as far as they are revealed.
rule records:
    input:
        signals=job(jobs.signals_file),
        splits="<results>/private/{scenario}/splits.npz",
        data=job(jobs.known_data),
        predictions=job(jobs.scenario_predictions),
        templates=multiext(
            f"{SCRIPTS}/mico/pages/templates/",
            "layout.html.j2",
            "macros.html.j2",
            "page.css.j2",
            "records.html.j2",
            "records.js.j2",
            "taking_away.css.j2",
            "taking_away.js",
        ),
    output:
        page="<results>/records/{scenario}/records.html",
        table="<results>/records/{scenario}/records.csv",
    log:
        "<logs>/records/{scenario}.log",
    benchmark:
        "<benchmarks>/records/{scenario}.tsv"
    conda:
        environment("report")
    resources:
        mem_mb=growing(resources.attack_mb),
        runtime=growing(20),
    params:
        program=program("records"),
        code=code("records"),
        run=plan.configuration.run,
        phases=plan.phases,
        told=job(jobs.records_flags),
    shell:
        "{params.program} --run {params.run} --scenario {wildcards.scenario} {params.told}"
        " --signals {input.signals} --splits {input.splits} --data {input.data}"
        " --predictions {input.predictions} --phases {params.phases}"
        " --page {output.page} --table {output.table} 2> {log}"


use rule report as attack_pages with:
    input:
        **SHOWN,
        templates=multiext(
            f"{SCRIPTS}/mico/pages/templates/",
            "attack_page.html.j2",
            "layout.html.j2",
            "macros.html.j2",
            "page.css.j2",
            "taking_away.css.j2",
            "taking_away.js",
        ),
    output:
        report(
            directory("<results>/attack_pages"),
            patterns=["{participant}.html"],
            caption="../report/attack_page.rst",
            category="Attacks",
            labels={"attack": "{participant}"},
        ),
    log:
        "<logs>/attack_pages.log",
    benchmark:
        "<benchmarks>/attack_pages.tsv"
    params:
        program=program("attack_pages"),
        code=code("attack_pages"),
        own=job(jobs.own_attacks),
        words=job(jobs.attack_words),


# On demand: this run beside others of the same folder, which are finished. Who has entries is known
# where the run was planned.
rule compare:
    input:
        **SHOWN,
        entries=plan.all_entries,
        others=job(jobs.other_runs),
        templates=multiext(
            f"{SCRIPTS}/mico/pages/templates/",
            "comparison.html.j2",
            "layout.html.j2",
            "macros.html.j2",
            "page.css.j2",
            "taking_away.css.j2",
            "taking_away.js",
        ),
    output:
        "<results>/compare/{others}.html",
    log:
        "<logs>/compare/{others}.log",
    benchmark:
        "<benchmarks>/compare/{others}.tsv"
    wildcard_constraints:
        others="[^/]+",
    localrule: True
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("compare"),
        code=code("compare"),
        folders=job_files(jobs.compared_folders),
    shell:
        "{params.program} {params.folders} --output {output} 2> {log}"


# On demand: what all pages show, as files.
rule figures:
    input:
        report="<results>/report.html",
        attack_pages="<results>/attack_pages",
        records=expand(
            "<results>/records/{scenario}/records.html",
            scenario=[one.id for one in plan.challenges.values()],
        ),
        scoreboards=expand("<results>/scoreboard/{track}.html", track=plan.ranked),
        details=expand("<results>/detailed_results/{track}", track=plan.ranked),
    output:
        "<results>/figures/contents.csv",
    log:
        "<logs>/figures.log",
    benchmark:
        "<benchmarks>/figures.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        program=program("figures"),
        code=code("figures"),
        folder=subpath(input.report, parent=True),
    shell:
        "{params.program} --run {params.folder} --output {output} > {log} 2>&1"
