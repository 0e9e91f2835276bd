"""The page on one's own network: its examples are planned and built, and one is run end to end."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from shlex import split

import pytest
import yaml
from page_examples import examples
from workflow_runs import ROOT, planned, products, snakemake, start, warm

from mico.data import store
from mico.networks import costs
from mico.networks.build import build
from mico.networks.costs import Costs
from mico.support import digests
from mico.support.records import dump
from mico.workflow import estimate
from mico.workflow import start as planning

EXAMPLES = examples("your-network.md")
ATTACKS = [
    {"name": "lira", "attack": "lira", "variant": "online", "signal": "margin"},
    {"name": "stacked", "attack": "stacked"},
    {"name": "references", "attack": "target-references", "count": 2},
]
SHORT = ("--configfile", "short.yaml")


def test_every_block_is_known() -> None:
    assert set(EXAMPLES) == {"resnet", "attention"}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_planned_and_its_network_built(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., None], name: str
) -> None:
    if name == "attention":
        pytest.importorskip("transformers", reason="requirements-text.txt is not installed")
    monkeypatch.chdir(checkout)
    path = EXAMPLES[name].write(checkout)
    _, plan = planning.planned(
        yaml.safe_load(path.read_text()), [str(path)], entries=[], repository=ROOT, look=False
    )
    for scenario in plan.run.scenarios.values():
        options, stored = plan.data(scenario), Path(f"stored_{scenario.id}")
        given = ("--name", scenario.data, "--options", dump(options), "--raw", options.path)
        call("dataset", *given, "--output", stored)
        found = store.read(stored).description
        assert scenario.n + scenario.m <= found.records
        build(scenario.architecture, found)
    plan = planned(snakemake(checkout, "--dry-run", *split(EXAMPLES[name].command)[1:]))
    assert plan["release"] == (2 if name == "resnet" else 1)


@pytest.fixture(scope="module")
def ran(checkout: Path) -> Path:
    """A short run of two networks on images, with DP and with BatchNorm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(checkout)
        config = yaml.safe_load(EXAMPLES["resnet"].write(checkout).read_text())
    shutil.copy(ROOT / "tests" / "own_modules.py", checkout)
    config |= {"models": {"train": 3, "dev": 1, "final": 1}, "attacks": ATTACKS, "shard_size": 2}
    config |= {"seeds_are_public": True}
    config["target_references"] = {
        **{"scenarios": ["R2"], "count": 2, "train_models": 1, "shard_size": 1}
    }
    for scenario in config["scenarios"]:
        scenario |= {"n": 200, "m": 20, "epochs": 1}
    config["scenarios"][0]["architecture"] = "own_modules.py:normed_images"
    config["scenarios"][1]["architecture"] = "examples/resnet.py:make(width=4)"
    (checkout / SHORT[1]).write_text(yaml.safe_dump(config))
    snakemake(checkout, "all", "bundles", "--cores", "2", *SHORT)
    return checkout / "results" / "resnet"


@pytest.mark.slow
def test_it_is_run_from_end_to_end(ran: Path) -> None:
    assert (ran / "report.html").is_file()
    assert not planned(snakemake(ran.parents[1], "--dry-run", *SHORT))
    assert "own_modules.py:normed_images" in (ran / "report.html").read_text()


@pytest.mark.slow
def test_what_a_network_takes_is_measured_once_and_asked_for(ran: Path) -> None:
    checkout, path = ran.parents[1], ran / "costs" / "R2.json"
    assert sorted(one.name for one in path.parent.iterdir()) == ["R1.json", "R2.json"]
    before, times = path.read_text(), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    found = costs.read(path)
    assert 1e-6 < found.record_seconds < 1
    assert 100 < found.mb < 5000
    try:
        path.write_text(dump(Costs(record_seconds=60.0, forward_seconds=1.0, mb=20_000)))
        os.utime(path, ns=times)
        # Other numbers make nothing anew, as long as it was not measured anew,
        assert not planned(snakemake(checkout, "--dry-run", *SHORT))
        # and what is made for another reason is asked for by them: two models of 200 records.
        target = "results/resnet/private/R2/models/0-1.csv"
        plan = snakemake(checkout, target, "--dry-run", "--forcerun", "train", *SHORT)
        assert f"runtime={estimate.minutes(2 * 200 * 60)}" in plan
        (mb,) = re.findall(r"^ +resources: .*mem_mb=(\d+)", plan, re.M)
        assert 30_000 < int(mb) < 31_000
    finally:
        path.write_text(before)
        os.utime(path, ns=times)


