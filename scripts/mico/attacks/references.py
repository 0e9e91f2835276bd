"""A likelihood ratio from reference models, which share the target's other training records.

Reference models are the organisers' "room for improvement" and, trained for one target, what LiRA
online (Carlini et al. 2022) is defined by; where the target's training set is not given away it is
inferred first (`mico.reference_training`). Shadow models say how a point's signal is distributed
over training sets, reference models how it is for this one: a normal model with random effects
(Gelman et al. 2013, section 5.4). For each side, IN and OUT, with variances V of reference and V0
of shadow models, pooled within points (V0 also for a V that nothing shows), and their counts k and
k0 and means at the point:

    kappa = V / (max(V0 - V, 0) + V0 / k0)
    mean = (kappa * mean of shadows + k * mean of references) / (kappa + k)
    variance = (squares of references + STRENGTH * V) / (k - 1 + STRENGTH) * (1 + 1 / (kappa + k))
    score = log N(s; mean_in, variance_in) - log N(s; mean_out, variance_out)
"""

from dataclasses import dataclass

import numpy as np

from mico.attacks.shadows import Target, check_choice, in_out_moments, pooled_variances, target
from mico.command_line import InputError
from mico.references import References
from mico.signals import SIGNALS, Signals

# For how many reference models the pooled variance counts at a point.
STRENGTH = 8


@dataclass(frozen=True)
class Options:
    """count: how many of each target's reference models to use; signal: margin, loss or conf."""

    count: int
    signal: str = "margin"

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or self.count < 2:
            raise InputError(f"count {self.count!r}: expected an integer of at least 2")
        check_choice("signal", self.signal, SIGNALS)


def scores(signals: Signals, references: References, options: Options) -> np.ndarray:
    """The log ratio at each model's own challenge points; not a number without references.

    Raises:
        InputError: there are fewer reference models than `count`, or none of a dev or final model.
    """
    available = references.loss.shape[1]
    if options.count > available:
        raise InputError(f"count {options.count}: there are {available} reference models")
    attacked = np.arange(signals.train_models, len(signals.challenge))
    missing = np.setdiff1d(attacked, references.targets)
    if len(missing):
        raise InputError(f"model {missing[0]} has no reference models")
    values = signals.signal(options.signal)
    of_references = references.signal(options.signal)[:, : options.count]
    trained = references.trained[:, : options.count]
    result = np.full(signals.challenge.shape, np.nan)
    for model, *own in zip(references.targets, of_references, trained, strict=True):
        shadows = target(values, signals.shadows, signals.trained, model, signals.challenge[model])
        result[model] = log_ratio(shadows, Target(shadows.own, *own))
    return result


def log_ratio(shadows: Target, references: Target) -> np.ndarray:
    """log density of IN - log density of OUT (B,) at the signal of one target, which is in both."""
    priors, sides = in_out_moments(shadows), in_out_moments(references)
    pooled0 = pooled_variances(*priors)
    # Two reference models are one on each side, and show no variance.
    pooled = pooled_variances(*sides) if any(side.pooled_variance for side in sides) else pooled0
    densities = []
    for prior, side, v, v0 in zip(priors, sides, pooled, pooled0, strict=True):
        kappa = v / (max(v0 - v, 0) + v0 / np.maximum(prior.count, 1))
        mean = (kappa * prior.mean + side.count * side.mean) / (kappa + side.count)
        squares = side.count * side.variance + STRENGTH * v
        variance = squares / (np.maximum(side.count - 1, 0) + STRENGTH)
        variance *= 1 + 1 / (kappa + side.count)
        densities.append(-((references.own - mean) ** 2 / variance + np.log(variance)) / 2)
    return densities[0] - densities[1]
