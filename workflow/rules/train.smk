def budget_flags(wildcards):
    """The flags that set a scenario's privacy budget, or its noise."""
    scenario = plan.of(wildcards)
    return " ".join(
        f"--{name.replace('_', '-')} {getattr(scenario, name)}"
        for name in ("epsilon", "noise_multiplier", "delta")
        if getattr(scenario, name) is not None
    )


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
        code=code("accountant"),
        n=field("n"),
        batch_size=field("batch_size"),
        epochs=field("epochs"),
        budget=budget_flags,
    shell:
        "{params.program} --n {params.n} --batch-size {params.batch_size}"
        " --epochs {params.epochs} {params.budget} --output {output} 2> {log}"


def shard_seeds(wildcards):
    """A CSV with the seeds of a shard's models: random ones, given ones, or those of a master."""
    if config["seeds"] == "random":
        return f"<results>/private/{wildcards.scenario}/seeds.csv"
    if isinstance(config["seeds"], str):
        return ancient(
            config["seeds"]
        )  # a parameter says whether the shard's own changed
    return "<results>/private/{scenario}/seeds/{first}-{last}.csv"


rule train:
    input:
        seeds=shard_seeds,
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
        mem_mb=growing(resources.compute_mb),
        runtime=growing(resources.training_minutes),
        gpu=plan.gpu,
    params:
        program=program("train"),
        code=network_code("train"),
        given=plan.given_seeds,
        recipe=lambda wildcards: dump(plan.recipe(plan.of(wildcards))),
        device=config["device"],
    shell:
        "{params.program} --scenario {wildcards.scenario} --seeds {input.seeds}"
        " --data {input.data} --privacy {input.privacy} --recipe {params.recipe:q}"
        " --first {wildcards.first} --last {wildcards.last} --device {params.device}"
        " --models {output.models} --rows {output.rows} 2> {log}"
