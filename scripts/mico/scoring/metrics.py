"""The metrics of an entry: a row of `METRICS` each, which every table and page is made from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mico.scoring.curves import REPLICATES, Curves, Resampled, resampled

HEADLINE_FPR = 0.1


@dataclass(frozen=True)
class Metric:
    """What a metric is called and how it is computed."""

    name: str  # its column in scores.csv, its key elsewhere
    title: str  # its heading on pages
    published: str  # its name in the scores.txt of the competition's scoring program
    guess: float  # its value for random predictions
    value: Callable[[Curves | Resampled], np.ndarray]  # of each curve (...) or resample
    fpr: float | None = None  # where it is the TPR at an FPR


def tpr_at(fpr: float) -> Metric:
    """The TPR at the smallest threshold that calls at most this share of non-members members."""
    return Metric(
        name=f"tpr_at_fpr_{fpr:g}",
        title=f"TPR at FPR {fpr:g}",
        published=f"TPR_FPR_{round(1e4 * fpr)}",
        guess=fpr,
        value=lambda roc: roc.tpr_at(fpr),
        fpr=fpr,
    )


METRICS = (
    *map(tpr_at, (0.001, 0.01, 0.05, 0.1, 0.15, 0.2)),
    Metric("auc", "AUC", "AUC", 0.5, lambda roc: roc.auc()),
    Metric("advantage", "Advantage", "MIA", 0.0, lambda roc: roc.advantage()),
    Metric("accuracy", "Accuracy", "accuracy", 0.5, lambda roc: (1 + roc.advantage()) / 2),
)
TITLES = {metric.name: metric.title for metric in METRICS}
RATES = {metric.name: metric.fpr for metric in METRICS if metric.fpr is not None}
FPRS = tuple(sorted(RATES.values()))
HEADLINE = tpr_at(HEADLINE_FPR).name  # what ranks; the mean over challenges where there are several
COMPARED = (HEADLINE, tpr_at(0.01).name)  # participants are compared pairwise by these TPRs


def metrics(curves: Curves) -> dict[str, np.ndarray]:
    """Metric -> its value (...) of each curve."""
    return {metric.name: metric.value(curves) for metric in METRICS}


def bootstrap(
    predictions: np.ndarray, membership: np.ndarray, challenge: str, replicates: int = REPLICATES
) -> dict[str, np.ndarray]:
    """Metric -> its values (replicates,) on resamples of the models; see `curves.resamples`.

    Args:
        predictions: (models, 2m).
        membership: (models, 2m) bool, with a member and a non-member in every model.
    """
    parts = [
        {metric.name: metric.value(part) for metric in METRICS}
        for part in resampled(predictions, membership, challenge, replicates)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
