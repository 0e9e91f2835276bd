"""The audit: a bound of epsilon that keeps its word, calibration and classes as counted by hand.

Seeds are fixed; the docstrings say with what chance a test would fail under fresh ones.
"""

import math
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from mico.scoring import curves, f_dp, metrics, one_run
from mico.scoring.audit import audit, by_class, calibration, epsilon_lower, precisions
from mico.scoring.limits import clopper_pearson

Data = tuple[np.ndarray, np.ndarray]


def make_memberships(rng: np.random.Generator, models: int, m: int) -> np.ndarray:
    return rng.permuted(np.tile(np.repeat([False, True], m), (models, 1)), axis=1)


def noisy(rng: np.random.Generator, models: int = 6, m: int = 20, shift: float = 1.0) -> Data:
    """Scores N(0, 1), of members N(shift, 1), some of them tied."""
    membership = make_memberships(rng, models, m)
    return (rng.normal(size=membership.shape) + shift * membership).round(1), membership


# ---- Clopper and Pearson's limits.


@pytest.mark.parametrize("trials", [1, 2, 17, 5000])
def test_limits_are_scipys(trials: int) -> None:
    hits = np.unique(np.linspace(0, trials, 30).astype(int))
    for tail in 0.025, 1e-6:
        found = np.stack(clopper_pearson(hits, trials, tail), axis=1)
        for one, limits in zip(hits, found, strict=True):
            expected = binomtest(int(one), trials).proportion_ci(1 - 2 * tail)
            np.testing.assert_allclose(limits, expected, rtol=1e-9, atol=1e-11)  # its own tolerance


def test_without_trials_nothing_is_known() -> None:
    low, high = clopper_pearson(np.array([0, 3]), np.array([0, 3]))
    assert (low[0], high[0]) == (0, 1)
    assert 0 < low[1] < high[1] == 1


# ---- The bound of epsilon.


def naive_bound(data: Data, threshold: float, delta: float, tail: float = 0.025) -> float:
    """In both directions, by scipy's limits."""
    called, membership = data[0] >= threshold, data[1]
    limits = {}
    for side in True, False:
        calls = called[membership == side]
        test = binomtest(int(calls.sum()), len(calls))
        limits[side] = test.proportion_ci(1 - 2 * tail)
    tpr, fpr = limits[True].low, limits[False].high
    ratios = [(tpr - delta) / fpr, (1 - fpr - delta) / (1 - tpr), 1]
    return math.log(max(ratios))


@pytest.mark.slow
@pytest.mark.parametrize("delta", [1e-5, 0.1])
@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_the_bound_is_that_of_the_threshold_that_shows_most_on_dev(
    delta: float, shift: float
) -> None:
    rng = np.random.default_rng(1)
    dev, final = noisy(rng, shift=shift), noisy(rng, 4, shift=shift)
    thresholds = sorted(set(dev[0].ravel()))
    tail = 0.025 / len(thresholds)
    best = max(thresholds, key=lambda threshold: naive_bound(dev, threshold, delta, tail))
    expected = naive_bound(final, best, delta)
    assert epsilon_lower(*dev, *final, delta) == pytest.approx(expected, rel=1e-9)
    assert (expected > 0) == (shift == 2)


@pytest.mark.parametrize("direction", [1, -1])
def test_either_side_of_the_threshold_can_show_it(direction: int) -> None:
    """A tenth of the members, or of the non-members, is beyond doubt; the rest all look alike."""
    membership = make_memberships(np.random.default_rng(2), 10, 100)
    known = membership if direction > 0 else ~membership
    predictions = 0.5 + 0.5 * direction * (known & (np.cumsum(known, axis=1) <= 10))
    found = epsilon_lower(predictions, membership, predictions, membership, 1e-5)
    tpr, fpr = binomtest(100, 1000).proportion_ci().low, binomtest(0, 1000).proportion_ci().high
    assert found == pytest.approx(math.log((tpr - 1e-5) / fpr), rel=1e-9)


def test_what_shows_nothing_shows_nothing() -> None:
    membership = make_memberships(np.random.default_rng(3), 20, 100)
    for predictions in np.full(membership.shape, 0.3), 1.0 - membership:
        assert epsilon_lower(predictions, membership, predictions, membership, 1e-5) == 0
    half = membership.astype(float)
    assert epsilon_lower(half, membership, half[::-1], membership, 1e-5) == 0


