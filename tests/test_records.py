"""What is said of records, against loops and closed forms; and that chance is told from more."""

from itertools import permutations
from statistics import mean, variance

import numpy as np
import pytest

from mico.scoring import records
from mico.scoring.curves import resamples


def naive(inside: list[float], outside: list[float]) -> tuple[float, float, float]:
    """An effect and the ends of its interval by the formula, from two lists of numbers."""
    v1, v0 = variance(inside), variance(outside)
    d1, d0 = len(inside) - 1, len(outside) - 1
    square = (v1 + v0) / 2
    effect = (mean(inside) - mean(outside)) / square**0.5
    error = effect**2 * (v1**2 / d1 + v0**2 / d0) / (8 * square**2) + (v1 / d1 + v0 / d0) / square
    return effect, effect - 1.959963985 * error**0.5, effect + 1.959963985 * error**0.5


def made(seed: int, models: int, size: int, effect: float | np.ndarray = 0.0) -> tuple:
    """Signals that models have in common in part, and memberships with a chance of .7."""
    rng = np.random.default_rng(seed)
    trained = rng.random((models, size)) < 0.7
    noise = rng.normal(size=trained.shape) * np.where(trained, 0.7, 1.3)
    return noise + 0.3 * rng.normal(size=(models, 1)) + effect * trained, trained


def test_effects_are_those_of_a_loop() -> None:
    signal, trained = made(1, 12, records.BLOCK + 40)
    signal += 1e5  # far from 0, digits are lost by a plain sum of squares
    trained[:, 3] = np.arange(12) == 0
    trained[:, 4] = True
    trained[:, 5] = np.arange(12) < 2
    signal[:, 6] = 0.1
    found = records.effects(signal, trained)
    for record in range(signal.shape[1]):
        own, members = signal[:, record], trained[:, record]
        inside, outside = own[members].tolist(), own[~members].tolist()
        assert found.inside[record] == len(inside)
        assert found.outside[record] == len(outside)
        if min(len(inside), len(outside)) < 2 or record == 6:
            assert np.isnan([found.effect[record], found.low[record], found.high[record]]).all()
            continue
        values = found.effect[record], found.low[record], found.high[record]
        assert values == pytest.approx(naive(inside, outside), abs=1e-7)
        means = found.mean_in[record], found.mean_out[record]
        assert means == pytest.approx((mean(inside), mean(outside)), rel=1e-12)
    assert np.isnan(found.effect[3:7]).tolist() == [True, True, False, True]


def test_effect_in_closed_form() -> None:
    """Of 1, 3 and 5 against 0 and 2, the variances are 4 and 2, and the means differ by 2."""
    signal = np.array([[1.0], [0.0], [3.0], [2.0], [5.0]])
    trained = np.array([[True], [False], [True], [False], [True]])
    found = records.effects(signal, trained)
    effect = 2 / 3**0.5
    error = (4 / 3) * (16 / 2 + 4 / 1) / (8 * 9) + (4 / 2 + 2 / 1) / 3
    assert found.effect[0] == pytest.approx(effect)
    assert (found.high - found.low)[0] == pytest.approx(2 * 1.959963985 * error**0.5)


@pytest.mark.parametrize("effect", [0.0, 2.0])
def test_intervals_hold_the_truth_of_unequal_sides(effect: float) -> None:
    signal, trained = made(2, 60, 4000, effect)
    found = records.effects(signal, trained)
    # What models have in common adds its variance to both sides.
    truth = effect / ((0.7**2 + 1.3**2) / 2 + 0.09) ** 0.5
    held = np.mean((found.low <= truth) & (truth <= found.high))
    assert 0.92 < held < 0.97


def test_shuffles_move_whole_rows_of_memberships() -> None:
    signal, trained = made(3, 4, 30)
    effect, low = records.shuffled(signal, trained, "a")
    assert effect.shape == low.shape == (records.SHUFFLES, 30)
    possible = [records.effects(signal, trained[list(one)]) for one in permutations(range(4))]
    seen = set()
    for row, ends in zip(effect, low, strict=True):
        (same,) = (
            i
            for i, one in enumerate(possible)
            if np.array_equal(one.effect, row, equal_nan=True)
            and np.array_equal(one.low, ends, equal_nan=True)
        )
        seen.add(same)
    assert len(seen) > 12
    again = records.shuffled(signal, trained, "a")[0]
    assert np.array_equal(effect, again, equal_nan=True)
    assert not np.array_equal(effect, records.shuffled(signal, trained, "b")[0], equal_nan=True)


