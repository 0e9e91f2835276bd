"""Score by the signal itself, with no shadow models: the competition's starter-kit attack."""

from dataclasses import dataclass

import numpy as np

from mico.attacks.given.signals import SIGNALS, Signals
from mico.attacks.shadows import check_choice
from mico.support.arrays import Floats


@dataclass(frozen=True)
class Options:
    """signal: loss, conf or margin (all rank alike per class count; kept for comparison)."""

    signal: str

    def __post_init__(self) -> None:
        check_choice("signal", self.signal, SIGNALS)


def scores(signals: Signals, options: Options) -> Floats:
    """The signal s at each model's own challenge points."""
    values = signals.signal(options.signal)[: len(signals.challenge)]
    return np.take_along_axis(values, signals.challenge, axis=1)
