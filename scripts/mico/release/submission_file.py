"""A submission's file, of which the content counts and not what is said of it."""

import errno
import hashlib
import os
import stat
from pathlib import Path


class Unreadable(Exception):
    """A submission whose content is out of reach; the message says why, without its name."""


def read(path: Path, most: int) -> bytes:
    """The content in memory, where it cannot change: at most so many bytes.

    Raises:
        Unreadable: there is no such file, it is no plain one, is larger, or may not be read.
    """
    try:
        # Whoever opens a pipe waits for somebody who writes, unless told not to.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags)
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise Unreadable("no such file")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = b"" if about.st_size > most else file.read(most + 1)
            if (size := max(about.st_size, len(content))) > most:
                raise Unreadable(f"{size:,} bytes, expected at most {most:,}")
            return content
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unreadable("a link, which is not followed") from None
        raise Unreadable(f"cannot be read ({error.strerror})") from None


def digest(content: bytes) -> str:
    """By this, contents are told apart."""
    return hashlib.sha256(content).hexdigest()


def state(path: Path, most: int) -> str:
    """The digest of a file's content, or why there is none."""
    try:
        return digest(read(path, most))
    except Unreadable as error:
        return str(error)
