"""The predictions of a run's other attacks, for one that chooses among them."""

from collections.abc import Sequence
from pathlib import Path

from mico.attacks.given.signals import Signals
from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.support.arrays import Floats


def read(paths: Sequence[Path], signals: Signals, phases: Phases) -> dict[str, Floats]:
    """Each attack's predictions (M, 2m) by its folder, in order.

    The row of a train model that an attack left out is not a number.

    Raises:
        InputError: a file is missing, or is not one row of 2m numbers in [0, 1].
    """
    points = signals.challenge.shape[1]
    return {path.parts[-3]: prediction_files.read(path, phases, points) for path in paths}
