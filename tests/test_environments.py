"""The conda environments repeat the pins and hold what their rules import; text is an extra."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from environments import EXTRA, REQUIREMENTS, ROOT, RULES, environment

from mico.attacks import registry
from mico.support.source_hash import imported_files

DISTRIBUTION = {
    "PIL": "pillow",
    "dp_accounting": "dp-accounting",
    "pydantic_core": "pydantic-core",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def modules(room: str) -> list[Path]:
    """A room's modules that programs find by themselves, by the name that they are given."""
    return sorted((ROOT / "scripts" / "mico" / room).glob("[a-z]*.py"))


NETWORKS = modules("networks")
FOUND = {
    "attack": sorted({path for name in registry.attacks() for path in registry.sources(name)}),
    "bundle": NETWORKS,
    "dataset": modules("data/formats"),
    "shared_references": NETWORKS,
    "signals": NETWORKS,
    "target_references": NETWORKS,
    "train": NETWORKS,
    "whitebox": NETWORKS,
}


def test_every_program_belongs_to_a_rule() -> None:
    programs = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert {program for program, *_ in RULES} == programs


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.name)
def test_environment_repeats_the_pins(path: Path) -> None:
    for name, version in environment(path.name).items():
        assert (REQUIREMENTS | EXTRA)[name] == version


def test_text_is_an_extra() -> None:
    """No other environment has any of it, and all of it is in one."""
    assert REQUIREMENTS.keys().isdisjoint(EXTRA)
    found = {path.stem: environment(path.name) for path in (ROOT / "envs").glob("*.yaml")}
    for name, content in found.items():
        assert name.endswith("-text") != content.keys().isdisjoint(EXTRA)
    assert {name for content in found.values() for name in content} >= set(EXTRA)


@pytest.mark.parametrize(("program", "env", "other_for_text"), RULES)
def test_environment_holds_what_the_program_imports(
    program: str, env: str, other_for_text: bool
) -> None:
    """With two environments, that for text has all that the other has, and the extra."""
    imported = set()
    for file in imported_files(ROOT / "scripts" / f"{program}.py", *FOUND.get(program, ())):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    # _typeshed is there for type checkers alone.
    foreign = imported - set(sys.stdlib_module_names) - {"mico", "_typeshed"}
    needed = {DISTRIBUTION.get(name, name) for name in foreign}
    if other_for_text:
        with_text = environment(env.replace(".yaml", "-text.yaml"))
        assert needed <= set(with_text)
        assert environment(env).items() <= with_text.items()
        needed -= EXTRA.keys()
    assert needed <= set(environment(env))


@pytest.mark.slow
def test_modules_are_imported_without_the_extra() -> None:
    """What needs it imports it when it is used."""
    modules = [
        ".".join(path.relative_to(ROOT / "scripts").with_suffix("").parts)
        for path in (ROOT / "scripts" / "mico").rglob("[a-z]*.py")
        if (path.parent / "__init__.py").is_file()
    ]
    assert "mico.data.tokens" in modules
    code = "import importlib, sys\n"
    extra = [name.replace("-", "_") for name in sorted(EXTRA)]
    code += f"sys.modules |= dict.fromkeys({extra})\n"  # None: cannot be imported
    code += f"for name in {sorted(modules)}: importlib.import_module(name)"
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, cwd=ROOT / "scripts", capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
