"""Score by the signal itself, with no shadow models; scaled, the competition's starter kit."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mico.attacks.given.signals import SIGNALS, Signals
from mico.attacks.scaling import check_scaled, unit_interval
from mico.attacks.shadows import check_choice
from mico.support.arrays import Floats


@dataclass(frozen=True)
class Options:
    """What to take for the score.

    signal: loss, conf or margin (of one target, all order the points alike where there are two
    classes); scaled: each model's signals are scaled to [0, 1], as in the starter kit.
    """

    takes_shared_references: ClassVar = False
    signal: str
    scaled: bool = False

    def __post_init__(self) -> None:
        check_choice("signal", self.signal, SIGNALS)
        check_scaled(self.scaled)


def scores(signals: Signals, options: Options) -> Floats:
    """The signal s at each model's own challenge points."""
    values = signals.signal(options.signal)[: len(signals.challenge)]
    own = np.take_along_axis(values, signals.challenge, axis=1)
    return unit_interval(own) if options.scaled else own
