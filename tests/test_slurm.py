"""The workflow on a real SLURM of one node: all that it schedules, and what it survives.

The runs go side by side, as on a busy cluster, so that the controller that one of them has
restarted in its middle is restarted under all of them.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from workflow_runs import ROOT, TINY, copy_checkout, products, snakemake, start

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
GPUS = 2
SLURM = ROOT / "tests" / "slurm.sh"
# A cluster of this size answers at once.
SOON = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")
PROFILE = ("--workflow-profile", "profiles/slurm", *SOON, *TINY)
RELEASED = "challenge/shopping/shopping_inf"
CHECKSUMS = "checksums/shopping/shopping_inf.sha256"
GPU_RULES = {"train", "target_references", "shared_references", "signals", "whitebox"}
# Fails the first time that it runs in a folder.
FAIL_ONCE = """
import sys
from pathlib import Path
marker = Path("failed-once")
if not marker.exists():
    marker.touch()
    sys.exit("injected fault")
"""


@dataclass(frozen=True)
class Job:
    """What SLURM's accounting says of a job of Snakemake's."""

    rule: str  # of a group, its name and its rules'
    state: str
    resources: dict[str, str]
    start: datetime
    end: datetime

    @property
    def gpus(self) -> int:
        return int(self.resources.get("gres/gpu", 0))


@dataclass(frozen=True)
class Run:
    """A run through SLURM that has ended."""

    folder: Path
    output: str
    jobs: list[Job]

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment in which the commands of a cluster that is up find it."""
    folder = tmp_path_factory.mktemp("slurm") / "cluster"
    started = subprocess.run(
        [SLURM, "start", folder],
        env=os.environ | {"GPUS": str(GPUS)},
        capture_output=True,
        text=True,
        check=False,
    )
    if started.returncode == 77:
        pytest.skip(f"no SLURM can be started here: {started.stderr.strip()}")
    assert started.returncode == 0, started.stderr
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    try:
        yield os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    finally:
        subprocess.run([SLURM, "stop", folder], check=True)


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def slurm(cluster: Mapping[str, str], *command: str) -> list[list[str]]:
    """The rows and columns that a command of SLURM's prints."""
    printed = subprocess.run(command, env=cluster, capture_output=True, text=True, check=True)
    return [line.split("|") for line in printed.stdout.splitlines()]


def whole(folder: Path, cluster: Mapping[str, str]) -> subprocess.Popen:
    """All stages, with nothing in the way."""
    return start(folder, *PROFILE, environment=cluster)


def to_release(folder: Path, cluster: Mapping[str, str], *more: str) -> subprocess.Popen:
    """One scenario, up to what its participants get."""
    target = f"results/tiny/{CHECKSUMS}"
    arguments = (target, *PROFILE, "--config", "shard_size=2", *more)
    return start(folder, *arguments, environment=cluster)


def failing_once(folder: Path, cluster: Mapping[str, str]) -> subprocess.Popen:
    """The four shards are one SLURM job, of which one program fails."""
    program = folder / "scripts" / "train.py"
    program.write_text(FAIL_ONCE + program.read_text())
    grouped = ("--groups", "train=shards", "--group-components", "shards=4")
    return to_release(folder, cluster, *grouped)


def cancelled(folder: Path, cluster: Mapping[str, str]) -> subprocess.Popen:
    """Somebody cancels a job that trains."""
    process = to_release(folder, cluster)
    training: list[list[str]] = []

    def is_training() -> bool:
        nonlocal training
        queue = slurm(cluster, "squeue", "--noheader", "--format=%i|%Z|%T|%k")
        training = [
            job
            for job in queue
            if job[1] == str(folder) and job[2] == "RUNNING" and "train" in job[3]
        ]
        return bool(training)

    wait(is_training)
    slurm(cluster, "scancel", training[0][0])
    return process


def controller_restarted(folder: Path, cluster: Mapping[str, str]) -> subprocess.Popen:
    """SLURM's controller goes away and comes back while models are trained."""
    process = to_release(folder, cluster)
    wait((folder / "results/tiny/private/S1/models").exists)
    own = Path(cluster["SLURM_CONF"]).parent
    subprocess.run([SLURM, "restart-controller", own], env=cluster, check=True)
    return process