def randomised_response(rng: np.random.Generator, epsilon: float, models: int, m: int) -> Data:
    """Each point's membership, told truly with odds e^epsilon: as much as epsilon-DP allows."""
    membership = make_memberships(rng, models, m)
    true = rng.random(membership.shape) < 1 / (1 + math.exp(-epsilon))
    return (membership == true).astype(float), membership


def swayed(rng: np.random.Generator, epsilon: float, models: int, m: int) -> Data:
    """The same, but a third of the models say 0 of all points, a third 1: a model's calls are
    correlated, and what was epsilon-DP still is.
    """
    predictions, membership = randomised_response(rng, epsilon, models, m)
    sway = rng.integers(0, 3, (models, 1))
    return np.where(sway == 0, predictions, sway - 1.0), membership


def shifted(rng: np.random.Generator, epsilon: float, models: int, m: int) -> Data:
    """The same, but added to a random number of each model."""
    predictions, membership = randomised_response(rng, epsilon, models, m)
    return predictions + rng.exponential(size=(models, 1)), membership


@pytest.mark.slow
@pytest.mark.parametrize("make", [randomised_response, swayed, shifted])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_the_bound_is_above_epsilon_in_at_most_5_percent_of_runs(
    make: Callable[..., Data], epsilon: float
) -> None:
    """Of 300, of which more than 30 err with a chance of at most 1.1e-4 in each of 9 tests."""
    rng = np.random.default_rng(4)
    errors = 0
    for _ in range(300):
        dev, final = make(rng, epsilon, 10, 50), make(rng, epsilon, 10, 50)
        errors += epsilon_lower(*dev, *final, 1e-5) > epsilon
    assert errors <= 30


def test_limits_of_one_rate_are_far_too_close_where_models_sway_all_points() -> None:
    """What the bound does not depend on: the TPR is mostly outside its own 95 % limits."""
    rng = np.random.default_rng(5)
    true = 1 / 3 + 1 / 3 / (1 + math.exp(-2.0))
    covered = 0
    for _ in range(100):
        predictions, membership = swayed(rng, 2.0, 10, 50)
        low, high = clopper_pearson(predictions[membership].sum(), 500)
        covered += low <= true <= high
    assert covered < 50


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0])
def test_the_bound_is_near_epsilon_with_many_points(epsilon: float) -> None:
    """With 500,000 members, standard errors of the logarithms are at most 0.0105 for the FPR and
    0.0012 for the TPR: the limits take 2 of each, and chance 4 more with a probability of 1e-4.
    """
    rng = np.random.default_rng(6)
    dev = randomised_response(rng, epsilon, 10, 10_000)
    final = randomised_response(rng, epsilon, 10, 50_000)
    assert epsilon - 0.07 < epsilon_lower(*dev, *final, 1e-5) < epsilon + 0.025


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_however_many_are_called_the_bound_errs_seldom(epsilon: float) -> None:
    """The docstring's claim: of r calls, at most half of all points, Bin(r, e^epsilon / (1 +
    e^epsilon)) are members, and the two limits then give more than epsilon with a chance of at
    most 2.5 %. Computed, not drawn.
    """
    points = 1000  # members, and as many non-members
    for calls in [*range(1, 60), *range(60, points + 1, 47), points]:
        hits = np.arange(calls + 1)
        tpr, fpr = clopper_pearson(hits, points)[0], clopper_pearson(calls - hits, points)[1]
        errs = tpr > math.exp(epsilon) * fpr
        assert binom.pmf(hits, calls, 1 / (1 + math.exp(-epsilon)))[errs].sum() <= 0.025


# ---- Calibration.


def rate(calls: np.ndarray) -> float:
    return calls.sum() / calls.size


