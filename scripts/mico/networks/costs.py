"""What a network of somebody's own takes of time and memory, as measured when it is first used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from mico.support import records
from mico.support.records import CONFIG


@dataclass(frozen=True)
class Rates:
    """Seconds that a network takes on the device that a job has."""

    record: float  # to train on a record
    step: float  # for each step of training besides, however few the records
    forward: float  # to compute a record's outputs


@checked(frozen=True, config=CONFIG)
class Costs:
    """What training a few steps took, and running the network."""

    record_seconds: Annotated[float, Field(gt=0)]  # to train on a record, its part of a step's own
    forward_seconds: Annotated[float, Field(gt=0)]  # to compute a record's outputs
    mb: Annotated[int, Field(gt=0)]  # MiB of the process at its largest

    @property
    def rates(self) -> Rates:
        """The seconds, as estimates want them."""
        return Rates(self.record_seconds, 0.0, self.forward_seconds)


def read(path: Path) -> Costs:
    """Read them.

    Raises:
        InputError: the file is damaged.
    """
    return records.read(Costs, path.read_text(encoding="utf-8"), f"{path}: ")
