"""Running the workflow for real in a copy of the checkout, and what must be the same every time."""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import warm_python

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "workflow", "config", "profiles", "envs", "scripts", "tools", "examples")
PYTHON = Path(sys.executable)
TINY = ("--configfile", "tiny.yaml")
# Folders of results that hold models, predictions and scores.
PRODUCTS = (
    *("challenge", "signals", "whitebox", "target_references", "shared_references"),
    *("predictions", "entries"),
)


def copy_checkout(folder: Path) -> None:
    """Put what the workflow consists of, and the tests' own runs, into a folder."""
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    for name in "tiny.yaml", "images.yaml", "text.yaml":
        shutil.copy(ROOT / "tests" / name, folder)


def start(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] = os.environ,
    python: Path = PYTHON,
    jobs: Path = PYTHON,
) -> subprocess.Popen:
    """Start Snakemake in a folder.

    Args:
        python: what runs it; jobs: the `python` that its jobs take.
    """
    path = f"{jobs.parent}:{PYTHON.parent}:{environment['PATH']}"
    return subprocess.Popen(
        [python, "-m", "snakemake", *arguments],
        cwd=folder,
        env={**environment, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def snakemake(folder: Path, *arguments: str, fails: bool = False) -> str:
    """Run Snakemake in a folder, and give what it printed.

    It and its jobs are forked from a process that has the large libraries in memory. The jobs of
    SLURM and conda are not, and must give the same bytes.
    """
    process = start(folder, *arguments, python=warm(), jobs=warm())
    output, _ = process.communicate(timeout=900)
    assert (process.returncode != 0) == fails, output
    return output


@cache
def warm() -> Path:
    """The `python` that is warm, for as long as the tests run."""
    serving = ExitStack()
    atexit.register(serving.close)
    folder = serving.enter_context(tempfile.TemporaryDirectory())
    return serving.enter_context(warm_python.running(Path(folder))) / "python"


def planned(output: str) -> Counter:
    """The jobs per rule in a dry run's table; empty if nothing is to be done."""
    return Counter(
        {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", output, re.M)}
    )


def files(folder: Path) -> dict[str, bytes]:
    """The contents of a folder, by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def products(results: Path) -> dict[str, bytes]:
    """All that must be the same to the byte: models, predictions and scores."""
    return {
        name: content
        for name, content in files(results).items()
        if name.split("/")[0] in PRODUCTS or name == "scores.csv" or name.endswith("splits.npz")
        # Snakemake's own mark of a finished directory; one made by an orphaned job has none.
        if not name.endswith(".snakemake_timestamp")
    }