def test_calibration_is_counted_by_hand() -> None:
    rng = np.random.default_rng(7)
    dev, final = noisy(rng), noisy(rng, models=5)
    rows = calibration(*dev, *final, "xy")
    assert [row["fpr"] for row in rows] == list(metrics.FPRS)
    drawn = [np.repeat(np.arange(5), counts) for counts in curves.resamples(5, "xy")]
    for row in rows:
        candidates = [math.inf, *dev[0].ravel()]
        allowed = row["fpr"] + 1e-12
        threshold = min(x for x in candidates if rate(dev[0][~dev[1]] >= x) <= allowed)
        called, membership = final[0] >= threshold, final[1]
        for name, side in ("fpr", ~membership), ("tpr", membership):
            assert row[f"{name}_final"] == pytest.approx(rate(called[side]), abs=1e-6)
            resampled = [rate(called[models][side[models]]) for models in drawn]
            limits = row[f"{name}_low"], row[f"{name}_high"]
            assert limits == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=1e-6)


def test_intervals_of_a_threshold_are_those_of_models_not_of_points() -> None:
    """Where all points of a model are called or none, 50 models are no more than 50 draws."""
    membership = make_memberships(np.random.default_rng(8), 50, 100)
    predictions = np.tile(np.arange(50)[:, None] / 50, (1, 200))
    row = calibration(predictions, membership, predictions, membership, "x")[3]
    assert row["fpr_final"] == row["tpr_final"] == 0.1
    assert (row["fpr_low"], row["fpr_high"]) == pytest.approx((0.02, 0.18), abs=0.021)


# ---- Classes.


def test_classes_are_counted_by_hand() -> None:
    rng = np.random.default_rng(9)
    predictions, membership = noisy(rng)
    classes = rng.choice(
        np.array([0, 3, 4, 250], np.uint8), membership.shape, p=[0.5, 0.3, 0.1, 0.1]
    )
    classes[~membership & (classes == 250)] = 0  # a class of members only
    curve = curves.roc(predictions, membership, np.ones(len(predictions)))
    called = predictions >= curves.threshold(curve, 0.1)
    rows = by_class(predictions, membership, classes)
    assert [row["class"] for row in rows] == [0, 3, 4, 250]
    for row in rows:
        own = classes == row["class"]
        members, others = called[own & membership], called[own & ~membership]
        assert (row["members"], row["nonmembers"]) == (members.size, others.size)
        assert row["tpr"] == pytest.approx(rate(members), abs=1e-6)
        assert row["fpr"] == (pytest.approx(rate(others), abs=1e-6) if others.size else None)
        limits = binomtest(int(members.sum()), members.size).proportion_ci()
        assert (row["tpr_low"], row["tpr_high"]) == pytest.approx(tuple(limits), abs=1e-6)
    assert rows[-1]["fpr"] is None
    assert sum(row["members"] for row in rows) == membership.sum()


def test_a_class_without_members_has_no_tpr() -> None:
    membership = np.array([[True, False]])
    rows = by_class(membership.astype(float), membership, np.array([[7, 8]]))
    assert rows[1] == {
        "class": 8,
        "members": 0,
        "nonmembers": 1,
        "tpr": None,
        "fpr": 0.0,
        "tpr_low": 0.0,
        "tpr_high": 1.0,
    }


# ---- All of it.


def test_an_audit_chooses_on_dev_and_looks_at_final() -> None:
    rng = np.random.default_rng(10)
    predictions, membership = noisy(rng, models=12, shift=2)
    classes = rng.integers(0, 4, membership.shape)
    dev, final = np.arange(2, 7), np.arange(7, 12)
    phases = {"train": np.arange(2), "dev": dev, "final": final, "both": np.arange(2, 12)}
    found = audit("xy", phases, predictions, membership, classes, 0.1)
    chosen = (predictions[dev], membership[dev], predictions[final], membership[final])
    guesses = one_run.chosen(*chosen)
    assert found == {
        "epsilon_lower": round(epsilon_lower(*chosen, 0.1), 6),
        "epsilon_lower_one_run": round(one_run.epsilon(guesses, 0.1), 6),
        "epsilon_lower_f_dp": round(f_dp.gaussian_epsilon(f_dp.mu(guesses), 0.1), 6),
        "guesses": asdict(guesses),
        "calibration": calibration(*chosen, "xy"),
        "precision": precisions(*chosen, "xy"),
        "classes": by_class(predictions[2:], membership[2:], classes[2:]),
    }
    assert found["epsilon_lower"] > 0
    without = audit("xy", phases, predictions, membership, classes, None)
    assert without["epsilon_lower"] == round(epsilon_lower(*chosen, 1e-5), 6)
    assert without["epsilon_lower"] > found["epsilon_lower"]
