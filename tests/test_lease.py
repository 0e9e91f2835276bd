"""One GPU for one process, without a GPU: what matters is who gets which."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mico.training import device, lease

SCRIPTS = Path(__file__).parents[1] / "scripts"
TAKE = """
import os, sys, time
from mico.training import lease
lease.SECONDS = 0.05
os.umask(0o077)
if os.getuid() == 0:
    os.setuid(int(sys.argv[1]))
print(lease.take(sys.argv[2:]), flush=True)
time.sleep(60)
"""


class Jobs:
    """Processes that take a device and hold it, each another user's where this one may do so."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen] = []

    def start(self, *names: str) -> subprocess.Popen:
        user = str(1 + len(self.running))
        command = [sys.executable, "-c", TAKE, user, *map(own, names)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.running.append(subprocess.Popen(command, cwd=SCRIPTS, **pipes))
        return self.running[-1]


def own(name: str) -> str:
    """A device's name that no other run of these tests has."""
    return f"{name}-of-{os.getpid()}"


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    started = Jobs()
    yield started
    for job in started.running:
        job.kill()
        job.communicate()


@pytest.fixture
def _released() -> Iterator[None]:
    """What this process takes is given back after the test."""
    yield
    while lease._held:
        lease._held.pop().close()


@pytest.mark.slow
def test_every_process_gets_its_own(jobs: Jobs) -> None:
    found = [jobs.start("a", "b", "c").stdout.readline() for _ in range(3)]
    assert found == ["0\n", "1\n", "2\n"]


@pytest.mark.slow
def test_names_and_not_positions_are_taken(jobs: Jobs) -> None:
    """Of processes that may see different devices (CUDA_VISIBLE_DEVICES)."""
    assert jobs.start("b").stdout.readline() == "0\n"
    assert jobs.start("a", "b").stdout.readline() == "0\n"
    assert jobs.start("b", "c").stdout.readline() == "1\n"


@pytest.mark.slow
def test_one_too_many_waits_until_a_process_dies(jobs: Jobs) -> None:
    """Killed, so that nothing but the kernel can give its device back."""
    first, second = jobs.start("a", "b"), jobs.start("a", "b")
    taken = [job.stdout.readline() for job in (first, second)]
    third = jobs.start("a", "b")
    assert third.stderr.readline() == "waiting for one of 2 GPUs, all are taken\n"
    time.sleep(0.3)
    assert third.poll() is None
    second.kill()
    assert third.stdout.readline() == taken[1]


@pytest.mark.usefixtures("_released")
def test_no_file_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose permissions, umask or links could keep another user from it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    monkeypatch.setattr(os, "open", lambda *arguments: pytest.fail("a file is opened"))
    assert lease.take([own("d"), own("e")]) == 0
    assert lease.take([own("d"), own("e")]) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("_released")
def test_a_program_chooses_a_free_gpu(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs.start("GPU-0").stdout.readline()
    # It would hold for all tests that come after.
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: on)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid=own(f"GPU-{i}"))
    )
    assert device.choose("auto") == torch.device("cuda", 1)
    assert device.choose("cuda") == torch.device("cuda", 2)
    assert device.choose("cpu") == torch.device("cpu")
    assert device.available("auto") == torch.device("cuda")
