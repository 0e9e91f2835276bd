"""ROC curves of many models' predictions pooled, and of resamples of the models."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

REPLICATES = 1000
CONFIDENCE = 0.95
# Rates are shares of counts: 0.1 of 1,000 non-members is 100, whatever 100 / 1000 rounds to.
SLACK = 1e-12
CACHED = 4096  # columns of a product that a processor's cache holds


@dataclass(frozen=True)
class Curves:
    """ROC curves at every distinct threshold, from calling nobody a member to everybody.

    There may be several curves over the same thresholds, one per resampling of the models.
    """

    thresholds: np.ndarray  # (T,) decreasing, inf first: called members are predictions >= it
    fpr: np.ndarray  # (..., T)
    tpr: np.ndarray  # (..., T)

    def tpr_at(self, fpr: float) -> np.ndarray:
        """The TPR (...) at the smallest threshold with at most this FPR."""
        rows = zip(np.atleast_2d(self.fpr), np.atleast_2d(self.tpr), strict=True)
        tprs = [tpr[np.searchsorted(own, fpr + SLACK, side="right") - 1] for own, tpr in rows]
        return np.reshape(tprs, self.tpr.shape[:-1])

    def auc(self) -> np.ndarray:
        """The area (...) under each, by the trapezoid rule."""
        return np.asarray(np.trapezoid(self.tpr, self.fpr, axis=-1))

    def advantage(self) -> np.ndarray:
        """The largest TPR - FPR (...)."""
        return np.asarray((self.tpr - self.fpr).max(axis=-1))


def roc(predictions: np.ndarray, membership: np.ndarray, weights: np.ndarray) -> Curves:
    """ROC curves of all models' predictions pooled.

    Args:
        predictions: (models, 2m); membership: (models, 2m) bool.
        weights: (..., models), how often each model counts; ones for the plain curve.
    """
    return _curves(_ranked(predictions, membership), weights)


def threshold(curves: Curves, fpr: float) -> float:
    """The threshold of a single ROC curve at this FPR."""
    return float(curves.thresholds[(curves.fpr <= fpr + SLACK).sum() - 1])


@dataclass(frozen=True)
class _Ranked:
    """All models' records, those first that are called members first."""

    models: np.ndarray  # (R,) whose record it is
    member: np.ndarray  # (R,) bool
    thresholds: np.ndarray  # (T,) decreasing, inf first
    called: np.ndarray  # (T,) how many records are called members at each


def _ranked(predictions: np.ndarray, membership: np.ndarray) -> _Ranked:
    pooled = predictions.ravel()
    order = np.argsort(-pooled, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(pooled[order])), len(order) - 1)
    thresholds = np.concatenate([[np.inf], pooled[order][ends]])
    models = order // predictions.shape[1]
    return _Ranked(models, membership.ravel()[order], thresholds, np.append(0, ends + 1))


def _curves(ranked: _Ranked, weights: np.ndarray) -> Curves:
    """The curves of models that count so often each (..., models)."""

    def rates(side: np.ndarray) -> np.ndarray:
        rows = []
        for own in np.atleast_2d(weights):
            sums = np.cumsum(np.where(side, own[ranked.models], 0.0))
            rows.append(np.append(0, sums)[ranked.called] / sums[-1])
        return np.reshape(rows, (*weights.shape[:-1], len(ranked.called)))

    return Curves(ranked.thresholds, rates(~ranked.member), rates(ranked.member))


@dataclass(frozen=True)
class _Corners:
    """How many of each model's records are called members, at the corners of the ROC curves.

    Left out are thresholds inside a run of members only or of non-members only. Along such a run
    the curve goes straight up or straight right whatever the weights of the models: no area, no
    largest difference and no TPR at an FPR needs the points inside.
    """

    nonmembers: np.ndarray  # (models, C) float32, in which integers below 2^24 are exact
    members: np.ndarray  # (models, C) float32

    @cached_property
    def lead(self) -> np.ndarray:
        """Members called less non-members called (models, C)."""
        return np.asarray(self.members - self.nonmembers)

    @cached_property
    def pairs(self) -> np.ndarray:
        """The area under one model's members and another's non-members (models, models)."""
        middle = (self.members[:, 1:] + self.members[:, :-1]) / 2
        return np.asarray(middle @ np.diff(self.nonmembers, axis=1).T)


def _corners(ranked: _Ranked, models: int) -> _Corners:
    sides = ~ranked.member, ranked.member
    right, up = (np.diff(np.append(0, np.cumsum(side))[ranked.called]) > 0 for side in sides)
    inside = (right ^ up)[:-1] & (right[:-1] == right[1:]) & (up[:-1] == up[1:])
    called = ranked.called[np.concatenate([[True], ~inside, [True]])]
    # At which corner each record is called a member for the first time.
    first = np.searchsorted(called, np.arange(len(ranked.models)), side="right")

    def counts(side: np.ndarray) -> np.ndarray:
        found = np.empty((models, len(called)), np.float32)
        whose = ranked.models[side]
        own = first[side][np.argsort(whose, kind="stable")]
        ends = np.cumsum(np.bincount(whose, minlength=models))
        for row, of_model in zip(found, np.split(own, ends[:-1]), strict=True):
            row[:] = np.cumsum(np.bincount(of_model, minlength=len(called)))
        return found

    return _Corners(*map(counts, sides))


