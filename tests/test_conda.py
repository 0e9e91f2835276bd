"""Every environment file as `--sdm conda` uses it, by a stand-in for conda (conda_stand_in.py).

This tests the wiring: that the files can be parsed, solved, created and activated, that every
program runs in its own environment, and that what it needs is there. It does not test what
conda-forge has: the stand-in's channel holds the Python and pip of this machine and nothing else.
"""

import importlib.util
import os
import re
import sys
import sysconfig
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

import pytest
from environments import RULES, environment
from packaging.utils import canonicalize_name
from workflow_runs import ROOT, TINY, copy_checkout, products, start

ENVIRONMENTS = {path.name: path.read_text() for path in sorted((ROOT / "envs").glob("*.yaml"))}
pytestmark = [pytest.mark.slow, pytest.mark.conda]
# The tests' own runs generate their data, make no bundles, draw memberships from seeds, train their
# models, of the benchmark's networks, and are compared with none.
NOT_RUN = {"download", "bundle", "draws", "memberships", "costs", "compare"}
NOT_RUN |= {"given_challenge", "given_splits", "given_outputs", "outputs"}
# What they make on demand.
ON_DEMAND = ("exports", "results/tiny/submissions/threshold/shopping.zip")
ON_DEMAND += ("results/tiny/figures/contents.csv",)
# Of text what has environments of its own, as far as the signals.
TEXT = ("--configfile", "text.yaml")
SIGNALS = "results/text/signals/reviews/reviews_inf.npz"
WITH_TEXT = {
    ("dataset", "data-text.yaml"),
    ("train", "train-text.yaml"),
    ("release", "train-text.yaml"),
    ("signals", "attack-text.yaml"),
}
# A line for every program that Python starts, with where it finds its packages.
WITNESS = """
import sys
with open({log!r}, "a") as log:
    print(sys.prefix, sys.orig_argv[1], file=log)
"""


def obstacle() -> str | None:
    """Why no environment can be created here."""
    if importlib.util.find_spec("rattler") is None:
        return "py-rattler, of which the stand-in for conda is made, is not installed"
    if sys.platform != "linux" or sys.version_info[:2] != (3, 11):
        return "the environments want the CPython 3.11 of a Linux"
    if "deb_system" in sysconfig.get_scheme_names():
        return "a Python that Debian has changed works only where it was installed"
    return None


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment variables with which the command `conda` is the stand-in."""
    if why := obstacle():
        pytest.skip(f"no conda environments here: {why}")
    folder = tmp_path_factory.mktemp("conda")
    from conda_stand_in import set_up

    set_up(folder / "root")
    path = f"{folder / 'root' / 'bin'}:{os.environ['PATH']}"
    # What is imported is compiled once, not once per job.
    return os.environ | {"PATH": path, "PYTHONDONTWRITEBYTECODE": ""}


def snakemake_in_conda(folder: Path, conda: Mapping[str, str], *arguments: str) -> None:
    options = ("--sdm", "conda", "--conda-prefix", str(folder / "conda"), "--cores", "2")
    process = start(folder, *options, *arguments, environment=conda)
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output


@pytest.fixture(scope="module")
def created(conda: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The environments that the tests' own runs need, by the name of their file."""
    folder = tmp_path_factory.mktemp("environments")
    copy_checkout(folder)
    for run in TINY, TEXT:
        snakemake_in_conda(folder, conda, "--conda-create-envs-only", *run)
    names = {content: name for name, content in ENVIRONMENTS.items()}
    # Snakemake keeps a copy of the file beside the environment.
    copies = (folder / "conda").glob("*.yaml")
    return {names[path.read_text()]: path.with_suffix("") for path in copies}


def site_packages(prefix: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(prefix)}))


@pytest.fixture(scope="module")
def witnessed(conda: Mapping[str, str], created: dict[str, Path]) -> Path:
    """The folder of the runs, with a file of the programs that environments' Pythons ran."""
    folder = next(iter(created.values())).parents[1]
    log = folder / "witnessed"
    log.touch()
    for prefix in created.values():
        site_packages(prefix).mkdir(exist_ok=True)
        (site_packages(prefix) / "sitecustomize.py").write_text(WITNESS.format(log=str(log)))
    snakemake_in_conda(folder, conda, "all", *ON_DEMAND, *TINY)
    snakemake_in_conda(folder, conda, SIGNALS, *TEXT)
    return folder


def test_an_image_holds_every_environment(
    conda: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As docs/snakemake.md says, of a run on text."""
    folder = tmp_path_factory.mktemp("image")
    copy_checkout(folder)
    process = start(folder, "--containerize", *TEXT, environment=conda)
    dockerfile, _ = process.communicate(timeout=100)
    assert process.returncode == 0, dockerfile
    copied = re.findall(r"^COPY envs/(\S+) (/conda-envs/\w+/environment.yaml)$", dockerfile, re.M)
    assert sorted(name for name, _ in copied) == sorted(ENVIRONMENTS)
    created = re.findall(r"conda env create --prefix \S+ --file (\S+)", dockerfile)
    assert sorted(created) == sorted(path for _, path in copied)


def test_every_environment_is_created(created: dict[str, Path]) -> None:
    assert set(created) == set(ENVIRONMENTS)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_holds_what_its_file_pins(created: dict[str, Path], name: str) -> None:
    packages = distributions(path=[str(site_packages(created[name]))])
    found = {canonicalize_name(one.name): one.version.partition("+")[0] for one in packages}
    assert found.items() >= environment(name).items()
    assert ("torch" in found) == ("torch" in environment(name))


def test_every_program_runs_in_its_environment(witnessed: Path, created: dict[str, Path]) -> None:
    names = {str(prefix): name for name, prefix in created.items()}
    lines = [line.split() for line in (witnessed / "witnessed").read_text().splitlines()]
    ran = {(Path(program).stem, names[prefix]) for prefix, program in lines}
    expected = {(program, name) for program, name, _ in RULES if program not in NOT_RUN}
    assert ran == expected | WITH_TEXT


def test_gives_the_bytes_of_a_run_without_conda(witnessed: Path, tiny: Path) -> None:
    assert products(witnessed / "results" / "tiny") == products(tiny)
