"""Data sets of bits, numbers, images or text: from the raw file to what can be memory-mapped.

A stored data set is a directory: features.npy, of bits (N, ceil(d / 8)) uint8, packed, of numbers
(N, d) float32, as a network takes them, of images (N, d) uint8, the pixels channel by channel and
row by row, and of text (N, d) uint16, the ids of each sentence's tokens, special ones included, and
then padding; labels.npy (N,) uint8, from 0; dataset.json, what it is and where it came from; of
text the tokenizer, too. SHA256SUMS lists them.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mico.support import digests
from mico.support.atomic import atomic_directory
from mico.support.errors import InputError, shown

LABELS = "labels.npy"
TOKENIZER = "tokenizer.json"
OF_IMAGES = ("shape", "mean", "std")  # what a description has of images alone
# The type of what is stored, by the kind of data.
KINDS: dict[str, type[np.generic]] = {
    "bits": np.uint8,
    "numbers": np.float32,
    "images": np.uint8,
    "tokens": np.uint16,
}


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
    # Of images: channels, rows and columns. A network takes (value / 255 - mean) / std, by channel.
    shape: tuple[int, int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    class_names: list[str] | None = None  # by label
    # Of a table: each column's `name`, and of numbers what they were scaled by, `subtract` and
    # then `divide`, or its `texts`, each of which is a feature of 0 and 1.
    columns: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Dataset:
    """A stored data set, memory-mapped."""

    description: Description
    stored: np.ndarray  # (N, d), of bits (N, ceil(d / 8)), of the type that KINDS says
    labels: np.ndarray  # (N,) uint8
    sums: Mapping[str, str] = field(default_factory=dict)  # SHA-256 of the two files, by name

    def features(self, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Features (len(indices), d): uint8, 0/1 or pixels; float32; or uint16, ids of tokens."""
        if self.description.kind == "bits":
            return np.unpackbits(self.stored[indices], axis=1, count=self.description.features)
        return np.array(self.stored[indices])


def read(directory: Path) -> Dataset:
    """Open a stored data set.

    Raises:
        InputError: a file is missing, is not as its checksum says, or is of another shape than
            dataset.json says; a label is of no class, a token not of the vocabulary, or a number
            not finite.
    """
    description = describe(directory)
    bits, tokens = description.kind == "bits", description.kind == "tokens"
    shape = (description.records, -(-description.features // 8) if bits else description.features)
    sums = {"features.npy": _verify(directory, "features.npy")}
    stored = _array(directory / "features.npy", shape, KINDS[description.kind])
    if tokens and max(stored.max(initial=0), description.padding) >= description.vocabulary:
        expected = f"expected tokens below {description.vocabulary}, as dataset.json says"
        raise InputError(f"{directory / 'features.npy'}: {expected}")
    if description.kind == "numbers" and not np.isfinite(stored).all():
        raise InputError(f"{directory / 'features.npy'}: expected finite numbers")
    sums[LABELS] = _verify(directory, LABELS)
    return Dataset(description, stored, _labels(directory, description), sums)


def read_labels(directory: Path) -> np.ndarray:
    """The labels (N,) uint8 of a stored data set alone, whose features may be large.

    Raises:
        InputError: as for `read`.
    """
    description = describe(directory)
    _verify(directory, LABELS)
    return _labels(directory, description)


def tokenizer(directory: Path) -> Path:
    """The file of a stored text's tokenizer.

    Raises:
        InputError: it is missing, or is not as its checksum says.
    """
    _verify(directory, TOKENIZER)
    return directory / TOKENIZER


def _labels(directory: Path, description: Description) -> np.ndarray:
    path = directory / LABELS
    labels = _array(path, (description.records,), np.uint8)
    if labels.max(initial=0) >= description.classes:
        expected = f"expected labels below {description.classes}, as dataset.json says"
        raise InputError(f"{path}: label {labels.max()}: {expected}")
    return labels


def _verify(directory: Path, name: str) -> str:
    """The SHA-256 of a file, which must be as listed if there is a listing."""
    path, sums = directory / name, digests.listed(directory)
    if sums is None:
        return digests.of_file(path)
    remedy = f"delete {directory} and run again"
    return digests.verify(path, sums.get(name), directory / digests.LISTING, remedy)


def _array(path: Path, shape: tuple[int, ...], kind: type[np.generic]) -> np.ndarray:
    """A memory-mapped array, which must have this shape and type."""
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error})") from None
    if array.shape != shape or array.dtype != kind:
        found = f"shape {array.shape} of {array.dtype}"
        raise InputError(f"{path}: {found}, expected shape {shape} of {np.dtype(kind)}")
    return array


def describe(directory: Path) -> Description:
    """Read only dataset.json."""
    path = directory / "dataset.json"
    _verify(directory, path.name)
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        fields |= {name: tuple(fields[name]) for name in OF_IMAGES if fields.get(name) is not None}
        description = Description(**fields)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a data set's description ({error})") from None
    if description.kind not in KINDS:
        raise InputError(f"{path}: kind {description.kind!r}, expected {' or '.join(KINDS)}")
    if description.kind == "images" and not _is_of_images(description):
        found = shown((description.shape, description.mean, description.std))
        expected = f"expected those of images: delete {directory} and run again"
        raise InputError(f"{path}: shape, mean and std {found}: {expected}")
    return description


def _is_of_images(description: Description) -> bool:
    """Whether an image's shape, and a mean and a deviation of each channel, are there."""
    shape, mean, std = description.shape, description.mean, description.std
    return (
        shape is not None
        and mean is not None
        and std is not None
        and len(shape) == 3
        and len(mean) == len(std) == shape[0]
        and all(isinstance(one, int) and one > 0 for one in shape)
        and math.prod(shape) == description.features
        and all(isinstance(one, float | int) and math.isfinite(one) for one in (*mean, *std))
        and min(std) > 0
    )


def write(
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
    fields = {name: value for name, value in asdict(description).items() if value is not None}
    if description.kind != "tokens":
        del fields["vocabulary"], fields["padding"]
    with atomic_directory(directory) as temporary:
        np.save(temporary / "features.npy", stored)
        np.save(temporary / "labels.npy", labels)
        for name, text in (tokenizer or {}).items():
            (temporary / name).write_text(text, encoding="utf-8")
        (temporary / "dataset.json").write_text(
            json.dumps(fields, indent=2) + "\n", encoding="utf-8"
        )
        digests.write_listing(temporary)
