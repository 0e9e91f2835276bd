"""The outputs of shared reference models: shadow models that a participant trained for all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mico.attacks.given.signals import Signals
from mico.attacks.input_files import read_shards
from mico.challenge.phases import Phases
from mico.support.arrays import Bools, Floats
from mico.support.errors import InputError


@dataclass(frozen=True)
class SharedReferences:
    """K reference models at the U records that are a challenge point of some model."""

    loss: Floats  # (K, U) as in Signals
    margin: Floats  # (K, U)
    trained: Bools  # (K, U): the reference model was trained on the point


def read(paths: Sequence[Path], signals: Signals, phases: Phases) -> SharedReferences:
    """Read the files of several shards as one.

    Raises:
        InputError: a file is missing or is another, or is not of the records of the signals.
    """
    found = read_shards(paths, SharedReferences, "shared reference models")
    size, expected = found.loss.shape[1], signals.loss.shape[1]
    if size != expected:
        raise InputError(f"{paths[0]}: of {size} records, signals of {expected}")
    return found


def add(signals: Signals, shared: SharedReferences, count: int) -> Signals:
    """Signals in which the first `count` shared reference models are shadow models as well.

    Raises:
        InputError: there are fewer.
    """
    available = len(shared.loss)
    if count > available:
        raise InputError(f"shared_references {count}: there are {available} of them")
    joined = {
        name: np.concatenate([getattr(signals, name), getattr(shared, name)[:count]])
        for name in ("loss", "margin", "trained")
    }
    return replace(signals, **joined)