@pytest.mark.slow
def test_the_bundle_carries_the_code_and_the_starter_kit_asks_before_it_runs_it(
    ran: Path, tmp_path: Path
) -> None:
    shutil.unpack_archive(ran / "bundles" / "digits.zip", tmp_path / "bundle")
    card = (tmp_path / "bundle" / "README.md").read_text()
    for path in ran.parents[1] / "own_modules.py", ran.parents[1] / "examples" / "resnet.py":
        copied = tmp_path / "bundle" / "networks" / path.name
        assert copied.read_bytes() == path.read_bytes()
        assert f"made by `networks/{path.name}` (SHA-256 `{digests.of_file(path)}`)" in card
    kit = tmp_path / "bundle" / "starter_kit" / "starter_kit.py"
    given = ("--release", tmp_path / "bundle", "--data", ran / "data" / "digits")
    command = [sys.executable, kit, *given, "--output", tmp_path / "submission.zip"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "its network is code of the organiser's: read" in refused.stderr
    allowed = [*command, "--run-network-code"]
    taken = subprocess.run(allowed, capture_output=True, text=True, check=True).stdout
    assert "submission.zip" in taken.splitlines()[-1]
    # The scores are those of the run's own signals.
    (tmp_path / "bundle" / "networks" / "resnet.py").write_text("raise SystemExit('run')\n")
    damaged = subprocess.run(allowed, capture_output=True, text=True, check=False)
    assert "networks/resnet.py: not the published file" in damaged.stderr


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_bytes(ran: Path) -> None:
    checkout = ran.parents[1]
    run = (*SHORT, "--config", "run=again", "shard_size=3")
    results = checkout / "results" / "again"
    for place in "private/R1/models/0-2.csv", "private/R2/models/3-4.csv":
        process = start(checkout, "--cores", "2", *run, jobs=warm())
        deadline = time.monotonic() + 600
        while not (results / place).exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        shutil.rmtree(checkout / ".snakemake" / "locks", ignore_errors=True)
    snakemake(checkout, "--cores", "2", *run)
    assert products(results) == products(ran)


@pytest.mark.slow
def test_an_edit_of_a_network_trains_its_models_anew_and_no_others(ran: Path) -> None:
    path = ran.parents[1] / "own_modules.py"
    text = path.read_text()
    try:
        path.write_text(text + "\n# A comment.\n")
        assert not planned(snakemake(ran.parents[1], "--dry-run", *SHORT))
        # But the bundle has a copy of the file.
        again = planned(snakemake(ran.parents[1], "bundles", "--dry-run", *SHORT))
        assert (again["bundle"], again["train"]) == (1, 0)
        path.write_text(text + "\nLATER = 1\n")
        plan = planned(snakemake(ran.parents[1], "--dry-run", *SHORT))
    finally:
        path.write_text(text)
    assert plan["train"] == 3  # of R1's five models, two to a shard
    assert plan["costs"] == 1
    assert plan["target_references"] == 0  # of R2


@pytest.mark.slow
def test_dp_refuses_batch_norm_before_anything_is_written(ran: Path) -> None:
    checkout = ran.parents[1]
    config = yaml.safe_load((checkout / SHORT[1]).read_text())
    config["scenarios"][1]["architecture"] = "own_modules.py:normed_images"
    (checkout / "refused.yaml").write_text(yaml.safe_dump(config | {"run": "refused"}))
    target = "results/refused/private/R2/models/0-1"
    given = ("--cores", "2", "--configfile", "refused.yaml")
    output = snakemake(checkout, target, *given, fails=True)
    assert "with DP 1 is a BatchNorm2d, which mixes the examples of a batch" in output
    assert not list((checkout / "results" / "refused" / "private" / "R2" / "models").glob("[0-9]*"))
