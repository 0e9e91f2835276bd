"""Ceilings are those of closed forms, of simulated attackers and of the published set-ups.

A pessimistic bound may be above the truth by what its discretisation costs, never below it but by
rounding: 1e-9.
"""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from mico.privacy import budget
from mico.privacy.accountant import account
from mico.privacy.budget import Privacy
from mico.scoring.ceilings import bound, heuristic, rates
from mico.scoring.metrics import FPRS

Limit = Callable[[float, int, float, np.ndarray], np.ndarray]
FPR = rates()
both_limits = pytest.mark.parametrize("limit", [bound, heuristic])


def gaussian(mu: float) -> np.ndarray:
    """The largest TPR between N(mu, 1) and N(0, 1)."""
    return norm.cdf(norm.ppf(FPR) + mu)


def test_the_rates_hold_the_published_ones_exactly() -> None:
    assert set(FPRS) <= set(FPR)
    assert (FPR[0], FPR[-1]) == (1e-5, 1)
    steps = np.diff(np.log10(FPR))
    assert steps.min() > 0
    assert steps.max() < 0.0501


@both_limits
@pytest.mark.parametrize(
    ("steps", "sigma"),
    [pytest.param(1, 0.3, marks=pytest.mark.slow), (1, 1.0), (1, 7.0), (9, 2.0), (500, 30.0)],
)
def test_without_sampling_it_is_the_gaussian_mechanism(
    limit: Limit, steps: int, sigma: float
) -> None:
    excess = limit(1, steps, sigma, FPR) - gaussian(math.sqrt(steps) / sigma)
    assert excess.min() > -1e-9
    assert excess.max() < (5e-5 if limit is bound else 1e-9)


@both_limits
@pytest.mark.parametrize(("rate", "sigma"), [(0.01, 0.5), (0.3, 1.0), (0.9, 3.0)])
def test_one_sampled_step_is_a_mixture(limit: Limit, rate: float, sigma: float) -> None:
    """Members and non-members are no mirror images here: each direction has its own divergence."""
    excess = limit(rate, 1, sigma, FPR) - ((1 - rate) * FPR + rate * gaussian(1 / sigma))
    assert excess.min() > -1e-9
    assert excess.max() < (5e-5 if limit is bound else 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "steps", "sigma"), [(0.3, 5, 1.2), (0.5, 3, 0.6), (0.02, 40, 0.5)]
)
def test_limits_are_what_simulated_attackers_reach(rate: float, steps: int, sigma: float) -> None:
    """Of a million transcripts of each kind, by the likelihood ratio of all steps, and by the sum.

    Under fresh seeds, one of the 12 rates would be off by more than 5 standard errors (of its own
    and of its threshold's FPR) with a chance below 1e-5.
    """
    rng = np.random.default_rng(1)
    count = 1_000_000
    ratio, total = np.zeros((2, count)), np.zeros((2, count))  # non-members, members
    for _ in range(steps):
        noise = sigma * rng.normal(size=(2, count))
        noise[1] += rng.random(count) < rate
        ratio += np.log1p(rate * np.expm1((noise - 0.5) / sigma**2))
        total += noise
    chosen = np.array([0.01, 0.1])
    for limit, (outside, inside) in (bound, ratio), (heuristic, total):
        thresholds = np.quantile(outside, 1 - chosen)
        found = (inside[:, None] > thresholds).mean(axis=0)
        expected = limit(rate, steps, sigma, chosen)
        slope = (limit(rate, steps, sigma, chosen * 1.01) - expected) / (chosen * 0.01)
        variance = expected * (1 - expected) + slope**2 * chosen * (1 - chosen)
        np.testing.assert_array_less(np.abs(found - expected), 5 * np.sqrt(variance / count) + 1e-5)


@pytest.mark.parametrize(("rate", "steps", "sigma"), [(0.3, 5, 1.2), (0.02, 40, 0.5), (1, 3, 0.1)])
def test_the_likelihood_ratio_of_the_sum_is_monotone(rate: float, steps: int, sigma: float) -> None:
    counts = np.arange(steps + 1)
    chances = [math.comb(steps, k) * rate**k * (1 - rate) ** (steps - k) for k in counts]
    spread = sigma * math.sqrt(steps)
    sums = np.linspace(-6 * spread, steps + 6 * spread, 500)[:, None]
    ratios = np.exp((2 * counts * sums - counts**2) / (2 * spread**2)) @ chances
    assert (np.diff(ratios) >= 0).all()


