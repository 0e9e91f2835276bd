from mico.challenge.seeds import write_master


# A master seed goes from job to job in a file: parameters are written down and commands are seen by
# others. Snakemake keeps a slow hash of it, to see that it is another.
rule master_seed:
    output:
        "<results>/private/master_seed",
    log:
        "<logs>/master_seed.log",
    benchmark:
        "<benchmarks>/master_seed.tsv"
    localrule: True
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        fingerprint=job(jobs.master_seed_fingerprint),
    run:
        write_master(Path(output[0]), plan.configuration.seeds)


# Random seeds have no such parameter, which would draw them anew.
GIVEN = {}
if str(plan.configuration.seeds).endswith(".csv"):
    GIVEN["content"] = contents(jobs.given_seeds)


# The code is no parameter: an edit must not draw random seeds anew, nor train all models again.
rule seeds:
    input:
        given=given(jobs.given_seeds),
        master=job(jobs.master_seed),
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
        source=job_files(jobs.source_of_seeds),
    shell:
        "{params.program} --scenario {wildcards.scenario} --last {params.last}"
        " --source {params.source:q} --output {output} 2> {log}"


# A shard's seeds by themselves, from a master seed: what they are depends on no other model, so that
# more models train only the new ones. Snakemake would not see a change behind an ancient() input.
rule shard_seeds:
    input:
        given="<results>/private/master_seed",
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
    shell:
        "{params.program} --scenario {wildcards.scenario} --first {wildcards.first}"
        " --last {wildcards.last} --source {input.given} --output {output} 2> {log}"


# Neither here is the code a parameter, and the data set counts by its records alone: if they are
# others, the splits refuse the draws.
rule draws:
    input:
        data=ancient(job(jobs.scenario_data)),
    output:
        "<results>/private/{scenario}/draws.npz",
    log:
        "<logs>/draws/{scenario}.log",
    benchmark:
        "<benchmarks>/draws/{scenario}.tsv"
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("draws"),
        drawn=job(jobs.draws_flags),
    shell:
        "{params.program} --data {input.data} {params.drawn} --output {output} 2> {log}"


# Who is what, where a file says it. The code is no parameter: an edit must not train all models again.
rule memberships:
    input:
        given=given(jobs.given_memberships),
        data=job(jobs.scenario_data),
    output:
        "<results>/private/{scenario}/memberships.npz",
    log:
        "<logs>/memberships/{scenario}.log",
    benchmark:
        "<benchmarks>/memberships/{scenario}.tsv"
    wildcard_constraints:
        scenario=jobs.one_of("id", plan.trained),
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=growing(resources.memberships_mb),
        runtime=growing(20),
    params:
        program=program("memberships"),
        content=contents(jobs.given_memberships),
        file=job(jobs.given_memberships),
        models=plan.models,
        n=field("n"),
        m=field("m"),
    shell:
        "{params.program} --given {params.file:q} --data {input.data} --models {params.models}"
        " --n {params.n} --m {params.m} --output {output} 2> {log}"


rule splits:
    input:
        seeds="<results>/private/{scenario}/seeds.csv",
        draws=job(jobs.draws_file),
        memberships=job(jobs.memberships_file),
        data=job(jobs.scenario_data),
    output:
        "<results>/private/{scenario}/splits.npz",
    log:
        "<logs>/splits/{scenario}.log",
    benchmark:
        "<benchmarks>/splits/{scenario}.tsv"
    wildcard_constraints:
        scenario=jobs.one_of("id", plan.trained),
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
        "{params.program} --seeds {input.seeds} --draws {input.draws}"
        " --memberships {input.memberships} --data {input.data}"
        " --n {params.n} --m {params.m} --output {output} 2> {log}"


rule given_splits:
    input:
        challenge=job(jobs.released_challenge),
        data=job(jobs.scenario_data),
    output:
        "<results>/private/{scenario}/splits.npz",
    log:
        "<logs>/given_splits/{scenario}.log",
    benchmark:
        "<benchmarks>/given_splits/{scenario}.tsv"
    wildcard_constraints:
        scenario=jobs.one_of("id", plan.released),
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        program=program("given_splits"),
        code=code("given_splits"),
        phases=plan.phases,
        n=field("n"),
        m=field("m"),
        release=job(jobs.released),
        state=job(jobs.solutions_state),
        solutions=job(jobs.solutions_flag),
    shell:
        "{params.program} --challenge {input.challenge} --data {input.data}"
        " --phases {params.phases} --n {params.n} --m {params.m} {params.solutions}"
        " --release {params.release:q} --output {output} 2> {log}"


rule given_membership:
    input:
        made=job(jobs.made_outputs),
    output:
        "<results>/private/{scenario}/splits.npz",
    log:
        "<logs>/given_membership/{scenario}.log",
    benchmark:
        "<benchmarks>/given_membership/{scenario}.tsv"
    wildcard_constraints:
        scenario=jobs.one_of("id", plan.run.given),
    conda:
        "../../envs/attack.yaml"
    resources:
        mem_mb=growing(resources.attack_mb),
        runtime=growing(20),
    params:
        program=program("given_outputs"),
        code=code("given_outputs"),
        outputs=job_files(jobs.outputs_flag),
        state=job(jobs.given_state),
    shell:
        "{params.program} {params.outputs} --splits {output} 2> {log}"
