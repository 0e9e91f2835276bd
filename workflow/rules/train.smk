rule accountant:
    output:
        report(
            "<results>/privacy/{scenario}.json",
            caption="../report/privacy.rst",
            category="Privacy",
            labels={"scenario": "{scenario}", "what": "what training spends"},
        ),
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
        budget=job(jobs.budget_flags),
    shell:
        "{params.program} --n {params.n} --batch-size {params.batch_size}"
        " --epochs {params.epochs} {params.budget} --output {output} 2> {log}"


# Once for a network of somebody's own. It decides what later jobs are asked a scheduler for. They do
# not take it as ancient: Snakemake would then miss that their own parameters changed with its.
rule costs:
    input:
        data=job(jobs.scenario_data),
    output:
        "<results>/costs/{scenario}.json",
    log:
        "<logs>/costs/{scenario}.log",
    benchmark:
        "<benchmarks>/costs/{scenario}.tsv"
    wildcard_constraints:
        scenario=jobs.any_of(plan.timed),
    conda:
        environment("train")
    threads: 1
    resources:
        mem_mb=growing(resources.compute_mb),
        runtime=growing(20),
        gpu=plan.gpu,
    params:
        program=program("costs"),
        code=code("costs", jobs.network_sources),
        recipe=job(jobs.recipe_json),
        device=plan.configuration.device,
    shell:
        "{params.program} --data {input.data} --recipe {params.recipe:q}"
        " --device {params.device} --output {output} 2> {log}"


rule train:
    input:
        seeds=job(jobs.shard_seeds),
        draws=job(jobs.draws_file),
        memberships=job(jobs.memberships_file),
        data=job(jobs.scenario_data),
        privacy="<results>/privacy/{scenario}.json",
        costs=job(jobs.costs_file),
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
        mem_mb=growing(resources.training_mb),
        runtime=growing(resources.training_minutes),
        gpu=plan.gpu,
    params:
        program=program("train"),
        code=code("train", jobs.network_sources, jobs.pretrained_files),
        recipe=job(jobs.recipe_json),
        device=plan.configuration.device,
    shell:
        "{params.program} --scenario {wildcards.scenario} --seeds {input.seeds}"
        " --draws {input.draws} --memberships {input.memberships} --data {input.data}"
        " --privacy {input.privacy}"
        " --recipe {params.recipe:q}"
        " --first {wildcards.first} --last {wildcards.last} --device {params.device}"
        " --models {output.models} --rows {output.rows} 2> {log}"
