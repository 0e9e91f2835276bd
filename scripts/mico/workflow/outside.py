"""Files that come from outside: their content counts, and not what they say of their times."""

import hashlib
from functools import cache
from pathlib import Path


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
