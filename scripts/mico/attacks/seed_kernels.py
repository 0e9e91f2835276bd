"""Loops over seeds: what torch permutes by each, and the evidence of whom that chooses.

torch permutes by exchanging position i with one behind it, and draws which by MT19937 (Matsumoto
and Nishimura 1998, ACM TOMACS 8, 3-30), seeded as its authors' program of 2002 does.
"""

import numpy as np

from mico.networks.compiled import compiled

LANES = 64  # seeds at once
WORDS = 624  # of a generator's state
_AHEAD = 397  # how far ahead of a word the one is that it is mixed with


@compiled
def members(
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
    words = np.empty((WORDS, LANES), np.uint32)
    draws = np.empty((m, LANES), np.int32)
    order = np.empty(points, np.uint16)
    outside = np.empty(table.shape[0], np.uint8)
    total = np.empty(models, np.int16)
    for start in range(first, last, LANES):
        _seed(start, words)
        _draw(words, 0, points, draws)
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
def training_sets(
    first: int,
    last: int,
    records: int,
    head: int,
    table: np.ndarray,
    bounds: np.ndarray,
    kept: np.ndarray,
) -> int:
    """Try seeds; keep those, with the model, whose first draws have enough evidence. How many."""
    models = table.shape[1]
    words = np.empty((WORDS, LANES), np.uint32)
    draws = np.empty((head, LANES), np.int32)
    order = np.arange(records).astype(np.int32)
    part = np.empty(models, np.int16)
    total = np.empty(models, np.int32)
    count = 0
    for start in range(first, last, LANES):
        _seed(start, words)
        _draw(words, 0, records, draws)
        for lane in range(min(LANES, last - start)):
            total[:] = 0
            for begin in range(0, head, 128):  # of which no sum of steps overflows
                part[:] = 0
                for i in range(begin, min(begin + 128, head)):
                    other = i + draws[i, lane]
                    record = order[other]
                    order[other] = order[i]
                    row = table[record]
                    for model in range(models):
                        part[model] += row[model]
                for model in range(models):
                    total[model] += part[model]
            for i in range(head):
                order[i] = i
                order[i + draws[i, lane]] = i + draws[i, lane]
            better = 0
            for model in range(models):
                better += total[model] > bounds[model]
            if better:
                for model in range(models):
                    if total[model] > bounds[model] and count < len(kept):
                        kept[count, 0], kept[count, 1] = start + lane, model
                        count += 1
    return count


@compiled
def _non_members(draws: np.ndarray, lane: int, order: np.ndarray, outside: np.ndarray) -> None:
    """The first half of a permutation, as bits."""
    for i in range(len(order)):
        order[i] = i
    outside[:] = 0
    for i in range(len(draws)):
        other = i + draws[i, lane]
        point = order[other]
        order[other] = order[i]
        outside[point >> 3] |= np.uint8(1 << (point & 7))


@compiled
def _seed(first: int, words: np.ndarray) -> None:
    """The states (WORDS, LANES) uint32 of the seeds from `first` on."""
    for lane in range(LANES):
        words[0, lane] = np.uint32(first + lane)
    for i in range(1, WORDS):
        before, word, place = words[i - 1], words[i], np.uint32(i)
        for lane in range(LANES):
            mixed = before[lane] ^ (before[lane] >> np.uint32(30))
            word[lane] = np.uint32(1812433253) * mixed + place


@compiled
def _draw(words: np.ndarray, done: int, length: int, draws: np.ndarray) -> None:
    """The next draws (K, LANES) int32 of permutations of so many numbers: how far behind i.

    Args:
        words: the states (WORDS, LANES), which go on; done: how many draws there were before.
    """
    for row in range(draws.shape[0]):
        i = done + row
        at = i % WORDS
        ahead = words[(at + _AHEAD) % WORDS]
        following = words[(at + 1) % WORDS]
        own = words[at]
        below = np.float64(length - i)
        inverse = 1 / below
        for lane in range(LANES):
            y = (own[lane] & np.uint32(0x80000000)) | (following[lane] & np.uint32(0x7FFFFFFF))
            odd = (np.uint32(0) - (y & np.uint32(1))) & np.uint32(0x9908B0DF)
            x = ahead[lane] ^ (y >> np.uint32(1)) ^ odd
            own[lane] = x
            x ^= x >> np.uint32(11)
            x ^= (x << np.uint32(7)) & np.uint32(0x9D2C5680)
            x ^= (x << np.uint32(15)) & np.uint32(0xEFC60000)
            x ^= x >> np.uint32(18)
            # The remainder by a division of doubles, which is wrong by one at most.
            number = np.float64(x)
            rest = number - np.floor(number * inverse) * below
            rest = rest + below if rest < 0 else rest
            rest = rest - below if rest >= below else rest
            draws[row, lane] = np.int32(rest)
