"""A tiny competition, made by the stage programs and by the whole workflow; and what is slow.

A test that takes more than a second, or starts Python or a browser, is marked `slow`, and `make
check` leaves it out. What uses a run of the workflow gets the mark by itself; any other test that
starts such a process without it fails.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from unittest.mock import MagicMock

import downloads
import numpy as np
import programs
import pytest
import torch
from markupsafe import Markup
from recipes import recipe
from torch import nn
from workflow_runs import TINY, copy_checkout, snakemake

from mico.challenge import seeds
from mico.challenge.phases import Phases
from mico.data import store
from mico.data.store import Description
from mico.privacy import budget
from mico.privacy.budget import Privacy

RunScript = Callable[..., subprocess.CompletedProcess[str]]
MARKS = {
    "slow": "takes more than a second, or starts Python or a browser; not in make check",
    "slurm": "starts a SLURM of its own; only in .ci/run",
    "conda": "creates conda environments; only in .ci/run",
}
# What takes longest begins first, so that processes that share the files end together.
LONGEST = (
    *("test_conda", "test_slurm", "test_workflow", "test_privacy_audit", "test_resumption"),
    *("test_membership_runs", "test_your_network"),
)
# A test that uses one of these is slow.
SLOW_FIXTURES = {"checkout", "tiny", "real_data"}


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Processes that run tests together must agree on the names; packed bytes may hold the time."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long each file took, if that is long."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.location[0]] += report.duration
    for name, taken in seconds.most_common(20):
        if taken > 10:
            terminalreporter.write_line(f"{taken:5.0f} s  {name}")


_running_quick_test = False


def _refuse(event: str, arguments: tuple) -> None:
    """Python's audit hook: a quick test starts nothing that takes long."""
    if _running_quick_test and event == "subprocess.Popen":
        name = Path(os.fsdecode(arguments[0])).name
        if name.startswith(("python", "make", "snakemake", "chrom", "google-chrome")):
            raise RuntimeError(f"a test that starts {name} must be marked slow")


