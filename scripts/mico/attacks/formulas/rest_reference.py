"""The signal less that of a model which was trained for the target on the rest of the data.

The rest is all records but the target's challenge points, so the reference model has seen no point
that it is asked about: difficulty calibration (Watson et al. 2022, arXiv 2111.08440). On conf, and
scaled, it is the attack of the competition's runner-up for text (wfleshman/MICO_SST), who trained
the reference models without DP in all three scenarios; here they are trained as the target was.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mico.attacks.given.signals import SIGNALS, Signals
from mico.attacks.given.target_references import TargetReferences
from mico.attacks.scaling import check_scaled, unit_interval
from mico.attacks.shadows import check_choice
from mico.support.arrays import Floats


@dataclass(frozen=True)
class Options:
    """signal: loss, conf or margin; scaled: each model's scores are scaled to [0, 1]."""

    takes_shared_references: ClassVar = False
    signal: str = "conf"
    scaled: bool = False

    def __post_init__(self) -> None:
        check_choice("signal", self.signal, SIGNALS)
        check_scaled(self.scaled)


def scores(signals: Signals, target_references: TargetReferences, options: Options) -> Floats:
    """The difference at each model's own challenge points; not a number without its reference.

    Raises:
        InputError: a dev or final model has no reference model.
    """
    target_references.check_targets(signals)
    targets = target_references.targets
    values = signals.signal(options.signal)[targets]
    own = np.take_along_axis(values, signals.challenge[targets], axis=1)
    result = np.full(signals.challenge.shape, np.nan)
    result[targets] = own - target_references.rest_signal(options.signal)
    return unit_interval(result) if options.scaled else result
