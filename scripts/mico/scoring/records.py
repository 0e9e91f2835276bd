"""What models tell of each record: its effect, how sure that is, and which attacks see it."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from statistics import NormalDist

import numpy as np

from mico.scoring import curves
from mico.support.arrays import Bools, Floats, Ints

SHUFFLES = 100
FEWEST = 2  # models on each side of a record whose effect is known
CHOSEN = 10  # records that a person can look at
WIDTH = NormalDist().inv_cdf((1 + curves.CONFIDENCE) / 2)  # half of an interval, in standard errors
BINS = 16  # of a histogram
BLOCK = 512  # records whose signals a processor's cache holds


@dataclass(frozen=True)
class Effects:
    """What training on each of U records does to its signal; not a number where not known."""

    inside: Ints  # (U,) models that were trained on it
    outside: Ints  # (U,) models that were not
    mean_in: Floats  # (U,) of its signal in the former
    mean_out: Floats  # (U,) and in the latter
    deviation: Floats  # (U,) the standard deviation, s below
    effect: Floats  # (U,) their difference in such deviations
    low: Floats  # (U,) the ends of its 95 % interval
    high: Floats


@dataclass(frozen=True)
class Again:
    """The records with the clearest effects in half of the models, looked at in the other half."""

    chosen: float  # their mean effect in the models that they were chosen by
    other: float  # and in the other models
    all: float  # the mean effect of all records in the other models
    both: int  # how many of them the other models choose, too


@dataclass(frozen=True)
class Agreement:
    """What A attacks find at one FPR."""

    found: Floats  # (A,) the share of members that each finds
    overlap: Floats  # (A, A) of the members that either of two finds, the share that both find
    union: float  # the share of members that some attack finds
    all: float  # and that all find
    union_fpr: float  # the share of non-members that some attack calls members


def effects(signal: Floats, trained: Bools) -> Effects:
    """The effect of training on each record, in standard deviations, with its 95 % interval.

    With n_1 models trained on a record and n_0 that were not, and the means m and variances v of
    its signal in each:

        effect = (m_1 - m_0) / s,  s^2 = (v_1 + v_0) / 2
        variance = effect^2 (v_1^2 / (n_1 - 1) + v_0^2 / (n_0 - 1)) / (8 s^4)
                   + (v_1 / (n_1 - 1) + v_0 / (n_0 - 1)) / s^2

    which takes models for independent, and variances and numbers for unequal (Bonett 2008,
    Psychological Methods 13, 99-109). An effect is known of a record with two models on each side,
    whose signals are not all alike.

    Args:
        signal: (M, U), higher for members; trained: (M, U) the model's training set holds it.
    """
    parts = _blocks(signal, trained, np.arange(len(signal))[None])
    columns = zip(*map(astuple, parts), strict=True)
    return Effects(*(np.concatenate(column, axis=-1)[0] for column in columns))


def shuffled(
    signal: Floats, trained: Bools, name: str, shuffles: int = SHUFFLES
) -> tuple[Floats, Floats]:
    """Effects and their lower ends (shuffles, U) if memberships meant nothing.

    Whole rows of memberships change places among the models, so that what a model does to all its
    records stays together.

    Args:
        signal, trained: as of `effects`; name: what the draw depends on.
    """
    rng = np.random.default_rng([len(signal), *name.encode()])
    orders = np.stack([rng.permutation(len(signal)) for _ in range(shuffles)])
    parts = [(one.effect, one.low) for one in _blocks(signal, trained, orders)]
    effect, low = (np.concatenate(column, axis=-1) for column in zip(*parts, strict=True))
    return effect, low


def alike(
    signal: Floats, trained: Bools, name: str, replicates: int = SHUFFLES
) -> tuple[Floats, Floats]:
    """Effects and their lower ends (replicates, U) if all records had the mean effect.

    What a record's signals have beyond their means on either side stays; between these the mean
    effect is put in the place of its own. Then whole models are drawn with replacement (Efron and
    Tibshirani 1993, chapters 8 and 16).

    Args:
        signal, trained: as of `effects`; name: what the draw depends on.
    """
    found = effects(signal, trained)
    known = ~np.isnan(found.effect)
    if not known.any():
        nothing = np.full((replicates, len(known)), np.nan)
        return nothing, nothing
    mean = found.effect[known].mean()
    own = np.where(known, found.mean_in, 0), np.where(known, found.mean_out, 0)
    step = np.where(known, mean * found.deviation, 0)
    residual = signal - np.where(trained, own[0] - step, own[1])
    drawn = curves.resamples(len(signal), name, replicates).astype(np.float64)
    drawn_effects = []
    for values, members in _parts(residual, trained):
        parts = values, values**2
        inside = drawn @ members
        sums = [drawn @ (members * part) for part in parts]
        rest = [drawn @ part - one for part, one in zip(parts, sums, strict=True)]
        one = _effects(inside, len(signal) - inside, sums, rest, np.zeros(members.shape[1]))
        drawn_effects.append((one.effect, one.low))
    effect, low = (np.concatenate(column, axis=-1) for column in zip(*drawn_effects, strict=True))
    return np.where(known, effect, np.nan), np.where(known, low, np.nan)


def order(found: Effects) -> Ints:
    """The records (U,) from the most to the least at risk: by the lower ends of the intervals.

    So no record is ahead for being known from few models alone. Unknown effects come last.
    """
    return np.argsort(-_lows(found.low), kind="stable")


def false_share(found: Effects, chance: Floats) -> Floats:
    """For each record (U,): of it and those ahead of it, the share that would be there by chance.

    That is the mean number of records that come up to it in draws of chance, over its place, or
    what the next places have, if less (Tusher, Tibshirani and Chu 2001, PNAS 98, 5116-5121).
    Not a number of an unknown effect.

    Args:
        chance: the lower ends (draws, U) of `shuffled`, where no record has an effect, or of
            `alike`, where all have the mean effect.
    """
    lows = _lows(found.low)
    above = np.mean([_reaching(_lows(one), lows) for one in chance], axis=0)
    shares = np.minimum(above / _reaching(lows, lows), 1)
    ranked = order(found)
    result = np.empty(len(lows))
    result[ranked] = np.minimum.accumulate(shares[ranked][::-1])[::-1]
    return np.where(np.isnan(found.effect), np.nan, result)


def places(found: Effects) -> tuple[Ints, Ints]:
    """The first and the last place (U,) of each record that others' intervals leave room for.

    Before the first are the records whose intervals lie above its own, behind the last those whose
    intervals lie below. Both are 0 where the effect is not known.
    """
    known = ~np.isnan(found.effect)
    low, high = np.sort(found.low[known]), np.sort(found.high[known])
    first, last = np.zeros(len(known), np.int64), np.zeros(len(known), np.int64)
    first[known] = 1 + len(low) - np.searchsorted(low, found.high[known], side="right")
    last[known] = len(high) - np.searchsorted(high, found.low[known], side="left")
    return first, last


def again(signal: Floats, trained: Bools) -> Again | None:
    """Choose the records with the clearest effects by every second model, and look at the others.

    What is chosen for being high is in part so by chance, and the models that it was not chosen by
    tell how much. Both halves take their turn, and the means are over both. None where half of the
    models do not know twice as many records' effects as are chosen.
    """
    halves = [effects(signal[start::2], trained[start::2]) for start in (0, 1)]
    known = ~np.isnan(halves[0].effect) & ~np.isnan(halves[1].effect)
    if known.sum() < 2 * CHOSEN:
        return None
    tops = [np.argsort(-half.low[known], kind="stable")[:CHOSEN] for half in halves]
    values = [half.effect[known] for half in halves]
    both = len(np.intersect1d(tops[0], tops[1]))
    pairs = [
        (values[i][tops[i]].mean(), values[1 - i][tops[i]].mean(), values[1 - i].mean())
        for i in (0, 1)
    ]
    chosen, other, every = np.mean(pairs, axis=0).tolist()
    return Again(chosen, other, every, both)


def histograms(signal: Floats, trained: Bools) -> tuple[Floats, Floats]:
    """The share of each side's signals in each of BINS bins: in and out (U, BINS).

    A record's bins divide the range of its own signals evenly; a side without models has zeros.
    """
    least, most = signal.min(axis=0), signal.max(axis=0)
    width = np.where(most > least, most - least, 1)
    bins = np.minimum((signal - least) / width * BINS, BINS - 1).astype(np.int64)
    bins += np.arange(signal.shape[1]) * BINS
    sides = []
    for side in trained, ~trained:
        found = np.bincount(bins[side], minlength=signal.shape[1] * BINS).reshape(-1, BINS)
        sides.append(found / np.maximum(found.sum(axis=1, keepdims=True), 1))
    return sides[0], sides[1]


def calls(predictions: Floats, membership: Bools, fpr: float) -> Bools:
    """Whom an attack calls members (models, points) at the threshold of this FPR over all models.

    Args:
        predictions: (models, points), all of them numbers; membership: likewise, bool.
    """
    curve = curves.roc(predictions, membership, np.ones(len(predictions)))
    called: Bools = predictions >= curves.threshold(curve, fpr)
    return called


def counts(columns: Ints, records: int, chosen: Bools | None = None) -> Ints:
    """How often each of so many records (U,) is a challenge point, of those that are chosen.

    Args:
        columns: (models, points), records from 0; chosen: likewise, bool; by default all.
    """
    taken = columns.ravel() if chosen is None else columns[chosen]
    return np.bincount(taken, minlength=records)


def agreement(called: Bools, membership: Bools) -> Agreement:
    """How far attacks call the same points members.

    Args:
        called: (A, models, points); membership: (models, points).
    """
    members = called[:, membership]
    hits = members.astype(np.float64) @ members.T
    own = np.diag(hits)
    either = own[:, None] + own - hits
    # Two that find nothing agree.
    overlap = np.divide(hits, either, out=np.ones_like(hits), where=either > 0)
    return Agreement(
        members.mean(axis=1),
        overlap,
        float(members.any(axis=0).mean()),
        float(members.all(axis=0).mean()),
        float(called[:, ~membership].any(axis=0).mean()),
    )


def _lows(low: Floats) -> Floats:
    """The lower ends of intervals, those of unknown effects below all others."""
    return np.where(np.isnan(low), -np.inf, low)


def _reaching(values: Floats, levels: Floats) -> Ints:
    """How many of some values come up to each level."""
    return len(values) - np.searchsorted(np.sort(values), levels, side="left")


def _blocks(signal: Floats, trained: Bools, orders: Ints) -> Iterator[Effects]:
    """The effects (K, B) of B records at a time, for K orders (K, M) of the rows of memberships."""
    for values, members in _parts(signal, trained):
        centre = values.mean(axis=0)
        about = values - centre
        parts = about, about**2
        inside = np.broadcast_to(members.sum(axis=0), (len(orders), members.shape[1]))
        own = [
            np.stack([np.einsum("mu,mu->u", members[row], part) for row in orders])
            for part in parts
        ]
        rest = [part.sum(axis=0) - sums for part, sums in zip(parts, own, strict=True)]
        yield _effects(inside, len(signal) - inside, own, rest, centre)


def _parts(signal: Floats, trained: Bools) -> Iterator[tuple[Floats, Floats]]:
    """Signals and memberships (M, B), as numbers, of so many records at a time."""
    for start in range(0, signal.shape[1], BLOCK):
        part = slice(start, start + BLOCK)
        yield signal[:, part], trained[:, part].astype(np.float64)


def _effects(
    inside: Floats, outside: Floats, own: list[Floats], rest: list[Floats], centre: Floats
) -> Effects:
    """Effects (K, B) from how many models are on each side, and sums over them.

    Args:
        own, rest: over the models of each side the sum of signals, about a centre (B,) so that
            their digits are kept, and that of their squares.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean_in, v_in = _moments(inside, *own)
        mean_out, v_out = _moments(outside, *rest)
        pooled = (v_in + v_out) / 2
        effect = (mean_in - mean_out) / np.sqrt(pooled)
        spread = (v_in**2 / (inside - 1) + v_out**2 / (outside - 1)) / (8 * pooled**2)
        error = (v_in / (inside - 1) + v_out / (outside - 1)) / pooled
        half = WIDTH * np.sqrt(effect**2 * spread + error)
    # Rounding leaves something of signals that are all alike.
    known = (np.minimum(inside, outside) >= FEWEST) & (pooled > 1e-24 * (1 + centre**2))
    effect = np.where(known, effect, np.nan)
    sizes = inside.astype(np.int64), outside.astype(np.int64)
    means = mean_in + centre, mean_out + centre
    return Effects(*sizes, *means, np.sqrt(pooled), effect, effect - half, effect + half)


def _moments(count: Floats, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """The mean and the variance of numbers by how many there are, their sum and that of squares."""
    mean = first / count
    return mean, np.maximum(second - first * mean, 0) / (count - 1)
