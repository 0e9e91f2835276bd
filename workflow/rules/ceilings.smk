rule ceilings:
    input:
        privacy="<results>/privacy/{scenario}.json",
    output:
        "<results>/ceilings/{scenario}.json",
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
