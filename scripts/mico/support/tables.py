"""Tables as CSV files whose rows carry their checksums."""

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mico.support.atomic import atomic_file
from mico.support.errors import AGAIN, InputError, damaged, shown

CHECK = "sha256"  # the last column: of the row's other values
# What pandas reads as a missing value, in small letters.
MISSING = {
    *("nan", "-nan", "na", "n/a", "<na>", "null", "none"),
    *("#n/a", "#na", "#n/a n/a", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
}


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table with these columns, and one more for the checksum of each row."""
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*columns, CHECK])
        for row in rows:
            values = [str(row[name]) for name in columns]
            writer.writerow([*values, _sum(values)])


def read(path: Path, needed: Iterable[str], remedy: str = AGAIN) -> list[dict[str, str]]:
    """The rows of a table, by column; rows that carry a checksum are verified.

    A table that a person has made needs none.

    Args:
        needed: columns that must be there; remedy: what to do about a damaged table.

    Raises:
        InputError: the file cannot be read, lacks a column, or a row is not as it was written.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
            columns = list(reader.fieldnames or [])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file ({error})") from None
    missing = [name for name in needed if name not in columns]
    if missing:
        raise InputError(f"{path}: missing column {', '.join(missing)}")
    for name in columns:
        if columns.count(name) > 1:
            raise InputError(f"{path}: column {shown(name)} is there twice")
    for number, row in enumerate(rows, 1):
        if len(row) > len(columns):
            raise InputError(f"{path}: row {number}: expected {len(columns)} fields, found more")
    if CHECK in columns:
        columns.remove(CHECK)
        for number, row in enumerate(rows, 1):
            if row[CHECK] != _sum([row[name] for name in columns]):
                raise damaged(path, f"row {number} is not as its checksum says", remedy)
    return rows


def _sum(values: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(values).encode()).hexdigest()
