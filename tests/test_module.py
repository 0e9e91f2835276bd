"""The workflow as a module of another one, with a folder and a configuration of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
TINY = yaml.safe_load((ROOT / "tests" / "tiny.yaml").read_text())
LOCAL = repr(str(ROOT / "workflow" / "Snakefile"))
SEEDS = "results/tiny/private/S1/seeds.csv"
IMPORTING = """
configfile: "study.yaml"

rule all:
    input:
        "shell.txt",

rule shell_options:
    input:
        "results/tiny/private/S1/splits.npz",
    output:
        "shell.txt",
    shell:
        "echo ${{GLIBC_TUNABLES:-none}} > {output}; set -o | grep pipefail >> {output}"

module mico:
    snakefile:
        SNAKEFILE
    config:
        CONFIG

use rule * from mico as mico_*
"""


def importing(
    folder: Path,
    study: dict,
    snakefile: str = LOCAL,
    config: str = "config['benchmark']",
) -> Path:
    """A folder with a workflow that uses this one as a module."""
    folder.mkdir(exist_ok=True)
    text = IMPORTING.replace("SNAKEFILE", snakefile).replace("CONFIG", config)
    (folder / "Snakefile").write_text(text)
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder


def snakemake(folder: Path, *arguments: str, fails: bool = False, **environment: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (result.returncode != 0) == fails, result.stdout
    return result.stdout


def planned(output: str) -> dict[str, int]:
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", output, re.M)}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another workflow that has made its default target, for which it needs this one's splits."""
    folder = tmp_path_factory.mktemp("study")
    importing(folder, {"subject": "shopping", "benchmark": TINY})
    snakemake(folder, "--cores", "1", GLIBC_TUNABLES="")
    return folder


def test_first_stages_run_for_the_other_workflow(study: Path) -> None:
    assert len((study / SEEDS).read_text().splitlines()) == 1 + 7
    assert (study / "results/tiny/data/shopping/dataset.json").exists()
    assert not (study / "results/tiny/private/SD").exists()
    assert "Nothing to be done" in snakemake(study, "--dry-run")


def test_shell_of_the_other_workflow_is_left_alone(study: Path) -> None:
    assert (study / "shell.txt").read_text().split() == ["none", "pipefail", "on"]


def test_configuration_is_laid_over_the_defaults(tmp_path: Path) -> None:
    folder = importing(tmp_path, {"benchmark": {"run": "mine", "shard_size": 50}})
    plan = planned(snakemake(folder, "--dry-run", "mico_all"))
    assert plan["mico_train"] == 4 * 4
    assert plan["mico_attack"] == 4 * 27


def test_results_go_where_the_other_workflow_wants(tmp_path: Path) -> None:
    config = "config['benchmark']\n    pathvars:\n        results='benchmark'"
    folder = importing(tmp_path, {"benchmark": TINY}, config=config)
    output = snakemake(folder, "--dry-run", "benchmark/private/S1/seeds.csv")
    assert "log: benchmark/logs/seeds/S1.log" in output
    assert "results/" not in output
    notes = tmp_path / "benchmark/attack_pages/notes.txt"
    notes.parent.mkdir(parents=True)
    notes.touch()
    output = snakemake(folder, "--dry-run", fails=True)
    assert "error: benchmark/attack_pages: holds 'notes.txt', expected" in output


def test_downloads_go_where_the_other_workflow_wants(tmp_path: Path) -> None:
    data = {"format": "labelled-bits", "records": 300, "features": 40, "classes": 4}
    study = TINY | {"datasets": {"shopping": data | {"url": "https://example.org/a.csv"}}}
    config = "config['benchmark']\n    pathvars:\n        resources='elsewhere'"
    folder = importing(tmp_path, {"benchmark": study}, config=config)
    output = snakemake(folder, "--dry-run", "results/tiny/data/shopping")
    assert "output: elsewhere/shopping/a.csv" in output
    assert "input: elsewhere/shopping/a.csv" in output
    assert "resources/" not in output


@pytest.mark.parametrize(
    ("config", "where"),
    [("config", "study.yaml"), ("config['benchmark']", "study.yaml, module mico")],
)
def test_bad_configuration_names_the_file_of_the_other_workflow(
    tmp_path: Path, config: str, where: str
) -> None:
    bad = TINY | {"scenarios": [TINY["scenarios"][0] | {"epoch": 3}]}
    study = bad if config == "config" else {"benchmark": bad}
    output = snakemake(importing(tmp_path, study, config=config), "--dry-run", fails=True)
    lines = [line for line in output.splitlines() if "unknown key" in line]
    assert len(lines) == 1, output
    assert lines[0].startswith(f"error: {where}: scenario S1: unknown key 'epoch'")


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_module_on_github(study: Path, tmp_path: Path) -> None:
    """Snakemake's cache holds a clone of the repository, so that it asks no server."""
    repository = tmp_path / "repository"
    for part in ("workflow", "config", "envs", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, repository / part, ignore=ignored)
    cache = tmp_path / "snakemake/snakemake/source-cache/snakemake-git-cache"
    clone = cache / "github.com/mico/benchmark"
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (
        ("init", "--quiet", "."),
        ("add", "."),
        (*identity, "commit", "--quiet", "--message", "all"),
        ("tag", "v1"),
        ("clone", "--quiet", "--bare", ".", str(clone)),
    ):
        subprocess.run(["git", *command], cwd=repository, check=True)
    snakefile = "github('mico/benchmark', path='workflow/Snakefile', tag='v1')"
    folder = importing(tmp_path / "study", {"benchmark": TINY}, snakefile)
    snakemake(folder, "--cores", "1", SEEDS, XDG_CACHE_HOME=str(tmp_path))
    assert (folder / SEEDS).read_bytes() == (study / SEEDS).read_bytes()
    # The rest is planned as from a checkout.
    plans = [
        planned(snakemake(where, "--dry-run", "--forceall", "mico_all", XDG_CACHE_HOME=str(cached)))
        for where, cached in ((folder, tmp_path), (study, tmp_path / "other"))
    ]
    assert plans[0] == plans[1]
    assert plans[0]["mico_attack"] == 14
