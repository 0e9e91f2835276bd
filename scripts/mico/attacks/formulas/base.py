"""BASE1 and BASE3: log likelihood ratios of exponentials, and of Gaussians of equal variance.

BASE1 is BASE itself (Lassila et al. 2025, arXiv 2505.24089, at temperature 1) and the logarithm of
RMIA's ratio. Both are steps of the hierarchy BASE1-4 (Brännvall 2026, arXiv 2603.11799), in which
BASE4 is LiRA; the formulas are those of its author's published code, exponential-family-mia.
"""

from dataclasses import dataclass

import numpy as np

from mico.attacks.given.signals import SIGNALS, Signals
from mico.attacks.shadows import Target, check_choice, in_out_moments, point_variance, targets
from mico.support.arrays import Floats
from mico.support.errors import InputError


@dataclass(frozen=True)
class Options:
    """What the signal s is compared with, over a point's shadow models.

    variant:
        base1: log p_y - log mean(p_y), the mean over IN and OUT models alike; has no signal
        base3: (mean_in - mean_out) / variance * (s - (mean_in + mean_out) / 2); the variance is
            the point's own, about the two means, pooled over IN and OUT
    signal: of base3; margin if not given
    """

    variant: str
    signal: str | None = None

    def __post_init__(self) -> None:
        check_choice("variant", self.variant, ("base1", "base3"))
        if self.variant == "base1" and self.signal is not None:
            raise InputError(f"signal {self.signal!r}: base1 takes none, it compares probabilities")
        if self.signal is not None:
            check_choice("signal", self.signal, SIGNALS)


def scores(signals: Signals, options: Options) -> Floats:
    """The log ratio at each model's own challenge points."""
    if options.variant == "base1":
        return np.stack([_base1(target) for target in targets(signals, "loss")])
    return np.stack([_base3(target) for target in targets(signals, options.signal or "margin")])


def _base1(target: Target) -> Floats:
    # In logarithms: a probability may be too small for a float64.
    mean: Floats = np.logaddexp.reduce(target.shadow, axis=0) - np.log(len(target.shadow))
    return target.own - mean


def _base3(target: Target) -> Floats:
    inside, outside = in_out_moments(target)
    middle = (inside.mean + outside.mean) / 2
    slope = (inside.mean - outside.mean) / point_variance(inside, outside)
    return slope * (target.own - middle)
