"""What a scenario's training spends: sample rate, steps, noise and budget."""

import json
import math
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

from mico.support.atomic import atomic_file
from mico.support.errors import InputError, shown, unknown_key

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
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(asdict(privacy), indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> Privacy:
    """Read what `write` wrote.

    Raises:
        InputError: the file is not of that form.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        _check(values)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected what training spends: {error}") from None
    return Privacy(**values)


def _check(values: object) -> None:
    """Refuse with a ValueError what is no `Privacy`."""
    if not isinstance(values, dict):
        raise ValueError(f"{shown(values)} is no object")
    known = {field.name: field.default for field in fields(Privacy)}
    for key in values:
        if key not in known:
            raise ValueError(unknown_key(key, known))
    for key, default in known.items():
        value = values.get(key, default)
        kind = int if key == "steps" else int | float
        if value is MISSING:
            raise ValueError(f"missing key {key!r}")
        if value is None and default is None:
            continue
        if isinstance(value, bool) or not isinstance(value, kind) or not 0 <= value < math.inf:
            raise ValueError(f"{key}: {shown(value)}: expected a number from 0")
