"""Known checksums of raw files: a file that differs is refused."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from mico.support.errors import InputError

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


def verify_content(content: bytes, md5: str | None, where: str) -> None:
    """Compare a file's content with its MD5, if that is known.

    Raises:
        InputError: it is another; `where` names the file.
    """
    digest = hashlib.md5(content).hexdigest()
    if md5 not in (None, digest):
        raise InputError(f"{where}: md5 is {digest}, expected {md5}")
