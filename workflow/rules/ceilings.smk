rule ceilings:
    input:
        privacy="<results>/privacy/{scenario}.json",
    output:
        report(
            "<results>/ceilings/{scenario}.json",
            caption="../report/ceilings.rst",
            category="Privacy",
            labels={"scenario": "{scenario}", "what": "limits on any attack"},
        ),
    log:
        "<logs>/ceilings/{scenario}.log",
    benchmark:
        "<benchmarks>/ceilings/{scenario}.tsv"
    conda:
        "../../envs/ceilings.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        program=program("ceilings"),
        code=code("ceilings"),
    shell:
        "{params.program} --privacy {input.privacy} --output {output} 2> {log}"
