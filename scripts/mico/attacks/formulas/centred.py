"""The winner's formulas: the signal compared with what it is usually at the same point.

From the competition's winning entries: `mid` on conf for T1; `in` on loss (I1, X1-X3) or conf
(I2, I3, D1-D3); `standardised` on loss for T2 and T3. And `one`, for which a single model is enough
(difficulty calibration, Watson et al. 2022, arXiv 2111.08440), the runner-up's for text.
"""

from dataclasses import dataclass

import numpy as np

from mico.attacks.given.signals import SIGNALS, Signals
from mico.attacks.shadows import Target, check_choice, in_out_moments, targets
from mico.support.arrays import Floats


@dataclass(frozen=True)
class Options:
    """How to centre the signal s, with means and deviations over a point's shadow models.

    centre:
        mid: s - (mean_in + mean_out) / 2
        in: s - mean_in
        standardised: (s - mean_all) / std_all
        one: s - that of the first shadow model
    """

    centre: str
    signal: str

    def __post_init__(self) -> None:
        check_choice("centre", self.centre, CENTRES)
        check_choice("signal", self.signal, SIGNALS)

    @property
    def takes_shared_references(self) -> bool:
        """All but `one`, whose only shadow model is a train model."""
        return self.centre != "one"


def scores(signals: Signals, options: Options) -> Floats:
    """The centred signal at each model's own challenge points."""
    centre = CENTRES[options.centre]
    return np.stack([centre(target) for target in targets(signals, options.signal)])


def _mid(target: Target) -> Floats:
    inside, outside = in_out_moments(target)
    return target.own - (inside.mean + outside.mean) / 2


def _in(target: Target) -> Floats:
    return target.own - in_out_moments(target)[0].mean


def _standardised(target: Target) -> Floats:
    mean: Floats = target.shadow.mean(axis=0)
    deviation: Floats = target.shadow.std(axis=0)
    # A point on which all shadow models agree to the last bit is not scaled up without bound.
    # Where they all agree on all points, as a single one does, none is scaled.
    deviation = np.maximum(deviation, 1e-6 * deviation.mean() or 1.0)
    return (target.own - mean) / deviation


def _one(target: Target) -> Floats:
    first: Floats = target.shadow[0]
    return target.own - first


CENTRES = {"mid": _mid, "in": _in, "standardised": _standardised, "one": _one}
