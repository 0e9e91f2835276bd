"""The shrunk effect: BASE3 with each point's effect drawn towards the mean effect of all points.

Our own construction. With few OUT models, or under DP, what training on a point does to its signal
is mostly noise; how much is known from the spread of the effects over points (the random-effects
model of DerSimonian and Laird 1986), and shrinking by as much is the empirical-Bayes estimate.
"""

from dataclasses import dataclass

import numpy as np

from mico.attacks.given.signals import SIGNALS, Signals
from mico.attacks.shadows import Target, check_choice, in_out_moments, point_variance, targets
from mico.support.arrays import Bools, Floats


@dataclass(frozen=True)
class Options:
    """The signal s. With a point's mean_in, mean_out, and deviation std about them:

        r = (mean_in - mean_out) / std, with error variance v = 1 / n_in + 1 / n_out
        t = max(var(r) - mean(v), 0) over the points with models on both sides
        e = mean(r) + t / (t + v) * (r - mean(r)), or mean(r) where a side has no model
        score = e * (s - middle) / std

    The middle is that of two means e * std apart whose average over the shadow models is theirs.
    """

    signal: str = "margin"

    def __post_init__(self) -> None:
        check_choice("signal", self.signal, SIGNALS)


def scores(signals: Signals, options: Options) -> Floats:
    """The log ratio under the shrunk effect at each model's own challenge points."""
    return np.stack([score(target) for target in targets(signals, options.signal)])


def score(target: Target) -> Floats:
    """The log ratio (2m,) at one target's points."""
    inside, outside = in_out_moments(target)
    deviation = np.sqrt(point_variance(inside, outside))
    effect = (inside.mean - outside.mean) / deviation
    error = 1 / np.maximum(inside.count, 1) + 1 / np.maximum(outside.count, 1)
    known = (inside.count > 0) & (outside.count > 0)
    shrunk = _shrink(effect, error, known)

    more_out = (outside.count - inside.count) / len(target.shadow)
    middle: Floats = target.shadow.mean(axis=0) + more_out * shrunk * deviation / 2
    return shrunk * (target.own - middle) / deviation


def _shrink(effect: Floats, error: Floats, known: Bools) -> Floats:
    """Effects (2m,) drawn towards the mean of the known ones; no effect where none is known."""
    if not known.any():
        return np.zeros_like(effect)
    mean = float(effect[known].mean())
    spread = max(float(effect[known].var() - error[known].mean()), 0.0)
    return mean + np.where(known, spread / (spread + error), 0) * (effect - mean)
