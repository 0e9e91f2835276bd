"""SST-2 as GLUE publishes it: sentences about films, and whether they speak well of them.

The files are read where they lie, in GLUE's own form or in that of the usual hub, or from GLUE's
SST-2.zip or another archive, of which nothing is extracted.
"""

import codecs
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from mico.data.archives import NOT_THE_FORMAT, SHOWN, is_archive, members, missing
from mico.data.checksums import verify, verify_content
from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.support.errors import InputError

SUMMARY = "GLUE's official files of SST-2, see [below](#text)"
KINDS = ("tokens",)
FILES = ".tsv"

HEADER = b"sentence\tlabel"
# What the hub calls them. They hold the same rows, from which GLUE's own files are made again, so
# that the same checksums apply.
PARQUET = {
    "train.tsv": "train-00000-of-00001.parquet",
    "dev.tsv": "validation-00000-of-00001.parquet",
}
# A file may have so many bytes a record, and as many more for a few records, which bounds memory.
ROW_BYTES = 1_000
SPARE_ROWS = 100
# So many, where their number is not given.
MOST = 1_000_000
CLASSES = 2
LABEL = 10  # characters of a wrong label that a message shows


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Read the files that `files` names; see `read_files`."""
    assert raw is not None
    assert options.files is not None
    names = ", ".join(options.files)
    if not raw.is_dir():
        verify(raw, options.checks)  # each file has a checksum of its own
    classes = options.classes or CLASSES
    sentences, labels = read_files(raw, options.records, classes, options.files)
    source = names if raw.is_dir() else f"{raw.name}: {names}"
    return Raw(sentences, labels, source, "tokens", classes)


def read_files(
    path: Path, records: int | None, classes: int, files: Mapping[str, str | None]
) -> tuple[list[str], np.ndarray]:
    """Read some of the files, in the order of `files`.

    Args:
        path: a directory with the files, in either form, or a .zip with GLUE's in any folder.
        records, classes: what all files together must have; None: any number.
        files: the MD5 of each by its name in GLUE's form; one without is not checked.

    Returns:
        The sentences as they are, which end in a space, and labels (records,) uint8 from 0.

    Raises:
        InputError: names the path, the file, the row (from 1, after the header) and what was
            expected.
    """
    sentences: list[str] = []
    labels: list[int] = []
    for name, where, content in _contents(path, records or MOST, files):
        content = _verified(content, files[name], where)
        for sentence, label in _rows(content, where, classes):
            sentences.append(sentence)
            labels.append(label)
    if records not in (None, len(labels)):
        raise InputError(f"{path}: {len(labels):,} records in all, expected {records:,}")
    return sentences, np.array(labels, np.uint8)


def _verified(content: bytes, md5: str | None, where: str) -> bytes:
    """A file's content as GLUE writes it: without an editor's marks and blank lines at the end.

    Raises:
        InputError: neither the content nor this is what the checksum is of.
    """
    plain = content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"
    if hashlib.md5(content).hexdigest() != md5:
        verify_content(plain, md5, where)
    return plain


def _rows(content: bytes, where: str, classes: int) -> Iterator[tuple[str, int]]:
    """A file's sentences and labels; a quotation mark is a character like any other."""
    header, *lines = content.split(b"\n")
    if header != HEADER:
        raise InputError(f"{where}: expected the header sentence, label, separated by a tab")
    if lines and not lines[-1]:  # after the last line's end
        lines.pop()
    known = {str(label): label for label in range(classes)}
    for row, line in enumerate(lines, 1):
        try:
            fields = line.decode().split("\t")
        except UnicodeDecodeError:
            raise InputError(f"{where}: row {row}: expected UTF-8") from None
        if len(fields) != 2:
            raise InputError(f"{where}: row {row}: {len(fields)} fields, expected 2")
        sentence, label = fields
        if not sentence.strip():
            raise InputError(f"{where}: row {row}: the sentence is empty")
        if label not in known:
            found = f"label {label[:LABEL]!a}, expected 0 to {classes - 1}"
            raise InputError(f"{where}: row {row}: {found}")
        yield sentence, known[label]


