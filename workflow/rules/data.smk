rule download:
    output:
        "resources/{file}",
    log:
        "<logs>/download/{file}.log",
    benchmark:
        "<benchmarks>/download/{file}.tsv"
    conda:
        "../../envs/seeds.yaml"
    resources:
        mem_mb=500,
        runtime=60,
    params:
        program=program("download"),
        name=lookup(dpath="{file}/name", within=DOWNLOADS),
        url=lookup(dpath="{file}/url", within=DOWNLOADS),
        checks=lookup(dpath="{file}/checks", within=DOWNLOADS),
    shell:
        "{params.program} --name {params.name} --url {params.url} --check {params.checks}"
        " --output {output} 2> {log}"


rule dataset:
    input:
        raw=raw_file,
    output:
        directory("<results>/data/{data}"),
    log:
        "<logs>/dataset/{data}.log",
    benchmark:
        "<benchmarks>/dataset/{data}.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        program=program("dataset"),
        code=fingerprint("dataset"),
        records=lookup(dpath="{data}/records", within=config["datasets"]),
        features=lookup(dpath="{data}/features", within=config["datasets"]),
        classes=lookup(dpath="{data}/classes", within=config["datasets"]),
        source=dataset_source,
    shell:
        "{params.program} --name {wildcards.data} --records {params.records}"
        " --features {params.features} --classes {params.classes} {params.source}"
        " --output {output} 2> {log}"
