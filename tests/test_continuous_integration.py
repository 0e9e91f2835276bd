"""What GitHub checks is what .ci/run and make check, and nothing is left out; so with the site."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


RUN = yaml.safe_load((ROOT / "tests" / "tiny.yaml").read_text())["run"]


def steps(name: str) -> list[dict]:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


STEPS = steps("ci.yml") + steps("site.yml")


def test_every_command_is_a_target_of_make_or_the_script() -> None:
    commands = [step["run"].split() for step in STEPS if "run" in step]
    assert [".ci/run"] in commands
    targets = [command[1] for command in commands if command[0] == "make"]
    targets += re.findall(r"^(?:part|make) (\S+)$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert {"check", "site", "slow"} <= set(targets)
    assert set(targets) <= TARGETS | {".venv/text"}


def test_actions_are_pinned_by_major_version() -> None:
    actions = [step["uses"] for step in STEPS if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)


def test_kept_report_is_that_of_the_run_before() -> None:
    make, keep = steps("ci.yml")[-2:]
    assert make["run"] == "make tiny"
    assert keep["with"]["path"] == f"results/{RUN}/report.html"


def test_published_site_shows_the_run_that_was_made_before() -> None:
    made, built, kept, _ = steps("site.yml")[-4:]
    assert made["run"] == "make tiny"
    assert built["run"] == f"make site RUN={RUN}"
    configuration = (ROOT / "mkdocs.yml").read_text()
    assert f"site_dir: {kept['with']['path']}\n" in configuration
    assert all(f"[{name}, null]" in configuration for name in built["env"])
