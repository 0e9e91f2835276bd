"""Memberships found whole, by their seed: an attack on the generator, not on the training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mico.attacks.given.signals import Signals
from mico.support.arrays import Bools, Floats
from mico.support.errors import InputError
from mico.support.progress import Meter

BINS = 32  # of an attack's scores, equally many in each
LEAST = 50  # scores in a bin


@dataclass(frozen=True)
class Options:
    """How many seeds to try.

    bits: seeds below 2^bits, 1 to 32. The published generator takes 32 bits of a seed; fewer are
        for an exercise whose seeds are small.
    """

    takes_shared_references: ClassVar = False
    bits: int = 32

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 32:
            raise InputError(f"bits {self.bits}: expected 1 to 32")


def scores(signals: Signals, others: Mapping[str, Floats], options: Options) -> tuple[Floats, str]:
    """A model's membership where a seed is likelier than all others together, and a note.

    Where no seed is, the scores are those of the attack whose scores say most of train models.
    Train models, whose seeds are known, are left out.

    Args:
        others: predictions (M, 2m) of the other attacks by name, in [0, 1].
    """
    from mico.attacks import seed_search  # which compiles, and only who runs it needs that
    from mico.challenge import splits

    name, evidence = strongest(signals, others)
    targets = evidence[signals.train_models :]
    meter = Meter("seeds", 1 << options.bits)
    found = seed_search.members(
        targets,
        options.bits,
        lambda tried: meter.update(tried, lambda rate: f"{rate / 1e6:.2f} million a second"),
    )
    result = np.where(np.isnan(evidence), np.nan, others[name])
    result[: signals.train_models] = np.nan
    sure = found.log_odds > 0
    for model in np.flatnonzero(sure):
        row = result[signals.train_models + model]
        row[:] = -1  # below all predictions, as 2 is above them
        row[splits.members(len(row) // 2, int(found.seeds[model]))] = 2
    meter.finish(f"{1 << options.bits} tried, {sure.sum()} of {len(sure)} found")
    note = f"found {sure.sum()} of {len(sure)} seeds by the scores of {name}"
    return result, f"{note}: it attacks the generator of memberships, not the training"


def strongest(signals: Signals, others: Mapping[str, Floats]) -> tuple[str, Floats]:
    """The attack whose scores say most of train models, and its evidence (M, 2m).

    The evidence of a score is the logarithm of how many members over how many non-members have such
    a one among the train models. Most is said where members and non-members are likeliest by it.

    Raises:
        InputError: every attack leaves out train models.
    """
    shadows = signals.train_models
    membership = np.take_along_axis(signals.trained[:shadows], signals.challenge[:shadows], axis=1)
    found = {
        name: evidence_of(predictions, membership)
        for name, predictions in others.items()
        if not np.isnan(predictions[:shadows]).any()
    }
    if not found:
        raise InputError("no other attack has predictions for all train models, expected one")
    sign = np.where(membership, 1, -1)
    told = {
        name: -np.logaddexp(0, -sign * values[:shadows]).mean() for name, values in found.items()
    }
    name = max(told, key=lambda one: told[one])
    return name, found[name]


def evidence_of(predictions: Floats, membership: Bools) -> Floats:
    """The evidence (M, R) of each score, on a line between the middles of bins of known models'.

    Args:
        predictions: (M, R) scores, higher for members.
        membership: (K, R) the truth of the first K models.
    """
    known = predictions[: len(membership)]
    order = np.argsort(known, axis=None, kind="stable")
    bins = np.array_split(order, max(2, min(BINS, len(order) // LEAST)))
    inside = np.array([membership.flat[one].sum() for one in bins])
    outside = np.array([len(one) for one in bins]) - inside
    # One more in each bin, so that none says that something cannot be.
    rates = [(side + 1) / (side.sum() + len(bins)) for side in (inside, outside)]
    middles = np.array([np.median(known.flat[one]) for one in bins])
    values: Floats = np.interp(predictions, middles, np.log(rates[0] / rates[1]))
    return values