@pytest.mark.slow
def test_more_noise_lowers_and_more_steps_raise_them() -> None:
    inner = FPR[FPR < 0.9]
    for limit in bound, heuristic:
        falling = [limit(1 / 60, 300, sigma, inner) for sigma in (0.6, 0.7, 1.0, 2.0)]
        assert all((more > less).all() for more, less in itertools.pairwise(falling))
    rising = [bound(1 / 60, steps, 0.7, inner) for steps in (1, 2, 30, 900)]
    assert all((more > less).all() for less, more in itertools.pairwise(rising))
    # The sum of a few steps can hide a point that was taken once: only with many steps it grows.
    assert heuristic(0.01, 2, 0.5, np.array([1e-5])) < heuristic(0.01, 1, 0.5, np.array([1e-5]))
    rising = [heuristic(1 / 60, steps, 0.7, inner) for steps in (300, 600, 900, 1800)]
    assert all((more > less).all() for less, more in itertools.pairwise(rising))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "steps", "sigma"),
    [
        (1e-5, 10**6, 0.5),
        (1e-4, 1800, 0.5),
        (1 / 293, 8790, 0.7),
        (1 / 60, 1800, 0.5),
        (1 / 60, 1800, 1e6),
        (1 / 60, 7, 1),
        (0.5, 7, 0.5),
        (1, 1, 1),
        (1, 7, 50),
    ],
)
def test_the_last_weights_tell_less_than_the_transcript(
    rate: float, steps: int, sigma: float
) -> None:
    upper, lower = bound(rate, steps, sigma, FPR), heuristic(rate, steps, sigma, FPR)
    for curve in upper, lower:
        assert (np.diff(curve) >= -1e-12).all()
        assert curve[-1] == 1
        assert (curve >= FPR).all()
    assert (upper >= lower - 1e-9).all()


# Published noise multipliers, and ceilings at FPR .1, .01, .001 that were computed by another
# program, its noise known to three digits or so.
PUBLISHED = {
    "I2": (98, 50, 0.699, (0.668, 0.288, 0.100), (0.399, 0.098, 0.020)),
    "I3": (98, 50, 1.044, (0.341, 0.074, 0.014), (0.276, 0.051, 0.008)),
    "T2": (293, 30, 0.542, (0.581, 0.226, 0.075), (0.246, 0.042, 0.0065)),
    "T3": (293, 30, 0.707, (0.315, 0.067, 0.013), (0.204, 0.031, 0.004)),
    "X2": (66, 3, 0.502, (0.399, 0.136, 0.044), (0.203, 0.033, 0.005)),
    "X3": (66, 3, 0.689, (0.235, 0.046, 0.009), (0.170, 0.024, 0.003)),
}


@pytest.mark.slow
@pytest.mark.parametrize("scenario", PUBLISHED)
def test_ceilings_of_the_published_scenarios(scenario: str) -> None:
    """Each printed value is that of a sigma within 0.003 of the published one."""
    per_epoch, epochs, sigma, *printed = PUBLISHED[scenario]
    fpr = np.array([0.1, 0.01, 0.001])
    for limit, values in zip((bound, heuristic), printed, strict=True):
        high, low = (
            limit(1 / per_epoch, per_epoch * epochs, sigma + change, fpr)
            for change in (-0.003, 0.003)
        )
        assert (low - 0.0005 <= values).all()
        assert (values <= high + 0.0005).all()


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [1, 4, 10])
def test_the_bound_keeps_the_accountants_promise(epsilon: float) -> None:
    """Opacus's accountant may claim 0.1 too much, twice: the promise is kept, and not idly."""
    spent = account(3808, 64, 30, 1e-5, epsilon=epsilon)
    fpr = np.geomspace(1e-12, 1, 200)
    limit = bound(spent.sample_rate, spent.steps, spent.noise_multiplier, fpr)
    assert (limit <= np.exp(spent.epsilon_spent) * fpr + spent.delta).all()
    assert (limit > np.exp(spent.epsilon_spent - 0.2) * fpr + spent.delta).any()


@pytest.mark.slow
def test_the_program_writes_both_limits_or_none(tmp_path: Path, run_script: Callable) -> None:
    for spent in Privacy(1 / 60, 1800), Privacy(1 / 60, 1800, 0.7, 10.0, 1e-5):
        budget.write(tmp_path / "privacy.json", spent)
        arguments = ("--privacy", tmp_path / "privacy.json", "--output", tmp_path / "out.json")
        done = run_script("ceilings", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        written = json.loads((tmp_path / "out.json").read_text())
        limits = {"bound": bound, "heuristic": heuristic}
        assert written.pop("sha256")
        assert list(written) == ["fpr", *limits]
        if spent.noise_multiplier is None:
            assert not any(written.values())
            continue
        assert written.pop("fpr") == FPR.tolist()
        for name, limit in limits.items():
            assert written[name] == limit(1 / 60, 1800, 0.7, FPR).tolist()
