"""Shokri et al.'s CSV of bits: the label, from 1, first; itself or as the only file of a .tgz."""

import csv
import gzip
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mico.data.archives import NOT_THE_FORMAT, is_archive
from mico.data.checksums import verify
from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.support.errors import InputError
from mico.support.progress import progress

SUMMARY = (
    "Shokri et al.'s CSV, the label (from 1, perhaps quoted) first, then 0/1, itself or as the "
    "only file of a `.tgz`"
)
KIND = "bits"

BITS = frozenset("01")


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
        path: the CSV itself or a .tgz that holds it as its only file.
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
        for row, fields in enumerate(progress(csv.reader(file), records, f"{path.name} rows"), 1):
            where = f"{path}: row {row}"
            if row > records:
                raise InputError(f"{where}: expected {records} rows")
            if len(fields) != 1 + features:
                raise InputError(f"{where}: {len(fields)} fields, expected {1 + features}")
            label = fields[0]
            if not label.isascii() or not label.isdigit() or not 1 <= int(label) <= classes:
                raise InputError(f"{where}: label {label!r}, expected 1 to {classes}")
            labels[row - 1] = int(label) - 1
            if not BITS.issuperset(fields[1:]):
                column, field = next((i, f) for i, f in enumerate(fields[1:], 2) if f not in BITS)
                raise InputError(f"{where}, field {column}: {field!r}, expected 0 or 1")
            text = "".join(fields[1:])
            packed[row - 1] = np.packbits(np.frombuffer(text.encode(), np.uint8) & 1)
    if row != records:
        raise InputError(f"{path}: {row} rows, expected {records}: the file is truncated")
    return packed, labels


@contextmanager
def _open_text(path: Path) -> Iterator[io.TextIOBase]:
    """Open a text file, or the only file of a .tgz, which is never extracted to disk."""
    try:
        with path.open("rb") as file:
            if not is_archive(path):
                yield io.TextIOWrapper(file, encoding="latin-1", newline="")
                return
            with gzip.open(file) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as archive:
                member = archive.next()
                content = archive.extractfile(member) if member and member.isfile() else None
                if content is None:
                    raise InputError(f"{path}: expected an archive of one CSV file")
                yield io.TextIOWrapper(content, encoding="latin-1", newline="")
                if archive.next() is not None:
                    raise InputError(f"{path}: expected an archive of one file, found another")
                while unpacked.read(1 << 20):  # to the end, where gzip's own check is
                    pass
    except NOT_THE_FORMAT as error:
        raise InputError(f"{path}: not a CSV file or a .tgz of one ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
