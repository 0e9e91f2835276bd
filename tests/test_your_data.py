"""The page on one's own data: its blocks, as they are, are planned and stored, and one is run."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import split

import pytest
import yaml
from page_examples import examples
from workflow_runs import ROOT, planned, snakemake

from mico.data import store
from mico.networks.build import build
from mico.support.records import dump
from mico.workflow import start

EXAMPLES = examples("your-data.md")
LEAK = examples("does-it-leak.md")["leak"]
ATTACKS = [
    {"name": "lira", "attack": "lira", "variant": "online", "signal": "margin"},
    {"name": "stacked", "attack": "stacked"},  # by gradients too
]
EXPECTED = {
    "cancer": ("numbers", 569, 30, 2),
    "digits": ("images", 1797, 3072, 10),
    "reviews": ("tokens", 180, None, 3),
}


def test_every_block_is_known() -> None:
    assert set(EXAMPLES) == set(EXPECTED)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_is_planned_and_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., None], name: str
) -> None:
    if name == "reviews":
        pytest.importorskip("transformers", reason="requirements-text.txt is not installed")
    monkeypatch.chdir(tmp_path)
    path = EXAMPLES[name].write(tmp_path)
    _, plan = start.planned(
        yaml.safe_load(path.read_text()), [str(path)], entries=[], repository=ROOT, look=False
    )
    assert plan.exported == []
    (scenario,) = plan.run.scenarios.values()
    options = plan.data(scenario)
    given = ("--name", scenario.data, "--options", dump(options), "--raw", options.path)
    call("dataset", *given, "--output", "stored")
    kind, records, features, classes = EXPECTED[name]
    found = store.read(Path("stored")).description
    assert (found.kind, found.records, found.classes) == (kind, records, classes)
    assert found.features == features or features is None
    assert scenario.n + scenario.m <= found.records
    build(scenario.architecture, found)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_is_planned_by_snakemake(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(checkout)
    EXAMPLES[name].write(checkout)
    plan = planned(snakemake(checkout, "--dry-run", *split(EXAMPLES[name].command)[1:]))
    assert (plan["dataset"], plan["release"], plan["export"]) == (1, 1, 0)


@pytest.mark.slow
def test_the_page_from_a_file_to_an_answer(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is, but for fewer models, epochs and attacks."""
    monkeypatch.chdir(checkout)
    config = yaml.safe_load(LEAK.write(checkout).read_text())
    config |= {"models": {"train": 4, "dev": 2, "final": 2}, "attacks": ATTACKS[:1]}
    for scenario in config["scenarios"]:
        scenario["epochs"] = 2
    (checkout / "short.yaml").write_text(yaml.safe_dump(config))
    snakemake(checkout, "--cores", "2", "--configfile", "short.yaml")
    report = (checkout / "results" / "leak" / "report.html").read_text()
    for said in "Risk in words", "Intervals from so few models", "Consistent with ε", "Optimizer":
        assert said in report


@pytest.mark.slow
def test_a_table_of_numbers_is_run_from_end_to_end(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With memberships from no seed, whose draws look at the stored data; and bundled."""
    monkeypatch.chdir(checkout)
    path = EXAMPLES["cancer"].write(checkout)
    config = yaml.safe_load(path.read_text())
    config |= {"models": {"train": 4, "dev": 2, "final": 1}, "seeds": "random"}
    config |= {"design": "full-entropy", "attacks": ATTACKS}
    config["scenarios"][0] |= {"epochs": 5}
    private = {"clipping_norm": 1.0, "noise_multiplier": 1.0, "delta": 1e-5}
    config["scenarios"].append(config["scenarios"][0] | {"id": "C2", "challenge": "dp"} | private)
    (checkout / "short.yaml").write_text(yaml.safe_dump(config))
    run = ("--cores", "2", "--configfile", "short.yaml")
    snakemake(checkout, *run)
    snakemake(checkout, "bundles", *run)
    results = checkout / "results" / "cancer"
    assert "numbers" in (results / "data/cancer/dataset.json").read_text()
    assert (results / "report.html").is_file()
    assert (results / "bundles" / "cancer.zip").is_file()
    assert not planned(snakemake(checkout, "--dry-run", *run))
    # A participant makes a submission of it.
    shutil.unpack_archive(results / "bundles" / "cancer.zip", checkout / "participant")
    card = (checkout / "participant" / "README.md").read_text()
    assert "569 records of 30 numbers, 2 classes; from cancer.csv" in card
    kit = checkout / "participant" / "starter_kit" / "starter_kit.py"
    given = ("--release", "participant", "--data", results / "data" / "cancer")
    command = [sys.executable, kit, *given, "--output", "submission.zip"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "cancer: 569 records of 30 features" in printed
    assert "submission.zip" in printed.splitlines()[-1]


@pytest.mark.slow
def test_six_data_sets_are_planned_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., None]
) -> None:
    """examples/own_data.yaml, of which docs/notebook/attacks.md has the results."""
    pytest.importorskip("transformers", reason="requirements-text.txt is not installed")
    lines = [f"sentence {'very ' * (number % 20)}{number} \t{number % 2}" for number in range(200)]
    (tmp_path / "train.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, ROOT / "examples" / "own_data.py", "train.tsv"]
    subprocess.run(command, check=True)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = ROOT / "examples" / "own_data.yaml"
    given = yaml.safe_load(path.read_text())
    _, plan = start.planned(given, [str(path)], entries=[], repository=ROOT, look=False)
    assert len(plan.run.scenarios) == 12
    assert plan.timed == ["G1", "G2", "C1", "C2"]
    found = {}
    for name in "digits", "digits-table", "cancer", "sentences":
        options = plan.configuration.datasets[name]
        files = ("--options", dump(options), "--raw", options.path)
        call("dataset", "--name", name, *files, "--output", name)
        about = store.read(Path(name)).description
        found[name] = (about.kind, about.records, about.features, about.classes)
    assert found["digits"] == ("images", 1797, 64, 10)
    assert found["digits-table"] == ("numbers", 1797, 64, 10)
    assert found["cancer"] == ("numbers", 569, 30, 2)
    assert found["sentences"] == ("tokens", 200, 64, 4)
