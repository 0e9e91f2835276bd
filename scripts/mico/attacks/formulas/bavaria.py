"""BaVarIA: LiRA with a prior on each point's mean and variance (Brännvall 2026, arXiv 2603.11799).

The signals of a point's IN models, and of its OUT models, are Gaussian with a Normal-Inverse-Gamma
prior: variance ~ InvGamma(alpha, beta), mean ~ N(centre, variance / kappa). It is set by all points
of the target together, for each side: centre is the mean of all signals, kappa such that a point's
mean varies about it by their total variance, beta such that the variance is expected to be the one
pooled within points. The author's published code, exponential-family-mia, expects the total one
there too, in which the differences between points are counted as if they were a point's own.
"""

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
from mico.support.errors import InputError

STRENGTH = 2.0  # the published alpha = 2 of -t; its -n has 1
MOST = 1e6  # beyond, a difference of two log-gamma functions loses its digits


@dataclass(frozen=True)
class Options:
    """Which distribution of the signal s to compare IN and OUT.

    variant:
        n: Gaussian with the side's mean and the posterior mean of its variance
        t: the posterior predictive distribution, a Student t
    strength: how many shadow models the prior's variance counts for; alpha = 1 + strength / 2
    prior: the variance that it expects, within points or, as published, total
    """

    variant: str = "n"
    signal: str = "margin"
    strength: float = STRENGTH
    prior: str = "within"

    def __post_init__(self) -> None:
        check_choice("variant", self.variant, VARIANTS)
        check_choice("signal", self.signal, SIGNALS)
        if not (isinstance(self.strength, int | float) and 1 <= self.strength <= MOST):
            raise InputError(f"strength {self.strength!r}: expected a number from 1 to {MOST:.0f}")
        check_choice("prior", self.prior, ("within", "total"))


def scores(signals: Signals, options: Options) -> Floats:
    """The log likelihood ratio at each model's own challenge points."""
    given = options.variant, options.strength, options.prior
    return np.stack([log_ratio(one, *given) for one in targets(signals, options.signal)])


def log_ratio(
    target: Target, variant: str, strength: float = STRENGTH, prior: str = "within"
) -> Floats:
    """log density of IN - log density of OUT (2m,) at the target's signal; see `Options`."""
    sides = in_out_moments(target)
    inside, outside = (
        VARIANTS[variant](target.own, side, _posterior(side, within, strength, prior))
        for side, within in zip(sides, pooled_variances(*sides), strict=True)
    )
    return inside - outside


@dataclass(frozen=True)
class _Posterior:
    """The Normal-Inverse-Gamma distribution of each point's mean and variance."""

    centre: Floats  # (2m,)
    kappa: Floats  # (2m,)
    alpha: Floats  # (2m,)
    beta: Floats  # (2m,)


def _posterior(side: Moments, within: float, strength: float, prior: str) -> _Posterior:
    """The conjugate update of the prior by the shadow models of one side.

    Args:
        within: the side's variance pooled within points.
    """
    # Where the side is empty at all points, its means are the other side's.
    weights = side.count if side.count.any() else np.ones_like(side.count)
    centre = np.average(side.mean, weights=weights)
    total = np.average(side.variance + (side.mean - centre) ** 2, weights=weights)
    variance = within if prior == "within" else total or within
    kappa = float(variance / max(total, variance))
    alpha, beta = 1 + strength / 2, variance * strength / 2

    count = side.count.astype(np.float64)
    squares = count * (side.variance + kappa * (side.mean - centre) ** 2 / (kappa + count))
    return _Posterior(
        centre=(kappa * centre + count * side.mean) / (kappa + count),
        kappa=kappa + count,
        alpha=alpha + count / 2,
        beta=beta + squares / 2,
    )


def _gaussian(s: Floats, side: Moments, posterior: _Posterior) -> Floats:
    # Where a side has no shadow models, the other's mean says more than the mean of all points.
    variance = posterior.beta / (posterior.alpha - 1)
    return -((s - side.mean) ** 2 / variance + np.log(2 * np.pi * variance)) / 2


def _student(s: Floats, side: Moments, posterior: _Posterior) -> Floats:
    from scipy.special import gammaln  # not needed to check the options of a configuration

    freedom = 2 * posterior.alpha
    scale = posterior.beta * (1 + 1 / posterior.kappa) / posterior.alpha  # squared
    half = (freedom + 1) / 2
    constant: Floats = gammaln(half) - gammaln(freedom / 2) - np.log(np.pi * freedom * scale) / 2
    return constant - half * np.log1p((s - posterior.centre) ** 2 / (freedom * scale))


VARIANTS = {"n": _gaussian, "t": _student}
