"""Who trained on what: the published three-way construction, bit for bit.

The competition's `ChallengeDataset` splits a data set of N records by three calls of
`torch.utils.data.random_split`, each with its own Mersenne-Twister generator:

1. seed_challenge: all records -> challenge (2m), rest (N - 2m)
2. seed_training: rest -> training (n - m), evaluation (N - n - m)
3. seed_membership: challenge -> non-members (m), members (m), in that order

The training set of a model is its members followed by `training`.

A model may have a draw (`mico.challenge.draws`) in the place of the last one or two of its seeds,
or no seed at all: its split is then given (`mico.challenge.memberships`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mico.challenge.draws import Draw
from mico.challenge.memberships import Memberships
from mico.challenge.seeds import Seeds
from mico.challenge.split_file import Splits
from mico.support.errors import InputError


@dataclass(frozen=True)
class Split:
    """One model's split; every array holds data-set indices (int64) but `membership`."""

    challenge: np.ndarray  # (2m,) in published order, or that of a file
    membership: np.ndarray  # (2m,) bool, in challenge order: the published solution.csv
    # (n,) in training order, members first as published; a file may have a record several times
    training_set: np.ndarray
    evaluation: np.ndarray  # (N - n - m,), or fewer or more: all others


def split(
    records: int, n: int, m: int, seeds: Mapping[str, int], drawn: Draw | None = None
) -> Split:
    """The split of a data set of `records` into a training set of n and 2m challenge points.

    Args:
        seeds: seed_challenge, seed_training and seed_membership, each in [0, 2^63).
        drawn: what is drawn in the place of seed_membership, and perhaps of seed_training.

    Raises:
        InputError: m < 1, n < m, or n + m > N; or the draw is of other sizes.
    """
    if m < 1 or n < m or n + m > records:
        expected = f"expected m >= 1, n >= m and n + m <= {records} records"
        raise InputError(f"n = {n}, m = {m}: {expected}")
    challenge = challenge_order(records, seeds["seed_challenge"])[: 2 * m]
    if drawn is not None and drawn.training is not None:
        rest = challenge_order(records, seeds["seed_challenge"])[2 * m :]
        _check_places("training", drawn.training, n - m, len(rest))
        training, evaluation = rest[drawn.training], np.delete(rest, drawn.training)
    else:
        order = training_order(records, m, seeds)
        training, evaluation = order[: n - m], order[n - m :]
    if drawn is not None:
        _check_places("members", drawn.members, m, 2 * m)
        chosen = drawn.members
    else:
        chosen = members(m, seeds["seed_membership"])
    membership = np.zeros(2 * m, bool)
    membership[chosen] = True
    return Split(challenge, membership, np.concatenate([challenge[chosen], training]), evaluation)


def _check_places(name: str, places: np.ndarray, count: int, among: int) -> None:
    if len(places) != count or not ((places >= 0) & (places < among)).all():
        raise InputError(f"draws: {name}: {len(places)} places, expected {count} among {among}")


def as_given(records: int, given: Memberships, model: int) -> Split:
    """The split of a model whose lists are given, of a data set of so many records."""
    challenge, training = given.challenge[model], given.training[model]
    evaluation = np.setdiff1d(np.arange(records), np.concatenate([challenge, training]))
    lists = (one.astype(np.int64) for one in (training, evaluation))
    return Split(challenge.astype(np.int64), given.membership[model], *lists)


def challenge_order(records: int, seed_challenge: int) -> np.ndarray:
    """All data-set indices (N,), the 2m challenge points first; all that dev and final disclose."""
    return permutation(records, seed_challenge)


def members(m: int, seed_membership: int) -> np.ndarray:
    """The places (m,) of the members among a model's 2m challenge points, in training order."""
    return permutation(2 * m, seed_membership)[m:]


def training_order(records: int, m: int, seeds: Mapping[str, int]) -> np.ndarray:
    """All indices (N - 2m,) but the challenge points, the first n - m of them trained on.

    Args:
        seeds: seed_challenge and seed_training.
    """
    rest = challenge_order(records, seeds["seed_challenge"])[2 * m :]
    order: np.ndarray = rest[permutation(len(rest), seeds["seed_training"])]
    return order


def permutation(length: int, seed: int) -> np.ndarray:
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed)).numpy()


def split_all(
    records: int, n: int, m: int, seeds: Seeds, draws: Mapping[int, Draw] | None = None
) -> Splits:
    """The splits of all models whose seeds are given, some with draws; see `split`."""
    challenge = np.empty((len(seeds), 2 * m), np.int32)
    membership = np.empty((len(seeds), 2 * m), bool)
    trained = np.zeros((len(seeds), records), bool)
    for model, row in enumerate(seeds):
        one = split(records, n, m, row, (draws or {}).get(model))
        challenge[model], membership[model] = one.challenge, one.membership
        trained[model, one.training_set] = True
    return Splits(challenge, membership, trained)
