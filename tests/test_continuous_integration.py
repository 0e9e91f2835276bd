"""What GitHub checks is what .ci/run and make check, and nothing is left out."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


def steps() -> list[dict]:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_every_command_is_a_target_of_make_or_the_script() -> None:
    commands = [step["run"].split() for step in steps() if "run" in step]
    assert [".ci/run"] in commands
    targets = [command[1] for command in commands if command[0] == "make"]
    targets += re.findall(r"^(?:part|make) (\S+)$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert {"check", "slow"} <= set(targets)
    assert set(targets) <= TARGETS | {".venv/text"}


def test_actions_are_pinned_by_major_version() -> None:
    actions = [step["uses"] for step in steps() if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)


def test_kept_report_is_that_of_the_run_before() -> None:
    make, keep = steps()[-2:]
    assert make["run"] == "make tiny"
    run = yaml.safe_load((ROOT / "tests" / "tiny.yaml").read_text())["run"]
    assert keep["with"]["path"] == f"results/{run}/report.html"
