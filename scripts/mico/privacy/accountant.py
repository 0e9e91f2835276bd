"""The noise that a privacy budget asks for, by Opacus's PRV accountant as in the competition.

Opacus takes seconds to import, and only what is private needs it.
"""

import warnings

from mico.privacy.budget import LARGEST_EPSILON, Privacy, sampling
from mico.support.errors import InputError

# The competition's settings: the PRV accountant (Gopi et al. 2021, arXiv 2106.02848) may err by
# EPS_ERROR on epsilon, and its upper bound is what counts.
EPS_ERROR = 0.1
LARGEST_NOISE = 1e6  # Opacus's own bound


def account(
    n: int,
    batch_size: int,
    epochs: int,
    delta: float | None,
    epsilon: float | None = None,
    noise_multiplier: float | None = None,
    drop_last: bool = False,
) -> Privacy:
    """The noise multiplier for a target epsilon, or the epsilon of a noise multiplier.

    Args:
        n: records in the training set; batch_size: the expected size L of a Poisson sample.
        epsilon, noise_multiplier: at most one; with neither, training is not private.
        drop_last: see `mico.privacy.budget.sampling`.

    Raises:
        InputError: epsilon outside (0, 100], delta outside (0, 1), a noise multiplier of 0 or
            below, or an epsilon that no sigma reaches.
    """
    sample_rate, steps = sampling(n, batch_size, epochs, drop_last)
    if epsilon is None and noise_multiplier is None:
        return Privacy(sample_rate, steps)
    if delta is None or not 0 < delta < 1:
        raise InputError(f"delta {delta}: expected a number between 0 and 1")
    if noise_multiplier is not None and not 0 < noise_multiplier <= LARGEST_NOISE:
        raise InputError(
            f"noise_multiplier {noise_multiplier}: expected a number in (0, {LARGEST_NOISE:g}]"
        )
    if epsilon is not None and not 0 < epsilon <= LARGEST_EPSILON:
        raise InputError(f"epsilon {epsilon}: expected a number in (0, {LARGEST_EPSILON}]")
    try:
        with warnings.catch_warnings():
            # Far from the answer, the search meets orders and exponents that do not matter.
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.filterwarnings("ignore", "Optimal order is the ", UserWarning)
            if noise_multiplier is None:
                from opacus.accountants.utils import get_noise_multiplier

                noise_multiplier = get_noise_multiplier(
                    target_epsilon=epsilon,
                    target_delta=delta,
                    sample_rate=sample_rate,
                    steps=steps,
                    accountant="prv",
                    eps_error=EPS_ERROR,
                )
            elif _spent_rdp(noise_multiplier, sample_rate, steps, delta) > 10 * LARGEST_EPSILON:
                raise ValueError("far too little noise")
            spent = _spent(noise_multiplier, sample_rate, steps, delta)
    except (ValueError, RuntimeError, ArithmeticError) as error:
        given = (
            f"epsilon {epsilon}" if epsilon is not None else f"noise_multiplier {noise_multiplier}"
        )
        raise InputError(
            f"{given} at delta {delta}: no noise multiplier reaches it, or none that the "
            f"accountant can take ({error})"
        ) from None
    return Privacy(sample_rate, steps, noise_multiplier, spent, delta)


def _spent(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    return float(accountant.get_epsilon(delta, eps_error=EPS_ERROR))


def _spent_rdp(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """A looser bound that costs nothing, where PRV's memory would grow without bound."""
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    return float(accountant.get_epsilon(delta))
