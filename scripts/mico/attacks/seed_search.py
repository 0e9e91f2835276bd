"""The seed that says a model's membership, found by trying all of them.

In the published design a membership is a permutation that a Mersenne Twister makes of a seed
(`mico.challenge.splits`), and the generator takes 32 bits of it. So there are 2^32 memberships, and
what an attack knows of the points says which one it is, as soon as it knows more than 32 bits.

The permutation is the same for every model, so that a seed is tried on all of them together: its
members' evidence is summed up by tables, a row for each value of eight points, as the product of
bits and numbers that it is (the method of the four Russians). The first m draws say who is no
member, and need 397 + m of the generator's 624 words.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mico.challenge import splits
from mico.networks.compiled import compiled
from mico.support.arrays import Bools, Floats, Ints
from mico.support.errors import InputError

SEED_BITS = 32  # that the generator takes
# The draws that the generator's first words are enough for, without a word made of new ones.
MOST_DRAWS = 624 - 397
GROUP = 8  # points whose memberships are in a table
CLIPPED = 6.0  # evidence of a point beyond this says no more
LANES = 128  # seeds that are drawn for at once
CHUNK = 1 << 22  # seeds between two looks at the clock


@dataclass(frozen=True)
class Found:
    """The likeliest seed of each of M models."""

    seeds: Ints  # (M,) in [0, 2^bits)
    # (M,) the logarithm of how much likelier it is to be the one than that it is not.
    log_odds: Floats


def search(evidence: Floats, bits: int, told: Callable[[int], None] = lambda tried: None) -> Found:
    """Try all seeds of so many bits on M models.

    Args:
        evidence: (M, 2m) as of `log_odds`.
        bits: seeds below 2^bits are tried, at most 32.
        told: called with the number of seeds tried now and then.

    Raises:
        InputError: m is beyond what the generator's first words are enough for.
    """
    models, points = evidence.shape
    m = points // 2
    if m > MOST_DRAWS:
        raise InputError(f"m = {m}: expected at most {MOST_DRAWS} of a search for seeds")
    table = _table(evidence)
    # Non-members are drawn: the less evidence they have, the more have the members.
    best = np.full(models, -(2**15), np.int16)
    seeds = np.zeros(models, np.int64)
    for first in range(0, 1 << bits, CHUNK):
        last = min(first + CHUNK, 1 << bits)
        _search(first, last, m, points, table, best, seeds)
        told(last)
    membership = np.zeros(evidence.shape, bool)
    for row, seed in zip(membership, seeds, strict=True):
        row[splits.members(m, int(seed))] = True
    return Found(seeds, log_odds(evidence, membership, bits))


def log_odds(evidence: Floats, membership: Bools, bits: int) -> Floats:
    """How much likelier a membership is than all other seeds together (M,), as a logarithm.

    A membership's likelihood is the sum of its members' evidence. With all seeds alike beforehand,
    its odds are its likelihood over what the others have together, for which stands their number
    times the mean likelihood of all memberships. They are right if points are independent and the
    evidence is.

    Args:
        evidence: (M, 2m) for each point, in challenge order, the logarithm of how much likelier
            what is known of it is if it is a member; beyond 6 it is taken for 6.
        membership: (M, 2m), of m members each; bits: of the seeds.
    """
    clipped = np.clip(evidence, -CLIPPED, CLIPPED)
    likelihood = np.where(membership, clipped, 0).sum(axis=1)
    m = evidence.shape[1] // 2
    odds: Floats = likelihood - _mean_likelihood(clipped, m) - bits * math.log(2)
    return odds


def above_chance(evidence: Floats, membership: Bools) -> Floats:
    """How far above all memberships' mean evidence one is (M,), in standard deviations of theirs.

    6.2 is what the best of 2^32 has by chance.
    """
    points = evidence.shape[1]
    clipped = np.clip(evidence, -CLIPPED, CLIPPED)
    likelihood = np.where(membership, clipped, 0).sum(axis=1)
    # Of a sum of m of 2m numbers that are drawn without replacement.
    variance = clipped.var(axis=1) * points**2 / (points - 1) / 4
    return np.asarray((likelihood - clipped.sum(axis=1) / 2) / np.sqrt(variance))


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


def _mean_likelihood(evidence: Floats, m: int) -> Floats:
    """The logarithm (M,) of the mean of exp(evidence of the members) over all memberships.

    The sum is the elementary symmetric polynomial of degree m.
    """
    sums = np.full((m + 1, len(evidence)), -np.inf)
    sums[0] = 0
    for point in evidence.T:
        sums[1:] = np.logaddexp(sums[1:], sums[:-1] + point)
    points = evidence.shape[1]
    memberships = math.lgamma(points + 1) - math.lgamma(m + 1) - math.lgamma(points - m + 1)
    mean: Floats = sums[m] - memberships
    return mean


@compiled
def _search(
    first: int,
    last: int,
    m: int,
    points: int,
    table: np.ndarray,
    best: np.ndarray,
    seeds: np.ndarray,
) -> None:
    """Try seeds; keep each model's best one and the sum of its non-members."""
    models = table.shape[2]
    early = np.empty((m + 1, LANES), np.uint32)
    late = np.empty((m, LANES), np.uint32)
    draws = np.empty((m, LANES), np.int32)
    order = np.empty(points, np.uint16)
    outside = np.empty(table.shape[0], np.uint8)
    total = np.empty(models, np.int16)
    for start in range(first, last, LANES):
        _draws(start, points, early, late, draws)
        for lane in range(min(LANES, last - start)):
            _non_members(draws, lane, order, outside)
            total[:] = 0
            for group in range(table.shape[0]):
                row = table[group, outside[group]]
                for model in range(models):
                    total[model] += row[model]
            better = 0
            for model in range(models):
                better += total[model] > best[model]
            if better:
                for model in range(models):
                    if total[model] > best[model]:
                        best[model] = total[model]
                        seeds[model] = start + lane


