"""Every command that the README and the pages under docs/ and config/ show.

Programs are run for real. What Snakemake would do is planned, by a dry run, and what make would do
by its own: the runs that the pages name take from minutes to days. Commands of programs that are
not part of the workflow's installation are only known by name here.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workflow_runs import ROOT, snakemake

PAGES = [ROOT / "README.md", ROOT / "config" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("make", "snakemake", "python", "tail", "source", "export")
# Of a user's own installation.
ELSEWHERE = ("snakedeploy", "apt-get", "pip")


def commands(page: Path) -> list[str]:
    """The command lines of a page, in fenced blocks without a language and in running text."""
    text = page.read_text()
    blocks = re.findall(r"^```\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    known = "|".join([*PROGRAMS, *ELSEWHERE])
    fenced = [line for line in lines if re.match(rf"(?:{known}|\.) ", line)]
    return fenced + re.findall(rf"`((?:{known}) [^`]+)`", text)


SHOWN = [
    pytest.param(command, id=f"{page.relative_to(ROOT)}: {command}")
    for page in PAGES
    for command in dict.fromkeys(commands(page))
]


@pytest.fixture(scope="module")
def folder(checkout: Path, tiny: Path) -> Path:
    """A checkout in which the files are that the pages take for granted."""
    (checkout / "downloads").mkdir(exist_ok=True)
    (checkout / "downloads" / "dataset_location.tgz").touch()
    shutil.copy(
        checkout / "config" / "location30.yaml", checkout / "config" / "my-competition.yaml"
    )
    return checkout


def test_pages_show_commands() -> None:
    assert {"make demo", "make test", "make bench"} <= set(commands(ROOT / "README.md"))
    assert len(SHOWN) > 15


@pytest.mark.parametrize("command", SHOWN)
def test_command_works(folder: Path, command: str) -> None:
    program, *arguments = shlex.split(command)
    if program == "snakemake":
        # Conda is asked for its version even by a dry run; tests/test_conda.py has environments.
        planned = shlex.split(command.replace("--sdm conda", ""))[1:]
        snakemake(folder, "--dry-run", *planned)
    elif program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True)
    elif program == "python":
        assert (folder / arguments[0]).is_file()
        subprocess.run([sys.executable, *arguments], cwd=folder, check=True, timeout=120)
    elif program == "tail":
        # What the page names is of a long run: the same files of a short one.
        short = command.replace("tail -f", "tail -n 1").replace("/published/", "/tiny/")
        shown = subprocess.check_output(["bash", "-c", short], cwd=folder, text=True)
        assert "models" in shown
    elif program == ".":
        assert arguments == [".venv/bin/activate"]
        plan = subprocess.check_output(["make", "--dry-run", "--always-make", "test"], cwd=ROOT)
        assert b"-m venv .venv" in plan
    elif program == "export":
        names = [argument.partition("=")[0] for argument in arguments]
        assert all(name.isidentifier() for name in names)
    else:
        assert program in ELSEWHERE
        assert os.sep not in program
