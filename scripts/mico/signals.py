"""What every attack starts from: the released models' outputs on all challenge points."""

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from mico.atomic import atomic_file
from mico.command_line import InputError


@dataclass(frozen=True)
class Signals:
    """Outputs of M models, of which the first S are train models, on U records.

    The records are all that are a challenge point of some model. Higher is more member-like.
    """

    loss: np.ndarray  # (M, U) float64, log p_y: minus the cross-entropy loss
    margin: np.ndarray  # (M, U) float64, log p_y - log(sum over c != y of p_c), from the logits
    trained: np.ndarray  # (S, U) bool: the train model's training set holds the record
    challenge: np.ndarray  # (M, 2m) int64: columns of the model's challenge points, in order

    def signal(self, name: str) -> np.ndarray:
        """A signal (M, U) by name: loss, conf (the probability p_y) or margin."""
        return (
            np.exp(self.loss)
            if name == "conf"
            else {"loss": self.loss, "margin": self.margin}[name]
        )


SIGNALS = ("loss", "conf", "margin")


def write(path: Path, signals: Signals) -> None:
    """Write an .npz with the fields of `Signals`."""
    arrays = {field.name: getattr(signals, field.name) for field in fields(signals)}
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read(path: Path) -> Signals:
    """Read what `write` wrote.

    Raises:
        InputError: the file is missing or is another.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return Signals(**{field.name: file[field.name] for field in fields(Signals)})
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a file of signals ({error})") from None
