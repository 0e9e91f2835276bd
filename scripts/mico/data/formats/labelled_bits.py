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
KINDS = ("bits",)

BITS = frozenset("01")
MOST_CLASSES = 256  # labels are stored as uint8
BOM = codecs.BOM_UTF8


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Read the file, if it is the one that its checksums are of; see `read_csv`."""
    assert raw is not None
    verify(raw, options.checks)
    shape = (options.records, options.features, options.classes)
    packed, labels, features = read_csv(raw, *shape)
    classes = options.classes
    if classes is None:
        classes = 1 + int(labels.max())
        absent = np.setdiff1d(np.arange(max(classes, 2)), labels)
        if len(absent):
            found = f"labels up to {classes}, but none is {absent[0] + 1}"
            raise InputError(f"{raw}: {found}: if this is right, give `classes`")
    return Raw(packed, labels, raw.name, "bits", classes, features)


def read_csv(
    path: Path, records: int | None, features: int | None, classes: int | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Read Shokri et al.'s format: a row per record, the label (from 1, perhaps quoted) first.

    Args:
        path: the CSV itself or an archive that holds it as its only file.
        records, features, classes: what the file must have, where that is known.

    Returns:
        packed features (records, ceil(features / 8)) uint8, labels (records,) uint8 from 0, and the
        number of features.

    Raises:
        InputError: names the file, the row (from 1) and what was expected.
    """
    most = classes or MOST_CLASSES
    packed, labels = bytearray(), bytearray()
    row = 0
    with _open_text(path) as file:
        rows = _without_blank_end(csv.reader(file))
        if records is not None:
            rows = progress(rows, records, f"{path.name} rows")
        for row, fields in enumerate(rows, 1):
            where = f"{path}: row {row}"
            if row - 1 == records:
                raise InputError(f"{where}: expected {records} rows")
            if features is None and len(fields) > 1:
                features = len(fields) - 1
            if features is None or len(fields) != 1 + features:
                raise InputError(f"{where}: {len(fields)} fields, expected {1 + (features or 1)}")
            label = fields[0]
            digits = label.isascii() and label.isdigit() and len(label) < 10
            if not digits or not 1 <= int(label) <= most:
                cause = ": labels begin at 1 in this format" if label == "0" else ""
                raise InputError(f"{where}: label {shown(label)}, expected 1 to {most}{cause}")
            labels.append(int(label) - 1)
            if not BITS.issuperset(fields[1:]):
                column, field = next((i, f) for i, f in enumerate(fields[1:], 2) if f not in BITS)
                raise InputError(f"{where}, field {column}: {shown(field)}, expected 0 or 1")
            text = "".join(fields[1:])
            packed += np.packbits(np.frombuffer(text.encode(), np.uint8) & 1).tobytes()
    if features is None or not row or records not in (None, row):
        expected = "some" if records is None else f"{records}: the file is truncated"
        raise InputError(f"{path}: {row} rows, expected {expected}")
    bits = np.frombuffer(packed, np.uint8).reshape(row, -1)
    return bits, np.frombuffer(labels, np.uint8), features


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