def test_false_share_order_and_places_are_those_of_a_loop() -> None:
    signal, trained = made(4, 10, 40, np.repeat([2.0, 0.0], 20))
    trained[:4] = np.array([True, True, False, False])[:, None]
    trained[:, 7] = True
    found = records.effects(signal, trained)
    chance = records.shuffled(signal, trained, "a")[1]
    shares = records.false_share(found, chance)
    ranked = records.order(found)
    assert ranked[-1] == 7
    assert np.isnan(shares[7])
    first, last = records.places(found)
    assert first[7] == last[7] == 0
    known = ranked[:-1].tolist()
    lows = found.low.tolist()
    raw = []
    for place, record in enumerate(known, 1):
        assert lows[record] == sorted((lows[i] for i in known), reverse=True)[place - 1]
        reached = [sum(value >= lows[record] for value in row) for row in chance.tolist()]
        raw.append(min(mean(reached) / place, 1))
        others = [i for i in known if i != record]
        assert first[record] == 1 + sum(found.low[i] > found.high[record] for i in others)
        assert last[record] == 39 - sum(found.high[i] < found.low[record] for i in others)
        assert first[record] <= place <= last[record]
    for place, record in enumerate(known):
        assert shares[record] == pytest.approx(min(raw[place:]))


def test_without_an_effect_all_are_there_by_chance() -> None:
    tens = []
    for seed in range(5):
        signal, trained = made(seed, 30, 1000)
        found = records.effects(signal, trained)
        shares = records.false_share(found, records.shuffled(signal, trained, "a")[1])
        tens.append(shares[records.order(found)[9]])
    assert np.mean(tens) > 0.6


def test_of_those_that_stand_out_few_are_false() -> None:
    """A tenth of the records have an effect, and most of these are found."""
    false, found_in_all = [], []
    for seed in range(5):
        real = np.arange(1000) < 100
        signal, trained = made(seed, 60, 1000, 2.0 * real)
        found = records.effects(signal, trained)
        shares = records.false_share(found, records.shuffled(signal, trained, "a")[1])
        out = shares <= 0.1
        false.append((out & ~real).sum() / max(out.sum(), 1))
        found_in_all.append((out & real).sum())
    assert np.mean(false) < 0.12
    assert np.mean(found_in_all) > 70


def test_alike_has_the_mean_effect_and_the_noise_of_new_models() -> None:
    """Of all records alike, in the mean and the spread of effects that other models would have."""
    signal, trained = made(11, 60, 600, 3.0)
    effect, low = records.alike(signal, trained, "a")
    found = records.effects(signal, trained)
    assert effect.shape == low.shape == (records.SHUFFLES, 600)
    assert np.nanmean(effect) == pytest.approx(found.effect.mean(), rel=0.06)
    assert np.nanstd(effect) == pytest.approx(found.effect.std(), rel=0.2)
    assert np.nanmean(effect - low) == pytest.approx((found.effect - found.low).mean(), rel=0.1)