def _contents(
    path: Path, records: int, files: Mapping[str, str | None]
) -> Iterator[tuple[str, str, bytes]]:
    """Each wanted file's name, its name in messages, and its content in GLUE's form."""
    limit = ROW_BYTES * (records + SPARE_ROWS)
    try:
        if path.is_dir():
            for name in files:
                yield name, *_in_directory(path, name, records, limit)
            return
        # A .zip's list of members is taken into memory too.
        _check_size(str(path), path.stat().st_size, limit)
        if not is_archive(path):
            raise InputError(f"{path}: expected a directory or a .zip of {', '.join(files)}")
        contents = _unpacked(path, files, limit)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{error.filename or path}: cannot be read ({reason})") from None
    for name in files:
        yield name, f"{path}: {name}", contents[name]


def _in_directory(path: Path, name: str, records: int, limit: int) -> tuple[str, bytes]:
    """A file's name in messages and its content, which may lie there in the hub's form instead."""
    if (path / name).is_file():
        where = f"{path}: {name}"
        _check_size(where, (path / name).stat().st_size, limit)
        return where, (path / name).read_bytes()
    other = PARQUET.get(name)
    if other and (path / other).is_file():
        where = f"{path}: {other}, as {name}"
        return where, _from_parquet(path / other, where, records, limit)
    found = sorted(file.name for kind in ("*.tsv", "*.parquet") for file in path.glob(kind))
    raise missing(path, name, found)


def _from_parquet(path: Path, where: str, records: int, limit: int) -> bytes:
    """The file in GLUE's form that has the same rows."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            groups = range(file.metadata.num_row_groups)
            size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
            _check_size(where, max(size, path.stat().st_size), limit)
            rows = file.metadata.num_rows
            if rows > records:
                raise InputError(f"{where}: {rows:,} rows, expected at most {records:,}")
            types = {field.name: str(field.type) for field in file.schema_arrow}
            columns = [types.get(column) for column in ("sentence", "label")]
            if columns[0] != "string" or columns[1] not in ("int64", "int32", "int8"):
                found = ", ".join(f"{column} {kind}" for column, kind in types.items())
                expected = "the columns sentence, of strings, and label, of integers"
                raise InputError(f"{where}: {found[:200]!a}, expected {expected}")
            table = file.read(["sentence", "label"], use_threads=False)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{where}: not a parquet file ({reason})") from None
    if any(column.null_count for column in table.columns):
        raise InputError(f"{where}: a value is missing")
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    lines = [HEADER, *(f"{sentence}\t{label}".encode() for sentence, label in rows)]
    return b"".join(line + b"\n" for line in lines)


def _unpacked(path: Path, files: Mapping[str, str | None], limit: int) -> dict[str, bytes]:
    """The wanted among an archive's members, whatever folder inside it they are in."""
    contents: dict[str, bytes] = {}
    found: list[str] = []
    try:
        for name, size, opened in members(path):
            if len(found) < SHOWN:
                found.append(name)
            if name not in files:
                continue
            where = f"{path}: {name}"
            if name in contents:
                raise InputError(f"{where} is there twice")
            _check_size(where, size or 0, limit)
            contents[name] = opened().read(limit + 1)
            _check_size(where, len(contents[name]), limit)
    except NOT_THE_FORMAT as error:
        raise InputError(f"{path}: not a whole archive ({error})") from None
    for name in files:
        if name not in contents:
            raise missing(path, name, found)
    return contents


def _check_size(where: str, size: int, limit: int) -> None:
    """Refuse what is too large before it is read."""
    if size > limit:
        raise InputError(f"{where}: {size:,} bytes, expected at most {limit:,}")
