rule download:
    output:
        "resources/{data}/{file}",
    log:
        "<logs>/download/{data}/{file}.log",
    benchmark:
        "<benchmarks>/download/{data}/{file}.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=growing(500),
        runtime=growing(60),
    params:
        program=program("download"),
        url=lookup(dpath="{data}/url", within=config["datasets"]),
        checks=known_checks,
    shell:
        "{params.program} --name {wildcards.data} --url {params.url:q} --check {params.checks}"
        " --output {output:q} 2> {log:q}"


rule dataset:
    input:
        raw=raw_file,
    output:
        directory("<results>/data/{data}"),
    log:
        "<logs>/dataset/{data}.log",
    benchmark:
        "<benchmarks>/dataset/{data}.tsv"
    wildcard_constraints:
        data=stored_data(text=False),
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        program=program("dataset"),
        code=fingerprint("dataset"),
        format=lookup(dpath="{data}/format", within=config["datasets"]),
        records=lookup(dpath="{data}/records", within=config["datasets"]),
        features=lookup(dpath="{data}/features", within=config["datasets"]),
        classes=lookup(dpath="{data}/classes", within=config["datasets"]),
        source=dataset_source,
    shell:
        "{params.program} --name {wildcards.data} --format {params.format}"
        " --records {params.records} --features {params.features} --classes {params.classes}"
        " {params.source} --output {output} 2> {log}"


rule text_dataset:
    input:
        raw=raw_file,
        tokenizer=tokenizer_folder,
    output:
        directory("<results>/data/{data}"),
    log:
        "<logs>/text_dataset/{data}.log",
    benchmark:
        "<benchmarks>/text_dataset/{data}.tsv"
    wildcard_constraints:
        data=stored_data(text=True),
    conda:
        "../../envs/data-text.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        program=program("text_dataset"),
        code=fingerprint("text_dataset"),
        format=lookup(dpath="{data}/format", within=config["datasets"]),
        records=lookup(dpath="{data}/records", within=config["datasets"]),
        features=lookup(dpath="{data}/features", within=config["datasets"]),
        classes=lookup(dpath="{data}/classes", within=config["datasets"]),
        tokenizer=tokenizer_flags,
        source=dataset_source,
    shell:
        "{params.program} --name {wildcards.data} --format {params.format}"
        " --records {params.records} --features {params.features} --classes {params.classes}"
        " {params.tokenizer} {params.source} --output {output} 2> {log}"
