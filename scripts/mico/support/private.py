"""Files that are the organiser's alone: mode 600, in folders of mode 700, whatever the umask."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mico.support.errors import InputError

FOLDER = "private"  # of a run: what is not released
TIMESTAMP = ".snakemake_timestamp"  # Snakemake leaves it in a directory; it is nobody's business


@contextmanager
def only_for_owner(path: Path) -> Iterator[None]:
    """What the block writes is its owner's alone, and so are the folders above `path`.

    These are the folder `private` and those below it, which the workflow makes before a job begins,
    as the umask wants them. A path outside of such a folder closes no folder.

    Raises:
        InputError: a folder is open to others and cannot be closed.
    """
    before = os.umask(0o077)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in _folders(path):
            if folder.stat().st_mode & 0o077:
                try:
                    folder.chmod(0o700)
                except OSError as error:
                    raise InputError(
                        f"{folder}: open to others and cannot be closed ({error.strerror}), "
                        "expected a folder of this user"
                    ) from None
        yield
    finally:
        os.umask(before)


def _folders(path: Path) -> list[Path]:
    """The folders above a path, up to the nearest `private`; none if there is no such."""
    parents = list(path.parents)
    names = [folder.name for folder in parents]
    return parents[: names.index(FOLDER) + 1] if FOLDER in names else []
