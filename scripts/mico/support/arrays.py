"""A dataclass of arrays as one .npz file."""

from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mico.support.atomic import atomic_file
from mico.support.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Dataclass(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=Dataclass)


def write(path: Path, record: Dataclass) -> None:
    """Write a dataclass of arrays as an .npz file of its fields."""
    arrays = {field.name: getattr(record, field.name) for field in fields(record)}
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read(path: Path, kind: type[T], what: str) -> T:
    """Read a dataclass of arrays from a file that `write` wrote.

    Args:
        kind: the dataclass; what: it in words, for the error.

    Raises:
        InputError: the file is missing or is another.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if set(file.files) != (names := {field.name for field in fields(kind)}):
                raise ValueError(f"it has {', '.join(sorted(file.files))}")
            return kind(**{name: file[name] for name in names})
    except Exception as error:  # what zip and numpy raise depends on which bytes are wrong
        raise InputError(f"{path}: not a file of {what} ({error})") from None