def resamples(models: int, challenge: str, replicates: int = REPLICATES) -> np.ndarray:
    """How often each model is drawn in each resample (replicates, models).

    A model's points are correlated, so whole models are drawn, with replacement (Efron and
    Tibshirani 1993, chapters 8 and 13). All calls for a challenge with as many models draw the same
    models, so that participants can be compared on the same resamples; different challenges draw
    independently.
    """
    rng = np.random.default_rng([models, *challenge.encode()])
    return rng.multinomial(models, np.full(models, 1 / models), size=replicates)


def interval(replicates: np.ndarray) -> np.ndarray:
    """The 95 % percentile interval (2, ...) of values (replicates, ...)."""
    tail = (1 - CONFIDENCE) / 2
    return np.asarray(np.quantile(replicates, [tail, 1 - tail], axis=0))


@dataclass(frozen=True)
class Resampled:
    """The curves of some resamples: all that `Curves` has, its functions much faster."""

    counts: np.ndarray  # (replicates, models), how often each model is drawn
    ranked: _Ranked
    corners: _Corners

    @property
    def thresholds(self) -> np.ndarray:
        """All thresholds (T,), decreasing, inf first."""
        return self.ranked.thresholds

    @property
    def fpr(self) -> np.ndarray:
        """The rates (replicates, T) at all thresholds: slow, for what has no faster way."""
        return self._whole.fpr

    @property
    def tpr(self) -> np.ndarray:
        """The rates (replicates, T) at all thresholds, likewise."""
        return self._whole.tpr

    @cached_property
    def _whole(self) -> Curves:
        return _curves(self.ranked, self.counts)

    @cached_property
    def _weights(self) -> np.ndarray:
        return self.counts.astype(np.float32)  # in which all these sums of integers are exact

    @cached_property
    def _nonmembers(self) -> np.ndarray:
        """Non-members called (replicates, T)."""
        return np.asarray(self._weights @ self.corners.nonmembers)

    @cached_property
    def _totals(self) -> tuple[np.ndarray, np.ndarray]:
        """All members and all non-members of each resample (replicates,)."""
        members = self._weights @ self.corners.members[:, -1]
        return members.astype(np.float64), self._nonmembers[:, -1].astype(np.float64)

    def tpr_at(self, fpr: float) -> np.ndarray:
        """The TPR (replicates,) at the smallest threshold with at most this FPR."""
        members, nonmembers = self._totals
        # Of float32 like the counts, which are integers, since else every row would be converted.
        most = np.floor(nonmembers * (fpr + SLACK)).astype(np.float32)
        rows = zip(self._nonmembers, most, strict=True)
        last = np.array([np.searchsorted(row, allowed, side="right") - 1 for row, allowed in rows])
        called = np.einsum("rm,mr->r", self._weights, self.corners.members[:, last])
        return np.asarray(called / members)

    def auc(self) -> np.ndarray:
        """The area under each (replicates,), a sum over pairs of models."""
        areas = ((self.counts @ self.corners.pairs) * self.counts).sum(axis=1)
        members, nonmembers = self._totals
        return np.asarray(areas / (members * nonmembers))

    @cached_property
    def _advantage(self) -> np.ndarray:
        """Some corners at a time, whose products stay in the processor's cache."""
        members, nonmembers = self._totals
        # With as many members as non-members, a difference of counts is one of rates.
        even = np.array_equal(self.corners.members[:, -1], self.corners.nonmembers[:, -1])
        largest = []
        for start in range(0, self.corners.members.shape[1], CACHED):
            part = slice(start, start + CACHED)
            if even:
                led = (self._weights @ self.corners.lead[:, part]).max(axis=1) / members
            else:
                called = self._weights @ self.corners.members[:, part]
                others = self._nonmembers[:, part] / nonmembers[:, None]
                led = (called / members[:, None] - others).max(axis=1)
            largest.append(led)
        return np.asarray(np.max(largest, axis=0))

    def advantage(self) -> np.ndarray:
        """The largest TPR - FPR (replicates,)."""
        return self._advantage


def resampled(
    predictions: np.ndarray, membership: np.ndarray, challenge: str, replicates: int = REPLICATES
) -> Iterator[Resampled]:
    """The curves of resamples of the models, a hundred at a time for the memory.

    Args:
        predictions: (models, 2m).
        membership: (models, 2m) bool, with a member and a non-member in every model.
        challenge: what the draw depends on; see `resamples`.
    """
    counts = resamples(len(predictions), challenge, replicates)
    ranked = _ranked(predictions, membership)
    corners = _corners(ranked, len(predictions))
    for part in np.array_split(counts, max(replicates // 100, 1)):
        yield Resampled(part, ranked, corners)
