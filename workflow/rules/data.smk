def data_options(wildcards):
    """What the configuration says of a data set."""
    return plan.configuration.datasets[wildcards.data]


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
        checks=lambda wildcards: data_options(wildcards).checks,
    shell:
        "{params.program} --name {wildcards.data} --url {params.url:q} --check {params.checks}"
        " --output {output:q} 2> {log:q}"


def raw_file(wildcards):
    """A data set's raw file, if it is not generated: the configured path, or the download."""
    options = data_options(wildcards)
    if formats()[options.format].generated:
        return []
    return (
        options.path or f"resources/{wildcards.data}/{options.url.rsplit('/', 1)[-1]}"
    )


def tokenizer_folder(wildcards):
    """The folder of the checkpoint whose tokenizer it is, if it is in one."""
    name = data_options(wildcards).tokenizer
    return name if name and os.path.isdir(name) else []


rule dataset:
    input:
        raw=raw_file,
        tokenizer=tokenizer_folder,
    output:
        directory("<results>/data/{data}"),
    log:
        "<logs>/dataset/{data}.log",
    benchmark:
        "<benchmarks>/dataset/{data}.tsv"
    conda:
        environment("data")
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        program=program("dataset"),
        code=lambda wildcards: code(
            "dataset", formats()[data_options(wildcards).format].file
        ),
        # Where the file lies makes no difference.
        options=lambda wildcards: dump(
            replace(data_options(wildcards), path=None, url=None)
        ),
        raw=lambda wildcards, input: f"--raw {quote(input.raw)}" if input.raw else "",
    shell:
        "{params.program} --name {wildcards.data} --options {params.options:q} {params.raw}"
        " --output {output} 2> {log}"
