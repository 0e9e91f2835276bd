"""docs/tutorial.md, command by command, with fewer models."""

import re
from pathlib import Path
from shlex import split

import pandas as pd
import pytest
import yaml
from tutorial_page import BETTER, CODE, COMMANDS, CONFIGURATION, LINE, PAGE
from workflow_runs import planned, snakemake


def test_table_has_the_attacks_of_the_page() -> None:
    rows = re.findall(r"^\| ([a-z-]+) \| \.\d+ \| \.\d+ \|$", PAGE, re.M)
    assert sorted(rows) == sorted(one["name"] for one in yaml.safe_load(CONFIGURATION)["attacks"])


@pytest.mark.slow
def test_commands_of_the_page_work(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    install, first, second, third, hand_in = COMMANDS
    assert install.startswith("make .venv/installed\n")
    assert first == second == third
    run = split(first)[1:]
    assert CONFIGURATION.startswith(f"# {run[-1]}\n")
    # So many models that the order of the attacks is no chance.
    short = CONFIGURATION.replace("train: 40, dev: 20, final: 20", "train: 20, dev: 5, final: 5")
    short = short.replace("shard_size: 40", "shard_size: 15")
    assert short.count("train: 20") == short.count("shard_size: 15") == 1
    Path("tutorial.yaml").write_text(short)
    snakemake(checkout, *run)
    threshold = score("threshold-loss")
    assert score("lira") > 2 * threshold
    assert Path("results/tutorial/report.html").is_file()

    Path("gap.py").write_text(CODE)
    Path("tutorial.yaml").write_text(short + LINE)
    snakemake(checkout, *run)
    before = score("gap")
    assert before > 2 * threshold

    Path("gap.py").write_text(re.sub(r"^ +found\.append\(.*\n", lambda _: BETTER, CODE, flags=re.M))
    plan = planned(snakemake(checkout, "--dry-run", *run))
    assert (plan["train"], plan["attack"]) == (0, 2)
    snakemake(checkout, *run)
    assert score("gap") != before
    assert Path("results/tutorial/attack_pages/gap.html").is_file()

    program, *arguments = split(hand_in)
    assert program == "snakemake"
    snakemake(checkout, *arguments)
    assert Path("results/tutorial/submissions/gap/shopping.zip").is_file()


def score(participant: str) -> float:
    """TPR at 10 % FPR of dev and final models in A."""
    table = pd.read_csv("results/tutorial/scores.csv")
    chosen = table.query("participant == @participant and phase == 'both' and scenario == 'A'")
    (row,) = chosen.to_dict("records")
    return float(row["tpr_at_fpr_0.1"])
