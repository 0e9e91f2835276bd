"""The search for the seed of a membership: what it tries, what it finds, and how sure it is."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import binom
from simulated_signals import gaussian

from mico.attacks import registry, seed_kernels, seed_search
from mico.attacks.formulas import seed_search as formula
from mico.challenge import splits
from mico.scoring.curves import roc
from mico.support.errors import InputError


def permutation(seed: int, points: int) -> np.ndarray:
    return torch.randperm(points, generator=torch.Generator().manual_seed(seed)).numpy()


def simulated(rng: np.random.Generator, seeds: np.ndarray, m: int, effect: float) -> np.ndarray:
    """The true evidence of normal scores of these seeds' members, N(effect, 1), and others."""
    scores = rng.normal(size=(len(seeds), 2 * m))
    for row, seed in zip(scores, seeds, strict=True):
        row[permutation(int(seed), 2 * m)[m:]] += effect
    return effect * scores - effect**2 / 2


@pytest.mark.parametrize("length", [2, 6, 100, 200, 625, 1300, 4810])
@pytest.mark.parametrize("first", [0, 12_345, 2**31 - 64, 2**32 - seed_kernels.LANES])
def test_draws_are_those_of_torch(length: int, first: int) -> None:
    words = np.empty((seed_kernels.WORDS, seed_kernels.LANES), np.uint32)
    seed_kernels._seed(first, words)
    blocks = []
    for done in range(0, length, 300):  # in parts, as they may be
        blocks.append(np.empty((min(300, length - done), seed_kernels.LANES), np.int32))
        seed_kernels._draw(words, done, length, blocks[-1])
    draws = np.concatenate(blocks)
    for lane in (0, 1, seed_kernels.LANES - 1):
        order = np.arange(length)
        for i, behind in enumerate(draws[:-1, lane]):
            order[[i, i + behind]] = order[[i + behind, i]]
        assert order.tolist() == permutation(first + lane, length).tolist()


def test_the_best_of_all_seeds_is_found() -> None:
    """By another way: every seed's permutation, and a sum."""
    bits, m = 10, 7
    rng = np.random.default_rng(1)
    evidence = rng.normal(size=(5, 2 * m))
    found = seed_search.members(evidence, bits)
    members = np.stack([permutation(seed, 2 * m)[m:] for seed in range(1 << bits)])
    likelihoods = evidence[:, members].sum(axis=2)
    scale = (2**15 - 2 * m) / (2 * m * seed_search.CLIPPED)
    for model, likelihood in enumerate(likelihoods):
        # Evidence is rounded, each point's by half a step at most.
        assert likelihood[found.seeds[model]] >= likelihood.max() - 2 * m / scale


def test_odds_are_those_of_all_memberships() -> None:
    m = 6
    evidence = np.random.default_rng(2).normal(size=(4, 2 * m))
    found = seed_search.members(evidence, 5)
    for row, seed, odds in zip(evidence, found.seeds, found.log_odds, strict=True):
        likelihood = math.exp(row[permutation(int(seed), 2 * m)[m:]].sum())
        every = [math.exp(row[list(one)].sum()) for one in combinations(range(2 * m), m)]
        # The approximation is off by some 1 / (12 variance) of how many are chosen.
        assert odds == pytest.approx(math.log(likelihood / (2**5 * np.mean(every))), abs=0.04)


def test_seeds_are_found_where_there_is_evidence_enough() -> None:
    rng = np.random.default_rng(3)
    seeds = rng.integers(0, 2**14, 30)
    found = seed_search.members(simulated(rng, seeds, 100, 1.4), 14)
    assert found.seeds.tolist() == seeds.tolist()
    assert (found.log_odds > 5).all()
    # As many as were tried, no more: these are not among them.
    found = seed_search.members(simulated(rng, seeds + 2**20, 100, 1.4), 14)
    assert (found.log_odds < 0).all()


