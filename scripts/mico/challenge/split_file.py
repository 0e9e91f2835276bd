"""Who trained on what, for all models of a scenario: one compact file, read without torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mico.support.atomic import atomic_file


@dataclass(frozen=True)
class Splits:
    """Who trained on what: the splits of all models of a scenario."""

    challenge: np.ndarray  # (models, 2m) int32, data-set indices
    membership: np.ndarray  # (models, 2m) bool
    trained: np.ndarray  # (models, N) bool: the model's training set holds the record


def write(path: Path, splits: Splits) -> None:
    """Write one compact .npz: challenge, membership, and trained as packed bits."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            challenge=splits.challenge,
            membership=splits.membership,
            trained=np.packbits(splits.trained, axis=1),
            records=splits.trained.shape[1],
        )


def read(path: Path) -> Splits:
    """Read the splits of a scenario from a file that `write` wrote."""
    with np.load(path, allow_pickle=False) as file:
        trained = np.unpackbits(file["trained"], axis=1, count=int(file["records"]))
        return Splits(file["challenge"], file["membership"], trained.astype(bool))
