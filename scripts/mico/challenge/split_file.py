"""Who trained on what, for all models of a scenario: one compact file, read without torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mico.support import arrays
from mico.support.errors import damaged


@dataclass(frozen=True)
class Splits:
    """Who trained on what: the splits of all models of a scenario."""

    challenge: np.ndarray  # (models, 2m) int32, data-set indices
    membership: np.ndarray  # (models, 2m) bool
    trained: np.ndarray  # (models, N) bool: the model's training set holds the record


@dataclass(frozen=True)
class _Stored:
    """The splits of all models as they lie in the file."""

    challenge: np.ndarray
    membership: np.ndarray
    trained: np.ndarray  # (models, ceil(N / 8)) uint8: packed bits
    records: np.ndarray  # (): N


def write(path: Path, splits: Splits) -> None:
    """Write one compact .npz: challenge, membership, and trained as packed bits."""
    packed = np.packbits(splits.trained, axis=1)
    records = np.array(splits.trained.shape[1])
    arrays.write(path, _Stored(splits.challenge, splits.membership, packed, records))


def read(path: Path) -> Splits:
    """Read the splits of a scenario from a file that `write` wrote.

    Raises:
        InputError: the file is missing, damaged or another.
    """
    stored = arrays.read(path, _Stored, "splits")
    _require(path, stored, "records", (), np.int64)
    records = int(stored.records)
    models, points = (*stored.membership.shape, 0, 0)[:2]
    _require(path, stored, "membership", (models, points), np.bool_)
    _require(path, stored, "challenge", (models, points), np.int32)
    _require(path, stored, "trained", (models, -(-records // 8)), np.uint8)
    if not ((stored.challenge >= 0) & (stored.challenge < records)).all():
        raise damaged(path, f"challenge points beyond {records} records")
    trained = np.unpackbits(stored.trained, axis=1, count=records)
    return Splits(stored.challenge, stored.membership, trained.astype(bool))


def _require(
    path: Path, stored: _Stored, name: str, shape: tuple[int, ...], kind: type[np.generic]
) -> None:
    """Refuse an array of another shape or type."""
    array = getattr(stored, name)
    if array.shape != shape or array.dtype != kind:
        raise damaged(path, f"{name} of shape {array.shape} and type {array.dtype}")