@pytest.mark.slow
def test_odds_are_right_as_often_as_they_say() -> None:
    """Of models about which there is little evidence, those that are found are as many as said.

    The sum of probabilities is off by a normal number of their variance; this fails with a chance
    of 1e-3 where odds are right.
    """
    rng = np.random.default_rng(4)
    seeds = rng.integers(0, 2**12, 600)
    evidence = np.concatenate(
        [simulated(rng, part, 50, effect) for part, effect in zip(
            np.split(seeds, 3), (0.6, 0.7, 0.8), strict=True)]
    )  # fmt: skip
    found = seed_search.members(evidence, 12)
    said = expit(found.log_odds)
    right = found.seeds == seeds
    assert 0.2 < right.mean() < 0.8
    error = math.sqrt((said * (1 - said)).sum())
    assert abs(right.sum() - said.sum()) < 3.29 * error


def of_training_sets(
    rng: np.random.Generator, seeds: np.ndarray, records: int, size: int, effect: float
) -> np.ndarray:
    """As `simulated`, of the heads of permutations of so many records."""
    scores = rng.normal(size=(len(seeds), records))
    for row, seed in zip(scores, seeds, strict=True):
        row[permutation(int(seed), records)[:size]] += effect
    return effect * scores - effect**2 / 2


@pytest.mark.parametrize(
    ("effect", "whole"),
    [pytest.param(2.0, False, id="heads"), pytest.param(0.75, True, id="whole")],
)
def test_training_sets_are_found_by_their_heads_or_whole(effect: float, whole: bool) -> None:
    rng, records, size = np.random.default_rng(8), 900, 600
    first = 2**31 - 700
    seeds = first + rng.integers(0, 1000, 6)
    evidence = of_training_sets(rng, seeds, records, size, effect)
    assert (seed_search.head_length(evidence, size) == size) == whole
    found = seed_search.training_sets(evidence, size, first, first + 1000)
    assert found.seeds.tolist() == seeds.tolist()
    chosen = np.zeros(evidence.shape, bool)
    for row, seed in zip(chosen, seeds, strict=True):
        row[permutation(int(seed), records)[:size]] = True
    assert found.log_odds.tolist() == seed_search.log_odds(evidence, chosen, 32).tolist()
    # Another range has none of them.
    found = seed_search.training_sets(evidence, size, first + 2000, first + 3000)
    assert (found.log_odds < 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("effect", [1.2, 2.0])
def test_right_seeds_are_kept_and_wrong_ones_given_up(effect: float) -> None:
    """At most 1 in 1,000 right ones are lost; fails with a chance of 1e-3 where that is so."""
    rng, records, size, models = np.random.default_rng(9), 3000, 2250, 200
    seeds = rng.integers(0, 2**20, models)
    evidence = of_training_sets(rng, seeds, records, size, effect)
    head = seed_search.head_length(evidence, size)
    assert head < size
    values = seed_search._head_values(evidence, size, head)
    bounds = seed_search._bounds(evidence, size, head)
    right = np.stack([permutation(int(seed), records)[:head] for seed in seeds])
    kept = np.take_along_axis(values, right, axis=1).sum(axis=1) > bounds
    assert (~kept).sum() <= binom.isf(1e-3, models, 1e-3)
    wrong = rng.permuted(np.broadcast_to(np.arange(records), (models, records)), axis=1)[:, :head]
    left = sum(
        (
            np.take_along_axis(values, np.roll(wrong, shift, axis=0), axis=1).sum(axis=1) > bounds
        ).sum()
        for shift in range(100)
    )
    # The bound on a normal's tail holds for all models together.
    assert left <= binom.isf(1e-3, 100, seed_search.FEW) * 5


def test_evidence_is_of_choices_alone() -> None:
    """What all records have in common says nothing, since as many are chosen always."""
    rng = np.random.default_rng(10)
    evidence = rng.normal(size=(3, 40)) / 2
    chosen = np.zeros((3, 40), bool)
    chosen[:, :15] = True
    odds = seed_search.log_odds(evidence, chosen, 8)
    np.testing.assert_allclose(seed_search.log_odds(evidence + 1.5, chosen, 8), odds, atol=1e-9)
    np.testing.assert_allclose(
        seed_search.above_chance(evidence + 1.5, chosen), seed_search.above_chance(evidence, chosen)
    )


def test_deviations_above_chance_are_those_of_draws() -> None:
    rng = np.random.default_rng(11)
    evidence = rng.normal(size=(1, 60))
    chosen = np.zeros((1, 60), bool)
    chosen[0, :20] = True
    drawn = rng.permuted(np.broadcast_to(evidence[0], (20_000, 60)), axis=1)[:, :20].sum(axis=1)
    expected = (evidence[chosen].sum() - drawn.mean()) / drawn.std()
    assert seed_search.above_chance(evidence, chosen)[0] == pytest.approx(expected, abs=0.05)


def test_nothing_is_found_of_scores_that_say_nothing() -> None:
    evidence = np.random.default_rng(5).normal(0, 0.1, (50, 200))
    assert (seed_search.members(evidence, 16).log_odds < 0).all()


@pytest.mark.parametrize("bits", [0, 33])
def test_bits_are_those_of_a_seed(bits: int) -> None:
    with pytest.raises(InputError, match=f"bits {bits}: expected 1 to 32"):
        formula.Options(bits=bits)


@pytest.fixture(scope="module")
def attacked() -> tuple:
    """Signals of models whose memberships come from seeds below 2^12, and two attacks on them."""
    truth = gaussian(6, shadows=60, targets=10, points=100, records=3000, effect=1.5)
    rng = np.random.default_rng(7)
    seeds = rng.integers(0, 2**12, 10)
    signals = truth.signals
    truth_of = np.zeros(signals.challenge.shape, bool)
    truth_of[:60] = np.take_along_axis(signals.trained, signals.challenge[:60], axis=1)
    for row, seed in zip(truth_of[60:], seeds, strict=True):
        row[permutation(int(seed), 100)[50:]] = True
    noise = rng.normal(size=truth_of.shape)
    strong = 1 / (1 + np.exp(-(2 * truth_of + noise)))
    weak = 1 / (1 + np.exp(-(0.2 * truth_of + noise)))
    return signals, {"weak": weak, "strong": strong}, truth_of, seeds


def test_memberships_of_targets_are_whole(attacked: tuple) -> None:
    signals, others, truth, _ = attacked
    shadows = signals.train_models
    found, note = formula.scores(signals, others, formula.Options(bits=12))
    assert np.isnan(found[:shadows]).all()
    assert note.startswith("found 10 of 10 seeds by the scores of strong: it attacks the generator")
    curve = roc(found[shadows:], truth[shadows:], np.ones(len(found) - shadows))
    assert curve.tpr_at(0.001) == 1


def test_where_no_seed_is_found_scores_stay(attacked: tuple) -> None:
    signals, others, _, seeds = attacked
    shadows = signals.train_models
    tried = 2**11
    found, note = formula.scores(signals, others, formula.Options(bits=11))
    known = seeds < tried
    assert 0 < known.sum() < len(seeds)
    assert f"found {known.sum()} of 10 seeds" in note
    for target, row in enumerate(found[shadows:]):
        if known[target]:
            assert set(row) == {-1.0, 2.0}
        else:
            assert (row == others["strong"][shadows + target]).all()


def test_evidence_of_normal_scores_is_that_of_normals(attacked: tuple) -> None:
    signals, others, _, _ = attacked
    _, evidence = formula.strongest(signals, others)
    logit = np.log(others["strong"] / (1 - others["strong"]))  # N(2, 1) of members, N(0, 1)
    inner = (logit > -1) & (logit < 3)
    np.testing.assert_allclose(evidence[inner], 2 * logit[inner] - 2, atol=0.6)
    assert np.corrcoef(evidence[inner], logit[inner])[0, 1] > 0.99


def test_an_attack_that_leaves_out_train_models_is_not_asked(attacked: tuple) -> None:
    signals, others, _, _ = attacked
    partial = others["strong"].copy()
    partial[0] = np.nan
    name, _ = formula.strongest(signals, others | {"strong": partial})
    assert name == "weak"
    with pytest.raises(InputError, match="no other attack has predictions for all train models"):
        formula.strongest(signals, {"strong": partial})


def test_auto_never_sees_it() -> None:
    """It asks for the others, and whoever does is not among them."""
    assert registry.inputs("seed-search") == ["signals", "others"]


def test_the_published_members_are_the_last_half_of_the_permutation() -> None:
    assert splits.members(50, 9).tolist() == permutation(9, 100)[50:].tolist()
