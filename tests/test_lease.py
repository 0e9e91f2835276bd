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
import sys, time
from pathlib import Path
from mico.training import lease
lease.SECONDS = 0.05
print(lease.take(sys.argv[2:], Path(sys.argv[1])), flush=True)
time.sleep(60)
"""


class Jobs:
    """Processes that take a device and hold it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen] = []

    def start(self, *names: str) -> subprocess.Popen:
        command = [sys.executable, "-c", TAKE, str(self.folder), *names]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.running.append(subprocess.Popen(command, cwd=SCRIPTS, **pipes))
        return self.running[-1]


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    started = Jobs(tmp_path)
    yield started
    for job in started.running:
        job.kill()
        job.communicate()


@pytest.fixture
def _released() -> Iterator[None]:
    """What this process takes is given back after the test."""
    yield
    while lease._held:
        os.close(lease._held.pop())


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
def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mico-a.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"mico-a\.lock"):
        lease.take(["a"], tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("_released")
def test_a_program_chooses_a_free_gpu(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jobs.start("GPU-0").stdout.readline()
    # It would hold for all tests that come after.
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: on)
    monkeypatch.setattr(lease.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid=f"GPU-{i}")
    )
    assert device.choose("auto") == torch.device("cuda", 1)
    assert device.choose("cuda") == torch.device("cuda", 2)
    assert device.choose("cpu") == torch.device("cpu")
    assert device.available("auto") == torch.device("cuda")
