"""The outputs of reference models: shadow models that a participant trained for one target."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mico.attacks.given.signals import by_name
from mico.support import arrays
from mico.support.errors import InputError


@dataclass(frozen=True)
class References:
    """The reference models of T targets, k each, at their target's own challenge points."""

    targets: np.ndarray  # (T,) int64: which of the challenge's models
    loss: np.ndarray  # (T, k, 2m) float64, as in Signals
    margin: np.ndarray  # (T, k, 2m) float64
    trained: np.ndarray  # (T, k, 2m) bool: the reference model was trained on the point

    def signal(self, name: str) -> np.ndarray:
        """A signal (T, k, 2m) by name: loss, conf (the probability p_y) or margin."""
        return by_name(self.loss, self.margin, name)


def read(paths: Sequence[Path]) -> References:
    """Read the files of several shards of targets as one.

    Raises:
        InputError: a file is missing or is another, or two are of different numbers of models.
    """
    parts = [arrays.read(path, References, "reference models") for path in paths]
    if len({part.loss.shape[1:] for part in parts}) != 1:
        raise InputError(f"{paths[0]}: not of as many reference models as the other files")
    names = ("targets", "loss", "margin", "trained")
    return References(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
