rule score:
    input:
        splits=private("splits.npz"),
        submissions=expand(
            "<results>/submissions/{participant}/{{track}}/{{challenge}}",
            participant=checked.attacks,
        ),
    output:
        scores="<results>/scores/{track}/{challenge}.csv",
        curves="<results>/scores/{track}/{challenge}.json",
    log:
        "<logs>/score/{track}/{challenge}.log",
    benchmark:
        "<benchmarks>/score/{track}/{challenge}.tsv"
    conda:
        "../../envs/score.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        program=program("score"),
        code=fingerprint("score"),
        phases=PHASES,
        scenario=lookup(dpath="{challenge}/id", within=CHALLENGES),
        data=lookup(dpath="{challenge}/data", within=CHALLENGES),
        participants=list(checked.attacks),
    shell:
        "{params.program} --scenario {params.scenario} --challenge {wildcards.challenge}"
        " --track {wildcards.track} --data {params.data} --splits {input.splits}"
        " --phases {params.phases} --participants {params.participants}"
        " --submissions {input.submissions} --scores {output.scores} --curves {output.curves}"
        " 2> {log}"


rule collect_scores:
    input:
        of_every_challenge("<results>/scores/{track}/{challenge}.csv"),
    output:
        "<results>/scores.csv",
    log:
        "<logs>/collect_scores.log",
    benchmark:
        "<benchmarks>/collect_scores.tsv"
    conda:
        "../../envs/seeds.yaml"
    resources:
        mem_mb=500,
        runtime=10,
    shell:
        "awk 'FNR > 1 || NR == 1' {input} > {output} 2> {log}"
