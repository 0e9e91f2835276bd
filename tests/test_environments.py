"""The conda environments repeat the pins of requirements.txt and hold what their rules import."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from mico.source_hash import imported_files

ROOT = Path(__file__).parents[1]
DISTRIBUTION = {"dp_accounting": "dp-accounting", "sklearn": "scikit-learn", "yaml": "pyyaml"}


def pins(lines: list[str]) -> dict[str, str]:
    return dict(line.split("==") for line in lines)


REQUIREMENTS = pins(
    [
        line
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
)


def environment(name: str) -> dict[str, str]:
    content = yaml.safe_load((ROOT / "envs" / name).read_text())
    return pins(
        [pin for part in content["dependencies"] if isinstance(part, dict) for pin in part["pip"]]
    )


# (program, environment) of every rule that runs a program.
RULES = [
    (program, env)
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk"))
    for env, program in re.findall(
        r'envs/(\w+\.yaml)".*?program=program\("(\w+)"\)', path.read_text(), re.S
    )
]


def test_every_program_belongs_to_a_rule() -> None:
    programs = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    # These are run by hand.
    assert {program for program, _ in RULES} | {"benchmark", "simulate"} == programs


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.name)
def test_environment_repeats_the_pins(path: Path) -> None:
    for name, version in environment(path.name).items():
        assert REQUIREMENTS[name] == version


@pytest.mark.parametrize(("program", "env"), RULES)
def test_environment_holds_what_the_program_imports(program: str, env: str) -> None:
    imported = set()
    for file in imported_files(ROOT / "scripts" / f"{program}.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"mico"}
    assert {DISTRIBUTION.get(name, name) for name in foreign} <= set(environment(env))
