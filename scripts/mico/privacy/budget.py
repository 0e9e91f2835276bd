"""What a scenario's training spends: sample rate, steps, noise and budget."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from mico.support import json_files, records
from mico.support.errors import InputError
from mico.support.records import CONFIG

# An accountant's time and memory grow with epsilon; beyond this nothing is private anyway.
LARGEST_EPSILON = 100
AboveZero = Annotated[float | None, Field(gt=0)]


def sampling(n: int, batch_size: int, epochs: int, drop_last: bool = False) -> tuple[float, int]:
    """The sample rate q and the steps of a private training.

    An epoch has ceil(n / L) steps with q = 1 / ceil(n / L), not exactly L / n, as Opacus's data
    loader has them. With `drop_last` it has floor(n / L) steps with q = L / n.
    """
    if drop_last:
        return batch_size / n, n // batch_size * epochs
    steps = math.ceil(n / batch_size)
    return 1 / steps, steps * epochs


@dataclass(frozen=True, config=CONFIG)
class Privacy:
    """What a scenario's training spends; all but q and the steps are None without DP."""

    sample_rate: Annotated[float, Field(gt=0, le=1)]  # q, the chance of a record to be in a batch
    steps: Annotated[int, Field(ge=0)]
    noise_multiplier: AboveZero = None  # sigma, in units of the clipping norm
    # At delta, by the accountant; the target may be larger.
    epsilon_spent: Annotated[float | None, Field(ge=0)] = None
    delta: AboveZero = None


def write(path: Path, privacy: Privacy) -> None:
    """Write privacy.json."""
    json_files.write(path, asdict(privacy), indent=2)


def read(path: Path) -> Privacy:
    """Read what `write` wrote.

    Raises:
        InputError: the file is not of that form.
    """
    where = f"{path}: expected what training spends: "
    try:
        content = json_files.read(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{where}{error}") from None
    return records.build(Privacy, content, where)
