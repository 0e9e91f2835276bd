"""A dataclass of arrays as one .npz file."""

import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mico.support.atomic import atomic_file
from mico.support.errors import AGAIN, InputError

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
        InputError: the file is missing, damaged or another.
    """
    try:
        opened = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: not a file of {what} ({error.strerror})") from None
    with opened:
        try:
            # The archive has a checksum of each array, which numpy does not always come to.
            with zipfile.ZipFile(opened) as archive:
                wrong = archive.testzip()
            if wrong:
                raise ValueError(f"{wrong} is not as its checksum says")
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as file:
                if set(file.files) != (names := {field.name for field in fields(kind)}):
                    raise ValueError(f"it has {', '.join(sorted(file.files))}")
                return kind(**{name: file[name] for name in names})
        except Exception as error:  # what zip and numpy raise depends on which bytes are wrong
            reason = " ".join((str(error) or type(error).__name__).split())
            raise InputError(
                f"{path}: not a file of {what} ({reason}); if it is damaged, {AGAIN}"
            ) from None
