"""What a scenario's training spends: sample rate, steps, noise and budget."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from mico.support import json_files
from mico.support.errors import InputError

# An accountant's time and memory grow with epsilon; beyond this nothing is private anyway.
LARGEST_EPSILON = 100


def sampling(n: int, batch_size: int, epochs: int, drop_last: bool = False) -> tuple[float, int]:
    """The sample rate q and the steps of a private training.

    An epoch has ceil(n / L) steps with q = 1 / ceil(n / L), not exactly L / n, as Opacus's data
    loader has them. With `drop_last` it has floor(n / L) steps with q = L / n.
    """
    if drop_last:
        return batch_size / n, n // batch_size * epochs
    steps = math.ceil(n / batch_size)
    return 1 / steps, steps * epochs


@dataclass(frozen=True)
class Privacy:
    """What a scenario's training spends; all but q and the steps are None without DP."""

    sample_rate: float  # q, the chance of a record to be in a batch
    steps: int
    noise_multiplier: float | None = None  # sigma, in units of the clipping norm
    epsilon_spent: float | None = None  # at delta, by the accountant; the target may be larger
    delta: float | None = None


def write(path: Path, privacy: Privacy) -> None:
    """Write privacy.json."""
    json_files.write(path, asdict(privacy), indent=2)


def read(path: Path) -> Privacy:
    """Read what `write` wrote.

    Raises:
        InputError: the file is not of that form.
    """
    try:
        return Privacy(**json_files.read(path))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: expected what training spends: {error}") from None