def test_alike_is_that_of_a_loop() -> None:
    signal, trained = made(12, 9, 25, 2.0)
    trained[:4] = np.array([True, True, False, False])[:, None]
    trained[:, 7] = True
    effect, low = records.alike(signal, trained, "a")
    assert np.isnan(effect[:, 7]).all()
    found = records.effects(signal, trained)
    average = float(np.nanmean(found.effect))
    drawn = resamples(9, "a", records.SHUFFLES)
    for record in set(range(25)) - {7}:
        inside, outside = (
            signal[side, record] for side in (trained[:, record], ~trained[:, record])
        )
        step = average * ((inside.var(ddof=1) + outside.var(ddof=1)) / 2) ** 0.5
        moved = np.where(
            trained[:, record],
            signal[:, record] - inside.mean() + step,
            signal[:, record] - outside.mean(),
        )
        for row in range(5):
            models = np.repeat(np.arange(9), drawn[row])
            sides = [
                moved[models][trained[models, record] == side].tolist() for side in (True, False)
            ]
            if min(map(len, map(set, sides))) > 1:
                expected = naive(*sides)[:2]
                assert (effect[row, record], low[row, record]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("effect", [0.0, 3.0])
def test_where_all_are_alike_none_is_ahead(effect: float) -> None:
    tens = []
    for seed in range(5):
        signal, trained = made(seed, 60, 1000, effect)
        found = records.effects(signal, trained)
        shares = records.false_share(found, records.alike(signal, trained, "a")[1])
        tens.append(shares[records.order(found)[9]])
    assert np.mean(tens) > 0.5


def test_of_those_ahead_few_are_no_more_at_risk() -> None:
    false, ahead = [], []
    for seed in range(5):
        real = np.arange(1000) < 100
        signal, trained = made(seed, 60, 1000, 2.0 + 3.0 * real)
        found = records.effects(signal, trained)
        shares = records.false_share(found, records.alike(signal, trained, "a")[1])
        out = shares <= 0.1
        false.append((out & ~real).sum() / max(out.sum(), 1))
        ahead.append((out & real).sum())
    assert np.mean(false) < 0.12
    assert np.mean(ahead) > 50


def test_what_is_chosen_by_chance_is_not_seen_again() -> None:
    signal, trained = made(6, 60, 1000)
    seen = records.again(signal, trained)
    assert seen is not None
    assert seen.chosen > 0.8
    assert abs(seen.other) < 0.25
    assert abs(seen.all) < 0.05
    real = np.arange(1000) < 10
    seen = records.again(*made(6, 60, 1000, 5.0 * real))
    assert seen is not None
    assert seen.both == 10
    assert seen.other > 3
    assert records.again(*made(6, 60, 2 * records.CHOSEN - 1)) is None


def test_what_halves_see_is_that_of_a_loop() -> None:
    signal, trained = made(7, 20, 50)
    halves = [records.effects(signal[start::2], trained[start::2]) for start in (0, 1)]
    known = [i for i in range(50) if not any(np.isnan(half.effect[i]) for half in halves)]
    tops = [sorted(known, key=lambda i: -half.low[i])[:10] for half in halves]
    seen = records.again(signal, trained)
    assert seen is not None
    assert seen.both == len(set(tops[0]) & set(tops[1]))
    own = [halves[h].effect[i] for h in (0, 1) for i in tops[h]]
    other = [halves[1 - h].effect[i] for h in (0, 1) for i in tops[h]]
    every = [halves[h].effect[i] for h in (0, 1) for i in known]
    assert (seen.chosen, seen.other) == pytest.approx((mean(own), mean(other)))
    assert seen.all == pytest.approx(mean(every))


def test_histograms_are_those_of_numpy() -> None:
    signal, trained = made(8, 25, 12)
    signal[:, 3] = 1.5
    trained[:, 4] = True
    found = records.histograms(signal, trained)
    for record in range(12):
        own = signal[:, record]
        ends = (own.min(), own.max()) if record != 3 else (1.5, 2.5)
        for side, shares in zip((trained, ~trained), found, strict=True):
            chosen = own[side[:, record]]
            expected = np.histogram(chosen, records.BINS, ends)[0] / max(len(chosen), 1)
            assert shares[record] == pytest.approx(expected)


def test_agreement_is_that_of_sets() -> None:
    rng = np.random.default_rng(9)
    truth = rng.random((5, 40)) < 0.5
    scores = rng.random((3, 5, 40)) + 0.4 * truth
    called = np.stack([records.calls(one, truth, 0.1) for one in scores])
    for one in called:  # the threshold is the smallest with so few false ones
        assert (one & ~truth).sum() / (~truth).sum() <= 0.1
        assert ((one & ~truth).sum() + 1) / (~truth).sum() > 0.1
    found = records.agreement(called, truth)
    members = [set(zip(*np.nonzero(one & truth), strict=True)) for one in called]
    others = [set(zip(*np.nonzero(one & ~truth), strict=True)) for one in called]
    for i, one in enumerate(members):
        assert found.found[i] == pytest.approx(len(one) / truth.sum())
        for j, other in enumerate(members):
            assert found.overlap[i, j] == pytest.approx(len(one & other) / len(one | other))
    assert found.union == pytest.approx(len(set.union(*members)) / truth.sum())
    assert found.all == pytest.approx(len(set.intersection(*members)) / truth.sum())
    assert found.union_fpr == pytest.approx(len(set.union(*others)) / (~truth).sum())
    nothing = records.agreement(np.zeros_like(called), truth)
    assert nothing.overlap.tolist() == np.ones((3, 3)).tolist()
    assert (nothing.union, nothing.all) == (0, 0)


def test_counts() -> None:
    columns = np.array([[0, 2, 3], [2, 3, 5]])
    assert records.counts(columns, 7).tolist() == [1, 0, 2, 2, 0, 1, 0]
    chosen = np.array([[True, False, True], [True, False, False]])
    assert records.counts(columns, 7, chosen).tolist() == [1, 0, 1, 1, 0, 0, 0]
