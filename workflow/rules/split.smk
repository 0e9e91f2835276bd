# Random seeds have no such parameter, which would draw them anew.
GIVEN = {}
if str(config["seeds"]).endswith(".csv"):
    GIVEN["content"] = contents(jobs.given_seeds)


# The code is no parameter: an edit must not draw random seeds anew, nor train all models again.
rule seeds:
    input:
        given=given(jobs.given_seeds),
    output:
        "<results>/private/{scenario}/seeds.csv",
    log:
        "<logs>/seeds/{scenario}.log",
    benchmark:
        "<benchmarks>/seeds/{scenario}.tsv"
    conda:
        "../../envs/seeds.yaml"
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        **GIVEN,
        program=program("seeds"),
        last=plan.models - 1,
        source=config["seeds"],
    shell:
        "{params.program} --scenario {wildcards.scenario} --last {params.last}"
        " --source {params.source:q} --output {output} 2> {log}"


# A shard's seeds by themselves, from a master seed: what they are depends on no other model, so that
# more models train only the new ones. Snakemake would not see a change behind an ancient() input.
rule shard_seeds:
    output:
        "<results>/private/{scenario}/seeds/{first}-{last}.csv",
    log:
        "<logs>/shard_seeds/{scenario}/{first}-{last}.log",
    benchmark:
        "<benchmarks>/shard_seeds/{scenario}/{first}-{last}.tsv"
    localrule: True
    conda:
        "../../envs/seeds.yaml"
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        program=program("seeds"),
        source=config["seeds"],
    shell:
        "{params.program} --scenario {wildcards.scenario} --first {wildcards.first}"
        " --last {wildcards.last} --source {params.source:q} --output {output} 2> {log}"


rule splits:
    input:
        seeds="<results>/private/{scenario}/seeds.csv",
        data=scenario_data,
    output:
        "<results>/private/{scenario}/splits.npz",
    log:
        "<logs>/splits/{scenario}.log",
    benchmark:
        "<benchmarks>/splits/{scenario}.tsv"
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("splits"),
        code=code("splits"),
        n=field("n"),
        m=field("m"),
    shell:
        "{params.program} --seeds {input.seeds} --data {input.data} --n {params.n} --m {params.m}"
        " --output {output} 2> {log}"
