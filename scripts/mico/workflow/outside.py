"""Files that come from outside: their content counts, and not what they say of their times."""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def state(folder: Path) -> str:
    """A digest of what the file system says of a file, or of all below a folder; no contents.

    Whoever changes a file changes one of its times, which nobody can set back.
    """
    found: list[tuple[str, ...]] = []
    for path in _files(folder):
        place = str(path.relative_to(folder))
        try:
            about = path.stat()
        except OSError as error:
            found.append((place, str(error.strerror)))
            continue
        found.append((place, *map(str, (about.st_size, about.st_mtime_ns, about.st_ctime_ns))))
    return hashlib.sha256(ascii(sorted(found)).encode()).hexdigest()


@cache
def size(folder: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    return sum(path.stat().st_size for path in _files(folder) if path.is_file())


def _files(folder: Path) -> Iterator[Path]:
    """A file by itself, or all that is below a folder but folders; linked ones are looked into."""
    if not folder.is_dir():
        yield folder
        return
    seen = set()
    for within, folders, names in os.walk(folder, followlinks=True):
        about = os.stat(within)
        if (about.st_dev, about.st_ino) in seen:  # a link may lead back
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders.sort()
        yield from (Path(within, name) for name in names)


@cache
def content(path: Path) -> str:
    """A digest of a file, or of the plain files below a folder; why not, if it cannot be read.

    What is hidden does not count, nor what lies in folders that are links.
    """
    try:
        if path.is_dir():
            files = []
            for within, folders, names in os.walk(path):
                folders[:] = [name for name in folders if not name.startswith(".")]
                found = [Path(within, name) for name in names if not name.startswith(".")]
                files += [
                    (str(one.relative_to(path)), content(one)) for one in found if one.is_file()
                ]
            return hashlib.sha256(ascii(sorted(files)).encode()).hexdigest()
        if not path.is_file():  # a pipe would be waited for, and a device never ends
            return "no file"
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return str(error.strerror)
