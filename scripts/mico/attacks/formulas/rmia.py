"""RMIA, the robust membership-inference attack (Zarifzadeh et al. 2024, arXiv 2312.03262, eq. 3).

A point x is compared with population points r: the score is the fraction of r with
[p(x) / pbar(x)] / [p(r) / pbar(r)] > gamma, where p is the target's probability of the label and
pbar what the shadow models give it. The population is all other models' challenge points, or
all records where every record is a challenge point of every model.
"""

import math
from dataclasses import dataclass

import numpy as np

from mico.attacks.given.signals import Signals
from mico.attacks.shadows import check_choice
from mico.support.arrays import Floats
from mico.support.errors import InputError


@dataclass(frozen=True)
class Options:
    """How pbar is estimated, and the ratio that counts.

    variant:
        online: pbar = (mean_in + mean_out) / 2
        offline: pbar = ((1 + a) mean_out + 1 - a) / 2 (appendix B.2.2)
    """

    variant: str = "online"
    gamma: float = 1.0
    a: float = 0.3

    def __post_init__(self) -> None:
        check_choice("variant", self.variant, ("online", "offline"))
        if not (isinstance(self.gamma, int | float) and 1 <= self.gamma < math.inf):
            raise InputError(f"gamma {self.gamma!r}: expected a number of at least 1")
        if not (isinstance(self.a, int | float) and 0 <= self.a <= 1):
            raise InputError(f"a {self.a!r}: expected a number in [0, 1]")


def scores(signals: Signals, options: Options) -> Floats:
    """The fraction of the population that each challenge point of a model dominates."""
    probability = signals.signal("conf")[signals.shadows]
    inside = np.where(signals.trained, probability, 0)
    outside = np.where(signals.trained, 0, probability)
    sides = np.stack([inside, outside])
    sums = sides.sum(axis=1)
    counts = np.stack([signals.trained.sum(axis=0), (~signals.trained).sum(axis=0)])

    result = np.empty(signals.challenge.shape)
    for model, columns in enumerate(signals.challenge):
        means = _means(sums, counts)
        # A train model under attack is left out of its own statistics.
        if model < signals.train_models:
            own = np.stack([signals.trained[model], ~signals.trained[model]])
            # Not by subtraction, which loses what is far smaller than the model's own.
            rest = sides[:, :model].sum(axis=1) + sides[:, model + 1 :].sum(axis=1)
            means = _means(rest, counts - own)
        if options.variant == "online":
            reference = means.mean(axis=0)
        else:
            reference = ((1 + options.a) * means[1] + 1 - options.a) / 2
        ratio = signals.loss[model] - np.log(np.maximum(reference, np.finfo(float).tiny))
        others = np.delete(ratio, columns)
        population = np.sort(others if len(others) else ratio)
        dominated = np.searchsorted(population, ratio[columns] - math.log(options.gamma))
        result[model] = dominated / len(population)
    return result


def _means(sums: Floats, counts: Floats) -> Floats:
    """Means (2, U) over the IN and OUT shadow models; an empty side takes the other's mean."""
    means = sums / np.maximum(counts, 1)
    return np.where(counts > 0, means, means[::-1])
