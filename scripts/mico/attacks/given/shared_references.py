"""The outputs of shared reference models: shadow models that a participant trained for all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mico.attacks.given.signals import Signals
from mico.support import arrays
from mico.support.errors import InputError


@dataclass(frozen=True)
class SharedReferences:
    """K reference models at the U records that are a challenge point of some model."""

    loss: np.ndarray  # (K, U) float64, as in Signals
    margin: np.ndarray  # (K, U) float64
    trained: np.ndarray  # (K, U) bool: the reference model was trained on the point


def read(paths: Sequence[Path]) -> SharedReferences:
    """Read the files of several shards as one.

    Raises:
        InputError: a file is missing or is another, or two are not of the same records.
    """
    parts = [arrays.read(path, SharedReferences, "shared reference models") for path in paths]
    if len({part.loss.shape[1] for part in parts}) != 1:
        raise InputError(f"{paths[0]}: not of as many records as the other files")
    names = ("loss", "margin", "trained")
    return SharedReferences(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )


def add(signals: Signals, shared: SharedReferences, count: int) -> Signals:
    """Signals in which the first `count` shared reference models are shadow models as well.

    Raises:
        InputError: there are fewer, or they are not of the same records.
    """
    available, records = shared.loss.shape
    if count > available:
        raise InputError(f"shared {count}: there are {available} shared reference models")
    if records != signals.loss.shape[1]:
        raise InputError(
            f"shared reference models of {records} records, signals of {signals.loss.shape[1]}"
        )
    joined = {
        name: np.concatenate([getattr(signals, name), getattr(shared, name)[:count]])
        for name in ("loss", "margin", "trained")
    }
    return replace(signals, **joined)
