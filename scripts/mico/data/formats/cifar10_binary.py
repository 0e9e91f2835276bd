"""CIFAR-10 in its official binary form: files of records, a label and then the pixels of each.

The files are read where they lie, or from cifar-10-binary.tar.gz or another archive of them, of
which nothing is extracted.
The form for Python is not read: it is pickled, and unpickling runs whatever a file says.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from mico.data.archives import NOT_THE_FORMAT, SHOWN, is_archive, members, missing
from mico.data.checksums import verify, verify_content
from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.support.errors import InputError
from mico.support.progress import progress

SUMMARY = "CIFAR-10's official files of records, see below"
KINDS = ("images",)
FILES = ".bin"
FEATURES = 3 * 32 * 32  # the pixels, channel by channel, row by row

PIXELS = FEATURES
RECORD = 1 + PIXELS  # bytes, the label first
CLASSES = 10
MOST = 1_000_000  # records of a file whose size is not known, where their number is not given
SHAPE = (3, 32, 32)  # channels, rows, columns
# The training images' mean and deviation by channel, as published.
MEAN = (0.49139968, 0.48215841, 0.44653091)
STD = (0.24703223, 0.24348513, 0.26158784)


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Read the official files that `files` names; see `read_files`."""
    assert raw is not None
    assert options.files is not None
    names = ", ".join(options.files)
    archive = is_archive(raw)
    if archive:  # whose checksums these are; each file has its own
        verify(raw, options.checks)
    shape = (options.records, options.features, options.classes)
    pixels, labels = read_files(raw, *shape, options.files)
    classes = options.classes or CLASSES
    source = f"{raw.name}: {names}" if archive else names
    return Raw(pixels, labels, source, "images", classes, PIXELS, shape=SHAPE, mean=MEAN, std=STD)


def read_files(
    path: Path,
    records: int | None,
    features: int | None,
    classes: int | None,
    files: Mapping[str, str | None],
    labels_of: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Read some of the official files, in the order of `files`.

    Args:
        path: a directory with the files, an archive of them in any folder, or the one wanted.
        records, features, classes: what all files together must have, where that is known.
        files: the MD5 of each by its name; one without is not checked.
        labels_of: how many labels a record begins with, of which the last counts.

    Returns:
        pixels (records, 3072) uint8 and labels (records,) uint8 from 0.

    Raises:
        InputError: names the path, the file, the record (from 1) and what was expected.
    """
    if features not in (None, PIXELS):
        raise InputError(f"{path}: {features} features expected, but CIFAR-10 has {PIXELS}")
    record = labels_of + PIXELS
    read = _contents(path, records, classes or CLASSES, files, record)
    contents = dict(progress(read, len(files), f"{path.name} files"))
    found = sum(map(len, contents.values())) // record
    pixels, labels = np.empty((found, PIXELS), np.uint8), np.empty(found, np.uint8)
    first = 0
    for name in files:
        rows = _rows(contents.pop(name), record)  # its memory is free when the next is copied
        last = first + len(rows)
        labels[first:last], pixels[first:last] = rows[:, -PIXELS - 1], rows[:, -PIXELS:]
        first = last
    return pixels, labels


def _rows(content: bytes, record: int) -> np.ndarray:
    """A file's records (N, record) uint8, the label that counts just before the pixels."""
    return np.frombuffer(content, np.uint8).reshape(-1, record)


def _contents(
    path: Path, records: int | None, classes: int, files: Mapping[str, str | None], record: int
) -> Iterator[tuple[str, bytes]]:
    """Each wanted file's name and content, which is as expected, as they come."""
    found = 0
    try:
        for name, size, file in _wanted(path, files):
            where = f"{path}: {name}"
            content = None
            if size is None:  # as much as there may be, and a byte more
                content = file.read(((records or MOST) - found) * record + 1)
                size = len(content)
            if size % record:
                expected = f"a multiple of {record:,}: the file is truncated"
                raise InputError(f"{where}: {size:,} bytes, expected {expected}")
            found += size // record
            if (
                records is not None and found > records
            ):  # before it is read, so that memory is bounded
                raise InputError(f"{where}: {found:,} records up to here, expected {records:,}")
            if content is None:
                content = file.read(size)
            if len(content) != size:
                raise EOFError(f"{name} is truncated")
            verify_content(content, files[name], where)
            labels = _rows(content, record)[:, -PIXELS - 1]
            if (labels >= classes).any():
                row = int((labels >= classes).argmax())
                label = f"label {labels[row]}, expected 0 to {classes - 1}"
                raise InputError(f"{where}: record {row + 1}: {label}")
            yield name, content
    except NOT_THE_FORMAT as error:
        raise InputError(f"{path}: not a whole .tar.gz ({error})") from None
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{error.filename or path}: cannot be read ({reason})") from None
    if records not in (None, found):
        raise InputError(f"{path}: {found:,} records in all, expected {records:,}")


def _wanted(
    path: Path, files: Mapping[str, str | None]
) -> Iterator[tuple[str, int | None, IO[bytes]]]:
    """Each wanted file's name, size in bytes if known, and where to read it; none is missing."""
    if path.is_dir():
        for name in files:
            if not (path / name).is_file():
                raise missing(path, name, sorted(file.name for file in path.glob("*.bin")))
            with (path / name).open("rb") as file:
                yield name, os.fstat(file.fileno()).st_size, file
        return
    if is_archive(path):
        yield from _archived(path, files)
    elif list(files) == [path.name]:
        with path.open("rb") as file:
            yield path.name, os.fstat(file.fileno()).st_size, file
    else:
        path.open("rb").close()  # an error, if it is not there
        raise InputError(
            f"{path}: expected a directory or a .tar.gz of {', '.join(files)}"
            f"{' or that file itself' if len(files) == 1 else ''}"
        )


def _archived(
    path: Path, files: Mapping[str, str | None]
) -> Iterator[tuple[str, int | None, IO[bytes]]]:
    """The wanted among an archive's regular files, whatever folder inside it they are in."""
    found: list[str] = []
    for name, size, opened in members(path):
        if name in files:
            if name in found:
                raise InputError(f"{path}: {name} is there twice")
            yield name, size, opened()
        if name in files or len(found) < SHOWN:
            found.append(name)
    for name in files:
        if name not in found:
            raise missing(path, name, found)
