"""Models of anybody's as files of weights, and a table of which records each was trained on.

The weights are a folder of `model_0.pt`, `model_1.pt` and so on, state dicts, or of folders
`model_0` with the files of a released model. The table has a row for each model, in the order of
their numbers, and a column for each record of the data set: an .npy, an .npz with `trained` or
`keep`, or a .csv of 0 and 1.
"""

import re
from pathlib import Path

import numpy as np

from mico.attacks.computing import array_files
from mico.support.arrays import Bools
from mico.support.errors import InputError, shown

NAME = re.compile(r".*?([0-9]+)(?:\.pt)?", re.DOTALL)


def models(folder: Path) -> list[Path]:
    """The files or folders of the models, in the order of their numbers.

    Raises:
        InputError: the folder cannot be read, or a name has no number, or two have the same.
    """
    try:
        paths = [path for path in folder.iterdir() if path.is_dir() or path.suffix == ".pt"]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None
    found: dict[int, Path] = {}
    for path in sorted(paths):
        match = NAME.fullmatch(path.name)
        if not match or not match[1].isascii():
            raise InputError(f"{folder}: {shown(path.name)}: expected model_0.pt or model_0")
        if (other := found.setdefault(int(match[1]), path)) != path:
            raise InputError(f"{folder}: {other.name} and {path.name} have the same number")
    if not found:
        raise InputError(f"{folder}: no models in it, expected model_0.pt or model_0")
    return [found[number] for number in sorted(found)]


def read_members(path: Path, count: int, records: int) -> Bools:
    """Which records each model was trained on (models, records).

    Args:
        count: how many models there are; records: how many the data set has.

    Raises:
        InputError: it cannot be read, has another shape, or holds something but 0 and 1.
    """
    if path.suffix == ".csv":
        try:
            table = np.loadtxt(path, delimiter=",", ndmin=2)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:100]
            raise InputError(f"{path}: expected rows of 0 and 1 ({reason})") from None
    else:
        table = array_files.memberships(path)
    if table.shape != (count, records):
        expected = f"({count}, {records}): a row for each model, a column for each record"
        raise InputError(f"{path}: shape {table.shape}, expected {expected}")
    if table.dtype.kind not in "biuf" or not np.isin(table, (0, 1)).all():
        raise InputError(f"{path}: expected 0 and 1, or true and false")
    return table.astype(bool)
