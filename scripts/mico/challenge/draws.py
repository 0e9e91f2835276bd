"""Who is a member, drawn from the operating system's entropy and kept as lists.

In the published design a seed stands for a permutation, and its generator takes 32 bits of it.
Whoever tries them all finds a model's membership by its score. A draw stands in the place of the
seeds of one model that are not given away.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

import numpy as np
from numpy.typing import NDArray

from mico.support import arrays
from mico.support.errors import AGAIN, InputError, damaged, shown


@dataclass(frozen=True)
class Draw:
    """One model's draw, in the order of training."""

    members: NDArray[np.int32]  # (m,): places among the model's 2m challenge points
    # (n - m,): places among the N - 2m other records; None if seed_training, given away, says them.
    training: NDArray[np.int32] | None

    @property
    def digest(self) -> str:
        """A hash of the draw."""
        lists = [self.members] if self.training is None else [self.members, self.training]
        return hashlib.sha256(b"/".join(one.tobytes() for one in lists)).hexdigest()


@dataclass(frozen=True)
class _Stored:
    """The draws of K models as they lie in the file."""

    models: NDArray[np.int64]  # (K,)
    members: NDArray[np.int32]  # (K, m)
    training: NDArray[np.int32]  # (K, n - m), or (K, 0)
    records: NDArray[np.int64]  # (1,): N


def draw(records: int, n: int, m: int, models: range, training: bool) -> dict[int, Draw]:
    """Draw for these models.

    Args:
        records: N; n, m: of a training set, and of its members.
        training: whether the rest of the training set is drawn too.

    Raises:
        InputError: m < 1, n < m, n + m > N, or no models.
    """
    if m < 1 or n < m or n + m > records:
        expected = f"expected m >= 1, n >= m and n + m <= {records} records"
        raise InputError(f"n = {n}, m = {m}: {expected}")
    if not models:
        raise InputError(f"models {models.start} to {models.stop - 1}: expected some")
    source = SystemRandom()

    def places(count: int, among: int) -> NDArray[np.int32]:
        return np.array(source.sample(range(among), count), np.int32)

    return {
        model: Draw(places(m, 2 * m), places(n - m, records - 2 * m) if training else None)
        for model in models
    }


def write(path: Path, draws: Mapping[int, Draw], records: int) -> None:
    """Write the draws, of N records, of at least one model; all have training sets, or none has."""
    members = np.stack([one.members for one in draws.values()])
    nothing = np.zeros(0, np.int32)
    training = [nothing if one.training is None else one.training for one in draws.values()]
    models, of = np.array(list(draws), np.int64), np.array([records], np.int64)
    arrays.write(path, _Stored(models, members, np.stack(training), of))


def read(paths: list[Path], records: int) -> dict[int, Draw]:
    """The draws of a file that `write` wrote, by model; none of no file.

    Raises:
        InputError: there are several files, or it is missing, damaged or another, or of another
            number of records.
    """
    if len(paths) > 1:
        raise InputError(f"{paths[1]}: expected one file of draws")
    found = {}
    for path in paths:
        stored = arrays.read(path, _Stored, "draws")
        lists = stored.members, stored.training
        if stored.models.ndim != 1 or any(
            one.ndim != 2 or len(one) != len(stored.models) or one.dtype != np.int32
            for one in lists
        ):
            raise damaged(path, "lists that are not of as many models")
        if stored.records.tolist() != [records]:
            what = f"drawn of {shown(stored.records.tolist())} records"
            expected = f"expected the {records} of the data set: {AGAIN}"
            raise InputError(f"{path}: {what}, {expected}")
        for model, members, training in zip(stored.models, *lists, strict=True):
            found[int(model)] = Draw(members, training if len(training) else None)
    return found
