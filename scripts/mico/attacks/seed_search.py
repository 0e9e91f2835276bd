"""The seed that says who is chosen, found by trying all of them.

In the published design a model's members are the last half of a permutation of its challenge
points, and the rest of its training set is the head of a permutation of all other records
(`mico.challenge.splits`). A generator that takes 32 bits of a seed makes each. So there are 2^32
memberships and 2^32 training sets, and what an attack knows of the points, or of all records, says
which one it is as soon as it is worth more than 32 bits.

A permutation is the same for every model, so that a seed is tried on all models together.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, gammaln

from mico.attacks import seed_kernels
from mico.challenge import splits
from mico.support.arrays import Bools, Floats, Ints
from mico.support.errors import InputError

SEED_BITS = 32  # that the generator takes
GROUP = 8  # points whose memberships are in a table
CLIPPED = 6.0  # evidence of a point beyond this says no more
CHUNK = 1 << 18  # seeds between two looks at the clock
HEADS = tuple(1 << power for power in range(5, 12))  # draws after which a seed may be given up
SURE = 4.0  # by how many standard deviations less than it should have a seed is given up
FEW = 1e-3  # seeds that are not given up for a chance, of all models together
STEP = 200  # the largest evidence of a record, in steps
ROUNDED = 2.0  # more than rounding to steps takes away from a whole set


@dataclass(frozen=True)
class Found:
    """The likeliest seed of each of M models."""

    seeds: Ints  # (M,); -1 where all are given up
    # (M,) the logarithm of how much likelier it is to be the one than that it is not.
    log_odds: Floats


def nothing(tried: int) -> None:
    """Nobody is told."""


def members(evidence: Floats, bits: int, told: Callable[[int], None] = nothing) -> Found:
    """The seeds of memberships: try all of so many bits on M models.

    Evidence is summed up by tables, a row for each value of eight points, as the product of bits
    and numbers that it is (the method of the four Russians).

    Args:
        evidence: (M, 2m) as of `log_odds`, in challenge order.
        bits: seeds below 2^bits are tried, at most 32.
        told: called with the number of seeds tried now and then.
    """
    models, points = evidence.shape
    m = points // 2
    table = _table(evidence)
    # Non-members are drawn: the less evidence they have, the more have the members.
    best = np.full(models, -(2**15), np.int16)
    seeds = np.zeros(models, np.int64)
    for first in range(0, 1 << bits, CHUNK):
        last = min(first + CHUNK, 1 << bits)
        seed_kernels.members(first, last, m, points, table, best, seeds)
        told(last)
    membership = np.zeros(evidence.shape, bool)
    for row, seed in zip(membership, seeds, strict=True):
        row[splits.members(m, int(seed))] = True
    return Found(seeds, log_odds(evidence, membership, bits))


def training_sets(
    evidence: Floats,
    size: int,
    first: int = 0,
    last: int = 1 << SEED_BITS,
    told: Callable[[int], None] = nothing,
) -> Found:
    """The seeds of training sets: try those of a range on M models.

    A set's records are drawn one after the other. Where evidence is strong, a few draws show that a
    seed is wrong for all models: one is given up that has less evidence than a right seed in all
    but 3 of 100,000 cases.

    Args:
        evidence: (M, R) as of `log_odds`, of the R = N - 2m records that are no challenge points,
            in the order of `splits.challenge_order`.
        size: n - m, how many of them a model is trained on.
        first, last: the range of seeds, the last one excluded.
        told: called with the number of seeds tried now and then.
    """
    models, records = evidence.shape
    head = head_length(evidence, size)
    values = _head_values(evidence, size, head)
    scale = STEP / np.abs(values).max()
    table = np.ascontiguousarray(np.rint(values.T * scale), np.int16)
    bounds = _bounds(evidence, size, head) * scale
    seeds, odds = np.full(models, -1), np.full(models, -np.inf)
    kept = np.empty((1 << 16, 2), np.int64)
    for start in range(first, last, CHUNK):
        end = min(start + CHUNK, last)
        count = seed_kernels.training_sets(start, end, records, head, table, bounds, kept)
        if count == len(kept):
            raise InputError("more seeds are left than evidence promised: it is not what it says")
        for seed, model in kept[:count]:
            chosen = np.zeros((1, records), bool)
            chosen[0, splits.permutation(records, int(seed))[:size]] = True
            found = log_odds(evidence[model : model + 1], chosen, SEED_BITS)[0]
            if found > odds[model]:
                seeds[model], odds[model] = seed, found
        told(end - first)
    return Found(seeds, odds)


def log_odds(evidence: Floats, chosen: Bools, bits: int) -> Floats:
    """How much likelier a choice is than those of all other seeds together (M,), as a logarithm.

    A choice's likelihood is the sum of the evidence of what is chosen. With all seeds alike
    beforehand, its odds are its likelihood over what the others have together, for which stands
    their number times the mean likelihood of all choices of as many. They are right if points are
    independent and the evidence is. The mean is a saddlepoint approximation (Daniels 1954, Annals
    of Mathematical Statistics 25, 631-650).

    Args:
        evidence: (M, R) for each of R points or records, the logarithm of how much likelier what is
            known of it is if it is chosen; beyond 6 it is taken for 6.
        chosen: (M, R), as many in each row; bits: of the seeds.
    """
    clipped = np.clip(evidence, -CLIPPED, CLIPPED)
    likelihood = np.where(chosen, clipped, 0).sum(axis=1)
    size = int(chosen[0].sum())
    odds: Floats = likelihood - _mean_likelihood(clipped, size) - bits * math.log(2)
    return odds


def above_chance(evidence: Floats, chosen: Bools) -> Floats:
    """How far above all choices' mean evidence one is (M,), in standard deviations of theirs.

    6.2 is what the best of 2^32 has by chance.

    Args:
        evidence, chosen: as of `log_odds`.
    """
    clipped = np.clip(evidence, -CLIPPED, CLIPPED)
    size, records = int(chosen[0].sum()), evidence.shape[1]
    likelihood = np.where(chosen, clipped, 0).sum(axis=1)
    # Of a sum of some of the numbers, which are drawn without replacement.
    variance = clipped.var(axis=1) * size * (records - size) / (records - 1)
    return np.asarray((likelihood - size * clipped.mean(axis=1)) / np.sqrt(variance))


def head_length(evidence: Floats, size: int) -> int:
    """After how many draws wrong seeds are given up, so that few are left; `size` if never."""
    for head in HEADS:
        if head >= size:
            break
        values = _head_values(evidence, size, head)
        deviation = values.std(axis=1) * math.sqrt(head)
        distance = (head * values.mean(axis=1) - _bounds(evidence, size, head)) / deviation
        # A normal's tail, which is at most half of this.
        if np.exp(-(np.minimum(distance, 0) ** 2) / 2).sum() < FEW:
            return head
    return size


def _mean_likelihood(evidence: Floats, size: int) -> Floats:
    """The logarithm (M,) of the mean likelihood of all choices of so many."""
    records = evidence.shape[1]
    choices = gammaln(records + 1) - gammaln(size + 1) - gammaln(records - size + 1)
    priors = np.array([_prior(row, size) for row in evidence])
    logits = evidence + priors[:, None]
    shares = expit(logits)
    variance = (shares * (1 - shares)).sum(axis=1)
    mean = np.logaddexp(0, logits).sum(axis=1) - size * priors - choices
    return np.asarray(mean - np.log(2 * math.pi * variance) / 2)


def _prior(evidence: Floats, size: int) -> float:
    """What makes the probabilities of being chosen sum to so many."""
    bound = float(np.abs(evidence).max()) + 50
    found: float = brentq(lambda prior: expit(evidence + prior).sum() - size, -bound, bound)
    return found


def _head_values(evidence: Floats, size: int, head: int) -> Floats:
    """What a drawn record says of a seed (M, R): how much likelier than others it is to be chosen.

    Where the whole set is drawn, what is left out speaks too.
    """
    clipped = np.clip(evidence, -CLIPPED, CLIPPED)
    if head == size:
        return clipped
    shares = np.stack([expit(row + _prior(row, size)) for row in clipped])
    return np.asarray(np.log(shares * (evidence.shape[1] / size)))


def _bounds(evidence: Floats, size: int, head: int) -> Floats:
    """What a right seed has at least after so many draws (M,).

    That is what it should have, less some standard deviations; of a whole set, what gives it odds.
    """
    clipped = np.clip(evidence, -CLIPPED, CLIPPED)
    if head == size:
        return _mean_likelihood(clipped, size) + SEED_BITS * math.log(2) - ROUNDED
    values = _head_values(evidence, size, head)
    weights = np.stack([expit(row + _prior(row, size)) for row in clipped]) / size
    mean = (weights * values).sum(axis=1)
    variance = (weights * values**2).sum(axis=1) - mean**2
    return np.asarray(head * mean - SURE * np.sqrt(head * variance))


def _table(evidence: Floats) -> np.ndarray:
    """What eight points take away from their model's evidence if they are no members.

    (ceil(2m / 8), 256, M) int16, scaled so that no sum over points overflows.
    """
    models, points = evidence.shape
    groups = -(-points // GROUP)
    scale = (2**15 - points) / (points * CLIPPED)
    scaled = np.zeros((models, groups * GROUP), np.int16)
    scaled[:, :points] = np.rint(-scale * np.clip(evidence, -CLIPPED, CLIPPED))
    values = np.arange(1 << GROUP)[:, None] >> np.arange(GROUP) & 1
    table = np.einsum("vp,mgp->gvm", values, scaled.reshape(models, groups, GROUP))
    return np.ascontiguousarray(table, np.int16)
