"""What jobs take of time and memory, from a scenario's size: for schedulers, and to plan shards.

Rates are those of one core of an Intel Xeon at 2.8 GHz, of text of an AMD EPYC, with what else such
machines do, rounded to the slow side (docs/performance.md has the measurements). A scheduler should
be asked for a few times as much: a job that it kills goes on from its checkpoint, but has waited
for nothing.

Where the configuration does not say how large a data set is, that is guessed: see `records` and
`features`.
"""

import math
from pathlib import Path

from mico.challenge.scenario import GivenWeights, Scenario
from mico.data.options import DataOptions
from mico.data.registry import formats
from mico.networks.facts import PHYSICAL_BATCH_SIZE, Facts, of, parse
from mico.privacy.budget import sampling
from mico.workflow import outside

# Taken for granted, not measured.
CORES_PER_GPU = 20

PROCESS_MB = 600  # an interpreter with torch
TEXT_MB = 700  # one more library
WEIGHT_COPIES = 6  # weights, gradient, the optimizer's two, and what a checkpoint holds
DATASET_MB = 2_000  # to read any of the benchmark's data sets
READ_COPIES = 20  # of a file of a table, while it is read
COPIES = 4  # of a data set, while it is unpacked and a model's training set gathered

SHARD_SECONDS = 45 * 60

# Guesses of what is not said.
FEATURES, TOKENS, RECORDS = 1_000, 128, 10_000


def records(one: Scenario | GivenWeights, data: DataOptions) -> int:
    """The records of a data set: as said, else twice a training set, or some."""
    if data.records is not None:
        return data.records
    return 2 * max(one.n, one.m) if isinstance(one, Scenario) else RECORDS


def features(one: Scenario | GivenWeights, data: DataOptions) -> int:
    """The features of a record: as said, else a byte of the file for each, or some."""
    if data.features is not None:
        return data.features
    if data.tokenizer is not None:
        return TOKENS
    return _given_bytes(data) // records(one, data) or FEATURES


def _given_bytes(data: DataOptions) -> int:
    """The size of a data set's file or folder, if it is given and there."""
    return outside.size(Path(data.path)) if data.path and Path(data.path).exists() else 0


def training_seconds(scenario: Scenario, data: DataOptions, gpu: bool) -> float:
    """Seconds to train one model of a scenario, on a GPU or on one core.

    Args:
        data: the options of its data set.
    """
    _, steps = sampling(scenario.n, scenario.batch_size, scenario.epochs, scenario.drop_last)
    trained = scenario.n * scenario.epochs
    seconds = trained * _per_record(scenario, data) + steps * _network(scenario).step_seconds
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
    return _forward_seconds(weights, data, models * records(weights, data), gpu)


def _forward_seconds(
    scenario: Scenario | GivenWeights, data: DataOptions, calls: int, gpu: bool
) -> float:
    forward = _network(scenario).forward * _per_record(scenario, data)
    return calls * forward / (CORES_PER_GPU if gpu else 1)


def white_box_seconds(scenario: Scenario, data: DataOptions, models: int, gpu: bool) -> float:
    """Seconds to compute a challenge's white-box features."""
    facts = _network(scenario)
    calls = models * (min(facts.white_box_records, records(scenario, data)) + 2 * scenario.m)
    calls += min(facts.white_box_shadows, models) * challenge_points(scenario, data, models)
    seconds = calls * _per_record(scenario, data)
    return seconds / (CORES_PER_GPU if gpu else 1)


def challenge_points(scenario: Scenario, data: DataOptions, models: int) -> int:
    """How many records are a challenge point of some model, on average."""
    count = records(scenario, data)
    return round(count * (1 - (1 - 2 * scenario.m / count) ** models))


def dataset_mb(data: DataOptions) -> int:
    """MiB of a process that reads a data set, of which it has several copies at a time."""
    return max(DATASET_MB, PROCESS_MB + READ_COPIES * _given_bytes(data) // 2**20)


def compute_mb(
    scenario: Scenario | GivenWeights, data: DataOptions, physical_batch_size: int | None
) -> int:
    """MiB of a process that trains or runs a scenario's models.

    Args:
        physical_batch_size: on how many examples a network computes at a time; None is what it has
            by itself.
    """
    width = features(scenario, data)
    item = 4 if "numbers" in formats()[data.format].kinds else 1
    size = records(scenario, data) * width * item / 2**20
    process = PROCESS_MB + TEXT_MB * (data.tokenizer is not None)
    facts, variant = _network(scenario), parse(scenario.architecture)[1]
    # A network that chooses has more than that where records take little, but in no more memory.
    batch = physical_batch_size or PHYSICAL_BATCH_SIZE
    activations = batch * width * facts.feature_mb
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


def margins_mb(weights: GivenWeights, data: DataOptions, models: int) -> int:
    """MiB of a process that computes on margins of models on all records of a data set."""
    return PROCESS_MB + math.ceil(6 * 8 * models * records(weights, data) / 2**20)


def minutes(seconds: float) -> int:
    """What to ask a scheduler for."""
    return 10 + math.ceil(3 * seconds / 60)


def _network(scenario: Scenario | GivenWeights) -> Facts:
    return of(scenario.architecture)


def _per_record(scenario: Scenario | GivenWeights, data: DataOptions) -> float:
    width = features(scenario, data)
    return _network(scenario).seconds(parse(scenario.architecture)[1], width)
