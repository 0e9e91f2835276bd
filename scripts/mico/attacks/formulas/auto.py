"""The attack that does best on the train models, among all others of a run.

What an honest participant would submit: memberships of dev and final are not looked at. On the
train models no attack knows the answer either, since each leaves a model out of its own statistics,
so the comparison is a cross-validation that leaves out one model (the stacked attack's: a fold).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mico.attacks.given.signals import Signals
from mico.scoring import metrics
from mico.scoring.curves import interval, roc
from mico.support.arrays import Floats
from mico.support.errors import InputError

# TPRs at FPRs that more than a few non-members decide.
JUDGED_BY = [metrics.tpr_at(fpr).name for fpr in (0.05, 0.1, 0.15, 0.2)]


@dataclass(frozen=True)
class Options:
    """It has none."""

    takes_shared_references: ClassVar = False


def scores(signals: Signals, others: Mapping[str, Floats], options: Options) -> tuple[Floats, str]:
    """The predictions of the chosen attack, and a note that says which it is.

    Args:
        others: predictions (M, 2m) of the other attacks by name; rows of train models that an
            attack left out are not a number.
    """
    chosen = choose(signals, others)
    return others[chosen], f"chose {chosen}"


def choose(signals: Signals, others: Mapping[str, Floats]) -> str:
    """The attack with the highest mean TPR on the train models, the first of equals.

    The mean is over FPRs of 0.05, 0.1, 0.15 and 0.2.

    One that leaves out train models has to be clearly better than the best of the rest on those it
    has: a 95 % interval of the difference, by resampling them, above 0.

    Raises:
        InputError: all attacks leave out all train models.
    """
    shadows = signals.train_models
    membership = np.take_along_axis(signals.trained[:shadows], signals.challenge[:shadows], axis=1)
    covered = {name: ~np.isnan(rows[:shadows]).any(axis=1) for name, rows in others.items()}

    def better(name: str, best: str) -> bool:
        common = covered[name] & covered[best]
        if not common.any():
            return False
        pair = [others[one][:shadows][common] for one in (name, best)]
        if (covered[name] == covered[best]).all():
            equal = np.ones(len(pair[0]))
            curves = [roc(one, membership[common], equal) for one in pair]
            merits = [_merit(metrics.metrics(curve)) for curve in curves]
            return bool(merits[0] > merits[1])
        # The same resamples for both.
        new, old = (metrics.bootstrap(one, membership[common], "auto") for one in pair)
        lead = {metric: new[metric] - old[metric] for metric in JUDGED_BY}
        return bool(interval(_merit(lead))[0] > 0)

    best = ""
    # Those with most train models first, so that the comparison is on as many as there can be.
    for name in sorted(others, key=lambda name: -covered[name].sum()):
        if covered[name].any() and (not best or better(name, best)):
            best = name
    if not best:
        raise InputError("no other attack has predictions for train models to be judged by")
    return best


def _merit(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The mean (...) of the TPRs that judge."""
    return np.asarray(np.mean([values[metric] for metric in JUDGED_BY], axis=0))
