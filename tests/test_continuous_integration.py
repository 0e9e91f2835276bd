"""What GitHub checks is what make and .ci/run check, and every run can be planned on a laptop."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
# Its peak is that of the process alone: a process started by pytest begins with pytest's memory.
PEAK_OF_CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def steps() -> list[dict]:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_every_command_is_a_target_of_make() -> None:
    commands = [step["run"].split() for step in steps() if "run" in step]
    assert {command[0] for command in commands} == {"make"}
    targets = [target for command in commands for target in command[1:]]
    assert set(targets) <= TARGETS
    assert len(targets) == len(set(targets))
    local = re.findall(r"^make (.*)$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert set(local) <= set(targets)


def test_actions_are_pinned_by_major_version() -> None:
    actions = [step["uses"] for step in steps() if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)


def test_kept_report_is_that_of_the_run_before() -> None:
    make, keep = steps()[-2:]
    assert make["run"] == "make tiny"
    run = yaml.safe_load((ROOT / "tests" / "tiny.yaml").read_text())["run"]
    assert keep["with"]["path"] == f"results/{run}/report.html"


def dry_run_commands() -> str:
    return subprocess.run(
        ["make", "--dry-run", "dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_every_run_is_planned() -> None:
    files = sorted((ROOT / "config").glob("*.yaml"))
    runs = [f"config/{path.name}" for path in files if "run" in yaml.safe_load(path.read_text())]
    assert sorted(re.findall(r"config/[\w-]+\.yaml", dry_run_commands())) == runs


def test_published_run_is_planned_in_little_memory(tmp_path: Path) -> None:
    """The plan for 2,400 models takes little more than Snakemake itself."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--directory", str(tmp_path)]
    command += ["--snakefile", str(ROOT / "workflow" / "Snakefile")]
    command += ["--configfile", str(ROOT / "config" / "published.yaml")]
    measured = subprocess.run(
        [sys.executable, "-c", PEAK_OF_CHILD, *command], capture_output=True, text=True, check=True
    )
    kibibytes = int(measured.stdout)
    assert kibibytes * 1024 < 300e6
