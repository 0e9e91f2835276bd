rule scoreboard:
    input:
        entries=track_entries,
        template=multiext(str(SCRIPTS / "mico/scoreboard"), ".html.j2", ".js"),
    output:
        page="<results>/scoreboard/{track}.html",
        winners="<results>/scoreboard/{track}-winners.json",
    log:
        "<logs>/scoreboard/{track}.log",
    benchmark:
        "<benchmarks>/scoreboard/{track}.tsv"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        program=program("scoreboard"),
        code=fingerprint("scoreboard"),
        flags=scoreboard_flags,
        reveal=config["reveal"],
    shell:
        "{params.program} --track {wildcards.track} --entries {input.entries} {params.flags}"
        " --reveal {params.reveal} --output {output.page} --winners {output.winners} 2> {log}"
