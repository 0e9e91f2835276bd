"""Who is what, as given: of every model what seeds say elsewhere, as lists in their place."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mico.challenge.split_file import Splits
from mico.support import arrays
from mico.support.errors import InputError, damaged


@dataclass(frozen=True)
class Memberships:
    """Who is what in M models; records are positions in the data set, from 0."""

    challenge: np.ndarray  # (M, 2m) int32: challenge points, each once
    membership: np.ndarray  # (M, 2m) bool: whether it is trained on
    # (M, n) int32: all that a model is trained on, in order, as often as it is
    training: np.ndarray

    def digest(self, model: int) -> str:
        """A hash of what is what in one model."""
        lists = (self.challenge, self.membership, self.training)
        return hashlib.sha256(b"/".join(one[model].tobytes() for one in lists)).hexdigest()

    def besides(self, model: int) -> np.ndarray:
        """What a model is trained on besides challenge points, in order; no two need be as many."""
        training: np.ndarray = self.training[model]
        return training[~np.isin(training, self.challenge[model])]

    def splits(self, records: int) -> Splits:
        """The splits of all models, of a data set of so many records."""
        trained = np.zeros((len(self.training), records), bool)
        for row, training in zip(trained, self.training, strict=True):
            row[training] = True
        return Splits(self.challenge, self.membership, trained)


def write(path: Path, found: Memberships) -> None:
    """Write an `.npz` that `read` reads, and `membership_files.read` too."""
    arrays.write(path, found)


def read(paths: list[Path], models: int) -> Memberships | None:
    """What `write` wrote to a file, of so many models at least; None of no file.

    Raises:
        InputError: there are several files, or it is missing, damaged or another.
    """
    if not paths:
        return None
    path, *more = paths
    if more:
        raise InputError(f"{more[0]}: expected one file of memberships")
    found = arrays.read(path, Memberships, "memberships")
    there, points = (*found.membership.shape, 0, 0)[:2]
    expected = {
        "challenge": (np.int32, (there, points)),
        "membership": (np.bool_, (there, points)),
        "training": (np.int32, (there, *found.training.shape[1:2])),
    }
    for name, (kind, shape) in expected.items():
        array = getattr(found, name)
        if len(shape) != 2 or array.shape != shape or array.dtype != kind:
            raise damaged(path, f"{name} of shape {array.shape} and type {array.dtype}")
    if there < models:
        raise InputError(f"{path}: {there} models, expected {models}")
    return found
