"""Training reference models: shadow models that a participant trains, for one target or for all.

A target's reference models are trained as the target was, on a random half of its 2m challenge
points and on what else is in its training set: where that is given away (the competition's
DP-distinguisher track), on exactly that; else on a guess. So they differ from the target in little
but the challenge points and chance, where shadow models differ in a quarter of the other records.

Another one of a target's is trained on all records but its challenge points.

The guess is a sample from what is known. Every record has a likelihood ratio of having been trained
on, by the shadow models and the reference models trained so far, which tell with each group of them
a little more about the records that some of the group had and others had not. Each reference model
is trained on a set of the known size, drawn so that a record is in it with its probability.

Where nearly every record is in nearly every training set, or in hardly any, shadow models say
little about one of the two sides. Reference models shared by all targets say more: they are trained
on half of the records that are a challenge point of some model.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from mico.attacks.computing import outputs
from mico.attacks.formulas import bavaria
from mico.attacks.formulas.target_references import log_ratio
from mico.attacks.shadows import Target
from mico.challenge.recipe import TrainingOptions
from mico.networks.architecture import Architecture
from mico.support.progress import Meter
from mico.training import engine, memory
from mico.training.engine import Records, State

# Models that are trained in a group, between which the guess is refined. On a CPU eight of the
# small networks also take a fifth less time together than one by one.
GROUP = 8


def train_known(
    architecture: Architecture,
    records: Records,
    name: str,
    challenge: np.ndarray,
    known: np.ndarray,
    count: int,
    options: TrainingOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """Train the reference models of a target whose training set is given away.

    Args:
        name: the target's, from which all is drawn; no two targets may share it.
        challenge: (2m,) its challenge points.
        known: (n - m,) what else it was trained on, in that order.

    Returns:
        log p_y and the margin (2, count, 2m) at the challenge points, and (count, 2m) bool, which
        model was trained on which. Nothing that a model draws depends on `count`.
    """
    at = records.take(challenge[None])
    values, trained = [], []
    for numbers in _groups(count):
        points = _halves(name, numbers, len(challenge))
        sets = [np.concatenate([challenge[half], known]) for half in points]
        seeds = [int(_generator(name, number).integers(2**63)) for number in numbers]
        values.append(_train(architecture, records, sets, seeds, options, at))
        trained.append(_mask(points, len(challenge)))
    return np.concatenate(values, axis=1), np.concatenate(trained)


def train_inferred(
    architecture: Architecture,
    records: Records,
    name: str,
    challenge: np.ndarray,
    shadows: Target,
    size: int,
    count: int,
    options: TrainingOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """Train the reference models of a target whose training set has to be inferred.

    Args:
        shadows: the target and its shadow models at all N records of the data set, by the margin.
        size: n - m, the number of its training records that are no challenge points.

    Returns:
        as `train_known`.
    """
    everything = np.arange(len(records.labels))
    at = records.take(everything[None])
    rest = np.setdiff1d(everything, challenge)
    at_rest = Target(shadows.own[rest], shadows.shadow[:, rest], shadows.trained[:, rest])
    odds = bavaria.log_ratio(at_rest, "n")
    values, trained = [], []
    for numbers in _groups(count):
        points = _halves(name, numbers, len(challenge))
        own = [_generator(name, number) for number in numbers]
        guesses = [rest[sample(odds, size, generator)] for generator in own]
        sets = [
            np.concatenate([challenge[half], guess])
            for half, guess in zip(points, guesses, strict=True)
        ]
        seeds = [int(generator.integers(2**63)) for generator in own]
        values.append(_train(architecture, records, sets, seeds, options, at))
        trained.append(_mask(sets, len(everything)))
        if numbers[-1] + 1 < count:
            margin = np.concatenate(values, axis=1)[1][:, rest]
            references = Target(at_rest.own, margin, np.concatenate(trained)[:, rest])
            odds = log_ratio(at_rest, references)
    return np.concatenate(values, axis=1)[..., challenge], np.concatenate(trained)[:, challenge]


def train_rest(
    architecture: Architecture,
    records: Records,
    name: str,
    challenge: np.ndarray,
    options: TrainingOptions,
) -> np.ndarray:
    """Train a target's reference model on all records but its challenge points.

    Args:
        name: the target's, from which all is drawn; challenge: (2m,) its challenge points.

    Returns:
        log p_y and the margin (2, 2m) at the challenge points.
    """
    generator = _generator(name, "rest")
    rest = np.setdiff1d(np.arange(len(records.labels)), challenge)
    sets, seeds = [generator.permutation(rest)], [int(generator.integers(2**63))]
    at = records.take(challenge[None])
    return _train(architecture, records, sets, seeds, options, at)[:, 0]


def train_shared(
    architecture: Architecture,
    records: Records,
    name: str,
    points: np.ndarray,
    size: int,
    numbers: range,
    options: TrainingOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """Train reference models that all targets of a challenge share.

    Args:
        name: the challenge's, from which all is drawn.
        points: (U,) the records that are a challenge point of some model.
        size: n, of a target's training set; see `shared_training_set`.
        numbers: which of the models to train.

    Returns:
        log p_y and the margin (2, k, U) at the points, and (k, U) bool, which model was trained on
        which. What a model becomes depends on its number, not on the others.
    """
    everything, count = len(records.labels), len(numbers)
    at = records.take(points[None])
    meter = Meter("reference models", count)
    together = memory.together(architecture, records, options, size, count)
    values, trained = [], []
    for start in range(0, count, together):
        own = numbers[start : start + together]
        sets = [shared_training_set(name, number, points, everything, size) for number in own]
        seeds = [int(_generator(name, "shared", number).integers(2**63)) for number in own]
        steps = math.ceil(len(sets[0]) / options.batch_size)

        def report(state: State, start: int = start, steps: int = steps) -> None:
            share = (state.epochs + state.steps / steps) / options.epochs
            meter.update(start + len(state.weights) * share, lambda rate: f"{start} of {count}")

        values.append(_train(architecture, records, sets, seeds, options, at, report))
        trained.append(_mask(sets, everything)[:, points])
    meter.finish(f"{count} of {count}")
    return np.concatenate(values, axis=1), np.concatenate(trained)


def shared_training_set(
    name: str, number: int, points: np.ndarray, records: int, size: int
) -> np.ndarray:
    """The records that a shared reference model is trained on, in random order.

    Half of the points, or as many as a training set holds, and of the other records what it holds
    besides: up to `size` records, and fewer where those that are left out are more than a target
    leaves out. Successive models take the next of the points, until there are too few left.
    """
    inside = min(len(points) // 2, size)
    turns = len(points) // inside
    order = _generator(name, "shared", number // turns, "points").permutation(points)
    chosen = order[number % turns * inside :][:inside]
    generator = _generator(name, "shared", number, "rest")
    rest = generator.permutation(np.setdiff1d(np.arange(records), points))[: size - inside]
    return generator.permutation(np.concatenate([chosen, rest]))


def sample(odds: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """Draw `size` positions of records in random order, each by its probability, at most once.

    Args:
        odds: (R,) log likelihood ratios; they become probabilities by the one prior that makes
            them sum to `size`. The draw is systematic (Madow 1949), from a random order.
    """
    bound = np.abs(odds).max() + 50
    prior = brentq(lambda prior: expit(odds + prior).sum() - size, -bound, bound)
    order = generator.permutation(len(odds))
    ends = np.cumsum(expit(odds + prior)[order])
    ends *= size / ends[-1]
    drawn = np.searchsorted(ends, generator.random() + np.arange(size))
    return generator.permutation(order[drawn])


def _groups(count: int) -> Iterator[range]:
    return (range(start, min(start + GROUP, count)) for start in range(0, count, GROUP))


def _halves(name: str, numbers: range, points: int) -> list[np.ndarray]:
    """Which challenge points each model trains on, as positions in random order.

    Models 2i and 2i + 1 have complementary halves.
    """
    orders = [_generator(name, number // 2, "points").permutation(points) for number in numbers]
    return [
        order[: points // 2] if number % 2 == 0 else order[points // 2 :]
        for number, order in zip(numbers, orders, strict=True)
    ]


def _mask(indices: list[np.ndarray], length: int) -> np.ndarray:
    mask = np.zeros((len(indices), length), bool)
    for row, chosen in zip(mask, indices, strict=True):
        row[chosen] = True
    return mask


def _train(
    architecture: Architecture,
    records: Records,
    sets: list[np.ndarray],
    seeds: list[int],
    options: TrainingOptions,
    at: Records,
    after_step: Callable[[State], None] = lambda state: None,
) -> np.ndarray:
    """Train M models; their log p_y and margin (2, M, B) on the same records (1, B)."""
    # Where models only share the memory, one after the other.
    together = len(sets) if architecture.batched else 1
    every = Records(at.features.expand(together, -1, -1), at.labels.expand(together, -1))
    values = []
    for start in range(0, len(sets), together):
        own = slice(start, start + together)
        parameters = engine.train(
            architecture, records, sets[own], seeds[own], options, after_step=after_step
        )
        values.append(outputs.on_labels(architecture, parameters, every))
    return np.concatenate(values, axis=1)


def _generator(*words: object) -> np.random.Generator:
    return np.random.default_rng(list("/".join(map(str, words)).encode()))
