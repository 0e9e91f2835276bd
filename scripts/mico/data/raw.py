"""What a data format gives: records and labels, before they are stored."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Raw:
    """The records of a data set, and where they came from."""

    # Bits packed (N, ceil(d / 8)) uint8, pixels (N, d) uint8, or N sentences.
    records: np.ndarray | list[str]
    labels: np.ndarray  # (N,) uint8, from 0
    source: str  # for people: file names, or how they were generated
