"""Data sets of bits, images or text: from the raw file, checked, to what can be memory-mapped.

A stored data set is a directory: features.npy, of bits (N, ceil(d / 8)) uint8, packed, of images
(N, d) uint8, the pixels channel by channel and row by row, and of text (N, d) uint16, the ids of
each sentence's tokens, special ones included, and then padding; labels.npy (N,) uint8, from 0;
dataset.json, what it is and where it came from; of text the tokenizer, too.
"""

import csv
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mico.atomic import atomic_directory
from mico.command_line import InputError, progress

# Formats without a file.
GENERATED = frozenset({"purchase100-synthetic", "cifar10-synthetic", "sst2-synthetic"})
TEXT = ("sst2", "sst2-synthetic")  # formats of sentences, which a tokenizer turns into tokens
KINDS = ("bits", "images", "tokens")
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
    vocabulary: int = 0  # of tokens: all ids are below it
    padding: int = 0  # of tokens: the id that fills up what is shorter


@dataclass(frozen=True)
class Dataset:
    """A stored data set, memory-mapped."""

    description: Description
    stored: np.ndarray  # of bits (N, ceil(d / 8)) uint8, of images (N, d) uint8, of tokens uint16
    labels: np.ndarray  # (N,) uint8

    def features(self, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Features (len(indices), d): uint8, 0/1 or pixels, or uint16, the ids of tokens."""
        if self.description.kind == "bits":
            return np.unpackbits(self.stored[indices], axis=1, count=self.description.features)
        return np.array(self.stored[indices])


def read(directory: Path) -> Dataset:
    """Open a stored data set.

    Raises:
        InputError: a file is missing or of another shape than dataset.json says, or a token is
            not of the vocabulary.
    """
    description = describe(directory)
    bits, tokens = description.kind == "bits", description.kind == "tokens"
    width = -(-description.features // 8) if bits else description.features
    kind = np.uint16 if tokens else np.uint8
    stored = _array(directory / "features.npy", (description.records, width), kind)
    labels = _array(directory / "labels.npy", (description.records,), np.uint8)
    if tokens and max(stored.max(initial=0), description.padding) >= description.vocabulary:
        expected = f"expected tokens below {description.vocabulary}, as dataset.json says"
        raise InputError(f"{directory / 'features.npy'}: {expected}")
    return Dataset(description, stored, labels)


def _array(path: Path, shape: tuple[int, ...], kind: type[np.generic]) -> np.ndarray:
    """A memory-mapped array, which must have this shape and type."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error})") from None
    if array.shape != shape or array.dtype != kind:
        found = f"shape {array.shape} of {array.dtype}"
        raise InputError(f"{path}: {found}, expected shape {shape} of {np.dtype(kind)}")
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
    directory: Path,
    description: Description,
    stored: np.ndarray,
    labels: np.ndarray,
    tokenizer: Mapping[str, str] | None = None,
) -> None:
    """Write a data set; the directory appears whole or not at all.

    Args:
        tokenizer: of text, the tokenizer's files by name.
    """
    fields = asdict(description)
    if description.kind != "tokens":
        del fields["vocabulary"], fields["padding"]
    with atomic_directory(directory) as temporary:
        np.save(temporary / "features.npy", stored)
        np.save(temporary / "labels.npy", labels)
        for name, text in (tokenizer or {}).items():
            (temporary / name).write_text(text, encoding="utf-8")
        (temporary / "dataset.json").write_text(json.dumps(fields, indent=2) + "\n")


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