def killed(folder: Path, cluster: Mapping[str, str]) -> subprocess.Popen:
    """The main process is killed, not its jobs, and the run is taken up again."""
    process = to_release(folder, cluster)
    wait((folder / "results/tiny/private/S1/models").exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    snakemake(folder, "--unlock", *TINY)
    return to_release(folder, cluster)


@pytest.fixture(scope="module")
def before_training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all is made that comes before the faults."""
    folder = tmp_path_factory.mktemp("before") / "training"
    copy_checkout(folder)
    made = ("results/tiny/private/S1/splits.npz", "results/tiny/privacy/S1.json")
    snakemake(folder, "--cores", "2", *made, *TINY)
    return folder


@pytest.fixture(scope="module")
def runs(
    cluster: Mapping[str, str], before_training: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Callable, Run]:
    """Each run by what happens in it."""
    root = tmp_path_factory.mktemp("runs")

    def run(happening: Callable) -> Run:
        folder = root / happening.__name__
        if happening is whole:
            copy_checkout(folder)
        else:
            shutil.copytree(before_training, folder)
        output, _ = happening(folder, cluster).communicate(timeout=1500)
        return Run(folder, output, accounted(cluster, folder))

    happenings = (whole, failing_once, cancelled, controller_restarted, killed)
    with ThreadPoolExecutor(len(happenings)) as pool:
        return dict(zip(happenings, pool.map(run, happenings), strict=True))


def accounted(cluster: Mapping[str, str], folder: Path) -> list[Job]:
    """The jobs of a run in the order in which they started."""
    columns = "Comment%200,State,AllocTRES%200,Start,End,WorkDir%500"
    command = ["sacct", "--allocations", "--allusers", "--noheader", "--parsable2"]
    # Of itself, sacct leaves out what ended before midnight.
    command += ["--starttime=now-1day", f"--format={columns}"]
    jobs = []
    for comment, state, resources, *times, place in slurm(cluster, *command):
        if place == str(folder) and "None" not in times and "Unknown" not in times:
            given = dict(one.split("=") for one in resources.split(",") if one)
            rule = re.sub(r"^rule_|_wildcards.*$", "", comment)
            jobs.append(Job(rule, state.split()[0], given, *map(datetime.fromisoformat, times)))
    return sorted(jobs, key=lambda job: job.start)


def released(results: Path) -> dict[str, bytes]:
    return {name: data for name, data in products(results).items() if name.startswith(RELEASED)}


def test_all_stages_give_the_bytes_of_a_local_run(runs: dict, tiny: Path) -> None:
    assert products(runs[whole].results) == products(tiny), runs[whole].output
    assert (runs[whole].results / "report.html").exists()


@pytest.mark.parametrize("happening", [failing_once, cancelled, controller_restarted, killed])
def test_faults_change_no_byte(runs: dict, tiny: Path, happening: Callable) -> None:
    assert released(runs[happening].results) == released(tiny), runs[happening].output
    assert not list(runs[happening].folder.rglob("*.partial"))


def test_what_computes_with_a_gpu_asks_for_one_and_nothing_else_does(runs: dict) -> None:
    asked = {job.rule: job.gpus for job in runs[whole].jobs}
    assert set(asked) >= GPU_RULES | {"seeds", "dataset", "release", "score"}
    assert {rule for rule, gpus in asked.items() if gpus} == GPU_RULES
    assert {asked[rule] for rule in GPU_RULES} == {1}


def test_never_more_gpus_in_use_than_there_are(runs: dict) -> None:
    jobs = [job for run in runs.values() for job in run.jobs]
    changes = sorted(
        [(job.end, -job.gpus) for job in jobs] + [(job.start, job.gpus) for job in jobs]
    )
    in_use = most = 0
    for _, change in changes:
        in_use += change
        most = max(most, in_use)
    assert most == GPUS


def test_attacks_on_a_challenge_are_one_job(runs: dict) -> None:
    groups = [job for job in runs[whole].jobs if job.rule == "attacks_attack"]
    assert sorted(int(job.resources["cpu"]) for job in groups) == [6, 6]


def test_job_that_fails_is_tried_again_with_more(runs: dict) -> None:
    """Of a group, which shares one GPU."""
    jobs = [job for job in runs[failing_once].jobs if job.rule == "shards_train"]
    assert [job.state for job in jobs] == ["FAILED", "COMPLETED"]
    assert [job.gpus for job in jobs] == [1, 1]
    first, second = (int(job.resources["mem"].removesuffix("M")) for job in jobs)
    assert second == 2 * first
    assert (runs[failing_once].folder / "failed-once").exists()


def test_cancelled_job_is_tried_again(runs: dict) -> None:
    states = [job.state for job in runs[cancelled].jobs if job.rule == "train"]
    assert sorted(states) == ["CANCELLED", *["COMPLETED"] * 4]


def test_run_that_was_killed_is_taken_up_again(runs: dict) -> None:
    assert "Nothing to be done" in snakemake(
        runs[killed].folder,
        "--dry-run",
        f"results/tiny/{CHECKSUMS}",
        *TINY,
        "--config",
        "shard_size=2",
    )
