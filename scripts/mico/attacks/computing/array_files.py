"""Outputs of models in files: an .npz, a folder of .npy, or a folder as LiRA's programs leave it.

An .npz or a folder holds `logits` (models, records, classes), `probabilities` of that shape, or
`scores` (models, records), LiRA's margins; `trained`, or LiRA's `keep`, (models, records); and
`labels` (records,), which scores can do without. Between records and classes there may be axes of
queries, of a record's augmented copies: the mean of their margins counts.

LiRA's programs leave a folder for each model, with `keep.npy`, and `scores.npy` or `logits.npy`, or
a folder `scores` or `logits` with a file for each epoch, of which the last counts. Labels are in
`labels.npy` or `y_train.npy` beside the models' folders.
"""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from mico.attacks.computing import from_arrays
from mico.attacks.computing.from_arrays import Outputs
from mico.support.errors import InputError

# The first that is there is taken.
OUTPUTS = ("scores", "logits", "probabilities")
TRAINED = ("trained", "keep")
LABELS = ("labels", "y_train")


def models(path: Path) -> int:
    """How many models there are, by the header of an array; a workflow that is planned looks.

    Raises:
        InputError: there is no such file or folder, an array that is needed is not in it, or there
            are too few models.
    """
    _, name, _ = _needed(path)
    if folders := _folders(path):
        found = len(folders)
    else:
        try:
            if path.is_dir():
                with _plain(path / f"{name}.npy").open("rb") as file:
                    shape = _shape(file)
            else:
                with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
                    shape = _shape(file)
        except Exception as error:
            raise _unreadable(f"{path}: {name}: expected an array", error) from None
        if len(shape) != 2:
            raise InputError(f"{path}: {name}: shape {shape}, expected (models, records)")
        found = shape[0]
    try:
        from_arrays.check_models(found)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return found


def memberships(path: Path) -> np.ndarray:
    """Who trained on what, as it lies in an .npz, or in an .npy of its own.

    Raises:
        InputError: it cannot be read.
    """
    return _load(path) if path.suffix == ".npy" else _array(path, _first(path, TRAINED))


def read(path: Path) -> Outputs:
    """Read the outputs of models.

    Raises:
        InputError: names the file and the array, what was found, and what was expected.
    """
    kind, members, named = _needed(path)
    outputs = _array(path, kind)
    trained = _array(path, members)
    if members == "keep" and trained.ndim == 2 and outputs.ndim > 1:
        # LiRA's may be of more records than it has looked at.
        trained = trained[:, : outputs.shape[1]]
    if trained.dtype.kind in "iu" and {*np.unique(trained).tolist()} <= {0, 1}:
        trained = trained.astype(bool)
    labels = None if named is None else _array(path, named)
    try:
        if not outputs.size:
            raise InputError(f"{kind}: shape {outputs.shape}, expected at least 1 on every axis")
        if kind == "scores":
            if outputs.ndim > 2 and outputs.dtype.kind in "fiu":
                outputs = outputs.reshape(*outputs.shape[:2], -1).mean(axis=2, dtype=np.float64)
            return from_arrays.from_margins(outputs, trained, labels)
        assert labels is not None
        make = from_arrays.from_logits if kind == "logits" else from_arrays.from_probabilities
        if outputs.ndim < 4:
            return make(outputs, labels, trained)
        queries = outputs.reshape(*outputs.shape[:2], -1, outputs.shape[-1])
        margins = [
            make(queries[:, :, query], labels, trained).signals.margin
            for query in range(queries.shape[2])
        ]
        return from_arrays.from_margins(np.mean(margins, axis=0), trained, labels)
    except InputError as error:
        # What has a name in the file is told of by that.
        what, colon, rest = str(error).partition(":")
        own = {"margins": kind, "trained": members, "labels": named}
        raise InputError(f"{path}: {own.get(what, what)}{colon}{rest}") from None


def _needed(path: Path) -> tuple[str, str, str | None]:
    """The names of the arrays to read: of outputs, of who trained on what, and of labels if any."""
    kind, trained = _first(path, OUTPUTS), _first(path, TRAINED)
    there = _names(path)
    labels = next((name for name in LABELS if name in there), None)
    if kind != "scores" and labels is None:
        raise InputError(f"{path}: {' or '.join(LABELS)}: missing, which {kind} need")
    return kind, trained, labels


def _first(path: Path, names: tuple[str, ...]) -> str:
    there = _names(path)
    for name in names:
        if name in there:
            return name
    found = ", ".join(sorted(there)) or "nothing"
    raise InputError(f"{path}: {found} in it, expected one of {', '.join(names)}")


def _names(path: Path) -> set[str]:
    """The names of the arrays that are there; of models' folders, those of the first."""
    if path.is_dir():
        files = [*path.glob("*.npy")]
        if folders := _folders(path):
            files += [*folders[0].glob("*.npy"), *folders[0].glob("*/*.npy")]
        stems = {file.stem for file in files}
        return stems | {file.parent.name for file in files if file.parent.parent in folders}
    try:
        with zipfile.ZipFile(_plain(path)) as archive:
            return {
                name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")
            }
    except Exception as error:
        raise _unreadable(f"{path}: expected an .npz or a folder", error) from None


def _array(path: Path, name: str) -> np.ndarray:
    """An array by its name; of models' folders, one of each model, stacked."""
    folders = _folders(path)
    if not folders or name in LABELS:
        return _load(path / f"{name}.npy") if path.is_dir() else _load(path, name)
    parts = []
    for folder in folders:
        single = folder / f"{name}.npy"
        file = single if single.exists() else max((folder / name).glob("*.npy"), default=single)
        parts.append(_load(file))
        if parts[-1].shape != parts[0].shape:
            first = f"{parts[0].shape} as in {folders[0].name}"
            raise InputError(f"{file}: shape {parts[-1].shape}, expected {first}")
    return np.stack(parts)


def _folders(path: Path) -> list[Path]:
    """The folders of single models, by their names; none where an array is of all models."""
    if not path.is_dir() or any((path / f"{name}.npy").exists() for name in TRAINED):
        return []
    return sorted(file.parent for file in path.glob("*/keep.npy"))


def _load(path: Path, name: str | None = None) -> np.ndarray:
    """An .npy, or an array of an .npz; pickles are refused."""
    try:
        loaded = np.load(_plain(path), allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded as archive:
                loaded = archive[name] if name else None
        if not isinstance(loaded, np.ndarray):
            raise ValueError("not an .npy")
        return loaded
    except Exception as error:  # what numpy and zip raise depends on which bytes are wrong
        where = str(path) if name is None else f"{path}: {name}"
        raise _unreadable(f"{where}: expected an array", error) from None


def _plain(path: Path) -> Path:
    """The path of a file that can be read: a pipe would be waited for, and a device never ends."""
    if path.exists() and not path.is_file():
        raise ValueError("no plain file")
    return path


def _shape(file: IO[bytes]) -> tuple[int, ...]:
    """The shape that the header of an .npy says."""
    if np.lib.format.read_magic(file) == (1, 0):
        return np.lib.format.read_array_header_1_0(file)[0]
    return np.lib.format.read_array_header_2_0(file)[0]


def _unreadable(where: str, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return InputError(f"{where} ({' '.join(reason.split())[:100]})")
