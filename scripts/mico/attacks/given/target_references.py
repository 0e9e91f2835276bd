"""The outputs of target references: shadow models that a participant trained for one target."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mico.attacks.given.signals import Signals, by_name
from mico.attacks.input_files import read_shards
from mico.challenge.phases import Phases
from mico.support.arrays import Bools, Floats, Ints
from mico.support.errors import InputError


@dataclass(frozen=True)
class TargetReferences:
    """The reference models of T targets at their target's own challenge points.

    Each has k that were trained as it was, on half of these points, and one that was trained on all
    other records of the data set.
    """

    targets: Ints  # (T,): which of the challenge's models
    loss: Floats  # (T, k, 2m) as in Signals
    margin: Floats  # (T, k, 2m)
    trained: Bools  # (T, k, 2m): the reference model was trained on the point
    rest_loss: Floats  # (T, 2m), of the one that was trained on all other records
    rest_margin: Floats  # (T, 2m)

    def signal(self, name: str) -> Floats:
        """A signal (T, k, 2m) by name: loss, conf (the probability p_y) or margin."""
        return by_name(self.loss, self.margin, name)

    def rest_signal(self, name: str) -> Floats:
        """A signal (T, 2m) of the models that were trained on all other records."""
        return by_name(self.rest_loss, self.rest_margin, name)

    def check_targets(self, signals: Signals) -> None:
        """Raise an InputError unless all dev and final models are among the targets."""
        attacked = np.arange(signals.train_models, len(signals.challenge))
        missing = np.setdiff1d(attacked, self.targets)
        if len(missing):
            raise InputError(f"model {missing[0]} has no reference models")


def read(paths: Sequence[Path], signals: Signals, phases: Phases) -> TargetReferences:
    """Read the files of several shards of targets as one.

    Raises:
        InputError: a file is missing or is another, two are of different numbers of models, or
            they are not of the challenge's models and points.
    """
    found = read_shards(paths, TargetReferences, "target references")
    size, expected = found.loss.shape[2], signals.challenge.shape[1]
    if size != expected:
        raise InputError(f"{paths[0]}: of {size} challenge points, signals of {expected}")
    if found.targets.max() >= phases.models:
        raise InputError(f"{paths[0]}: model {found.targets.max()}, there are {phases.models}")
    return found
