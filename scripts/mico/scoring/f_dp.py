"""What so many right guesses say of training that is f-DP, with a whole trade-off curve f.

A curve is given as a function from a TPR to the FPR at which f allows it. Memberships are taken for
independent fair coins (Mahloujifar, Melis and Chaudhuri 2024, arXiv 2410.22235, Algorithm 3).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

ERROR = 0.05  # the chance with which a bound is too high
STEPS = 40  # of a bisection, which halves an interval each time
LARGEST = 50.0  # of epsilon and of mu: beyond what any number of points can show
quantile = NormalDist().inv_cdf


@dataclass(frozen=True)
class Guesses:
    """How many of some points are guessed about, and how many of the guesses are right."""

    points: int
    guesses: int
    right: int


def normal(x: float) -> float:
    """The distribution function of N(0, 1), to its last digits also far below 0."""
    return math.erfc(-x / math.sqrt(2)) / 2


def mu(found: Guesses) -> float:
    """The largest mu for which mu-Gaussian DP excludes so many right guesses; 0 if none.

    That is the trade-off curve of two Gaussians of variance 1 that are mu apart (Dong, Roth and Su
    2022, arXiv 1905.02383, Definition 2.6).
    """

    def curve(one: float) -> Callable[[float], float]:
        return lambda tpr: normal(quantile(tpr) - one) if 0 < tpr < 1 else tpr

    return largest(lambda one: excluded(found, curve(one), ERROR), LARGEST)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon of mu-Gaussian DP at delta (arXiv 1905.02383, Corollary 2.13)."""

    def exceeds(one: float) -> bool:
        tail = math.exp(one) * normal(-one / mu - mu / 2) if one < 700 else 0.0
        return normal(-one / mu + mu / 2) - tail > delta

    return largest(exceeds, 2 * mu * (mu + 10)) if mu > 0 else 0.0


def p_value(found: Guesses, curve: Callable[[float], float]) -> float:
    """How likely as many right guesses are at most, of f-DP with this curve.

    Args:
        curve: TPR -> the FPR at which it is the largest that f allows.
    """
    if not excluded(found, curve, 1.0):
        return 1.0
    return 10 ** -largest(lambda power: excluded(found, curve, 10**-power), 300.0)


def excluded(found: Guesses, curve: Callable[[float], float], error: float) -> bool:
    """Whether, of f-DP, as many right guesses are less likely than `error`.

    With p_i the chance of i right guesses of c, of M points, r_i is the sum of j p_j / M over j >=
    i, and h_i that of (c - j) p_j / M. f-DP asks r_(i+1) <= f'(h_i), with f' the TPR that f allows
    at an FPR. The smallest r and h with p_k + p_(k+1) + ... = `error` follow from the top down; if
    r_0 + h_0 is above c / M, chances would exceed 1.
    """
    trials, points = found.guesses, found.points
    right, wrong = error * found.right / points, error * (trials - found.right) / points
    for i in range(found.right - 1, -1, -1):
        more = max(wrong, curve(right))
        right += i / (trials - i) * (more - wrong)
        wrong = more
        if right + wrong > trials / points:
            return True
    return False


def largest(holds: Callable[[float], bool], end: float) -> float:
    """The largest value up to `end` of which something holds that holds of all smaller ones."""
    if not holds(0.0):
        return 0.0
    low, high = 0.0, end
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
