"""What a data format gives: records and labels, before they are stored."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Raw:
    """The records of a data set, and where they came from."""

    # Bits packed (N, ceil(d / 8)) uint8, numbers (N, d) float32, pixels (N, d) uint8, or N
    # sentences.
    records: np.ndarray | list[str]
    labels: np.ndarray  # (N,) uint8, from 0
    source: str  # for people: file names, or how they were generated
    kind: str  # one of mico.data.store.KINDS
    classes: int
    features: int | None = None  # d; of sentences their tokens decide
    # Of images, as mico.data.store.Description has them.
    shape: tuple[int, int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    # Where the file says them, as mico.data.store.Description has them.
    class_names: list[str] | None = None
    columns: list[dict[str, Any]] | None = None
