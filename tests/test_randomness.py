"""The random streams are AES-128 in counter mode, and what is drawn from them is distributed right.

Statistical tests have fixed seeds, so they give the same answer every time; the error rate is the
chance that a right generator would fail under a fresh seed. For one comparison it is at most 1e-4:
p-values are held to 1e-4, means and correlations to 4.5 standard deviations (7e-6).
"""

import hashlib
import math
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy import stats

from mico.networks import randomness
from mico.networks.randomness import RandomStream, poisson_sample

P_VALUE = 1e-4
SIGMAS = 4.5
MILLION = 1_000_000


def aes_counter_words(key: bytes, words: int) -> np.ndarray:
    """The key stream from its definition: the blocks 0, 1, 2, ... each encrypted by itself."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    blocks = [encryptor.update(block.to_bytes(16, "big")) for block in range(words // 2 + 1)]
    return np.frombuffer(b"".join(blocks), np.uint64)[:words]


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's r in its own standard deviations, 1 / sqrt(count) for independent samples."""
    return float(np.corrcoef(first, second)[0, 1] * math.sqrt(len(first)))


def words(stream: RandomStream, count: int) -> np.ndarray:
    """The stream's next words (count,) uint64."""
    drawn = np.empty(count, np.uint64)
    stream.bits(drawn)()
    return drawn


def test_bits_are_aes_128_in_counter_mode_across_calls() -> None:
    # Odd sizes leave half a block to the next call; the large one is encrypted in several parts.
    sizes = (1, 2, 3, 0, 20_000, 1, 7, 186)
    key = hashlib.sha256(b"42/noise").digest()[:16]
    expected = aes_counter_words(key, sum(sizes))
    stream = RandomStream(42, "noise")
    drawn = [words(stream, size) for size in sizes]
    np.testing.assert_array_equal(np.concatenate(drawn), expected)


def test_other_seeds_and_purposes_give_unrelated_streams() -> None:
    """Also seeds that agree in their low 32 bits, which a Mersenne Twister takes for the same."""
    count = 20_000
    names = [
        (1, "noise"),
        (2, "noise"),
        (1, "sampling"),
        (1 + 2**32, "noise"),
        (1 + 2**62, "noise"),
    ]
    streams = {name: words(RandomStream(*name), count) for name in names}
    for first, second in combinations(names, 2):
        same = 64 * count - int(np.bitwise_count(streams[first] ^ streams[second]).sum())
        # Each of the ten pairs has an error rate of 1e-5.
        assert stats.binomtest(same, 64 * count, 0.5).pvalue > P_VALUE / 10, (first, second)


def test_a_stream_without_a_seed_cannot_be_repeated() -> None:
    """Not even for the same purpose: the chance that any words agree is below 1e-14."""
    streams = [words(RandomStream(None, "noise"), 200) for _ in range(10)]
    for first, second in combinations(streams, 2):
        assert (first != second).all()


