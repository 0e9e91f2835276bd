"""What a file seems to be, by its first bytes: the likely cause where it cannot be read."""

import codecs
from pathlib import Path

from mico.data.archives import ZIP
from mico.support.errors import InputError

START = 64  # bytes that are looked at
# What a file is that begins so, and what to do about it.
BEGINNINGS = (
    (b"\x1f\x8b", "a gzip file: unpack it"),
    (b"\xfd7zXZ", "an xz file: unpack it"),
    *((start, "a zip file, such as an .npz, an archive or a spreadsheet") for start in ZIP),
    (b"PAR1\x15", "a parquet file"),
    (b"\x93NUMPY", "an .npy file: expected an .npz with labels too"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet: save it as CSV"),
    (b"SQLite format", "an SQLite data base"),
    (b"version https://git-lfs", "a pointer of Git LFS: get the file itself"),
    *((start, "a web page and not the file") for start in (b"<!", b"<html", b"<HTML", b"<?xml")),
    (codecs.BOM_UTF16_LE, "text in UTF-16: save it as UTF-8"),
    (codecs.BOM_UTF16_BE, "text in UTF-16: save it as UTF-8"),
    *((b"\x80" + bytes([protocol]), "a pickle, which is never read") for protocol in range(2, 6)),
)


def likely(path: Path, form: bytes = b"") -> str:
    """`: this looks like ...`, or nothing to be said; `form` is how the right file begins.

    Raises:
        InputError: there is no such file, or it is empty.
    """
    try:
        if not path.is_file():  # a pipe would be waited for, and a device never ends
            raise InputError(f"{path}: expected a file")
        with path.open("rb") as file:
            start = file.read(START)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not start:
        raise InputError(f"{path}: the file is empty")
    for beginning, what in BEGINNINGS:
        if start.startswith(beginning) and not (form and beginning.startswith(form)):
            return f": this looks like {what}"
    return ""
