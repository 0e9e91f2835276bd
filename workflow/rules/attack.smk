# A built-in attack is a participant: it reads the released challenge and the public data set.
# Nothing under private/ may ever be an input of a rule in this file.
rule signals:
    input:
        challenge="<results>/challenge/{track}/{challenge}",
        checksums="<results>/challenge/{track}/{challenge}.sha256",
        data=scenario_data,
    output:
        "<results>/signals/{track}/{challenge}.npz",
    log:
        "<logs>/signals/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/signals/{track}/{challenge}.tsv"
    conda:
        environment("attack")
    threads: 1
    resources:
        mem_mb=growing(compute_mb),
        runtime=growing(signals_minutes),
        gpu=GPU,
    params:
        program=program("signals"),
        code=fingerprint("signals"),
        phases=PHASES,
        architecture=field("architecture"),
        n=field("n"),
        m=field("m"),
        device=config["device"],
    shell:
        "{params.program} --challenge {input.challenge} --data {input.data}"
        " --architecture {params.architecture:q}"
        " --phases {params.phases} --n {params.n} --m {params.m} --device {params.device}"
        " --output {output} 2> {log}"


rule whitebox:
    input:
        challenge="<results>/challenge/{track}/{challenge}",
        checksums="<results>/challenge/{track}/{challenge}.sha256",
        data=scenario_data,
    output:
        "<results>/whitebox/{track}/{challenge}.npz",
    log:
        "<logs>/whitebox/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/whitebox/{track}/{challenge}.tsv"
    conda:
        environment("attack")
    threads: 1
    resources:
        mem_mb=growing(compute_mb),
        runtime=growing(white_box_minutes),
        gpu=GPU,
    params:
        program=program("whitebox"),
        code=fingerprint("whitebox"),
        phases=PHASES,
        architecture=field("architecture"),
        n=field("n"),
        m=field("m"),
        device=config["device"],
    shell:
        "{params.program} --challenge {input.challenge} --data {input.data}"
        " --architecture {params.architecture:q}"
        " --phases {params.phases} --n {params.n} --m {params.m} --device {params.device}"
        " --output {output} 2> {log}"


rule references:
    input:
        challenge="<results>/challenge/{track}/{challenge}",
        checksums="<results>/challenge/{track}/{challenge}.sha256",
        data=scenario_data,
        privacy=challenge_privacy,
        pretrained=pretrained_files,
    output:
        "<results>/references/{track}/{challenge}/{first}-{last}.npz",
    log:
        "<logs>/references/{track}/{challenge}/{first}-{last}.log",
    benchmark:
        "<benchmarks>/references/{track}/{challenge}/{first}-{last}.tsv"
    conda:
        environment("train")
    threads: 1
    resources:
        mem_mb=growing(compute_mb),
        runtime=growing(reference_minutes),
        gpu=GPU,
    params:
        program=program("references"),
        code=fingerprint("references"),
        phases=PHASES,
        architecture=field("architecture"),
        physical_batch_size=config["physical_batch_size"],
        precision=config["precision"],
        n=field("n"),
        m=field("m"),
        options=reference_options,
        models=config["references"]["count"],
        device=config["device"],
    shell:
        "{params.program} --challenge {input.challenge} --data {input.data}"
        " --architecture {params.architecture:q}"
        " --physical-batch-size {params.physical_batch_size}"
        " --precision {params.precision}"
        " --privacy {input.privacy} --phases {params.phases}"
        " --first {wildcards.first} --last {wildcards.last} --n {params.n} --m {params.m}"
        " --options {params.options:q} --count {params.models} --device {params.device}"
        " --output {output} 2> {log}"


rule shared_references:
    input:
        challenge="<results>/challenge/{track}/{challenge}",
        checksums="<results>/challenge/{track}/{challenge}.sha256",
        data=scenario_data,
        privacy=challenge_privacy,
        pretrained=pretrained_files,
    output:
        "<results>/shared/{track}/{challenge}/{first}-{last}.npz",
    log:
        "<logs>/shared/{track}/{challenge}/{first}-{last}.log",
    benchmark:
        "<benchmarks>/shared/{track}/{challenge}/{first}-{last}.tsv"
    conda:
        environment("train")
    threads: 1
    resources:
        mem_mb=growing(compute_mb),
        runtime=growing(training_minutes),
        gpu=GPU,
    params:
        program=program("shared_references"),
        code=fingerprint("shared_references"),
        phases=PHASES,
        architecture=field("architecture"),
        physical_batch_size=config["physical_batch_size"],
        precision=config["precision"],
        n=field("n"),
        m=field("m"),
        options=reference_options,
        device=config["device"],
    shell:
        "{params.program} --challenge {input.challenge} --data {input.data}"
        " --architecture {params.architecture:q}"
        " --physical-batch-size {params.physical_batch_size}"
        " --precision {params.precision}"
        " --privacy {input.privacy} --phases {params.phases}"
        " --first {wildcards.first} --last {wildcards.last} --n {params.n} --m {params.m}"
        " --options {params.options:q} --device {params.device}"
        " --output {output} 2> {log}"


rule attack:
    input:
        unpack(attack_inputs),
    output:
        directory("<results>/submissions/{participant}/{track}/{challenge}"),
    log:
        "<logs>/attack/{participant}/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/attack/{participant}/{track}/{challenge}.tsv"
    conda:
        "../../envs/attack.yaml"
    resources:
        mem_mb=growing(attack_mb),
        runtime=growing(20),
    params:
        program=program("attack"),
        code=attack_code,
        phases=PHASES,
        attack=lookup(dpath="{participant}/attack", within=checked.attacks),
        options=attack_options,
        inputs=attack_flags,
    shell:
        "{params.program} --attack {params.attack} --options {params.options:q}"
        " --phases {params.phases} {params.inputs} --output {output} 2> {log}"
