"""The outputs of target references: shadow models that a participant trained for one target."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mico.attacks.given.files import read_shards
from mico.attacks.given.signals import Signals, by_name
from mico.challenge.phases import Phases
from mico.support.arrays import Bools, Floats, Ints
from mico.support.errors import InputError


@dataclass(frozen=True)
class TargetReferences:
    """The reference models of T targets, k each, at their target's own challenge points."""

    targets: Ints  # (T,): which of the challenge's models
    loss: Floats  # (T, k, 2m) as in Signals
    margin: Floats  # (T, k, 2m)
    trained: Bools  # (T, k, 2m): the reference model was trained on the point

    def signal(self, name: str) -> Floats:
        """A signal (T, k, 2m) by name: loss, conf (the probability p_y) or margin."""
        return by_name(self.loss, self.margin, name)


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
