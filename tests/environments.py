"""What the conda environments hold, and which program each is for."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def pins(lines: list[str]) -> dict[str, str]:
    return dict(line.split("==") for line in lines)


def requirements(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return pins([line for line in lines if line and not line.startswith("#")])


REQUIREMENTS = requirements("requirements.txt")
EXTRA = requirements("requirements-text.txt")


def environment(name: str) -> dict[str, str]:
    content = yaml.safe_load((ROOT / "envs" / name).read_text())
    return pins(
        [pin for part in content["dependencies"] if isinstance(part, dict) for pin in part["pip"]]
    )


def rules() -> list[tuple[str, str, bool]]:
    """(program, environment, whether there is another for text) of each that runs a program."""
    found: dict[str, tuple[str, str, bool]] = {}
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for block in re.split(r"^(?=rule |use rule )", path.read_text(), flags=re.M)[1:]:
            base, name = re.match(r"(?:use rule (\w+) as |rule )(\w+)", block).groups()
            program = re.search(r'program=program\("(\w+)"\)', block)
            env = re.search(r'(?:envs/([\w-]+)\.yaml"|environment\("(\w+)"\))', block)
            if program:  # without an environment of its own, a rule has that of its base
                chosen = (f"{env[1] or env[2]}.yaml", bool(env[2])) if env else found[base][1:]
                found[name] = (program[1], *chosen)
    return list(found.values())


RULES = rules()
