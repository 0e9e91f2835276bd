"""LiRA, the likelihood-ratio attack (Carlini et al. 2022, arXiv 2112.03570, Algorithms 1 and 2)."""

from dataclasses import dataclass

import numpy as np

from mico.attacks.given.signals import SIGNALS, Signals
from mico.attacks.shadows import (
    Moments,
    Target,
    check_choice,
    in_out_moments,
    pooled_variances,
    targets,
)
from mico.support.arrays import Floats


@dataclass(frozen=True)
class Options:
    """Which Gaussians to fit to the signal s of a point's shadow models.

    variant:
        online: log N(s; mean_in, std_in) - log N(s; mean_out, std_out)
        offline: minus the log of the upper tail of N(mean_out, std_out) at s
        offline-global-variance: as offline, with one variance for all the target's points, that of
            all their OUT signals together; on conf the competition's runner-up for tables
        fixed-variance: as online, with one variance per side, pooled within points (section VI-D)
    """

    variant: str = "online"
    signal: str = "margin"

    def __post_init__(self) -> None:
        check_choice("variant", self.variant, VARIANTS)
        check_choice("signal", self.signal, SIGNALS)


def scores(signals: Signals, options: Options) -> Floats:
    """The log-likelihood ratio or tail at each model's own challenge points."""
    variant = VARIANTS[options.variant]
    return np.stack([variant(target) for target in targets(signals, options.signal)])


def _online(target: Target) -> Floats:
    inside, outside = in_out_moments(target)
    pooled_in, pooled_out = pooled_variances(inside, outside)
    std_in, std_out = _deviation(inside, pooled_in), _deviation(outside, pooled_out)
    return _log_ratio(target.own, inside, std_in, outside, std_out)


def _offline(target: Target) -> Floats:
    inside, outside = in_out_moments(target)
    deviation = _deviation(outside, pooled_variances(inside, outside)[1])
    return _minus_log_tail(target.own, outside, deviation)


def _offline_global_variance(target: Target) -> Floats:
    outside = in_out_moments(target)[1]
    of_all = target.shadow[~target.trained]
    deviation = of_all.std() if len(of_all) else 0
    return _minus_log_tail(target.own, outside, deviation or 1)


def _minus_log_tail(s: Floats, outside: Moments, deviation: Floats | float) -> Floats:
    from scipy.special import log_ndtr  # not needed to check the options of a configuration

    log_tail: Floats = log_ndtr((outside.mean - s) / deviation)
    return -log_tail


def _fixed_variance(target: Target) -> Floats:
    inside, outside = in_out_moments(target)
    std_in, std_out = np.sqrt(pooled_variances(inside, outside))
    return _log_ratio(target.own, inside, std_in, outside, std_out)


def _log_ratio(
    s: Floats,
    inside: Moments,
    std_in: Floats | float,
    outside: Moments,
    std_out: Floats | float,
) -> Floats:
    """log N(s; mean_in, std_in) - log N(s; mean_out, std_out)."""
    squares = ((s - outside.mean) / std_out) ** 2 - ((s - inside.mean) / std_in) ** 2
    return squares / 2 + np.log(std_out / std_in)


def _deviation(moments: Moments, pooled: float) -> Floats:
    """A standard deviation per point; with fewer than two shadow models the pooled one."""
    variance = np.where(moments.count > 1, moments.variance, pooled)
    # Two shadow models may agree by chance; a variance of nothing would decide by itself.
    return np.sqrt(np.maximum(variance, 1e-6 * pooled))


VARIANTS = {
    "online": _online,
    "offline": _offline,
    "offline-global-variance": _offline_global_variance,
    "fixed-variance": _fixed_variance,
}
