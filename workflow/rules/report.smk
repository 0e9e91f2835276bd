rule describe:
    input:
        data=expand("<results>/data/{data}", data=USED_DATA),
    output:
        "<results>/run.json",
    log:
        "<logs>/describe.log",
    benchmark:
        "<benchmarks>/describe.tsv"
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=500,
        runtime=10,
    params:
        program=program("describe"),
        code=fingerprint("describe"),
        run=run_description(),
    shell:
        "{params.program} --data {input.data} --run {params.run:q} --output {output} 2> {log}"


rule report:
    input:
        run="<results>/run.json",
        scores="<results>/scores.csv",
        curves="<results>/curves.json",
        models=all_model_rows,
        template=SCRIPTS / "mico/report.html.j2",
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        program=program("report"),
        code=fingerprint("report"),
    shell:
        "{params.program} --run {input.run} --scores {input.scores} --curves {input.curves}"
        " --models {input.models} --output {output} 2> {log}"
