"""What is asked of a scheduler: in proportion to the work, and never less than was measured."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from mico.challenge.scenario import Scenario
from mico.data.options import DataOptions
from mico.networks.facts import networks, parse
from mico.support.records import build
from mico.workflow import estimate
from mico.workflow.scenarios import resolve

CONFIG = Path(__file__).parents[1] / "config"
DATASETS = {
    name: build(DataOptions, options)
    for name, options in yaml.safe_load((CONFIG / "config.yaml").read_text())["datasets"].items()
}
PUBLISHED = yaml.safe_load((CONFIG / "scenarios.yaml").read_text())


def scenario(base: str, **changes: object) -> Scenario:
    """A published scenario with other fields."""
    return resolve([{"id": "S", "from": base, **changes}], PUBLISHED, DATASETS)["S"]


def seconds(base: str, gpu: bool = False, **changes: object) -> float:
    one = scenario(base, **changes)
    return estimate.training_seconds(one, estimate.rates(one, DATASETS[one.data], gpu))


def test_there_is_an_estimate_for_every_network() -> None:
    covered = {parse(scenario(base).architecture)[0] for base in PUBLISHED}
    assert covered < set(networks())
    for base in PUBLISHED:
        assert seconds(base) > 0


@pytest.mark.parametrize("base", ["T1", "T3", "I1", "X1"])
def test_training_takes_as_long_as_there_are_records_and_epochs(base: str) -> None:
    epochs = scenario(base).epochs
    assert seconds(base, epochs=3 * epochs) == pytest.approx(3 * seconds(base))
    n = scenario(base).n
    assert seconds(base, n=n // 4) == pytest.approx(seconds(base) / 4, rel=0.01)
    assert seconds(base, gpu=True) == pytest.approx(seconds(base) / estimate.CORES_PER_GPU)


def test_narrower_and_smaller_networks_take_less() -> None:
    assert seconds("I1") > seconds("I1", architecture="cnn/2") > seconds("I1", architecture="cnn/8")
    assert seconds("T1") > seconds("T1", data="location30", n=2500) * 60


@pytest.mark.parametrize(
    ("base", "changes", "measured"),
    [
        ("T1", {}, 19.2),
        ("T3", {}, 29.6),
        # 25 models on images of the small run, of which jobs took up to 580 s.
        ("I1", {"architecture": "cnn/8", "n": 1000, "epochs": 20, "batch_size": 16}, 374 / 25),
        ("X1", {"architecture": "roberta-tiny", "data": "sst2-bpe", "n": 2000, "epochs": 6}, 9.6),
    ],
)
def test_no_model_took_longer_than_a_scheduler_is_asked_for(base, changes, measured) -> None:
    """docs/performance.md has the measurements, of one process beside another."""
    assert measured < 60 * estimate.minutes(seconds(base, **changes))
    assert measured < 2 * seconds(base, **changes)


def test_memory_is_more_than_was_measured() -> None:
    assert estimate.compute_mb(scenario("T3"), DATASETS["purchase100"], 32) > 817
    small = scenario("I1", data="cifar10-batch-1", n=1000)
    assert estimate.compute_mb(small, DATASETS["cifar10-batch-1"], 32) > 598
    assert estimate.attack_mb(scenario("T1"), DATASETS["purchase100"], 200) > 322
    small = scenario("X2", data="sst2-bpe", architecture="roberta-tiny")
    assert estimate.compute_mb(small, DATASETS["sst2-bpe"], 32) > 1227
    # Weights, gradient and moments of 125 million parameters.
    assert estimate.compute_mb(scenario("X1"), DATASETS["sst2"], 32) > 4 * 500


@pytest.mark.parametrize(("architecture", "mb"), [("cnn", 1592), ("cnn/8", 234)])
def test_memory_grows_with_the_physical_batch_as_was_measured(architecture: str, mb: int) -> None:
    """Clipped gradients of 256 images took so much beyond what torch takes by itself."""
    one = scenario("I1", architecture=architecture)
    data = DATASETS["cifar10"]
    small, large = (estimate.compute_mb(one, data, size) for size in (1, 257))
    assert large - small == pytest.approx(mb, rel=0.2)


@pytest.mark.parametrize(
    ("seconds", "models", "expected"),
    [(1, 200, 200), (27, 200, 100), (100, 200, 25), (2699, 200, 1), (9999, 200, 1), (1, 7, 7)],
)
def test_shards_take_up_to_45_minutes_and_are_alike(seconds, models, expected) -> None:
    size = estimate.shard_size(seconds, models)
    assert size == expected
    assert size == 1 or size * seconds <= 45 * 60
    # No shard is left with a few models where all could have about as many.
    shards = -(-models // size)
    assert models - (shards - 1) * size > size / 2


def test_challenge_points_that_models_share_are_counted_once() -> None:
    """Against a draw."""
    rng = np.random.default_rng(1)
    records = DATASETS["location30"].records
    drawn = [rng.choice(records, 200, replace=False) for _ in range(20)]
    expected = estimate.challenge_points(scenario("T1"), DATASETS["location30"], 20)
    assert len(np.unique(drawn)) == pytest.approx(expected, rel=0.02)
