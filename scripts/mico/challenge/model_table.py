"""The table beside a shard of trained models: a row for each, with a hash of its files."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mico.support import tables
from mico.support.errors import damaged

# A hash of all that decided what a model became, and one of its files.
IDENTITY, DIGEST = "identity", "files"
SCENARIO = "scenario"
COLUMNS = (
    *(SCENARIO, "model", "training_accuracy", "evaluation_accuracy", "seconds", "device"),
    *(IDENTITY, DIGEST),
)
REMEDY = "delete it and the folder of its name, which are made together, and run again"


def path_of(shard: Path) -> Path:
    """The table of a shard, beside its folder."""
    return shard.parent / f"{shard.name}.csv"


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows of a shard's models; they have all of `COLUMNS`."""
    tables.write(path, COLUMNS, rows)


def read(path: Path) -> dict[int, dict[str, str]]:
    """The rows of a shard's models, by number.

    Raises:
        InputError: the file cannot be read, is not such a table, or is damaged.
    """
    rows = {}
    for row in tables.read(path, ("model", DIGEST), REMEDY):
        if not row["model"].isdecimal():
            raise damaged(path, "a model without a number", REMEDY)
        rows[int(row["model"])] = row
    return rows
