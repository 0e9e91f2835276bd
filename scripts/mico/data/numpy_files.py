"""Arrays from an .npz, which are checked before memory is taken for them: records and labels."""

import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mico.data.appearance import likely
from mico.support.errors import InputError, shown

# What the arrays are usually called; the first that is there is taken.
RECORDS = ("x", "X", "images", "features", "data", "arr_0")
LABELS = ("y", "Y", "labels", "label", "target", "targets", "arr_1")
# A .zip packs nothing more tightly.
RATIO = 1100
# Its header begins so.
ZIP = b"PK"


def read(path: Path, records: str | None, labels: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The array of records and that of labels.

    Args:
        records, labels: their names; else the usual ones.

    Returns:
        records (N, ...) of any type but objects, and labels (N,), numbers or strings.

    Raises:
        InputError: names the file and the array, what was found, and what was expected.
    """
    chosen: list[str] = []

    def choose(there: list[str]) -> list[str]:
        chosen.append(_chosen(path, there, records, RECORDS, "array"))
        chosen.append(_chosen(path, there, labels, LABELS, "label"))
        return chosen

    found, answers = load(path, choose)
    where = f"{path}: {chosen[1]}"
    if answers.ndim == 2 and answers.shape[1] == 1:
        answers = answers[:, 0]
    if answers.ndim != 1:
        one_hot = answers.ndim == 2 and answers.dtype.kind in "biuf"
        cause = ": this looks one-hot: take its argmax(1)" if one_hot else ""
        raise InputError(f"{where}: shape {answers.shape}, expected (records,){cause}")
    if found.ndim < 2 or not found.size:
        raise InputError(f"{path}: {chosen[0]}: shape {found.shape}, expected (records, ...)")
    if len(found) != len(answers):
        raise InputError(f"{where}: {len(answers):,} labels of {len(found):,} records")
    return found, _labels(answers, where)


def load(path: Path, choose: Callable[[list[str]], Sequence[str]]) -> list[np.ndarray]:
    """Some arrays, of any type but objects.

    Args:
        choose: which, of the names of those that are there; it may refuse the file.

    Raises:
        InputError: it is no .npz, or names the array that is damaged or not as its header says.
    """
    hint = likely(path, ZIP)
    if hint:
        raise InputError(f"{path}: not an .npz{hint}")
    try:
        with zipfile.ZipFile(path) as archive:
            chosen = choose([name.removesuffix(".npy") for name in archive.namelist()])
            for name in chosen:
                _check(path, archive, name)
        with np.load(path, allow_pickle=False) as loaded:
            return [loaded[name] for name in chosen]
    except (InputError, MemoryError):
        raise
    except Exception as error:  # what numpy and zip raise depends on which bytes are wrong
        reason = " ".join((str(error) or type(error).__name__).split())
        raise InputError(f"{path}: not a whole .npz ({shown(reason)})") from None


def _chosen(
    path: Path, there: list[str], given: str | None, usual: tuple[str, ...], key: str
) -> str:
    """The name of an array: the one that is given, or the first usual one that is there."""
    for name in [given] if given is not None else usual:
        if name in there:
            return name
    found = ", ".join(shown(name) for name in there[:10]) or "nothing"
    expected = shown(given) if given is not None else f"{', '.join(usual)}, or the key `{key}`"
    raise InputError(f"{path}: {found} in it, expected {expected}")


def _check(path: Path, archive: zipfile.ZipFile, name: str) -> None:
    """Refuse an array that is not as long as its header says, is damaged, or holds objects."""
    where = f"{path}: {name}"
    about = archive.getinfo(f"{name}.npy")
    if about.file_size > RATIO * max(1, about.compress_size):
        raise InputError(f"{where}: {about.file_size:,} bytes, which so small a file cannot hold")
    with archive.open(about) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        shape, _, kind = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
        if kind.hasobject:
            raise InputError(f"{where}: an array of objects, which is a pickle and never read")
        size = math.prod(shape) * kind.itemsize
        held = about.file_size - file.tell()
        if size != held:
            says = f"its header says {size:,}: shape {shown(shape)} of {kind}"
            raise InputError(f"{where}: {held:,} bytes, but {says}")
        while file.read(1 << 20):  # to the end, where the zip's own check is
            pass


def _labels(found: np.ndarray, where: str) -> np.ndarray:
    """Labels as numbers or strings."""
    if found.dtype.kind in "SU":
        try:
            texts: np.ndarray = np.char.decode(found, "utf-8") if found.dtype.kind == "S" else found
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: {error}: expected text in UTF-8") from None
        if (gone := texts == "").any():
            raise InputError(f"{where}: row {int(gone.argmax()) + 1}: the label is empty")
        return texts
    if found.dtype.kind not in "biuf":
        raise InputError(f"{where}: {found.dtype}, expected numbers or strings")
    numbers = found.astype(np.float64)
    wrong: Any = ~np.isfinite(numbers)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{where}: row {row + 1}: {numbers[row]}, expected a label")
    return numbers
