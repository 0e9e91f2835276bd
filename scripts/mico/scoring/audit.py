"""What predictions show of a challenge: privacy lost, calibration, precision, and classes."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from mico.scoring import curves, f_dp, one_run
from mico.scoring.limits import TAIL, clopper_pearson
from mico.scoring.metrics import COMPARED, FPRS, HEADLINE_FPR, RATES
from mico.scoring.precision import precision

DELTA = 1e-5  # where there is no DP: that of the published scenarios, to compare with them


def audit(
    challenge: str,
    phases: Mapping[str, np.ndarray],
    predictions: np.ndarray,
    membership: np.ndarray,
    classes: np.ndarray,
    delta: float | None,
) -> dict[str, Any]:
    """An entry's audit of one challenge; docs/statistics.md says what the numbers mean.

    Args:
        phases: the models of dev, final and both, as rows of the next three.
        predictions: (models, 2m); membership: (models, 2m) bool; classes: (models, 2m).
        delta: the scenario's; None without DP.
    """
    chosen = {phase: (predictions[rows], membership[rows]) for phase, rows in phases.items()}
    dev, final, both = chosen["dev"], chosen["final"], chosen["both"]
    delta = delta or DELTA
    guesses = one_run.chosen(*dev, *final)
    mu = f_dp.mu(guesses)
    return {
        "epsilon_lower": round(epsilon_lower(*dev, *final, delta), 6),
        "epsilon_lower_one_run": round(one_run.epsilon(guesses, delta), 6),
        "epsilon_lower_f_dp": round(f_dp.gaussian_epsilon(mu, delta), 6),
        "guesses": asdict(guesses),
        "calibration": calibration(*dev, *final, challenge),
        "precision": precisions(*dev, *final, challenge),
        "classes": by_class(*both, classes[phases["both"]]),
    }


def epsilon_lower(
    dev: np.ndarray,
    dev_membership: np.ndarray,
    final: np.ndarray,
    final_membership: np.ndarray,
    delta: float,
) -> float:
    """A lower bound of epsilon at delta that errs with a chance of 5 %; 0 if nothing is shown.

    If training is (epsilon, delta)-DP, TPR <= e^epsilon FPR + delta at every threshold, and
    1 - FPR <= e^epsilon (1 - TPR) + delta (Kairouz et al. 2015, arXiv 1311.0776). The rates of
    final take their Clopper-Pearson limits (Jagielski et al. 2020, arXiv 2006.07709), each with a
    chance of 2.5 % to err, at the threshold that shows most on dev. There the limits are wide
    enough for all thresholds at once, or it would be the luckiest one of few calls.

    A model's points are correlated: its weights move many predictions up or down together, so the
    numbers of calls are no binomials and the limits of one rate alone may be far too close. What
    the bound compares is another matter. Given the weights, and so all calls, chance is left to
    the memberships alone, and with DP their odds are within e^+-epsilon each, whatever the others
    are: of r points called, the members are at most Bin(r, e^epsilon / (1 + e^epsilon)) (Steinke
    et al. 2023, arXiv 2305.08846), however the calls fall on models. For up to half
    of all points called, or not called in the other direction, such members exceed what the two
    limits allow with a chance of 2.5 % at most. That takes memberships for independent, and delta
    for 0; of m members among 2m points, and at 1e-5, both are nearly so.

    Args:
        dev, final: predictions (models, 2m), each with its memberships, bool.
    """
    thresholds = np.unique(dev)
    shown = _epsilons(dev, dev_membership, thresholds, delta, TAIL / len(thresholds))
    return float(_epsilons(final, final_membership, thresholds[shown.argmax()], delta, TAIL))


def _epsilons(
    predictions: np.ndarray,
    membership: np.ndarray,
    thresholds: np.ndarray,
    delta: float,
    tail: float,
) -> np.ndarray:
    """The epsilon (...) shown at each threshold, by those called members or by the others."""
    limits = []
    for side in membership, ~membership:
        scores = np.sort(predictions[side])
        calls = len(scores) - np.searchsorted(scores, thresholds)
        limits.append(clopper_pearson(calls, len(scores), tail))
    tpr, fpr = limits[0][0], limits[1][1]  # the lower and the upper limit
    ratios = np.maximum((tpr - delta) / fpr, (1 - fpr - delta) / (1 - tpr))
    return np.asarray(np.log(np.maximum(ratios, 1)))


def calibration(
    dev: np.ndarray,
    dev_membership: np.ndarray,
    final: np.ndarray,
    final_membership: np.ndarray,
    challenge: str,
) -> list[dict[str, float]]:
    """For each published FPR, the rates on final at the threshold that has it on dev.

    The 95 % intervals are of what that threshold gives on new models: percentiles over the
    resamples of the final models on which the challenge's scores have theirs.

    Args:
        dev, final: predictions (models, 2m), each with its memberships, bool.
    """
    curve = curves.roc(dev, dev_membership, np.ones(len(dev)))
    thresholds = np.array([curves.threshold(curve, fpr) for fpr in FPRS])
    called = final[:, :, None] >= thresholds
    drawn = curves.resamples(len(final), challenge)
    columns = {"fpr": np.array(FPRS)}
    for name, side in ("fpr", ~final_membership), ("tpr", final_membership):
        calls = (called & side[:, :, None]).sum(axis=1)  # (models, len(FPRS))
        columns[f"{name}_final"] = calls.sum(axis=0) / side.sum()
        rates = drawn @ calls / (drawn @ side.sum(axis=1))[:, None]
        columns[f"{name}_low"], columns[f"{name}_high"] = curves.interval(rates)
    return [
        dict(zip(columns, row, strict=True))
        for row in np.stack(list(columns.values()), axis=1).round(6).tolist()
    ]


def precisions(
    dev: np.ndarray,
    dev_membership: np.ndarray,
    final: np.ndarray,
    final_membership: np.ndarray,
    challenge: str,
) -> list[dict[str, float | None]]:
    """The precision on final at the thresholds that have the compared FPRs on dev.

    Args:
        dev, final: predictions (models, 2m), each with its memberships, bool.

    Returns:
        Rows of fpr, and what `precision` has.
    """
    curve = curves.roc(dev, dev_membership, np.ones(len(dev)))
    return [
        {"fpr": RATES[metric], **row}
        for metric in COMPARED
        for row in precision(
            final >= curves.threshold(curve, RATES[metric]), final_membership, challenge
        )
    ]


def by_class(
    predictions: np.ndarray, membership: np.ndarray, classes: np.ndarray
) -> list[dict[str, float | None]]:
    """For each class of the points, the rates at the threshold of the headline metric.

    The TPR has Clopper-Pearson limits, which take a class's points for independent: of one model
    they are few. A rate of no points is None.

    Args:
        predictions, membership, classes: (models, 2m).
    """
    curve = curves.roc(predictions, membership, np.ones(len(predictions)))
    called = predictions >= curves.threshold(curve, HEADLINE_FPR)
    found, index = np.unique(classes, return_inverse=True)

    def count(mask: np.ndarray) -> np.ndarray:
        return np.bincount(index.ravel()[mask.ravel()], minlength=len(found))

    members, nonmembers = count(membership), count(~membership)
    tp, fp = count(called & membership), count(called & ~membership)
    low, high = clopper_pearson(tp, members)
    return [
        {
            "class": int(name),
            "members": int(members[i]),
            "nonmembers": int(nonmembers[i]),
            "tpr": round(float(tp[i] / members[i]), 6) if members[i] else None,
            "fpr": round(float(fp[i] / nonmembers[i]), 6) if nonmembers[i] else None,
            "tpr_low": round(float(low[i]), 6),
            "tpr_high": round(float(high[i]), 6),
        }
        for i, name in enumerate(found)
    ]
