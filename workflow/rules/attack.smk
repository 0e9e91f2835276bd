# A built-in attack is a participant: it reads the released challenge and the public data set.
# Nothing under private/ may ever be an input of a rule in this file.
rule signals:
    input:
        challenge="<results>/challenge/{track}/{challenge}",
        checksums="<results>/challenge/{track}/{challenge}.sha256",
        data=challenge_data,
    output:
        "<results>/signals/{track}/{challenge}.npz",
    log:
        "<logs>/signals/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/signals/{track}/{challenge}.tsv"
    conda:
        "../../envs/attack.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        program=program("signals"),
        code=fingerprint("signals"),
        phases=PHASES,
        n=lookup(dpath="{challenge}/n", within=CHALLENGES),
        m=lookup(dpath="{challenge}/m", within=CHALLENGES),
        device=config["device"],
    shell:
        "{params.program} --challenge {input.challenge} --data {input.data}"
        " --phases {params.phases} --n {params.n} --m {params.m} --device {params.device}"
        " --output {output} 2> {log}"


rule attack:
    input:
        signals="<results>/signals/{track}/{challenge}.npz",
    output:
        directory("<results>/submissions/{participant}/{track}/{challenge}"),
    log:
        "<logs>/attack/{participant}/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/attack/{participant}/{track}/{challenge}.tsv"
    conda:
        "../../envs/attack.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        program=program("attack"),
        code=fingerprint("attack"),
        phases=PHASES,
        attack=lookup(dpath="{participant}/attack", within=checked.attacks),
        options=attack_options,
    shell:
        "{params.program} --signals {input.signals} --attack {params.attack}"
        " --options {params.options:q} --phases {params.phases} --output {output} 2> {log}"
