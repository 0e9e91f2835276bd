"""How often an attack is right about the records that it calls members."""

import numpy as np

from mico.scoring import curves
from mico.scoring.limits import clopper_pearson
from mico.scoring.priors import PRIORS, posterior
from mico.support.arrays import Bools

# Both rates err, at both ends: of 5 % each of the four has a quarter.
TAIL = (1 - curves.CONFIDENCE) / 4


def precision(called: Bools, membership: Bools, challenge: str) -> list[dict[str, float | None]]:
    """The precision at each prior on new models, with a 95 % interval.

    A record that is called a member is one with the chance prior TPR / (prior TPR + (1 - prior)
    FPR). The interval takes the lower limit of one rate and the upper limit of the other. The
    limits are those of resampled models or Clopper and Pearson's, whichever are wider: models may
    differ, and of few calls none may be wrong. So it errs less often than 5 %.

    Args:
        called: (models, 2m), of models that the threshold was not chosen on.
        membership: (models, 2m).

    Returns:
        Rows of prior, precision, low, high; precision is None where nobody is called.
    """
    (tpr, tpr_low, tpr_high), (fpr, fpr_low, fpr_high) = (
        _rate(called, side, challenge) for side in (membership, ~membership)
    )
    return [
        {
            "prior": prior,
            "precision": posterior(prior, tpr, fpr),
            "low": posterior(prior, tpr_low, fpr_high),
            "high": posterior(prior, tpr_high, fpr_low),
        }
        for prior in PRIORS
    ]


def _rate(called: Bools, side: Bools, challenge: str) -> tuple[float, float, float]:
    """The share that is called of one side, and its lower and upper limit."""
    hits, trials = (called & side).sum(axis=1), side.sum(axis=1)
    drawn = curves.resamples(len(called), challenge)
    resampled = np.quantile(drawn @ hits / (drawn @ trials), [TAIL, 1 - TAIL])
    exact = clopper_pearson(hits.sum(), trials.sum(), TAIL)
    low, high = min(resampled[0], exact[0]), max(resampled[1], exact[1])
    return float(hits.sum() / trials.sum()), float(low), float(high)
