"""What every attack starts from: the released models' outputs on all challenge points."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mico.attacks.input_files import read_one
from mico.challenge.phases import Phases
from mico.support.arrays import Bools, Floats, Ints
from mico.support.errors import InputError


@dataclass(frozen=True)
class Signals:
    """Outputs of M models, of which the first S are train models, on U records.

    The records are all that are a challenge point of some model. Higher is more member-like. K
    shared reference models, which a participant may have added, come after the M.
    """

    loss: Floats  # (M + K, U) log p_y: minus the cross-entropy loss
    # (M + K, U) log p_y - log(sum over c != y of p_c), from the logits
    margin: Floats
    trained: Bools  # (S + K, U): the shadow model's training set holds the record
    challenge: Ints  # (M, 2m): columns of the model's challenge points, in order

    @property
    def train_models(self) -> int:
        """S."""
        return len(self.trained) - (len(self.loss) - len(self.challenge))

    @property
    def shadows(self) -> Ints:
        """Which rows are shadow models (S + K,): train models and shared reference models."""
        rows = np.arange(len(self.loss))
        return np.concatenate([rows[: self.train_models], rows[len(self.challenge) :]])

    def signal(self, name: str) -> Floats:
        """A signal (M + K, U) by name: loss, conf (the probability p_y) or margin."""
        return by_name(self.loss, self.margin, name)


SIGNALS = ("loss", "conf", "margin")


def by_name(loss: Floats, margin: Floats, name: str) -> Floats:
    """One of `SIGNALS` of models whose losses and margins are given."""
    return margin if name == "margin" else np.exp(loss) if name == "conf" else loss


def read(paths: Sequence[Path], phases: Phases) -> Signals:
    """Read the one file of signals.

    Raises:
        InputError: it is missing or is another, or is not of a challenge of these phases.
    """
    found = read_one(paths, Signals, "signals")
    size, expected = (found.train_models, len(found.challenge)), (phases.train, phases.models)
    if size != expected:
        raise InputError(
            f"{paths[0]}: {size[1]} models, {size[0]} of train;"
            f" expected {expected[1]}, {expected[0]} of train"
        )
    return found
