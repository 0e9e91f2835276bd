"""What every configuration plans, by dry runs, which need no data; and Snakemake's own linter."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workflow_runs import ROOT, TINY, planned, snakemake

from mico.challenge.layout import model_folder
from mico.challenge.phases import Phases

# Shards that are trained, and attacks on challenges, by the run's file.
RUNS = {
    "config.yaml": (4 * 4, 4 * 27),
    "location30.yaml": (4 * 4, 4 * 27),
    "laboratory.yaml": (6 * 4, 6 * 27 + 4 * 7),
    "null.yaml": (2 * 4, 2 * 27),
    "purchase-small.yaml": (6 * 4, 6 * 14),
    "cifar10-small.yaml": (4 * 8, 4 * 27),
    "sst2-small.yaml": (4 * 8, 4 * 31),
    "published.yaml": (12 * 20, 12 * 27),
    "original.yaml": (0, 12 * 27),
}
# Runs a command and prints its peak memory in KiB: that of the command alone, as a process that
# pytest starts begins with pytest's memory.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print("peak:", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_no_run_is_forgotten() -> None:
    files = (ROOT / "config").glob("*.yaml")
    assert {path.name for path in files if "run" in yaml.safe_load(path.read_text())} == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_run_is_planned_in_little_memory(checkout: Path, name: str) -> None:
    """The plan for 2,400 models takes little more than Snakemake itself."""
    for scenario in yaml.safe_load((ROOT / "config" / name).read_text())["scenarios"]:
        if isinstance(scenario, dict) and "released" in scenario:
            for phase, model in Phases(100, 50, 50).named():
                folder = checkout / scenario["released"] / model_folder(phase, model)
                folder.mkdir(parents=True)
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--configfile", f"config/{name}"]
    command = [sys.executable, "-c", MEASURED, *command]
    output = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    plan = planned(output.stdout)
    assert (plan["train"], plan["attack"]) == RUNS[name]
    assert int(re.search(r"^peak: (\d+)$", output.stdout, re.M)[1]) * 1024 < 300e6


def test_scenarios_can_be_chosen_on_the_command_line(checkout: Path) -> None:
    chosen = ("--configfile", "config/published.yaml", "--config", "scenarios=[T1, D3]")
    assert planned(snakemake(checkout, "--dry-run", *chosen))["train"] == 2 * 20


def test_the_organisers_recipe_is_the_organisers_alone(checkout: Path) -> None:
    """By the commands: of scenarios of which one has DP, the models, and the references of both."""
    told = ("--printshellcmds", *TINY, "--config", "secure=True", "run=secure")
    output = snakemake(checkout, "--dry-run", *told)
    found = re.findall(r'scripts/(\w+)\.py .*"secure": (true|false)', output)
    assert set(found) == {
        *(("train", "true"), ("train", "false")),
        *(("target_references", "false"), ("shared_references", "false")),
    }


def test_what_reads_a_challenge_is_given_its_checksums(checkout: Path) -> None:
    told = ("--printshellcmds", *TINY, "--config", "run=listed")
    output = snakemake(checkout, "--dry-run", *told)
    command = r"scripts/(\w+)\.py .*--challenge results/listed/challenge/(\S+)(.*)"
    found = re.findall(command, output)
    readers = {"signals", "whitebox", "shared_references", "target_references"}
    assert {program for program, _, _ in found} == readers
    for _, challenge, rest in found:
        assert f"--checksums results/listed/checksums/{challenge}.sha256 " in rest


def test_snakemake_has_nothing_to_say_of_the_rules(checkout: Path) -> None:
    assert "your workflow is in a good condition" in snakemake(checkout, "--lint")


@pytest.mark.parametrize("option", ["--profile", "--workflow-profile"])
def test_profile_for_slurm_is_taken_either_way(checkout: Path, option: str) -> None:
    """As planned without SLURM."""
    plan = snakemake(checkout, "--dry-run", option, "profiles/slurm", *TINY)
    assert planned(plan)["train"] == 2  # shards of all seven models
    assert asking_for_gpus(plan) == {
        *("train", "target_references", "shared_references", "signals", "whitebox"),
    }


def test_cluster_without_gpus_is_asked_for_none(checkout: Path) -> None:
    changes = ("--config", "device=cpu", "shard_size=auto")
    plan = snakemake(checkout, "--dry-run", "--profile", "profiles/slurm", *TINY, *changes)
    assert planned(plan)["train"] == 2
    assert asking_for_gpus(plan) == set()


def asking_for_gpus(plan: str) -> set[str]:
    """The rules in a dry run's output whose jobs ask for a GPU."""
    asked = r"^rule (\w+):\n(?:    .*\n)*?    resources: .*\bgpu=1\b"
    return set(re.findall(asked, plan, re.M))
