"""Files that come from outside: their content counts, and not what they say of their times."""

import hashlib
import os
from functools import cache
from pathlib import Path


@cache
def state(folder: Path) -> str:
    """A digest of what the file system says of all plain files below a folder, but the contents.

    Whoever changes a file changes one of its times, which nobody can set back.
    """
    found: list[tuple[str, ...]] = []
    for inside, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(inside, name)
            try:
                about = path.stat()
            except OSError as error:
                found.append((str(path.relative_to(folder)), str(error.strerror)))
                continue
            told = about.st_size, about.st_mtime_ns, about.st_ctime_ns
            found.append((str(path.relative_to(folder)), *map(str, told)))
    return hashlib.sha256(ascii(sorted(found)).encode()).hexdigest()


@cache
def content(path: Path) -> str:
    """A digest of a file, or of the plain files in a folder; why not, if it cannot be read.

    Hidden files do not count.
    """
    try:
        if path.is_dir():
            listed = sorted(one for one in path.iterdir() if not one.name.startswith("."))
            files = [(one.name, content(one)) for one in listed if one.is_file()]
            return hashlib.sha256(ascii(files).encode()).hexdigest()
        if not path.is_file():  # a pipe would be waited for, and a device never ends
            return "no file"
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return str(error.strerror)
