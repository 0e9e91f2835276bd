"""What a released model's weights say about records beyond its outputs: white-box features."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mico.attacks.given.signals import Signals
from mico.attacks.input_files import read_one
from mico.challenge.phases import Phases
from mico.support.arrays import Ints
from mico.support.errors import InputError


@dataclass(frozen=True)
class WhiteBox:
    """Features of M models on the same U records as in `Signals`."""

    names: NDArray[np.str_]  # (F,)
    # (M, U, F); NaN where it would cost too much: at records that are not the model's own
    # challenge points, of all but some train models.
    features: NDArray[np.float32]
    classes: Ints  # (U,)


def read(paths: Sequence[Path], signals: Signals, phases: Phases) -> WhiteBox:
    """Read the one file of white-box features.

    Raises:
        InputError: it is missing or is another, or of other models or records than the signals.
    """
    found = read_one(paths, WhiteBox, "white-box features")
    size, expected = found.features.shape[:2], (phases.models, signals.loss.shape[1])
    if size != expected:
        raise InputError(f"{paths[0]}: models and records {size}, signals have {expected}")
    return found
