"""Bounds from guesses: published values, closed forms, naive forms, and no more errors than said.

Seeds are fixed. Under fresh ones a test that counts errors fails with a chance of 1e-3 where bounds
err in 5 % of cases.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import binom, norm
from scored_run import make_memberships

from mico.scoring import f_dp, one_run
from mico.scoring.f_dp import Guesses


def gaussian(mu: float) -> Callable[[float], float]:
    return lambda tpr: float(ndtr(ndtri(tpr) - mu))


# What so many right guesses show


@pytest.mark.parametrize(
    ("tpr", "one", "f"), [(0.234, 0.76, 1.07), (0.196, 0.58, 0.81)], ids=["L2", "L3"]
)
def test_bounds_of_5000_members_and_as_many_others_at_fpr_01(
    tpr: float, one: float, f: float
) -> None:
    """As two independent programs have them, at delta 1e-5."""
    found = Guesses(10_000, round(5000 * (tpr + 0.1)), round(5000 * tpr))
    assert one_run.epsilon(found, 1e-5) == pytest.approx(one, abs=0.006)
    mu = f_dp.mu(found)
    assert f_dp.gaussian_epsilon(mu, 1e-5) == pytest.approx(f, abs=0.011)


@pytest.mark.parametrize("mu", [0.0, 0.5, 2.0])
def test_one_right_guess_of_one_has_the_chance_of_the_best_test(mu: float) -> None:
    """Of two Gaussians that are mu apart, the better guess is right with the chance Phi(mu / 2)."""
    found = Guesses(1, 1, 1)
    assert f_dp.p_value(found, gaussian(mu)) == pytest.approx(norm.cdf(mu / 2), rel=1e-6)


@pytest.mark.parametrize("found", [Guesses(50, 20, 17), Guesses(300, 300, 190), Guesses(9, 9, 9)])
def test_exclusion_is_that_of_the_published_recursion(found: Guesses) -> None:
    points, trials, right = found.points, found.guesses, found.right
    for mu in np.linspace(0, 3, 16):
        for error in 0.5, 0.05, 1e-3:
            r, h = np.zeros(right + 1), np.zeros(right + 1)
            r[right], h[right] = error * right / points, error * (trials - right) / points
            for i in range(right)[::-1]:
                h[i] = max(h[i + 1], gaussian(mu)(r[i + 1]))
                r[i] = r[i + 1] + i / (trials - i) * (h[i] - h[i + 1])
            excluded = f_dp.excluded(found, gaussian(mu), error)
            assert excluded == (r[0] + h[0] > trials / points)


def test_the_chance_of_right_guesses_is_steinkes() -> None:
    found, delta = Guesses(60, 30, 24), 1e-3
    shown = one_run.epsilon(found, delta)

    def chance(epsilon: float) -> float:
        law = binom(found.guesses, 1 / (1 + math.exp(-epsilon)))
        most = max(
            sum(law.pmf(found.right - j) for j in range(1, i + 1)) / i
            for i in range(1, found.right + 1)
        )
        return law.sf(found.right - 1) + most * 2 * found.points * delta

    assert chance(shown) == pytest.approx(0.05, abs=1e-6)
    assert one_run.epsilon(found, 0) > shown
    assert one_run.epsilon(Guesses(60, 30, 15), 0) == 0
    assert one_run.epsilon(Guesses(60, 30, 0), 0) == 0


def test_gaussian_epsilon_inverts_its_delta() -> None:
    for mu in 0.1, 1.0, 5.0:
        epsilon = f_dp.gaussian_epsilon(mu, 1e-5)
        tail = math.exp(epsilon) * norm.cdf(-epsilon / mu - mu / 2)
        assert norm.cdf(-epsilon / mu + mu / 2) - tail == pytest.approx(1e-5, rel=1e-4)
    assert f_dp.gaussian_epsilon(0, 1e-5) == 0


# What is guessed


def test_guesses_are_counted_by_hand() -> None:
    predictions = np.array([[0.9, 0.8, 0.1, 0.3], [0.7, 0.2, 0.6, 0.0]])
    membership = np.array([[True, False, False, True], [True, True, False, False]])
    of = one_run.guess
    assert of(predictions, membership, 0.25, (1, 0)) == Guesses(8, 2, 1)
    assert of(predictions, membership, 0.25, (0, 1)) == Guesses(8, 2, 2)
    assert of(predictions, membership, 0.5, (1, 1)) == Guesses(8, 8, 4)


def test_the_order_of_ties_tells_nothing() -> None:
    """All scores are the same, and members come first."""
    membership = np.tile(np.repeat([True, False], 50), (20, 1))
    for share in one_run.SHARES:
        found = one_run.guess(np.zeros(membership.shape), membership, share, (1, 0))
        assert binom.sf(found.right - 1, found.guesses, 0.5) > 1e-3


# How often a bound errs


def bounds(mu: float, runs: int, seed: int, drift: float = 0.0) -> np.ndarray:
    """Of mu and of epsilon with delta 1e-3, where scores tell all that mu-Gaussian DP allows.

    Args:
        drift: how far the scores of a model move together.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(runs):
        data = []
        for _ in range(2):
            truth = make_memberships(rng, 10, 20)
            moved = rng.normal(0, drift, (10, 1)) if drift else 0.0
            data += [rng.normal(mu * truth + moved), truth]
        found = one_run.chosen(*data)
        rows.append((f_dp.mu(found), one_run.epsilon(found, 1e-3)))
    return np.array(rows)


@pytest.mark.slow
@pytest.mark.parametrize("drift", [0.0, 1.0])
@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_bounds_err_as_seldom_as_they_say(mu: float, drift: float) -> None:
    found = bounds(mu, 100, seed=3, drift=drift)
    true = np.array([mu, f_dp.gaussian_epsilon(mu, 1e-3)])
    errors = (found > true + 1e-9).sum(axis=0)
    assert (errors <= binom.isf(1e-3, len(found), 0.05)).all()


@pytest.mark.slow
def test_the_curve_shows_more_than_one_pair_of_epsilon_and_delta() -> None:
    """Of mu = 1, 400 points show .4 or more in most runs; of epsilon the curve shows more."""
    found = bounds(1.0, 60, seed=4)
    assert np.median(found[:, 0]) > 0.4
    by_curve = [f_dp.gaussian_epsilon(mu, 1e-3) for mu in found[:, 0]]
    assert np.median(by_curve) > 1.2 * np.median(found[:, 1])


@pytest.mark.slow
def test_a_chance_is_seldom_small_of_the_true_curve_and_often_of_another() -> None:
    rng = np.random.default_rng(5)
    chances = {0.3: [], 1.0: []}
    for _ in range(100):
        truth = make_memberships(rng, 10, 20)
        found = one_run.guess(rng.normal(1.0 * truth), truth, 0.1, (1, 1))
        for mu, values in chances.items():
            values.append(f_dp.p_value(found, gaussian(mu)))
    assert sum(np.array(chances[1.0]) < 0.05) <= binom.isf(1e-3, 100, 0.05)
    assert np.median(chances[0.3]) < 0.01
