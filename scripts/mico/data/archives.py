"""What the formats share that read archives or several official files."""

import csv
import gzip
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from mico.support.errors import InputError

SHOWN = 10  # names in a message at most
# What csv, gzip and tarfile raise where a file is cut off or is of another form.
NOT_THE_FORMAT = (
    csv.Error,
    gzip.BadGzipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
)


def is_archive(path: Path) -> bool:
    """Whether a file is a packed .tar, by its name."""
    return path.name.endswith((".tgz", ".tar.gz"))


def missing(path: Path, name: str, found: Sequence[str]) -> InputError:
    """The error of an official file that is not at a path, with some of the names that are."""
    # Escaped, for a name from outside may hold anything.
    names = ", ".join(ascii(one) for one in found[:SHOWN])
    return InputError(f"{path}: {name} is missing, found {names or 'no such files'}")
