"""Every command that the README and the pages under docs/ and config/ show.

Programs are run for real. What Snakemake would do is planned, by a dry run, and what make would do
by its own: the runs that the pages name take from minutes to days. Commands that install something
are left out.
"""

import re
import shlex
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import membership_page
import numpy as np
import pytest
import tutorial_page
from page_examples import examples
from test_library import made
from workflow_runs import ROOT, TINY, snakemake

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config" / "README.md"]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
PROGRAMS = ("make", "snakemake", "python", "tail")
PLAIN = re.compile(r"snakemake --cores all --configfile (config/[\w-]+\.yaml)")


def commands(page: Path) -> list[str]:
    """The command lines of a page, in fenced blocks without a language and in running text."""
    text = page.read_text()
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
    plain = [block for language, block in blocks if not language]
    lines = [line for block in plain for line in block.replace("\\\n", " ").splitlines()]
    known = "|".join(PROGRAMS)
    fenced = [line for line in lines if re.match(rf"(?:{known}|\.) ", line)]
    return fenced + re.findall(rf"`((?:{known}) [^`]+)`", text)


# Once each, with a page that shows it.
SHOWN = {" ".join(command.split()): page for page in PAGES for command in commands(page)}


@pytest.fixture(scope="module")
def folder(checkout: Path, tiny: Path) -> Path:
    """A checkout in which the files are that the pages take for granted."""
    (checkout / "downloads").mkdir(exist_ok=True)
    (checkout / "downloads" / "dataset_location.tgz").touch()
    shutil.copy(
        checkout / "config" / "location30.yaml", checkout / "config" / "my-competition.yaml"
    )
    with chdir(checkout):
        for page in "your-data.md", "your-network.md", "does-it-leak.md":
            for example in examples(page).values():
                example.write(checkout)
    logits, labels, trained = made()
    np.savez(checkout / "mine.npz", logits=logits, labels=labels, trained=trained)
    page = (ROOT / "docs" / "your-models.md").read_text()
    mine = re.search(r"^```yaml\n(# mine.yaml\n.*?)^```", page, re.M | re.S)[1]
    (checkout / "mine.yaml").write_text(mine)
    membership_page.write(checkout)
    tutorial_page.write(checkout)
    return checkout


def test_pages_show_commands() -> None:
    assert {"make demo", "make test", "make site"} <= set(commands(ROOT / "README.md"))
    assert "make bench" in commands(ROOT / "docs" / "README.md")
    assert "snakemake --cores all --configfile cancer.yaml" in SHOWN
    assert len(SHOWN) > 15


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=f"{page.relative_to(ROOT)}: {command}")
        for command, page in SHOWN.items()
    ],
)
def test_command_works(folder: Path, command: str) -> None:
    program, *arguments = shlex.split(command)
    if plain := PLAIN.fullmatch(command):
        # test_dry_run.py plans it.
        assert (folder / plain[1]).is_file()
    elif "--containerize" in arguments:
        # It needs conda; tests/test_conda.py has it.
        assert (folder / arguments[2]).is_file()
    elif "--report" in arguments:
        # Of a run that is finished.
        snakemake(folder, *arguments[:-1], TINY[1])
        assert (folder / arguments[1]).is_file()
    elif program == "snakemake":
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
    else:
        assert program == "."
        assert arguments == [".venv/bin/activate"]
        plan = subprocess.check_output(["make", "--dry-run", "--always-make", "test"], cwd=ROOT)
        assert b"-m venv .venv" in plan


def test_snakefile_for_an_image_plans_the_run(folder: Path) -> None:
    """The file of docs/snakemake.md, without the image."""
    page = (ROOT / "docs" / "snakemake.md").read_text()
    found = re.search(r"^```python\n# (in_image\.smk)\n(.*?)^```", page, re.M | re.S)
    (folder / found[1]).write_text(found[2])
    planned = snakemake(folder, "--dry-run", "--snakefile", found[1], *TINY)
    assert "Nothing to be done" in planned
