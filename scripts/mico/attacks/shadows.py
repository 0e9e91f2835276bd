"""A target, and the shadow models that did (IN) or did not (OUT) train on its challenge points."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mico.attacks.given.signals import Signals
from mico.support.arrays import Bools, Floats, Ints
from mico.support.errors import InputError


@dataclass(frozen=True)
class Moments:
    """Counts, means and (maximum-likelihood) variances of a signal over some shadow models."""

    count: Ints  # (2m,)
    mean: Floats  # (2m,)
    variance: Floats  # (2m,)

    @property
    def pooled_variance(self) -> float:
        """One variance within points for all: their squared deviations over degrees of freedom."""
        freedom = np.maximum(self.count - 1, 0).sum()
        return float((self.variance * self.count).sum() / max(freedom, 1))


@dataclass(frozen=True)
class Target:
    """One model under attack at its own 2m challenge points, and its S' shadow models there.

    Shadow models are the train models and, if there are any, shared reference models. A train model
    that is itself attacked is not among its own shadow models.
    """

    own: Floats  # (2m,) signal under the target
    shadow: Floats  # (S', 2m) signal under the shadow models
    trained: Bools  # (S', 2m): the shadow model trained on the point (IN)

    @cached_property
    def sides(self) -> tuple[Moments, Moments]:
        """Moments over the IN and over the OUT shadow models, computed once."""
        inside, outside = (_moments(self.shadow, mask) for mask in (self.trained, ~self.trained))
        return inside, outside


def targets(signals: Signals, signal: str) -> Iterator[Target]:
    """Every model in turn as the target."""
    values = signals.signal(signal)
    for model, columns in enumerate(signals.challenge):
        yield target(values, signals.shadows, signals.trained, model, columns)


def target(values: Floats, shadows: Ints, trained: Bools, model: int, columns: Ints) -> Target:
    """One model as the target at any columns of a signal (R, U).

    Args:
        shadows: (S',) the rows that are shadow models; trained: (S', U) what they trained on.
    """
    rows = np.flatnonzero(shadows != model)[:, None]
    return Target(values[model, columns], values[shadows[rows], columns], trained[rows, columns])


def in_out_moments(target: Target) -> tuple[Moments, Moments]:
    """Moments over the IN and over the OUT shadow models of each point.

    A side that no shadow model is on takes the other side's mean; a side with fewer than two has
    variance 0, for the caller to replace.
    """
    inside, outside = target.sides
    means = [
        np.where(one.count > 0, one.mean, other.mean)
        for one, other in ((inside, outside), (outside, inside))
    ]
    return (
        Moments(inside.count, means[0], inside.variance),
        Moments(outside.count, means[1], outside.variance),
    )


def _moments(values: Floats, mask: Bools) -> Moments:
    count = mask.sum(axis=0)
    divisor = np.maximum(count, 1)
    mean = np.where(mask, values, 0).sum(axis=0) / divisor
    variance = np.where(mask, (values - mean) ** 2, 0).sum(axis=0) / divisor
    return Moments(count, mean, variance)


def point_variance(inside: Moments, outside: Moments) -> Floats:
    """A variance (2m,) of each point about the means of its sides, pooled over both; never 0."""
    squares = inside.variance * inside.count + outside.variance * outside.count
    return varied(squares / np.maximum(inside.count + outside.count, 1))


def varied(variance: Floats) -> Floats:
    """Variances (2m,) of which none is 0.

    A point on which all models of a side agree takes a millionth of the points' mean, and all take
    1 where they agree on all points.
    """
    return np.maximum(variance, 1e-6 * variance.mean() or 1.0)


def pooled_variances(inside: Moments, outside: Moments) -> tuple[float, float]:
    """The pooled variance of each side; one whose shadow models show none takes the other's, or 1.

    Never 0.
    """
    one, other = inside.pooled_variance, outside.pooled_variance
    return one or other or 1.0, other or one or 1.0


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise an InputError unless the option has one of its values."""
    if value not in list(choices):  # a list, for a value that a dictionary cannot look up
        raise InputError(f"{name} {value!r}: expected one of {', '.join(choices)}")
