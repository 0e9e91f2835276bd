"""Which models are released with their memberships (train) and which are to be attacked."""

from dataclasses import astuple, dataclass
from typing import Annotated

from pydantic import Field

from mico.support.errors import InputError

MOST = 1_000_000  # beyond which planning alone would take days
PHASES = ("train", "dev", "final")


@dataclass(frozen=True)
class Phases:
    """How many models each phase has; model numbers run on from train through dev to final."""

    train: Annotated[
        int, Field(ge=2, le=MOST, description="models that are released with their memberships")
    ]
    dev: Annotated[
        int, Field(ge=1, le=MOST, description="models that are scored while a competition runs")
    ]
    final: Annotated[int, Field(ge=1, le=MOST, description="models that decide who has won")]

    def __post_init__(self) -> None:
        if self.train < 2 or min(self.dev, self.final) < 0:
            raise InputError(f"{self}: expected at least 2 train models, and no fewer than 0")
        if max(astuple(self)) > MOST:
            raise InputError(f"{self}: expected at most {MOST:,} of each")

    @property
    def models(self) -> int:
        """The number of models in all."""
        return sum(astuple(self))

    def of(self, phase: str) -> range:
        """The model numbers of a phase, in order."""
        start = sum(astuple(self)[: PHASES.index(phase)])
        return range(start, start + getattr(self, phase))

    def named(self) -> list[tuple[str, int]]:
        """All models in order, as (phase, model number)."""
        return [(phase, model) for phase in PHASES for model in self.of(phase)]
