"""Upper limits on any attack's TPR at an FPR, from what a scenario's training spends.

The attacker tells models that trained with a point from those that trained without it (add/remove
adjacency), each of T steps taking the point with probability q and adding Gaussian noise sigma, in
units of the clipping norm.
"""

import math

import numpy as np
from dp_accounting.pld.pld_pmf import create_pmf_pessimistic_connect_dots_fixed_gap
from dp_accounting.pld.privacy_loss_mechanism import AdjacencyType, GaussianPrivacyLoss
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from mico.privacy.budget import Privacy
from mico.scoring.metrics import FPRS

LOWEST_FPR = 1e-5
STEP = 5e-4  # of privacy losses; at the published sizes finer ones lower the bound by < 0.0002


def rates() -> np.ndarray:
    """The FPRs (F,) of the curves: 20 a decade, and the published ones exactly."""
    even = np.geomspace(LOWEST_FPR, 1, 1 - 20 * round(math.log10(LOWEST_FPR)))
    return np.union1d([float(f"{rate:.6g}") for rate in even], FPRS)


def bound(sample_rate: float, steps: int, sigma: float, fpr: np.ndarray) -> np.ndarray:
    """The largest TPR (F,) of an attacker who sees the noisy sums of all steps.

    These are at best drawn from P, the T-fold product of (1 - q) N(0, sigma^2) + q N(1, sigma^2),
    with the point, and from Q, that of N(0, sigma^2), without (Zhu et al. 2022, arXiv 2106.08567).
    For a set S of them with FPR = Q(S) and TPR = P(S), and any epsilon >= 0,

        TPR <= e^epsilon FPR + max_S (P(S) - e^epsilon Q(S))
        1 - FPR <= e^epsilon (1 - TPR) + max_S (Q(S) - e^epsilon P(S))

    and the least of these limits is the trade-off function of P and Q (Dong et al. 2022, arXiv
    1905.02383). The maxima, hockey-stick divergences, are those of discrete privacy losses
    that tell more than the true ones (Doroshenko et al. 2022, arXiv 2207.04380), so that the result
    is never too low.
    """
    epsilons = np.arange(math.ceil(-math.log(fpr.min()) / STEP) + 1) * STEP
    growth = np.exp(epsilons)[:, None]

    def divergences(direction: AdjacencyType) -> np.ndarray:
        loss = GaussianPrivacyLoss(sigma, sampling_prob=sample_rate, adjacency_type=direction)
        ends = loss.connect_dots_bounds()
        low, high = math.floor(ends.epsilon_lower / STEP), math.ceil(ends.epsilon_upper / STEP)
        deltas = loss.get_delta_for_epsilon(np.arange(low, high + 1) * STEP)
        step = create_pmf_pessimistic_connect_dots_fixed_gap(STEP, low, high, deltas)
        return np.asarray(step.self_compose(steps).get_delta_for_epsilon(epsilons))[:, None]

    called = (growth * fpr + divergences(AdjacencyType.REMOVE)).min(axis=0)
    spared = (1 - (1 - fpr - divergences(AdjacencyType.ADD)) / growth).min(axis=0)
    return np.asarray(np.clip(np.minimum(called, spared), fpr, 1))


def heuristic(sample_rate: float, steps: int, sigma: float, fpr: np.ndarray) -> np.ndarray:
    """The largest TPR (F,) of an attacker who sees the sum of all steps only.

    It is Bin(T, q) + N(0, sigma^2 T) with the point and N(0, sigma^2 T) without: what the last
    weights tell if the loss is linear in them, and in practice more than attacks find (Steinke et
    al. 2025, arXiv 2410.06186). At y the likelihood ratio is the mean of
    exp((2 k y - k^2) / (2 sigma^2 T)) over k from Bin(T, q). No term falls with y, as no k is
    negative, so the most powerful test calls those above a threshold (Neyman and Pearson 1933).
    """
    counts = np.arange(steps + 1)
    chances = binom.pmf(counts, steps, sample_rate)
    seen = chances > 0  # not below the smallest number there is
    shifts = counts[seen, None] / (sigma * math.sqrt(steps))
    return np.asarray(np.clip(chances[seen] @ ndtr(ndtri(fpr) + shifts), fpr, 1))


def ceilings(privacy: Privacy) -> dict[str, list[float]]:
    """Both limits at all FPRs, `fpr`, `bound` and `heuristic`; all empty without DP."""
    if privacy.noise_multiplier is None:
        return {"fpr": [], "bound": [], "heuristic": []}
    fpr = rates()
    spent = privacy.sample_rate, privacy.steps, privacy.noise_multiplier
    curves = {"fpr": fpr, "bound": bound(*spent, fpr), "heuristic": heuristic(*spent, fpr)}
    return {name: values.tolist() for name, values in curves.items()}
