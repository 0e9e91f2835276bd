"""SHA-256 sums of files: a listing as `sha256sum` writes it, and whether a file is as listed."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mico.support.errors import AGAIN, InputError, damaged

LISTING = "SHA256SUMS"


def of_file(path: Path) -> str:
    """A file's SHA-256 in hexadecimal.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def of_folder(sums: Mapping[str, str]) -> str:
    """A hash of a folder's files and their names, of their sums by name."""
    whole = hashlib.sha256()
    for name in sorted(sums):
        whole.update(f"{name}\0".encode() + bytes.fromhex(sums[name]))
    return whole.hexdigest()


def verify(path: Path, expected: str | None, source: Path, remedy: str = AGAIN) -> str:
    """The SHA-256 of a file, refused if it is not the one whose sum was written down.

    Args:
        expected: its sum, or None if there is none in `source`, which lists the sums.
        remedy: what to do about another file.

    Raises:
        InputError: the file is another, or is not listed, or cannot be read.
    """
    if expected is None:
        raise damaged(path, f"not listed in {source}", remedy)
    found = of_file(path)
    if found != expected:
        raise damaged(path, f"another SHA-256 than {source} lists", remedy)
    return found


def listing(sums: Mapping[str, str]) -> str:
    """Sums by file name as `sha256sum --check` reads them, sorted by name."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def read_listing(path: Path) -> dict[str, str]:
    """Sums by file name from a file that `listing` gave the text of.

    Raises:
        InputError: the file cannot be read, or a line is of another form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    sums: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = re.fullmatch("([0-9a-f]{64})  (.+)", line)
        if not match:
            raise damaged(path, f"line {number}: expected a SHA-256 sum and a name")
        sums[match[2]] = match[1]
    return sums


def write_listing(folder: Path) -> None:
    """List the files of a folder in it."""
    sums = {
        path.relative_to(folder).as_posix(): of_file(path)
        for path in folder.rglob("*")
        if path.is_file()
    }
    (folder / LISTING).write_text(listing(sums), encoding="utf-8")


def listed(folder: Path) -> dict[str, str] | None:
    """The sums that `write_listing` left in a folder; None if there are none.

    Raises:
        InputError: the listing cannot be read.
    """
    path = folder / LISTING
    return read_listing(path) if path.exists() else None


def verify_folder(folder: Path) -> None:
    """Refuse a folder with a listing where a file is missing, another, or not listed.

    Raises:
        InputError: names the file.
    """
    sums = listed(folder)
    if sums is None:
        return
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != LISTING and not path.name.startswith(".")
    }
    verify_all(folder / LISTING, found | sums.keys(), f"delete {folder} and run again")


def verify_all(path: Path, names: Iterable[str], remedy: str) -> None:
    """Refuse files beside a listing, if there is one, of which one is missing, another or unlisted.

    A listing that was cut off after a line, or is empty, is still one.

    Args:
        names: of the files; remedy: what to do about another file.

    Raises:
        InputError: names the file.
    """
    if path.exists():
        sums = read_listing(path)
        for name in sorted(names):
            verify(path.parent / name, sums.get(name), path, remedy)
