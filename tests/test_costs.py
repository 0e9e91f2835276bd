"""What a network of one's own takes, as measured at its first use, and what is asked for by it."""

import json
from pathlib import Path

import programs
import pytest
import yaml
from recipes import recipe
from tiny_configuration import run
from workflow_runs import ROOT

from mico.networks import costs
from mico.networks.costs import Costs
from mico.support.errors import InputError
from mico.support.records import dump
from mico.workflow import estimate, jobs, resources
from mico.workflow.plan import Plan, make

RESNET = f"{ROOT}/examples/resnet.py:make"
OPTIMISATION = {"epochs": 5, "batch_size": 20, "optimizer": "sgd", "learning_rate": 0.01}
OPTIMISATION |= {"lr_decay": 0.9, "lr_decay_epochs": 2, "shuffle": False}
OPTIMISATION |= {"max_gradient_norm": None, "drop_last": False}
JOB = {"scenario": "S1", "first": "0", "last": "2"}
CHALLENGE = {"track": "pictures", "challenge": "pictures_inf"}
MEASURED = Costs(record_seconds=0.5, forward_seconds=0.125, mb=2000)


def plan_of(architecture: str) -> Plan:
    """A run of one scenario on images."""
    scenario = {"id": "S1", "from": "I1", "data": "cifar10-synthetic", "n": 1000, "epochs": 2}
    scenario |= {"architecture": architecture, **CHALLENGE}
    nothing = {"scenarios": [], "count": 4, "train_models": 2, "shard_size": 2}
    shared = {"scenarios": [], "count": 3, "shard_size": 2}
    kinds = {"target_references": nothing, "shared_references": shared}
    return make(run(scenarios=[scenario], **kinds))


def test_what_is_asked_for_follows_what_was_measured(tmp_path: Path) -> None:
    file = tmp_path / "S1.json"
    file.write_text(dump(MEASURED))
    guessed = plan_of(RESNET)
    assert jobs.costs_file(guessed, JOB) == ["<results>/costs/S1.json"]
    assert jobs.costs_file(guessed, CHALLENGE) == ["<results>/costs/S1.json"]
    known = guessed.measured([str(file)])
    # Three models, two epochs of 1,000 records each.
    assert resources.training_minutes(known, JOB) == estimate.minutes(3 * 2 * 1000 * 0.5)
    points = estimate.challenge_points(known.of(JOB), known.data(known.of(JOB)), known.models)
    assert resources.signals_minutes(known, CHALLENGE) == estimate.minutes(
        known.models * points * 0.125
    )
    assert resources.white_box_minutes(known, CHALLENGE) > estimate.minutes(2 * 0.5 * points)
    images = 4000 * 3072 / 2**20
    assert resources.compute_mb(known, CHALLENGE) == pytest.approx(1.5 * (2000 + images), abs=1)
    # Which shards there are must not depend on it.
    assert known.shards(known.of(JOB)) == guessed.shards(guessed.of(JOB))


def test_before_it_is_measured_it_is_guessed(tmp_path: Path) -> None:
    guessed = plan_of(RESNET)
    for files in [], [str(tmp_path / "missing.json")]:
        assert guessed.measured(files).costs is None
    two_milliseconds = 3 * 2 * (1000 * 2e-3 + 32 * 1e-2)  # and 10 a step
    assert resources.training_minutes(guessed, JOB) == estimate.minutes(two_milliseconds)


def test_the_benchmarks_own_networks_have_their_table() -> None:
    one = plan_of("cnn/8")
    assert not one.timed
    assert jobs.costs_file(one, JOB) == []


@pytest.mark.parametrize(
    "text", ["", "{}", '{"record_seconds": 0, "forward_seconds": 1, "mb": 1}', "[1]"]
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "S1.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"S1.json: "):
        costs.read(file)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stored data set of 200 images."""
    folder = tmp_path_factory.mktemp("costs") / "images"
    known = yaml.safe_load((ROOT / "config/config.yaml").read_text())["datasets"]
    options = json.dumps({**known["cifar10-synthetic"], "records": 200})
    made = programs.run("dataset", "--name", "images", "--options", options, "--output", folder)
    assert made.returncode == 0, made.stderr
    return folder


def measured(images: Path, output: Path, **changes: object) -> Costs:
    given = ("--data", images, "--device", "cpu", "--output", output)
    done = programs.run_process("costs", *given, "--recipe", recipe(100, 10, **changes))
    assert done.returncode == 0, done.stderr
    return costs.read(output)


@pytest.mark.slow
def test_a_larger_network_takes_more_and_clipping_too(images: Path, tmp_path: Path) -> None:
    small = measured(images, tmp_path / "a", architecture=f"{RESNET}(width=4)", **OPTIMISATION)
    large = measured(images, tmp_path / "b", architecture=f"{RESNET}(width=48)", **OPTIMISATION)
    assert 1e-5 < small.record_seconds < large.record_seconds < 10
    assert 1e-6 < small.forward_seconds < large.forward_seconds < large.record_seconds
    assert 200 < small.mb < large.mb < 3000
    clipped = OPTIMISATION | {"clipping_norm": 1.0}
    private = measured(images, tmp_path / "c", architecture=f"{RESNET}(width=48)", **clipped)
    assert private.record_seconds > small.record_seconds
    assert private.mb > small.mb
