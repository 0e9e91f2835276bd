"""What every attack starts from: the released models' outputs on all challenge points."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mico.support import arrays


@dataclass(frozen=True)
class Signals:
    """Outputs of M models, of which the first S are train models, on U records.

    The records are all that are a challenge point of some model. Higher is more member-like. K
    shared reference models, which a participant may have added, come after the M.
    """

    loss: np.ndarray  # (M + K, U) float64, log p_y: minus the cross-entropy loss
    # (M + K, U) float64, log p_y - log(sum over c != y of p_c), from the logits
    margin: np.ndarray
    # (S + K, U) bool: the shadow model's training set holds the record
    trained: np.ndarray
    challenge: np.ndarray  # (M, 2m) int64: columns of the model's challenge points, in order

    @property
    def train_models(self) -> int:
        """S."""
        return len(self.trained) - (len(self.loss) - len(self.challenge))

    @property
    def shadows(self) -> np.ndarray:
        """Which rows are shadow models (S + K,): train models and shared reference models."""
        rows = np.arange(len(self.loss))
        return np.concatenate([rows[: self.train_models], rows[len(self.challenge) :]])

    def signal(self, name: str) -> np.ndarray:
        """A signal (M + K, U) by name: loss, conf (the probability p_y) or margin."""
        return by_name(self.loss, self.margin, name)


SIGNALS = ("loss", "conf", "margin")


def by_name(loss: np.ndarray, margin: np.ndarray, name: str) -> np.ndarray:
    """One of `SIGNALS` of models whose losses and margins are given."""
    return margin if name == "margin" else np.exp(loss) if name == "conf" else loss


def read(path: Path) -> Signals:
    """Read a file of `Signals`.

    Raises:
        InputError: the file is missing or is another.
    """
    return arrays.read(path, Signals, "signals")
