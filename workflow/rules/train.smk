rule accountant:
    output:
        "<results>/privacy/{scenario}.json",
    log:
        "<logs>/accountant/{scenario}.log",
    benchmark:
        "<benchmarks>/accountant/{scenario}.tsv"
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        program=program("accountant"),
        code=fingerprint("accountant"),
        n=field("n"),
        batch_size=field("batch_size"),
        epochs=field("epochs"),
        budget=budget,
    shell:
        "{params.program} --n {params.n} --batch-size {params.batch_size}"
        " --epochs {params.epochs} {params.budget} --output {output} 2> {log}"


rule train:
    input:
        seeds="<results>/private/{scenario}/seeds.csv",
        data=scenario_data,
        privacy="<results>/privacy/{scenario}.json",
        pretrained=pretrained_files,
    output:
        models=directory("<results>/private/{scenario}/models/{first}-{last}"),
        rows="<results>/private/{scenario}/models/{first}-{last}.csv",
    log:
        "<logs>/train/{scenario}/{first}-{last}.log",
    benchmark:
        "<benchmarks>/train/{scenario}/{first}-{last}.tsv"
    conda:
        environment("train")
    threads: 1
    resources:
        mem_mb=growing(compute_mb),
        runtime=growing(training_minutes),
        gpu=GPU,
    params:
        program=program("train"),
        code=fingerprint("train"),
        architecture=field("architecture"),
        physical_batch_size=config["physical_batch_size"],
        precision=config["precision"],
        n=field("n"),
        m=field("m"),
        options=target_options,
        null_run=null_flag,
        device=config["device"],
    shell:
        "{params.program} --scenario {wildcards.scenario} --seeds {input.seeds}"
        " --data {input.data} --privacy {input.privacy} --architecture {params.architecture:q}"
        " --physical-batch-size {params.physical_batch_size}"
        " --precision {params.precision}"
        " --first {wildcards.first} --last {wildcards.last} --n {params.n} --m {params.m}"
        " --options {params.options:q} {params.null_run} --device {params.device}"
        " --models {output.models} --rows {output.rows} 2> {log}"
