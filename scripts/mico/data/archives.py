"""What the formats share that read archives or several official files.

A file's first bytes say what it is: a browser may have unpacked it, and its name be another.
"""

import csv
import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from mico.support.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SHOWN = 10  # names in a message at most
# What csv, gzip, tarfile and zipfile raise where a file is cut off or is of another form.
NOT_THE_FORMAT = (
    csv.Error,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
)
GZIP, ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")
NAMES = (".tgz", ".tar.gz", ".gz", ".zip", ".tar")
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)
WITHOUT_CONTENT = (
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE),
    *(tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE),
)
ENCRYPTED = 1  # a flag of a .zip's member
# Others are unpacked by zipfile in pieces of any size.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises besides where a header is damaged.
DAMAGED = (ValueError, struct.error, IndexError, OverflowError, RuntimeError)
# Of a .zip the list of members is taken into memory; what is larger is refused.
LARGEST_ZIP = 1 << 30


def is_archive(path: Path) -> bool:
    """Whether a file is packed, by its name or, where it can be read, by its first bytes."""
    if path.name.lower().endswith(NAMES):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(tarfile.BLOCKSIZE)
    except OSError:
        return False
    return start.startswith((GZIP, *ZIP)) or _is_tar(start)


# A file's name without folders, its size in bytes if that is known, and what opens it, before the
# next is asked for.
Member = tuple[str, int | None, Callable[[], IO[bytes]]]


def members(path: Path) -> Iterator[Member]:
    """The regular files of an archive, wherever in it they lie; links and litter are skipped.

    Nothing is extracted to disk. An archive is a .tar, .zip or .tar.gz; a .gz is one of one file.

    Raises:
        NOT_THE_FORMAT, OSError: it is cut off or damaged.
        InputError: a .zip is too large, or a file that is opened is encrypted.
    """
    with path.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
        file.seek(0)
        if not start:
            raise EOFError("it is empty")
        if start.startswith(ZIP):
            found = _in_zip(path, file)
        elif _is_tar(start):
            found = _in_tar(file)
        else:
            found = _in_gzip(path, file)
        for member in found:
            if not member[0].startswith("._") and member[0] not in LITTER:
                yield member


def _is_tar(start: bytes) -> bool:
    """Whether a file is a .tar, by its first block: a header with its sum, or all zeros."""
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return len(start) == tarfile.BLOCKSIZE and not any(start)
    return True


def _in_gzip(path: Path, file: IO[bytes]) -> Iterator[Member]:
    with gzip.open(file) as opened:
        unpacked = cast(IO[bytes], opened)
        start = unpacked.read(tarfile.BLOCKSIZE)
        unpacked.seek(0)
        if _is_tar(start):
            yield from _in_tar(unpacked)
        else:
            yield path.stem, None, lambda: unpacked
        while unpacked.read(1 << 20):  # to the end, where gzip's own check is
            pass


def _in_tar(unpacked: IO[bytes]) -> Iterator[Member]:
    """Of the plain headers of a .tar.

    tarfile itself would take extended headers into memory however large they are, and follow them.
    Here they are members like others that are not regular files, and are skipped.
    """
    end = 0
    while True:
        unpacked.seek(end)
        header = unpacked.read(tarfile.BLOCKSIZE)
        if not any(header):  # zeros close a .tar
            return
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        if member.size < 0:
            raise tarfile.ReadError("a member of negative size")
        if member.type in REGULAR and _is_inside(member.name):
            part = partial(_part, unpacked, member.size)
            yield PurePosixPath(member.name).name, member.size, part
        size = 0 if member.type in WITHOUT_CONTENT else member.size
        end += tarfile.BLOCKSIZE * (1 + -(-size // tarfile.BLOCKSIZE))


def _in_zip(path: Path, file: IO[bytes]) -> Iterator[Member]:
    size = os.fstat(file.fileno()).st_size
    if size > LARGEST_ZIP:
        raise InputError(f"{path}: a .zip of {size:,} bytes, expected at most {LARGEST_ZIP:,}")
    with _zip(file) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename).name
            if member.is_dir() or not _is_inside(member.filename):
                continue
            yield name, member.file_size, partial(_open_packed, path, archive, member)


def _zip(file: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except DAMAGED as error:
        raise zipfile.BadZipFile(str(error)) from None


def _open_packed(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    if member.flag_bits & ENCRYPTED or member.compress_type not in METHODS:
        name = ascii(PurePosixPath(member.filename).name)[1:-1]
        raise InputError(f"{path}: {name}: encrypted or packed in another way than usual")
    try:
        return archive.open(member)
    except DAMAGED as error:
        raise zipfile.BadZipFile(str(error)) from None


def _is_inside(name: str) -> bool:
    """Whether a member's path leads nowhere else."""
    place = PurePosixPath(name)
    return not place.is_absolute() and ".." not in place.parts


def _part(file: IO[bytes], size: int) -> IO[bytes]:
    return cast(IO[bytes], io.BufferedReader(_Bytes(file, size)))


class _Bytes(io.RawIOBase):
    """The next bytes of a file as a file of its own, which must all be there."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        place = memoryview(buffer)
        wanted = min(len(place), self._left)
        block = self._file.read(wanted)
        if wanted and not block:
            raise EOFError("a member is truncated")
        place[: len(block)] = block
        self._left -= len(block)
        return len(block)


def missing(path: Path, name: str, found: Sequence[str]) -> InputError:
    """The error of an official file that is not at a path, with some of the names that are."""
    # Escaped, for a name from outside may hold anything.
    names = ", ".join(ascii(one) for one in found[:SHOWN])
    return InputError(f"{path}: {name} is missing, found {names or 'no such files'}")
