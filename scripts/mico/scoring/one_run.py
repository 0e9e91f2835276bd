"""A lower bound of epsilon from guesses, each of one record, that holds however they correlate.

An attacker calls the records with the highest scores members, and those with the lowest scores
non-members; how many is fixed before, so that the number of right guesses is all that is random.
Under (epsilon, 0)-DP each is right with a chance of at most e^epsilon / (1 + e^epsilon), whatever
the others are, and delta adds little (Steinke, Nasr and Jagielski 2023, arXiv 2305.08846, Theorem
5.2). Memberships are taken for independent fair coins; a challenge has as many members as
non-members among its 2m points, which makes guesses about one point tell a little about others.
"""

import numpy as np
from scipy.special import bdtrc, expit

from mico.scoring.f_dp import ERROR, LARGEST, Guesses, largest
from mico.support.arrays import Bools, Floats

SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # of the points, that are called on one side


def guess(predictions: Floats, membership: Bools, share: float, sides: tuple[int, int]) -> Guesses:
    """Guesses about a share of all points on each of the chosen sides.

    Args:
        predictions, membership: (models, 2m), pooled.
        sides: 1 or 0 for the highest, called members, and for the lowest, called non-members.
    """
    # Where scores are tied, the order must not depend on who is a member.
    mixed = np.random.default_rng(predictions.size).permutation(predictions.size)
    order = mixed[np.argsort(-predictions.ravel()[mixed], kind="stable")]
    truth = membership.ravel()[order]
    count = max(1, int(share * len(truth)))
    right = int(truth[:count].sum()) * sides[0] + int((~truth[-count:]).sum()) * sides[1]
    return Guesses(len(truth), count * sum(sides), right)


def chosen(dev: Floats, dev_membership: Bools, final: Floats, final_membership: Bools) -> Guesses:
    """Guesses about final models, of the share and the sides that show most on dev models."""
    options = [
        (share, sides)
        for share in SHARES
        for sides in ((1, 0), (0, 1), (1, 1))
        if share * sum(sides) <= 1
    ]
    shown = [epsilon(guess(dev, dev_membership, *option), 0.0) for option in options]
    return guess(final, final_membership, *options[int(np.argmax(shown))])


def epsilon(found: Guesses, delta: float) -> float:
    """The largest epsilon at delta that so many right guesses exclude; 0 if none."""
    return largest(lambda one: _chance(found, one, delta) < ERROR, LARGEST)


def _chance(found: Guesses, epsilon: float, delta: float) -> float:
    """How likely as many right guesses are at most, of (epsilon, delta)-DP."""
    p, right = expit(epsilon), found.right
    if not delta:
        return float(bdtrc(right - 1, found.guesses, p))
    tails = bdtrc(np.arange(right - 1, -2, -1), found.guesses, p)  # at least so many: right, ..., 0
    most = ((tails[1:] - tails[0]) / np.arange(1, right + 1)).max(initial=0.0)
    return float(min(1.0, tails[0] + most * 2 * found.points * delta))
