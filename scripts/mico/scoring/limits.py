"""Limits of a probability from how often something happened."""

import numpy as np
from scipy.special import betaincinv

from mico.scoring import curves

TAIL = (1 - curves.CONFIDENCE) / 2


def clopper_pearson(
    hits: np.ndarray, trials: np.ndarray | int, tail: float = TAIL
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper limit (...) of a probability; each errs with this chance at most.

    Args:
        hits: (...) of so many independent trials; without any, the limits are 0 and 1.
    """
    misses = trials - hits
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), misses + 1, tail), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1), 1 - tail), 1.0)
    return low, high
