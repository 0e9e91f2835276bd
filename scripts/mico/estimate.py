"""What jobs take of time and memory, from a scenario's size: for schedulers, and to plan shards.

Rates are those of one core of an Intel Xeon at 2.8 GHz with what else such machines do, rounded
to the slow side (docs/cluster.md has the measurements). A scheduler should be asked for a few times
as much: a job that it kills goes on from its checkpoint, but has waited for nothing.
"""

import math
from collections.abc import Mapping
from typing import Any

# Seconds to train on one record, of each network as published. A narrower one is not as many times
# faster as it has fewer channels: they no longer fill the vector units.
SECONDS_PER_RECORD = {"mlp": 6.7e-6, "cnn": 4.4e-3}
NARROWER = 0.8
# Features of the published data sets: what the rates above are for.
FEATURES = {"mlp": 600}
# What a step takes however few records it has: noise and the optimizer's update.
SECONDS_PER_STEP = {"mlp": 1.5e-3, "cnn": 1.5e-2}
FORWARD = 0.5  # of a training step's time, to compute outputs only
# Taken for granted, not measured.
CORES_PER_GPU = 20

# White-box features: of so many records mean gradients, of so many models features at all points.
WHITE_BOX = {"mlp": (10_000, 10_000), "cnn": (1_000, 20)}

PROCESS_MB = 600  # an interpreter with torch
COPIES = 4  # of a data set, while it is unpacked and a model's training set gathered
BYTES_PER_FEATURE = 1

SHARD_SECONDS = 45 * 60


def training_seconds(scenario: Mapping[str, Any], features: int, gpu: bool) -> float:
    """Seconds to train one model of a scenario, on a GPU or on one core.

    Args:
        scenario: the fields of a `Scenario`; features: of its data set.
    """
    steps = math.ceil(scenario["n"] / scenario["batch_size"]) * scenario["epochs"]
    network = _network(scenario)
    records = scenario["n"] * scenario["epochs"]
    seconds = records * _per_record(scenario, features) + steps * SECONDS_PER_STEP[network]
    return seconds / (CORES_PER_GPU if gpu else 1)


def shard_size(seconds: float, models: int, longest: float = SHARD_SECONDS) -> int:
    """How many models to train in a job, all about as many, so that it takes up to `longest`.

    Args:
        seconds: to train one model; models: in all.
    """
    most = max(1, int(longest / seconds))
    return math.ceil(models / math.ceil(models / most))


def signals_seconds(
    scenario: Mapping[str, Any], data: Mapping[str, Any], models: int, gpu: bool
) -> float:
    """Seconds to run all models of a challenge on all its challenge points."""
    calls = models * challenge_points(scenario, data, models)
    forward = FORWARD * _per_record(scenario, data["features"])
    return calls * forward / (CORES_PER_GPU if gpu else 1)


def white_box_seconds(
    scenario: Mapping[str, Any], data: Mapping[str, Any], models: int, gpu: bool
) -> float:
    """Seconds to compute a challenge's white-box features."""
    records, shadows = WHITE_BOX[_network(scenario)]
    calls = models * (min(records, data["records"]) + 2 * scenario["m"])
    calls += min(shadows, models) * challenge_points(scenario, data, models)
    seconds = calls * _per_record(scenario, data["features"])
    return seconds / (CORES_PER_GPU if gpu else 1)


def challenge_points(scenario: Mapping[str, Any], data: Mapping[str, Any], models: int) -> int:
    """How many records are a challenge point of some model, at most."""
    return min(data["records"], 2 * scenario["m"] * models)


def data_mb(data: Mapping[str, Any]) -> int:
    """MiB of a process that computes on a data set."""
    size = data["records"] * data["features"] * BYTES_PER_FEATURE
    return PROCESS_MB + math.ceil(COPIES * size / 2**20)


def attack_mb(scenario: Mapping[str, Any], data: Mapping[str, Any], models: int) -> int:
    """MiB of a process that computes on the signals of a challenge."""
    signal = 8 * models * challenge_points(scenario, data, models)
    return PROCESS_MB + math.ceil(6 * signal / 2**20)


def minutes(seconds: float) -> int:
    """What to ask a scheduler for."""
    return 10 + math.ceil(3 * seconds / 60)


def _network(scenario: Mapping[str, Any]) -> str:
    return scenario["architecture"].partition("/")[0]


def _per_record(scenario: Mapping[str, Any], features: int) -> float:
    network = _network(scenario)
    wider = features / FEATURES[network] if network in FEATURES else 1
    divisor = int(scenario["architecture"].partition("/")[2] or 1)
    return SECONDS_PER_RECORD[network] * wider / divisor**NARROWER
