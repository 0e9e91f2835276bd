"""The share of a point's shadow models that the target's signal is above."""

from dataclasses import dataclass

import numpy as np

from mico.attacks.given.signals import SIGNALS, Signals
from mico.attacks.shadows import check_choice, targets
from mico.support.arrays import Floats


@dataclass(frozen=True)
class Options:
    signal: str = "margin"

    def __post_init__(self) -> None:
        check_choice("signal", self.signal, SIGNALS)


def scores(signals: Signals, options: Options) -> Floats:
    """Shape (models, points); a target's own models are already left out of `shadow`."""
    return np.stack([(t.shadow < t.own).mean(axis=0) for t in targets(signals, options.signal)])
