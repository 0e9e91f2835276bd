"""What jobs take of time and memory, from a scenario's size: for schedulers, and to plan shards.

Rates are those of one core of an Intel Xeon at 2.8 GHz, of text of an AMD EPYC, with what else such
machines do, rounded to the slow side (docs/performance.md has the measurements). A scheduler should
be asked for a few times as much: a job that it kills goes on from its checkpoint, but has waited
for nothing.
"""

import math
from pathlib import Path

from mico.challenge.scenario import GivenWeights, Scenario
from mico.data.options import DataOptions
from mico.networks.facts import Facts, of, parse
from mico.privacy.budget import sampling
from mico.workflow import outside

# Taken for granted, not measured.
CORES_PER_GPU = 20

PROCESS_MB = 600  # an interpreter with torch
TEXT_MB = 700  # one more library
WEIGHT_COPIES = 6  # weights, gradient, the optimizer's two, and what a checkpoint holds
COPIES = 4  # of a data set, while it is unpacked and a model's training set gathered

SHARD_SECONDS = 45 * 60


def training_seconds(scenario: Scenario, data: DataOptions, gpu: bool) -> float:
    """Seconds to train one model of a scenario, on a GPU or on one core.

    Args:
        data: the options of its data set.
    """
    _, steps = sampling(scenario.n, scenario.batch_size, scenario.epochs, scenario.drop_last)
    records = scenario.n * scenario.epochs
    seconds = (
        records * _per_record(scenario, data.features) + steps * _network(scenario).step_seconds
    )
    return seconds / (CORES_PER_GPU if gpu else 1)


def shard_size(seconds: float, models: int, longest: float = SHARD_SECONDS) -> int:
    """How many models to train in a job, all about as many, so that it takes up to `longest`.

    Args:
        seconds: to train one model; models: in all.
    """
    most = max(1, int(longest / seconds))
    return math.ceil(models / math.ceil(models / most))


def signals_seconds(scenario: Scenario, data: DataOptions, models: int, gpu: bool) -> float:
    """Seconds to run all models of a challenge on all its challenge points."""
    return _forward_seconds(scenario, data, models * challenge_points(scenario, data, models), gpu)


def outputs_seconds(weights: GivenWeights, data: DataOptions, models: int, gpu: bool) -> float:
    """Seconds to run all models on all records of a data set."""
    return _forward_seconds(weights, data, models * data.records, gpu)


def _forward_seconds(
    scenario: Scenario | GivenWeights, data: DataOptions, calls: int, gpu: bool
) -> float:
    forward = _network(scenario).forward * _per_record(scenario, data.features)
    return calls * forward / (CORES_PER_GPU if gpu else 1)


def white_box_seconds(scenario: Scenario, data: DataOptions, models: int, gpu: bool) -> float:
    """Seconds to compute a challenge's white-box features."""
    facts = _network(scenario)
    calls = models * (min(facts.white_box_records, data.records) + 2 * scenario.m)
    calls += min(facts.white_box_shadows, models) * challenge_points(scenario, data, models)
    seconds = calls * _per_record(scenario, data.features)
    return seconds / (CORES_PER_GPU if gpu else 1)


def challenge_points(scenario: Scenario, data: DataOptions, models: int) -> int:
    """How many records are a challenge point of some model, on average."""
    share = 2 * scenario.m / data.records
    return round(data.records * (1 - (1 - share) ** models))


def compute_mb(
    scenario: Scenario | GivenWeights, data: DataOptions, physical_batch_size: int
) -> int:
    """MiB of a process that trains or runs a scenario's models.

    Args:
        physical_batch_size: on how many examples a network computes at a time.
    """
    size = data.records * data.features / 2**20
    process = PROCESS_MB + TEXT_MB * (data.tokenizer is not None)
    facts, variant = _network(scenario), parse(scenario.architecture)[1]
    activations = physical_batch_size * data.features * facts.feature_mb
    if facts.divisors and variant:
        activations /= int(variant)
    return math.ceil(process + COPIES * size + WEIGHT_COPIES * facts.weights_mb + activations)


def attack_mb(scenario: Scenario, data: DataOptions, models: int) -> int:
    """MiB of a process that computes on the signals of a challenge."""
    signal = 8 * models * challenge_points(scenario, data, models)
    return PROCESS_MB + math.ceil(6 * signal / 2**20)


def array_mb(path: Path) -> int:
    """MiB of a process that computes on outputs that are given, in a file or a folder."""
    return PROCESS_MB + math.ceil(6 * outside.size(path) / 2**20)


def margins_mb(models: int, records: int) -> int:
    """MiB of a process that computes on margins of models on all records of a data set."""
    return PROCESS_MB + math.ceil(6 * 8 * models * records / 2**20)


def minutes(seconds: float) -> int:
    """What to ask a scheduler for."""
    return 10 + math.ceil(3 * seconds / 60)


def _network(scenario: Scenario | GivenWeights) -> Facts:
    return of(scenario.architecture)


def _per_record(scenario: Scenario | GivenWeights, features: int) -> float:
    return _network(scenario).seconds(parse(scenario.architecture)[1], features)
