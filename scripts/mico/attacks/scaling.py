"""Each model's scores scaled to [0, 1] before all are pooled, as the competition's kits do it."""

import numpy as np

from mico.support.arrays import Floats
from mico.support.errors import InputError


def unit_interval(scores: Floats) -> Floats:
    """(s - min) / (max - min) over each model's points, (M, 2m); 0 for a model with one score.

    A row that is not a number stays so.
    """
    least = scores.min(axis=1, keepdims=True)
    width = scores.max(axis=1, keepdims=True) - least
    scaled: Floats = (scores - least) / np.where(width > 0, width, 1)
    return scaled


def check_scaled(value: object) -> None:
    """Raise an InputError unless the option `scaled` is true or false."""
    if not isinstance(value, bool):
        raise InputError(f"scaled {value!r}: expected true or false")
