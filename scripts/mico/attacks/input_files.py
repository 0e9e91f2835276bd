"""Reading the files that an input consists of."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from mico.support import arrays
from mico.support.arrays import T
from mico.support.errors import InputError


def read_one(paths: Sequence[Path], kind: type[T], what: str) -> T:
    """Read the dataclass of arrays that all of an input is.

    Args:
        what: the input in words, for the error.

    Raises:
        InputError: there are several files, or it is missing or is another.
    """
    if len(paths) != 1:
        raise InputError(f"{paths[1]}: expected one file of {what}")
    return arrays.read(paths[0], kind, what)


def read_shards(paths: Sequence[Path], kind: type[T], what: str) -> T:
    """Read the files of several shards as one: each array joined along its first dimension.

    Raises:
        InputError: a file is missing or is another, or two do not fit together.
    """
    parts = [arrays.read(path, kind, what) for path in paths]
    joined = {}
    for name in (field.name for field in fields(kind)):
        of_parts = [getattr(part, name) for part in parts]
        for path, array in zip(paths, of_parts, strict=True):
            if array.shape[1:] != of_parts[0].shape[1:]:
                raise InputError(
                    f"{path}: {name} of shape {array.shape}, {paths[0]} of {of_parts[0].shape}"
                )
        joined[name] = np.concatenate(of_parts)
    return kind(**joined)
