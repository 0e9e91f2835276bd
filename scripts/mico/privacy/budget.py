"""What a scenario's training spends: sample rate, steps, noise and budget."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from mico.support.atomic import atomic_file

# An accountant's time and memory grow with epsilon; beyond this nothing is private anyway.
LARGEST_EPSILON = 100


def sampling(n: int, batch_size: int, epochs: int) -> tuple[float, int]:
    """The sample rate q = 1 / ceil(n / L), not exactly L / n, and the steps ceil(n / L) epochs."""
    steps = math.ceil(n / batch_size)
    return 1 / steps, steps * epochs


@dataclass(frozen=True)
class Privacy:
    """What a scenario's training spends; all but q and the steps None without DP."""

    sample_rate: float
    steps: int
    noise_multiplier: float | None = None
    epsilon: float | None = None
    delta: float | None = None


def write(path: Path, privacy: Privacy) -> None:
    """Write a small JSON file."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(asdict(privacy), indent=2) + "\n")


def read(path: Path) -> Privacy:
    """Read what `write` wrote."""
    return Privacy(**json.loads(path.read_text()))
