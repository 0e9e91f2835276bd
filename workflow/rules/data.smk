rule download:
    output:
        "<resources>/{data}/{file}",
    log:
        "<logs>/download/{data}/{file}.log",
    # Snakemake would else say in every run that it could, or fail where it is not told of a folder.
    cache:
        "SNAKEMAKE_OUTPUT_CACHE" in os.environ
        and workflow.workflow_settings.cache is not None
        and "omit-software"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=growing(500),
        runtime=growing(60),
    params:
        program=program("download"),
        url=job(jobs.data_url),
        checks=job(jobs.data_checks),
    shell:
        "{params.program} --name {wildcards.data} --url {params.url:q} --check {params.checks}"
        " --output {output:q} 2> {log:q}"


rule dataset:
    input:
        download=job(jobs.download),
        given=given(jobs.given_file),
    output:
        directory("<results>/data/{data}"),
    log:
        "<logs>/dataset/{data}.log",
    benchmark:
        "<benchmarks>/dataset/{data}.tsv"
    conda:
        environment("data")
    resources:
        mem_mb=growing(resources.dataset_mb),
        runtime=growing(30),
    params:
        program=program("dataset"),
        code=code("dataset", jobs.data_sources, jobs.data_files),
        # Where the file lies makes no difference.
        options=job(jobs.data_json),
        raw=job_files(jobs.raw_flag),
    shell:
        "{params.program} --name {wildcards.data} --options {params.options:q} {params.raw}"
        " --output {output} 2> {log}"


rule export:
    input:
        "<results>/data/{data}",
    output:
        directory("<results>/exports/{data}"),
    log:
        "<logs>/export/{data}.log",
    benchmark:
        "<benchmarks>/export/{data}.tsv"
    conda:
        environment("data")
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        program=program("export"),
        code=code("export"),
    shell:
        "{params.program} --data {input} --output {output} 2> {log}"
