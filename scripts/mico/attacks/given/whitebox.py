"""What a released model's weights say about records beyond its outputs: white-box features."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mico.support import arrays


@dataclass(frozen=True)
class WhiteBox:
    """Features of M models on the same U records as in `Signals`."""

    names: np.ndarray  # (F,) str
    # (M, U, F) float32; NaN where it would cost too much: at records that are not the model's own
    # challenge points, of all but some train models.
    features: np.ndarray
    classes: np.ndarray  # (U,) int64


def read(path: Path) -> WhiteBox:
    """Read a file of `WhiteBox`.

    Raises:
        InputError: the file is missing or is another.
    """
    return arrays.read(path, WhiteBox, "white-box features")