def test_a_stream_without_a_seed_has_its_key_from_the_operating_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole key: fewer bytes would be no AES-128."""
    monkeypatch.setattr(randomness, "os", SimpleNamespace(urandom=lambda size: bytes(range(size))))
    expected = aes_counter_words(bytes(range(16)), 20)
    np.testing.assert_array_equal(words(RandomStream(None, "noise"), 20), expected)


def test_uniforms_are_uniform_in_the_half_open_interval() -> None:
    drawn = RandomStream(3, "weights").uniform(MILLION)
    assert drawn.dtype == np.float64
    assert drawn.min() > 0
    assert drawn.max() <= 1
    assert stats.kstest(drawn, "uniform").pvalue > P_VALUE
    assert abs(correlation(drawn[:-1], drawn[1:])) < SIGMAS


@pytest.mark.parametrize(("word", "expected"), [(0, 2.0**-53), (2**64 - 1, 1.0)])
def test_uniforms_reach_one_but_never_zero(
    monkeypatch: pytest.MonkeyPatch, word: int, expected: float
) -> None:
    """The logarithm of a uniform is always finite."""
    stream = RandomStream(3, "weights")
    monkeypatch.setattr(stream, "bits", lambda out: lambda: out.fill(word))
    assert list(stream.uniform(2)) == [expected, expected]


@pytest.fixture(scope="module")
def normals() -> np.ndarray:
    """Two consecutive calls (2, a million)."""
    stream = RandomStream(4, "noise")
    out = torch.empty(MILLION)
    fill = stream.normals(out, 1.0)
    calls = []
    for _ in range(2):
        fill()
        calls.append(out.double().numpy())
    return np.stack(calls)


def test_normals_have_the_standard_normal_distribution(normals: np.ndarray) -> None:
    for drawn in normals:
        assert stats.kstest(drawn, "norm").pvalue > P_VALUE
        assert abs(drawn.mean()) < SIGMAS / math.sqrt(MILLION)
        assert abs((drawn**2).mean() - 1) < SIGMAS * math.sqrt(2 / MILLION)


@pytest.mark.parametrize("bound", [3.0, 4.0])
def test_normals_have_the_right_tails(normals: np.ndarray, bound: float) -> None:
    """5,400 and 127 of two million are expected beyond 3 and 4, as many on either side."""
    one_sided = stats.norm.sf(bound)
    for sign in (-1, 1):
        beyond = int((sign * normals > bound).sum())
        assert stats.binomtest(beyond, normals.size, one_sided).pvalue > P_VALUE
    assert np.abs(normals).max() < 6.7


def test_normals_are_independent_within_and_between_calls(normals: np.ndarray) -> None:
    """The halves of a call share radius and angle in pairs; squares show a shared radius."""
    first, second = normals
    half = MILLION // 2
    pairs = {
        "halves": (first[:half], first[half:]),
        "neighbours": (first[:-1], first[1:]),
        "calls": (first, second),
        "crosswise": (first[:half], second[half:]),
    }
    for name, (one, other) in pairs.items():
        assert abs(correlation(one, other)) < SIGMAS, name
        assert abs(correlation(one**2, other**2)) < SIGMAS, name
        assert abs(correlation(one**2, other)) < SIGMAS, name


def test_normals_keep_the_shape_and_need_an_even_size() -> None:
    out, twice = torch.full((3, 4), 100.0), torch.empty(3, 4)
    RandomStream(5, "noise").normals(out, 1.0)()
    assert out.abs().min() > 0
    assert out.abs().max() < 7
    RandomStream(5, "noise").normals(twice, 2.0)()
    torch.testing.assert_close(twice, 2 * out, rtol=1e-6, atol=0)
    with pytest.raises(RuntimeError, match="invalid for input of size 3"):
        RandomStream(5, "noise").normals(torch.empty(3), 1.0)


@pytest.mark.parametrize("word", [0, 1, -1, 2**31 - 1, -(2**31)])
def test_normals_are_finite_whatever_is_drawn(monkeypatch: pytest.MonkeyPatch, word: int) -> None:
    stream = RandomStream(5, "noise")
    monkeypatch.setattr(stream, "bits", lambda out: lambda: out.fill(word))
    out = torch.empty(4)
    stream.normals(out, 1.0)()
    assert out.isfinite().all()


class Uniforms:
    """Stands in for a stream: gives the next `count` given uniforms, at most `at_once` a call."""

    def __init__(self, given: list[float], at_once: int) -> None:
        self.given, self.at_once = list(given), at_once

    def uniform(self, count: int) -> np.ndarray:
        count = min(count, self.at_once)
        drawn, self.given = self.given[:count], self.given[count:]
        return np.array(drawn)


@pytest.mark.parametrize("at_once", [1, 3, 1000])
@pytest.mark.parametrize("sample_rate", [0.01, 0.3, 0.95])
def test_sample_walks_geometric_gaps_however_many_are_drawn_at_once(
    at_once: int, sample_rate: float
) -> None:
    """The smallest k with (1 - q)^k < u, added up: P(k >= j) = (1 - q)^(j - 1)."""
    records = 400
    given = list(1 - np.random.default_rng(1).random(1000))
    given[5] = 1.0  # the largest uniform: the next record
    expected, position = [], -1
    for u in given:
        position += 1
        while (1 - sample_rate) ** (position - (expected[-1] if expected else -1)) >= u:
            position += 1
        if position >= records:
            break
        expected.append(position)
    sample = poisson_sample(Uniforms(given, at_once), records, sample_rate)
    assert len(expected) > 0
    np.testing.assert_array_equal(sample, expected)


def included(records: int, sample_rate: float, samples: int) -> np.ndarray:
    """Which record is in which sample (samples, records), bool."""
    stream = RandomStream(records, "sampling")
    table = np.zeros((samples, records), bool)
    for row in table:
        row[poisson_sample(stream, records, sample_rate)] = True
    return table


@pytest.mark.parametrize(("records", "sample_rate"), [(40, 0.1), (60, 0.5), (25, 0.97)])
def test_every_record_is_included_with_the_sample_rate_and_independently(
    records: int, sample_rate: float
) -> None:
    samples = 10_000
    table = included(records, sample_rate, samples)
    counts = table.sum(0)
    variance = samples * sample_rate * (1 - sample_rate)
    squares = (((counts - samples * sample_rate) ** 2) / variance).sum()
    assert stats.chi2(records).sf(squares) > P_VALUE  # some records are favoured
    assert stats.chi2(records).cdf(squares) > P_VALUE  # too even to be independent draws
    for end in (0, 1, -2, -1):
        assert stats.binomtest(int(counts[end]), samples, sample_rate).pvalue > P_VALUE / 4
    # r^2 * samples of each pair is chi-square with one degree of freedom, uncorrelated.
    pairs = np.corrcoef(table.T.astype(float)) ** 2 * samples
    all_pairs = pairs[np.triu_indices(records, 1)]
    neighbours = np.diagonal(pairs, 1)
    for values in (all_pairs, neighbours):
        assert stats.chi2(len(values)).sf(values.sum()) > P_VALUE
    # As are those of a record in consecutive samples.
    again = [correlation(column[:-1], column[1:]) ** 2 for column in table.T.astype(float)]
    assert stats.chi2(records).sf(sum(again)) > P_VALUE


@pytest.mark.parametrize(
    ("records", "sample_rate"),
    [(1, 0.3), (40, 0.1), (3000, 1 / 293), (500, 0.999), (10**9, 2e-9), (10**9, 1e-7)],
)
def test_sample_size_is_binomial(records: int, sample_rate: float) -> None:
    samples = 5000
    stream = RandomStream(7, "sampling")
    sizes = np.empty(samples, np.int64)
    for i in range(samples):
        chosen = poisson_sample(stream, records, sample_rate)
        sizes[i] = len(chosen)
        assert chosen.dtype == np.int64
        if len(chosen):
            assert chosen[0] >= 0
            assert chosen[-1] < records
            assert (np.diff(chosen) > 0).all()
    law = stats.binom(records, sample_rate)
    mean, variance, excess = law.stats("mvk")
    assert abs(sizes.mean() - mean) < SIGMAS * math.sqrt(variance / samples)
    spread = variance * math.sqrt((excess + 2) / samples)
    assert abs(((sizes - mean) ** 2).mean() - variance) < SIGMAS * spread
    # Chi-square over bins of at least 25 expected sizes.
    edges = np.unique(law.ppf(np.linspace(0.01, 0.99, 15)))
    expected = np.diff(np.concatenate([[0], law.cdf(edges), [1]])) * samples
    found = np.bincount(np.searchsorted(edges, sizes), minlength=len(expected))
    kept = expected > 25
    assert kept.sum() > 1
    squares = ((found - expected)[kept] ** 2 / expected[kept]).sum()
    assert stats.chi2(kept.sum() - 1).sf(squares) > P_VALUE
    assert found[~kept].sum() <= 25 + SIGMAS * 5


def test_sample_at_the_ends_of_the_range_of_rates() -> None:
    stream = RandomStream(8, "sampling")
    everything = poisson_sample(stream, 5, 1.0)
    assert everything.dtype == np.int64
    assert list(everything) == [0, 1, 2, 3, 4]
    # A record is missed or met with a chance of about 1e-9 here.
    assert list(poisson_sample(stream, 5, 1 - 1e-10)) == [0, 1, 2, 3, 4]
    assert len(poisson_sample(stream, 1000, 1e-12)) == 0
    assert len(poisson_sample(stream, 1000, 1e-300)) == 0
