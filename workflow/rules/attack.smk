# A built-in attack is a participant: it reads the released challenge and the public data set.
# Nothing under private/ may ever be an input of a rule in this file.


rule signals:
    input:
        challenge="<results>/challenge/{track}/{challenge}",
        checksums="<results>/checksums/{track}/{challenge}.sha256",
        data=job(jobs.scenario_data),
        costs=job(jobs.costs_file),
    output:
        "<results>/signals/{track}/{challenge}.npz",
    log:
        "<logs>/signals/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/signals/{track}/{challenge}.tsv"
    wildcard_constraints:
        challenge=jobs.one_of("challenge", plan.run.scenarios),
    conda:
        environment("attack")
    threads: 1
    resources:
        mem_mb=growing(resources.compute_mb),
        runtime=growing(resources.signals_minutes),
        gpu=plan.gpu,
    params:
        program=program("signals"),
        code=code("signals", jobs.network_sources),
        phases=plan.phases,
        architecture=field("architecture"),
        physical_batch=job(jobs.physical_batch_flag),
        n=field("n"),
        m=field("m"),
        device=plan.configuration.device,
    shell:
        "{params.program} --challenge {input.challenge} --checksums {input.checksums}"
        " --data {input.data}"
        " --architecture {params.architecture:q}"
        " {params.physical_batch} --phases {params.phases} --n {params.n} --m {params.m} --device {params.device}"
        " --output {output} 2> {log}"


use rule signals as whitebox with:
    output:
        "<results>/whitebox/{track}/{challenge}.npz",
    log:
        "<logs>/whitebox/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/whitebox/{track}/{challenge}.tsv"
    resources:
        mem_mb=growing(resources.compute_mb),
        runtime=growing(resources.white_box_minutes),
        gpu=plan.gpu,
    params:
        program=program("whitebox"),
        code=code("whitebox", jobs.network_sources),


# Weights and outputs that are given are no inputs, since their times may be anything.
rule outputs:
    input:
        data=job(jobs.weights_data),
    output:
        "<results>/outputs/{scenario}.npz",
    log:
        "<logs>/outputs/{scenario}.log",
    benchmark:
        "<benchmarks>/outputs/{scenario}.tsv"
    wildcard_constraints:
        scenario=jobs.one_of("id", plan.weights),
    conda:
        environment("attack")
    threads: 1
    resources:
        mem_mb=growing(resources.compute_mb),
        runtime=growing(resources.outputs_minutes),
        gpu=plan.gpu,
    params:
        program=program("outputs"),
        code=code("outputs", jobs.network_sources),
        given=job(jobs.weights_flags),
        state=job(jobs.given_state),
        architecture=job(jobs.weights_architecture),
        physical_batch=job(jobs.physical_batch_flag),
        device=plan.configuration.device,
    shell:
        "{params.program} {params.given} --data {input.data}"
        " --architecture {params.architecture:q}"
        " {params.physical_batch} --device {params.device}"
        " --output {output} 2> {log}"


rule given_signals:
    input:
        made=job(jobs.made_outputs),
    output:
        signals="<results>/signals/{track}/{challenge}.npz",
        whitebox="<results>/whitebox/{track}/{challenge}.npz",
    log:
        "<logs>/given_signals/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/given_signals/{track}/{challenge}.tsv"
    wildcard_constraints:
        challenge=jobs.one_of("challenge", plan.run.given),
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
        "{params.program} {params.outputs} --signals {output.signals}"
        " --whitebox {output.whitebox} 2> {log}"


rule shared_references:
    input:
        challenge="<results>/challenge/{track}/{challenge}",
        checksums="<results>/checksums/{track}/{challenge}.sha256",
        data=job(jobs.scenario_data),
        costs=job(jobs.costs_file),
        privacy=job(jobs.scenario_privacy),
    output:
        "<results>/shared_references/{track}/{challenge}/{first}-{last}.npz",
    log:
        "<logs>/shared_references/{track}/{challenge}/{first}-{last}.log",
    benchmark:
        "<benchmarks>/shared_references/{track}/{challenge}/{first}-{last}.tsv"
    conda:
        environment("train")
    threads: 1
    resources:
        mem_mb=growing(resources.compute_mb),
        runtime=growing(resources.training_minutes),
        gpu=plan.gpu,
    params:
        program=program("shared_references"),
        code=code("shared_references", jobs.network_sources, jobs.pretrained_files),
        phases=plan.phases,
        recipe=job(jobs.participant_recipe_json),
        each="",
        device=plan.configuration.device,
    shell:
        "{params.program} --challenge {input.challenge} --checksums {input.checksums}"
        " --data {input.data}"
        " --privacy {input.privacy} --phases {params.phases} --recipe {params.recipe:q}"
        " --first {wildcards.first} --last {wildcards.last} {params.each}"
        " --device {params.device} --output {output} 2> {log}"


use rule shared_references as target_references with:
    output:
        "<results>/target_references/{track}/{challenge}/{first}-{last}.npz",
    log:
        "<logs>/target_references/{track}/{challenge}/{first}-{last}.log",
    benchmark:
        "<benchmarks>/target_references/{track}/{challenge}/{first}-{last}.tsv"
    resources:
        mem_mb=growing(resources.compute_mb),
        runtime=growing(resources.target_reference_minutes),
        gpu=plan.gpu,
    params:
        program=program("target_references"),
        code=code("target_references", jobs.network_sources, jobs.pretrained_files),
        each=f"--count {plan.configuration.target_references.count}",


rule attack:
    input:
        unpack(plan.inputs),
    output:
        directory("<results>/predictions/{participant}/{track}/{challenge}"),
    log:
        "<logs>/attack/{participant}/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/attack/{participant}/{track}/{challenge}.tsv"
    conda:
        "../../envs/attack.yaml"
    resources:
        mem_mb=growing(resources.attack_mb),
        runtime=growing(resources.attack_minutes),
    params:
        program=program("attack"),
        code=code("attack", jobs.attack_sources),
        phases=plan.phases,
        attack=job(jobs.attack_name),
        options=job(jobs.attack_json),
        inputs=job_files(jobs.attack_inputs),
    shell:
        "{params.program} --attack {params.attack:q} --options {params.options:q}"
        " --phases {params.phases} {params.inputs} --output {output} 2> {log}"
