"""A likelihood ratio from target references, which share the target's other training records.

Reference models are the organisers' "room for improvement" and, trained for one target, what LiRA
online (Carlini et al. 2022) is defined by; where the target's training set is not given away it is
inferred first (`mico.attacks.reference_training`). Shadow models say how a point's signal is
distributed over training sets, reference models how it is for this one: a normal model with random
effects (Gelman et al. 2013, section 5.4). For each side, IN and OUT, with variances V of reference
and V0 of shadow models, pooled within points (V0 also for a V that nothing shows), and their counts
k and k0 and means at the point:

    kappa = V / (max(V0 - V, 0) + V0 / k0)
    mean = (kappa * mean of shadows + k * mean of references) / (kappa + k)
    variance = (squares of references + STRENGTH * V) / (k - 1 + STRENGTH) * (1 + 1 / (kappa + k))
    ratio = log N(s; mean_in, variance_in) - log N(s; mean_out, variance_out)

Under DP, what the ratio estimates of each point's two variances is mostly noise, and the signal
compared with the middle is better, in the deviation of all the point's models about their means:

    centred = (s - (mean_in + mean_out) / 2) / std
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mico.attacks.given.signals import SIGNALS, Signals
from mico.attacks.given.target_references import TargetReferences
from mico.attacks.shadows import (
    Moments,
    Target,
    check_choice,
    in_out_moments,
    pooled_variances,
    target,
    varied,
)
from mico.support.arrays import Floats
from mico.support.errors import InputError

# For how many reference models the pooled variance counts at a point.
STRENGTH = 8


@dataclass(frozen=True)
class Options:
    """How many of each target's reference models to use, and how to score a signal.

    count: at least 2; signal: margin, loss or conf; score: ratio, or centred, for training with DP.
    """

    count: int
    signal: str = "margin"
    score: str = "ratio"

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or self.count < 2:
            raise InputError(f"count {self.count!r}: expected an integer of at least 2")
        check_choice("signal", self.signal, SIGNALS)
        check_choice("score", self.score, SCORES)


def scores(signals: Signals, target_references: TargetReferences, options: Options) -> Floats:
    """The score at each model's own challenge points; not a number without its references.

    Raises:
        InputError: there are fewer reference models than `count`, or none of a dev or final model.
    """
    available = target_references.loss.shape[1]
    if options.count > available:
        raise InputError(f"count {options.count}: there are {available} reference models")
    target_references.check_targets(signals)
    values = signals.signal(options.signal)
    of_references = target_references.signal(options.signal)[:, : options.count]
    trained = target_references.trained[:, : options.count]
    result = np.full(signals.challenge.shape, np.nan)
    for model, *own in zip(target_references.targets, of_references, trained, strict=True):
        shadows = target(values, signals.shadows, signals.trained, model, signals.challenge[model])
        result[model] = SCORES[options.score](shadows, Target(shadows.own, *own))
    return result


def log_ratio(shadows: Target, references: Target) -> Floats:
    """log density of IN - log density of OUT (B,) at the signal of one target, which is in both."""
    densities: list[Floats] = []
    for side in _sides(shadows, references):
        models = side.references
        squares = models.count * models.variance + STRENGTH * side.pooled_variance
        variance = squares / (np.maximum(models.count - 1, 0) + STRENGTH)
        variance *= 1 + 1 / (side.kappa + models.count)
        densities.append(-((references.own - side.mean) ** 2 / variance + np.log(variance)) / 2)
    return densities[0] - densities[1]


def centred(shadows: Target, references: Target) -> Floats:
    """The signal of one target less the middle of the two means, in deviations (B,)."""
    inside, outside = _sides(shadows, references)
    squares = np.zeros(len(references.own))
    for side in (inside, outside):
        for models in (side.shadows, side.references):
            squares += models.count * models.variance
    variance = varied(squares / (len(shadows.shadow) + len(references.shadow)))
    return (references.own - (inside.mean + outside.mean) / 2) / np.sqrt(variance)


SCORES = {"ratio": log_ratio, "centred": centred}


@dataclass(frozen=True)
class _Side:
    """IN or OUT at a target's points."""

    shadows: Moments
    references: Moments
    pooled_variance: float  # V
    kappa: Floats  # (B,)
    mean: Floats  # (B,)


def _sides(shadows: Target, references: Target) -> Iterator[_Side]:
    """The two sides, IN first."""
    priors, sides = in_out_moments(shadows), in_out_moments(references)
    pooled0 = pooled_variances(*priors)
    # Two reference models are one on each side, and show no variance.
    pooled = pooled_variances(*sides) if any(side.pooled_variance for side in sides) else pooled0
    for prior, side, v, v0 in zip(priors, sides, pooled, pooled0, strict=True):
        kappa = v / (max(v0 - v, 0) + v0 / np.maximum(prior.count, 1))
        mean = (kappa * prior.mean + side.count * side.mean) / (kappa + side.count)
        yield _Side(prior, side, v, kappa, mean)
