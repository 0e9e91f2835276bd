"""Data sets of bits or of images: from the raw file, checked, to what can be memory-mapped.

A stored data set is a directory: features.npy, of bits (N, ceil(d / 8)) uint8, packed, and of
images (N, d) uint8, the pixels channel by channel and row by row; labels.npy (N,) uint8, from 0;
dataset.json, what it is and where it came from.
"""

import csv
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mico.atomic import atomic_directory
from mico.command_line import InputError, progress

GENERATED = frozenset({"purchase100-synthetic", "cifar10-synthetic"})  # formats without a file
KINDS = ("bits", "images")
BITS = frozenset("01")
NOT_THE_FORMAT = (
    csv.Error,
    gzip.BadGzipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
)


@dataclass(frozen=True)
class Description:
    """What a stored data set says of itself in dataset.json."""

    name: str
    records: int
    features: int
    classes: int
    synthetic: bool
    source: str
    kind: str = "bits"  # one of KINDS


@dataclass(frozen=True)
class Dataset:
    """A stored data set, memory-mapped."""

    description: Description
    stored: np.ndarray  # uint8, of bits (N, ceil(d / 8)), of images (N, d)
    labels: np.ndarray  # (N,) uint8

    def features(self, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Features (len(indices), d) uint8, 0/1 or pixels."""
        if self.description.kind == "images":
            return np.array(self.stored[indices])
        return np.unpackbits(self.stored[indices], axis=1, count=self.description.features)


def read(directory: Path) -> Dataset:
    """Open a stored data set.

    Raises:
        InputError: a file is missing or of another shape than dataset.json says.
    """
    description = describe(directory)
    images = description.kind == "images"
    width = description.features if images else -(-description.features // 8)
    stored = _array(directory / "features.npy", (description.records, width))
    labels = _array(directory / "labels.npy", (description.records,))
    return Dataset(description, stored, labels)


def _array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A memory-mapped array of bytes, which must have this shape."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error})") from None
    if array.shape != shape or array.dtype != np.uint8:
        found = f"shape {array.shape} of {array.dtype}"
        raise InputError(f"{path}: {found}, expected shape {shape} of uint8")
    return array


def describe(directory: Path) -> Description:
    """Read only dataset.json."""
    path = directory / "dataset.json"
    try:
        description = Description(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a data set's description ({error})") from None
    if description.kind not in KINDS:
        raise InputError(f"{path}: kind {description.kind!r}, expected {' or '.join(KINDS)}")
    return description


def store(
    directory: Path, description: Description, stored: np.ndarray, labels: np.ndarray
) -> None:
    """Write a data set; the directory appears whole or not at all."""
    with atomic_directory(directory) as temporary:
        np.save(temporary / "features.npy", stored)
        np.save(temporary / "labels.npy", labels)
        text = json.dumps(asdict(description), indent=2)
        (temporary / "dataset.json").write_text(text + "\n")


CHECKS: dict[str, Callable[[int], "hashlib._Hash"]] = {
    "sha256": lambda size: hashlib.sha256(),
    "md5": lambda size: hashlib.md5(),
    # The id under which git stores a file, which a repository's commit vouches for.
    "git_blob": lambda size: hashlib.sha1(b"blob %d\0" % size),
}


def verify(path: Path, checks: Iterable[str], name: str | None = None) -> None:
    """Compare a file with its known checksums, each written `kind=hexadecimal digest`.

    Raises:
        InputError: the file, called `name` in the message, cannot be read or is another.
    """
    for check in checks:
        kind, _, expected = check.partition("=")
        if kind not in CHECKS:
            raise InputError(f"check {check!r}: expected one of {', '.join(CHECKS)}, then =")
        try:
            digest = CHECKS[kind](path.stat().st_size)
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        if digest.hexdigest() != expected:
            found = digest.hexdigest()
            raise InputError(f"{name or path}: {kind} is {found}, expected {expected}")


def is_archive(path: Path) -> bool:
    """Whether a file is an archive, by its name."""
    return path.name.endswith((".tgz", ".tar.gz"))


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