@compiled
def _draws(start: int, points: int, early: np.ndarray, late: np.ndarray, draws: np.ndarray) -> None:
    """For LANES seeds the first draws of a permutation: of position i, a number below points - i.

    The generator is MT19937 (Matsumoto and Nishimura 1998, ACM TOMACS 8, 3-30), seeded as its
    authors' program of 2002 does, which is torch's.
    """
    m = len(draws)
    word = np.empty(LANES, np.uint32)
    for lane in range(LANES):
        word[lane] = np.uint32(start + lane)
        early[0, lane] = word[lane]
    for i in range(1, 397 + m):
        place = np.uint32(i)
        for lane in range(LANES):
            mixed = word[lane] ^ (word[lane] >> np.uint32(30))
            word[lane] = np.uint32(1812433253) * mixed + place
        if i <= m:
            early[i] = word
        if i >= 397:
            late[i - 397] = word
    for i in range(m):
        below = np.float64(points - i)
        inverse = 1 / below
        for lane in range(LANES):
            high = early[i, lane] & np.uint32(0x80000000)
            low = early[i + 1, lane] & np.uint32(0x7FFFFFFF)
            y = high | low
            odd = (np.uint32(0) - (y & np.uint32(1))) & np.uint32(0x9908B0DF)
            x = late[i, lane] ^ (y >> np.uint32(1)) ^ odd
            x ^= x >> np.uint32(11)
            x ^= (x << np.uint32(7)) & np.uint32(0x9D2C5680)
            x ^= (x << np.uint32(15)) & np.uint32(0xEFC60000)
            x ^= x >> np.uint32(18)
            # The remainder by division of doubles, which is wrong by one at most.
            number = np.float64(x)
            rest = number - np.floor(number * inverse) * below
            rest = rest + below if rest < 0 else rest
            rest = rest - below if rest >= below else rest
            draws[i, lane] = np.int32(rest)


@compiled
def _non_members(draws: np.ndarray, lane: int, order: np.ndarray, outside: np.ndarray) -> None:
    """The first half of a permutation, as bits: position i changes places with one behind it."""
    for i in range(len(order)):
        order[i] = i
    outside[:] = 0
    for i in range(len(draws)):
        other = i + draws[i, lane]
        point = order[other]
        order[other] = order[i]
        outside[point >> 3] |= np.uint8(1 << (point & 7))
