"""The organiser's scorer: the published metrics, with intervals by resampling models."""

from dataclasses import dataclass

import numpy as np

FPRS = (0.001, 0.01, 0.05, 0.1, 0.15, 0.2)
HEADLINE_FPR = 0.1
HEADLINE = f"tpr_at_fpr_{HEADLINE_FPR:g}"
COMPARED = (HEADLINE, "tpr_at_fpr_0.01")  # participants are compared pairwise by these
METRICS = (*(f"tpr_at_fpr_{fpr:g}" for fpr in FPRS), "auc", "advantage", "accuracy")
REPLICATES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Curves:
    """ROC curves at every distinct threshold, from calling nobody a member to everybody.

    There may be several curves over the same thresholds, one per resampling of the models.
    """

    thresholds: np.ndarray  # (T,) decreasing, inf first: called members are predictions >= it
    fpr: np.ndarray  # (..., T)
    tpr: np.ndarray  # (..., T)


def roc(predictions: np.ndarray, membership: np.ndarray, weights: np.ndarray) -> Curves:
    """ROC curves of all models' predictions pooled.

    Args:
        predictions: (models, 2m); membership: (models, 2m) bool.
        weights: (..., models), how often each model counts; ones for the plain curve.
    """
    return _curves(_calls(predictions, membership), weights)


@dataclass(frozen=True)
class _Calls:
    """How many of each model's records are called members, at every distinct threshold."""

    thresholds: np.ndarray  # (T,) decreasing, inf first
    nonmembers: np.ndarray  # (models, T) float32, in which integers below 2^24 are exact
    members: np.ndarray  # (models, T) float32


def _calls(predictions: np.ndarray, membership: np.ndarray) -> _Calls:
    pooled = predictions.ravel()
    order = np.argsort(-pooled, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(pooled[order])), len(order) - 1)
    member = membership.ravel()[order]

    def counts(mask: np.ndarray) -> np.ndarray:
        called = np.zeros((len(predictions), len(order) + 1), np.float32)
        called[order[mask] // predictions.shape[1], np.flatnonzero(mask) + 1] = 1
        return np.cumsum(called, axis=1, out=called)[:, np.append(0, ends + 1)]

    thresholds = np.concatenate([[np.inf], pooled[order][ends]])
    return _Calls(thresholds, counts(~member), counts(member))


def _corners(calls: _Calls) -> _Calls:
    """Without the thresholds inside a run of members only or of non-members only.

    Along such a run the curve goes straight up or straight right whatever the weights of the
    models, so no metric needs the points inside.
    """
    right, up = (np.diff(counts.sum(axis=0)) > 0 for counts in (calls.nonmembers, calls.members))
    inside = (right ^ up)[:-1] & (right[:-1] == right[1:]) & (up[:-1] == up[1:])
    kept = np.flatnonzero(np.concatenate([[True], ~inside, [True]]))
    return _Calls(calls.thresholds[kept], calls.nonmembers[:, kept], calls.members[:, kept])


def _curves(calls: _Calls, weights: np.ndarray) -> Curves:
    """Weighted sums of models' counts: one matrix product for all curves."""

    def rates(called: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # OpenBLAS raises the flag on finite numbers too
            rate = (weights.astype(np.float32) @ called).astype(np.float64)
        rate /= rate[..., -1:].copy()
        return rate

    return Curves(calls.thresholds, rates(calls.nonmembers), rates(calls.members))


def metrics(curves: Curves) -> np.ndarray:
    """The values (..., len(METRICS)) of each curve, in the order of `METRICS`.

    The TPR at an FPR a is that of the smallest threshold at which at most a share a of the
    non-members are called members. The advantage is max(TPR - FPR), the accuracy
    max(1 - (FPR + 1 - TPR) / 2), the AUC by the trapezoid rule.
    """
    # Shares of counts: 0.1 of 1,000 non-members is 100 of them, whatever 100 / 1000 rounds to.
    tprs = [_last_tpr(curves, fpr + 1e-12) for fpr in FPRS]
    auc = np.trapezoid(curves.tpr, curves.fpr, axis=-1)
    advantage = (curves.tpr - curves.fpr).max(axis=-1)
    return np.stack([*tprs, auc, advantage, (1 + advantage) / 2], axis=-1)


def _last_tpr(curves: Curves, fpr: float) -> np.ndarray:
    rows = zip(np.atleast_2d(curves.fpr), np.atleast_2d(curves.tpr), strict=True)
    tprs = [row_tpr[np.searchsorted(row_fpr, fpr, side="right") - 1] for row_fpr, row_tpr in rows]
    return np.reshape(tprs, curves.tpr.shape[:-1])


def threshold(curves: Curves, fpr: float) -> float:
    """The threshold of a single ROC curve at this FPR."""
    return float(curves.thresholds[(curves.fpr <= fpr + 1e-12).sum() - 1])


def resamples(models: int, challenge: str, replicates: int = REPLICATES) -> np.ndarray:
    """How often each model is drawn in each resample (replicates, models).

    A model's points are correlated, so whole models are drawn, with replacement (Efron and
    Tibshirani 1993, chapters 8 and 13). All calls for a challenge with as many models draw the same
    models, so that participants can be compared on the same resamples; different challenges draw
    independently.
    """
    rng = np.random.default_rng([models, *challenge.encode()])
    return rng.multinomial(models, np.full(models, 1 / models), size=replicates)


def bootstrap(
    predictions: np.ndarray, membership: np.ndarray, challenge: str, replicates: int = REPLICATES
) -> np.ndarray:
    """The metrics (replicates, len(METRICS)) on resamples of the models; see `resamples`.

    Args:
        membership: (models, 2m) bool, as many members as non-members in every model.
    """
    counts = resamples(len(predictions), challenge, replicates)
    calls = _corners(_calls(predictions, membership))
    # As many members as non-members in every model: the difference of rates is that of counts.
    lead = calls.members - calls.nonmembers
    # The AUC is a sum over pairs of models, of the one's members and the other's non-members.
    middle = (calls.members[:, 1:] + calls.members[:, :-1]) / 2
    pairs = middle @ np.diff(calls.nonmembers, axis=1).T
    values = []
    for part in np.array_split(counts, max(replicates // 100, 1)):  # a few, for the memory
        weights = part.astype(np.float32)  # in which all these sums of integers are exact
        nonmembers = weights @ calls.nonmembers
        total = nonmembers[:, -1:].astype(np.float64)
        allowed = total * (np.array(FPRS) + 1e-12)
        last = np.stack(
            [np.searchsorted(*r, side="right") - 1 for r in zip(nonmembers, allowed, strict=True)]
        )
        tprs = np.einsum("rm,mrf->rf", weights, calls.members[:, last]) / total
        advantage = (weights @ lead).max(axis=1, keepdims=True) / total
        auc = ((part @ pairs) * part).sum(axis=1, keepdims=True) / total**2
        values.append(np.hstack([tprs, auc, advantage, (1 + advantage) / 2]))
    return np.concatenate(values)


def interval(replicates: np.ndarray) -> np.ndarray:
    """The 95 % percentile interval (2, ...) of values (replicates, ...)."""
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(replicates, [tail, 1 - tail], axis=0)
