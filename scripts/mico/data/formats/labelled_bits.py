"""Shokri et al.'s CSV of bits, the label, from 1, first; itself or as an archive's only file."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from mico.data.archives import NOT_THE_FORMAT, is_archive, members
from mico.data.checksums import verify
from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.support.errors import InputError, shown
from mico.support.progress import progress

SUMMARY = (
    "Shokri et al.'s CSV, the label (from 1, perhaps quoted) first, then 0/1, itself or as the "
    "only file of a `.tgz`, `.gz` or `.zip`"
)
KIND = "bits"

BITS = frozenset("01")
BOM = codecs.BOM_UTF8


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Read the file, if it is the one that its checksums are of; see `read_csv`."""
    assert raw is not None
    verify(raw, options.checks)
    shape = (options.records, options.features, options.classes)
    return Raw(*read_csv(raw, *shape), raw.name)


def read_csv(
    path: Path, records: int, features: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read Shokri et al.'s format: a row per record, the label (from 1, perhaps quoted) first.

    Args:
        path: the CSV itself or an archive that holds it as its only file.
        records, features, classes: what the file must have.

    Returns:
        packed features (records, ceil(features / 8)) uint8 and labels (records,) uint8 from 0.

    Raises:
        InputError: names the file, the row (from 1) and what was expected.
    """
    packed = np.empty((records, -(-features // 8)), np.uint8)
    labels = np.empty(records, np.uint8)
    row = 0
    with _open_text(path) as file:
        rows = progress(_without_blank_end(csv.reader(file)), records, f"{path.name} rows")
        for row, fields in enumerate(rows, 1):
            where = f"{path}: row {row}"
            if row > records:
                raise InputError(f"{where}: expected {records} rows")
            if len(fields) != 1 + features:
                raise InputError(f"{where}: {len(fields)} fields, expected {1 + features}")
            label = fields[0]
            digits = label.isascii() and label.isdigit() and len(label) < 10
            if not digits or not 1 <= int(label) <= classes:
                raise InputError(f"{where}: label {shown(label)}, expected 1 to {classes}")
            labels[row - 1] = int(label) - 1
            if not BITS.issuperset(fields[1:]):
                column, field = next((i, f) for i, f in enumerate(fields[1:], 2) if f not in BITS)
                raise InputError(f"{where}, field {column}: {shown(field)}, expected 0 or 1")
            text = "".join(fields[1:])
            packed[row - 1] = np.packbits(np.frombuffer(text.encode(), np.uint8) & 1)
    if row != records:
        raise InputError(f"{path}: {row} rows, expected {records}: the file is truncated")
    return packed, labels


def _without_blank_end(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """All rows but blank ones after which nothing comes."""
    blank = 0
    for fields in rows:
        if fields:
            yield from ([] for _ in range(blank))
            blank = 0
            yield fields
        else:
            blank += 1


@contextmanager
def _open_text(path: Path) -> Iterator[io.TextIOBase]:
    """Open a text file, or the only file of an archive, which is never extracted to disk."""
    try:
        if not is_archive(path):
            with path.open("rb") as file:
                yield _text(file)
            return
        found = members(path)
        first = next(found, None)
        if first is None:
            raise InputError(f"{path}: expected an archive of one CSV file")
        yield _text(first[2]())
        for _ in found:
            raise InputError(f"{path}: expected an archive of one file, found another")
    except NOT_THE_FORMAT as error:
        raise InputError(
            f"{path}: not a CSV file or an archive of one ({shown(str(error))})"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _text(content: IO[bytes]) -> io.TextIOBase:
    """A file's text, without the mark of UTF-8 that some programs begin with."""
    buffered = io.BufferedReader(content)  # type: ignore[type-var]
    if buffered.peek(len(BOM)).startswith(BOM):
        buffered.read(len(BOM))
    return io.TextIOWrapper(buffered, encoding="latin-1", newline="")
