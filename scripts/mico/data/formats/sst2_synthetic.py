"""A synthetic stand-in for SST-2, for when the original may not be had."""

from pathlib import Path

import numpy as np

from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.support.errors import InputError

SUMMARY = "a stand-in for SST-2, generated, see [docs/synthetic-data.md](../docs/synthetic-data.md)"
KINDS = ("tokens",)
GENERATED = True

# Of some 10,000 phrases in train.tsv, how many have 1, 2, 3 ... words.
LENGTHS = (
    *(634, 1075, 1044, 818, 680, 597, 534, 459, 425, 381, 331, 305, 272),
    *(260, 232, 206, 188, 176, 154, 137, 128, 122, 110, 97, 85, 75),
    *(68, 62, 50, 44, 42, 38, 34, 25, 23, 16, 13, 14, 9),
    *(8, 8, 5, 4, 4, 4, 3, 1, 2, 1, 1, 1),
)
POSITIVE = 558  # per mille of the phrases, as in train.tsv
MISLABELLED = 50  # per mille of the phrases
SENTIMENT = 120  # per mille of the words besides one of each phrase
AGREEING = 940  # per mille of a phrase's words of sentiment
NEUTRAL_WORDS = 12_000
SENTIMENT_WORDS = 600  # of each of the two kinds
RANKS = 2  # word of rank r is as frequent as 1 / (r + this)
PUNCTUATION = {1: ",", 5: "."}  # the ranks, from 0, of neutral words that are none
SHORT_WORDS = 150  # so many of the most frequent neutral words have one syllable, all others two
SYLLABLES = [a + b + c for a in "bdfghklmnprstvz" for b in "aeiou" for c in ("", *"nrslt")]


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Generate the data set from its seed.

    Raises:
        InputError: there are too few records, or a number of classes that cannot be drawn.
    """
    assert options.records is not None
    assert options.classes is not None
    assert options.seed is not None
    try:
        sentences, labels = sst2(options.records, options.seed, options.classes)
    except ValueError as error:
        raise InputError(f"{options.format}: {error}") from None
    return Raw(sentences, labels, f"generated, seed {options.seed}", "tokens", options.classes)


def sst2(records: int, seed: int, classes: int = 2) -> tuple[list[str], np.ndarray]:
    """Draw phrases; return them, each word followed by a space, and labels (records,) uint8.

    A phrase speaks well (1) or ill (0) of something. It is as long as those of SST-2 are, and most
    are short. Its words are made of syllables; some are neutral, and at least one is of one of two
    kinds of sentiment, mostly of the phrase's own. Words are the less frequent, the higher their
    rank. Some labels are wrong.

    All arithmetic is on integers: the same arguments give the same bytes everywhere.
    """
    if classes != 2:
        raise ValueError(f"classes = {classes}: sentences speak well or ill, expected 2")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    words = _words(rng)
    positive = rng.integers(1000, size=records) < POSITIVE
    labels = positive ^ (rng.integers(1000, size=records) < MISLABELLED)
    lengths = 1 + _draw(rng, np.array(LENGTHS), records)
    ends = np.cumsum(lengths)
    total = int(lengths.sum())

    sentiment = rng.integers(1000, size=total) < SENTIMENT
    sentiment[ends - 1 - rng.integers(lengths)] = True
    agrees = rng.integers(1000, size=total) < AGREEING
    kind = np.where(sentiment, 1 + (np.repeat(positive, lengths) == agrees), 0)
    rank = np.where(
        sentiment,
        _draw(rng, _frequencies(SENTIMENT_WORDS), total),
        _draw(rng, _frequencies(NEUTRAL_WORDS), total),
    )
    text = [words[k][r] for k, r in zip(kind.tolist(), rank.tolist(), strict=True)]
    sentences = [
        "".join(f"{word} " for word in text[end - length : end])
        for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
    ]
    return sentences, labels.astype(np.uint8)


def _words(rng: np.random.Generator) -> list[list[str]]:
    """The neutral, the negative and the positive words, all different, by rank."""
    count = len(SYLLABLES)
    short = [SYLLABLES[i] for i in rng.permutation(count)[:SHORT_WORDS]]
    pairs = rng.permutation(count**2)[: NEUTRAL_WORDS + 2 * SENTIMENT_WORDS - SHORT_WORDS]
    words = short + [SYLLABLES[i // count] + SYLLABLES[i % count] for i in pairs]
    neutral, rest = words[:NEUTRAL_WORDS], words[NEUTRAL_WORDS:]
    for rank, mark in PUNCTUATION.items():
        neutral[rank] = mark
    return [neutral, rest[:SENTIMENT_WORDS], rest[SENTIMENT_WORDS:]]


def _frequencies(count: int) -> np.ndarray:
    """How frequent words are by rank, as integers."""
    return 1_000_000_000 // (np.arange(count) + RANKS)


def _draw(rng: np.random.Generator, weights: np.ndarray, size: int) -> np.ndarray:
    """Places in `weights`, each as probable as its weight says."""
    bounds = np.cumsum(weights)
    return np.searchsorted(bounds, rng.integers(bounds[-1], size=size), side="right")
