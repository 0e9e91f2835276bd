"""The attack that does best on the train models, among all others of a run.

What an honest participant would submit: memberships of dev and final are not looked at. On the
train models no attack knows the answer either, since each leaves a model out of its own statistics,
so the comparison is a cross-validation that leaves out one model (the stacked attack's: a fold).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mico.attacks.given.signals import Signals
from mico.scoring import metrics
from mico.support.arrays import Floats
from mico.support.errors import InputError

# Columns of `metrics.METRICS`: the TPRs at FPRs that more than a few non-members decide.
JUDGED_BY = [column for column, fpr in enumerate(metrics.FPRS) if fpr >= 0.05]


@dataclass(frozen=True)
class Options:
    """It has none."""


def scores(signals: Signals, others: Mapping[str, Floats], options: Options) -> Floats:
    """The predictions of the chosen attack.

    Args:
        others: predictions (M, 2m) of the other attacks by name; rows of train models that an
            attack left out are not a number.
    """
    chosen = choose(signals, others)
    print(f"chosen: {chosen}", file=sys.stderr)
    return others[chosen]


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
            curves = [metrics.roc(one, membership[common], equal) for one in pair]
            new, old = (metrics.metrics(curve)[JUDGED_BY].mean() for curve in curves)
            return bool(new > old)
        # The same resamples for both.
        new, old = (metrics.bootstrap(one, membership[common], "auto") for one in pair)
        return bool(metrics.interval((new - old)[:, JUDGED_BY].mean(axis=1))[0] > 0)

    best = ""
    # Those with most train models first, so that the comparison is on as many as there can be.
    for name in sorted(others, key=lambda name: -covered[name].sum()):
        if covered[name].any() and (not best or better(name, best)):
            best = name
    if not best:
        raise InputError("no other attack has predictions for train models to be judged by")
    return best