sys.addaudithook(_refuse)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _running_quick_test
    _running_quick_test = item.get_closest_marker("slow") is None
    try:
        return (yield)
    finally:
        _running_quick_test = False


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As the programs compute: a sum's rounding does not depend on the machine's cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def run_script() -> RunScript:
    """Run a stage's program: `run_script("train", "--first", 0, ...)`."""
    return programs.run


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a stage's program in this process, `call("attack", "--phases", 3, ...)`; it may raise."""

    def run(name: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        import_module(name).main()

    return run


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures without a drawing, which takes most of a page's time: for tests of its words."""
    svg = Markup('<svg aria-label="{}"></svg>')
    monkeypatch.setattr("mico.pages.figures._svg", lambda axes, title, data=None: svg.format(title))
    monkeypatch.setattr("mico.pages.figures._place", lambda axes: "")
    # Axes that take any call and do nothing.
    monkeypatch.setattr("mico.pages.figures._canvas", lambda *place, **named: MagicMock())


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The folder of a real data set's files, `real_data("sst2")`; without it, a skipped test."""
    return downloads.folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the workflow consists of, so that no test touches a user's results.

    Each file of tests has its own: two may give their runs the same name.
    """
    copy = tmp_path_factory.mktemp("checkout")
    copy_checkout(copy)
    return copy


@pytest.fixture(scope="module")
def tiny(checkout: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The results of one whole run of the workflow on one machine.

    The first file of tests that asks makes it, whatever process it runs in; the others take a copy.
    """
    own = tmp_path_factory.getbasetemp()
    shared = (own if worker_id == "master" else own.parent) / "tiny"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shared.exists():
            shutil.copytree(shared, checkout, dirs_exist_ok=True)
        else:
            snakemake(checkout, "--cores", "2", *TINY)
            # With what Snakemake knows of it.
            for part in "results/tiny", ".snakemake":
                shutil.copytree(checkout / part, shared / part)
    return checkout / "results" / "tiny"


class PublishedMLP(nn.Module):
    """The competition's Purchase-100 network as its starter kit defines it."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(features, 128), nn.Tanh(), nn.Linear(128, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mlp(x)


@pytest.fixture(scope="session")
def published_mlp() -> type[PublishedMLP]:
    """The published network, to be made with numbers of features and classes."""
    return PublishedMLP


@dataclass(frozen=True)
class StoredData:
    """A stored data set, and the arrays that it was made from."""

    directory: Path
    features: np.ndarray  # (N, d) uint8
    labels: np.ndarray  # (N,) uint8


@pytest.fixture(scope="session")
def stored_data(tmp_path_factory: pytest.TempPathFactory) -> StoredData:
    """300 records of 37 features (not whole bytes) in 4 classes that can be learnt."""
    rng = np.random.default_rng(1)
    features = rng.integers(0, 2, (300, 37), dtype=np.uint8)
    labels = (features @ rng.normal(size=(37, 4))).argmax(1).astype(np.uint8)
    directory = tmp_path_factory.mktemp("data") / "tiny"
    description = Description("tiny", 300, 37, 4, synthetic=True, source="test")
    store.write(directory, description, np.packbits(features, axis=1), labels)
    return StoredData(directory, features, labels)


@dataclass(frozen=True)
class Challenge:
    """A challenge in its released form, and what its organiser knows."""

    data: StoredData
    n: int
    m: int
    phases: Phases
    private: bool  # trained with DP
    disclosed: tuple[str, ...]
    seeds: list[dict[str, int]]
    organiser: Path  # holds seeds.csv, splits.npz, {0-4,5-6}/model_i, {0-4,5-6}.csv
    directory: Path  # the released directory
    checksums: Path
    release_arguments: tuple[object, ...]  # of release.py, but for the two outputs


@pytest.fixture(scope="session")
def challenges(
    tmp_path_factory: pytest.TempPathFactory, stored_data: StoredData, run_script: RunScript
) -> dict[str, Challenge]:
    """Two challenges of seven models each: plain, and private with seed_training disclosed."""
    root = tmp_path_factory.mktemp("run")
    return {
        "plain": _make(root, "plain", stored_data, None, (), run_script),
        "private": _make(root, "private", stored_data, 0.7, ("seed_training",), run_script),
    }


def _make(
    root: Path,
    name: str,
    data: StoredData,
    sigma: float | None,
    disclosed: tuple[str, ...],
    run_script: RunScript,
) -> Challenge:
    n, m, phases = 150, 10, Phases(train=3, dev=2, final=2)
    organiser = root / "organiser" / name
    organiser.mkdir(parents=True)
    paths = {kind: organiser / kind for kind in ("seeds.csv", "splits.npz", "privacy.json")}
    drawn = seeds.derive(5, name, phases.models)
    seeds.write(paths["seeds.csv"], drawn)
    budget.write(paths["privacy.json"], Privacy(1 / 10, 60, sigma))
    options = {"epochs": 6, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}
    options |= {"lr_decay": 0.9, "lr_decay_epochs": 2, "clipping_norm": sigma and 2.6}
    base = ("--seeds", paths["seeds.csv"], "--data", data.directory)
    _succeed(run_script("splits", *base, "--n", n, "--m", m, "--output", paths["splits.npz"]))
    shards = ("0-4", "5-6")
    for shard in shards:
        first, last = shard.split("-")
        chosen = ("--scenario", name, "--first", first, "--last", last, "--device", "cpu")
        given = ("--privacy", paths["privacy.json"], "--recipe", recipe(n, m, **options))
        written = ("--models", organiser / shard, "--rows", organiser / f"{shard}.csv")
        _succeed(run_script("train", *base, *chosen, *given, *written))
    arguments = (
        "--scenario",
        name,
        "--seeds",
        paths["seeds.csv"],
        "--splits",
        paths["splits.npz"],
        "--shards",
    )
    arguments += tuple(organiser / shard for shard in shards)
    arguments += ("--phases", 3, 2, 2, "--disclosed", *disclosed)
    directory = root / "challenge" / name
    checksums = root / "checksums" / f"{name}.sha256"
    written = ("--output", directory, "--checksums", checksums)
    _succeed(run_script("release", *arguments, *written))
    return Challenge(
        data,
        n,
        m,
        phases,
        bool(sigma),
        disclosed,
        drawn,
        organiser,
        directory,
        checksums,
        arguments,
    )


def _succeed(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stderr
