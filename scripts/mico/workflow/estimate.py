"""What jobs take of time and memory, from a scenario's size: for schedulers, and to plan shards.

Rates are those of one core of an Intel Xeon at 2.8 GHz, of text of an AMD EPYC, with what else such
machines do, rounded to the slow side (docs/performance.md has the measurements). A scheduler should
be asked for a few times as much: a job that it kills goes on from its checkpoint, but has waited
for nothing.

Where the configuration does not say how large a data set is, that is guessed: see `records` and
`features`. Of a network of somebody's own the rates are a guess, too, until they are measured.
"""

import math
from pathlib import Path

from mico.challenge.scenario import GivenWeights, Scenario
from mico.data.options import DataOptions
from mico.data.registry import formats
from mico.networks.costs import Rates
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
COPIES = 4  # of a data set, while it is unpacked, encoded and taken to run models on

# Of what was measured: white-box features hold a few models, and a sample may be a larger one.
MEASURED_ROOM = 1.5

SHARD_SECONDS = 45 * 60
ATTACK_MINUTES = 20  # of one that trains nothing
SEEDS_A_SECOND = 1e6

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


def rates(one: Scenario | GivenWeights, data: DataOptions, gpu: bool) -> Rates:
    """What a network takes on a GPU or on one core, as it is known beforehand.

    Args:
        data: the options of its data set.
    """
    facts, cores = _network(one), CORES_PER_GPU if gpu else 1
    record = facts.seconds(parse(one.architecture)[1], features(one, data)) / cores
    return Rates(record, facts.step_seconds / cores, facts.forward * record)


def training_seconds(scenario: Scenario, taken: Rates) -> float:
    """Seconds to train one model of a scenario."""
    _, steps = sampling(scenario.n, scenario.batch_size, scenario.epochs, scenario.drop_last)
    return scenario.n * scenario.epochs * taken.record + steps * taken.step


def shard_size(seconds: float, models: int, longest: float = SHARD_SECONDS) -> int:
    """How many models to train in a job, all about as many, so that it takes up to `longest`.

    Args:
        seconds: to train one model; models: in all.
    """
    most = max(1, int(longest / seconds))
    return math.ceil(models / math.ceil(models / most))


def signals_seconds(scenario: Scenario, data: DataOptions, models: int, taken: Rates) -> float:
    """Seconds to run all models of a challenge on all its challenge points."""
    return models * challenge_points(scenario, data, models) * taken.forward


def outputs_seconds(weights: GivenWeights, data: DataOptions, models: int, taken: Rates) -> float:
    """Seconds to run all models on all records of a data set."""
    return models * records(weights, data) * taken.forward


def white_box_seconds(scenario: Scenario, data: DataOptions, models: int, taken: Rates) -> float:
    """Seconds to compute a challenge's white-box features."""
    facts = _network(scenario)
    calls = models * (min(facts.white_box_records, records(scenario, data)) + 2 * scenario.m)
    calls += min(facts.white_box_shadows, models) * challenge_points(scenario, data, models)
    return calls * taken.record


def seed_search_seconds(bits: int) -> float:
    """Seconds to try all seeds of so many bits on a challenge's models, all together."""
    return 2.0**bits / SEEDS_A_SECOND


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
    size = _data_mb(scenario, data)
    process = PROCESS_MB + TEXT_MB * (data.tokenizer is not None)
    facts, variant = _network(scenario), parse(scenario.architecture)[1]
    # A network that chooses has more than that where records take little, but in no more memory.
    batch = physical_batch_size or PHYSICAL_BATCH_SIZE
    activations = batch * features(scenario, data) * facts.feature_mb
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


def measured_mb(scenario: Scenario, data: DataOptions, mb: int) -> int:
    """MiB to ask for where a process that trained a few steps took so many.

    It had read the data set; one that runs models has a copy of the records that it runs them on.
    """
    return math.ceil(MEASURED_ROOM * (mb + _data_mb(scenario, data)))


def _data_mb(scenario: Scenario | GivenWeights, data: DataOptions) -> float:
    """MiB of a data set's features."""
    item = 4 if "numbers" in formats()[data.format].kinds else 1
    return records(scenario, data) * features(scenario, data) * item / 2**20


def minutes(seconds: float) -> int:
    """What to ask a scheduler for."""
    return 10 + math.ceil(3 * seconds / 60)


def _network(scenario: Scenario | GivenWeights) -> Facts:
    return of(scenario.architecture)
