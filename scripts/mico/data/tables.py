"""Tables from files: CSV, TSV, parquet and JSON lines, read by pyarrow, a column at a time.

Rows are counted from 1, without the header. What a column holds is found out: numbers, of which
booleans are 0 and 1, or texts.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mico.data.appearance import likely
from mico.support.errors import InputError, did_you_mean, shown

DELIMITERS = {".csv": ",", ".txt": ",", ".data": ",", ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")
JSON_LINES = (".jsonl", ".ndjson")
# How a missing value is written, and a missing label: others are the names of classes.
MISSING = ("", "?", "NaN", "nan", "NA", "N/A", "null", "NULL", "None")
MISSING_LABEL = MISSING[:4]
# What pyarrow takes for a number.
NUMBER = re.compile(r"[-+]?(([0-9]+[.]?[0-9]*|[.][0-9]+)(e[-+]?[0-9]+)?|inf(inity)?|nan)", re.I)
BOOLEANS = {"true": 1.0, "false": 0.0}
MOST_CLASSES = 256  # labels are stored as uint8
COLUMNS_SHOWN = 10
MOST_ROWS = 100_000_000
DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")
BLOCK = 2**31 - 1  # bytes that pyarrow takes at once, at most


@dataclass(frozen=True)
class Table:
    """The columns of a file, as pyarrow has them."""

    path: Path
    names: list[str]
    columns: list[Any]  # a pyarrow.ChunkedArray each
    is_text: bool  # of a CSV: all is written as text, and may stand for numbers

    def place(self, column: str | int) -> int:
        """The place of a column by its name, or by its position from 1, or from -1 at the end.

        Raises:
            InputError: there is none.
        """
        if isinstance(column, str):
            if column in self.names:
                return self.names.index(column)
            found = ", ".join(shown(name) for name in self.names[:COLUMNS_SHOWN])
            hint = did_you_mean(column, self.names) if len(self.names) <= COLUMNS_SHOWN else ""
            more = f"; {hint}" if hint.startswith("did") else ""
            raise InputError(f"{self.path}: no column {shown(column)}, found {found}{more}")
        count = len(self.names)
        if not 1 <= abs(column) <= count:
            raise InputError(f"{self.path}: no column {column}: there are {count}, from 1")
        return column - 1 if column > 0 else count + column

    def where(self, row: int, column: int) -> str:
        """A row, from 0, and a column's place in words."""
        return f"{self.path}: row {row + 1}, column {shown(self.names[column])}"

    def values(self, column: int, is_label: bool = False) -> np.ndarray:
        """A column (N,): numbers float64, of which a missing one is NaN, or objects, str or None.

        Raises:
            InputError: it holds something else, or numbers beside texts, which labels may be.
        """
        import pyarrow
        from pyarrow import compute, types

        array, kind = self._array(column)
        if types.is_string(kind) or types.is_large_string(kind):
            array = compute.utf8_trim_whitespace(array)
            gone = pyarrow.array(MISSING_LABEL if is_label else MISSING, kind)
            array = compute.if_else(compute.is_in(array, value_set=gone), None, array)
            return self._numbers(column, array, is_label) if self.is_text else _objects(array)
        if (
            types.is_boolean(kind)
            or types.is_integer(kind)
            or types.is_floating(kind)
            or types.is_decimal(kind)
            or types.is_null(kind)
        ):
            numbers: np.ndarray = array.cast(pyarrow.float64(), safe=False).to_numpy()
            return numbers
        expected = "expected numbers, booleans or texts"
        raise InputError(f"{self.path}: column {shown(self.names[column])}: {kind}, {expected}")

    def _array(self, column: int) -> tuple[Any, Any]:
        """A column of pyarrow's, and its type, of one whose values are listed that of these."""
        from pyarrow import types

        array = self.columns[column]
        if types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        return array, array.type

    def _numbers(self, column: int, array: Any, is_label: bool) -> np.ndarray:
        """What texts stand for: the numbers, if all do, or else the texts (N,) of objects."""
        import pyarrow

        try:
            numbers: np.ndarray = array.cast(pyarrow.float64()).to_numpy()
            return numbers
        except pyarrow.ArrowInvalid:
            texts = _objects(array)
        there = [(row, text) for row, text in enumerate(texts) if text is not None]
        if all(text.lower() in BOOLEANS for _, text in there):
            return np.array(
                [np.nan if text is None else BOOLEANS[text.lower()] for text in texts], np.float64
            )
        if is_label:
            return texts
        if there and all(DECIMAL_COMMA.fullmatch(text) for _, text in there):
            row, text = there[0]
            cause = "numbers have a decimal comma, expected a point"
            raise InputError(f"{self.where(row, column)}: {shown(text)}: {cause}")
        number = next((one for one in there if NUMBER.fullmatch(one[1])), None)
        if number is not None:
            row, text = next(one for one in there if not NUMBER.fullmatch(one[1]))
            raise InputError(
                f"{self.where(row, column)}: {shown(text)}, but row {number[0] + 1} has "
                f"{shown(number[1])}: expected numbers alone, or none"
            )
        return texts

    def texts(self, column: int) -> list[str]:
        """A column of texts as they are.

        Raises:
            InputError: it holds something else, or a text is missing or blank.
        """
        from pyarrow import types

        array, kind = self._array(column)
        if not (types.is_string(kind) or types.is_large_string(kind)):
            expected = f"column {shown(self.names[column])}: {kind}, expected texts"
            raise InputError(f"{self.path}: {expected}")
        found: list[str] = array.to_pylist()
        for row, text in enumerate(found):
            if text is None or not text.strip():
                raise InputError(f"{self.where(row, column)}: the text is empty")
        return found


def read(path: Path, header: bool | None = None) -> Table:
    """Read a table, by what its name ends in.

    Args:
        header: whether the first line of a CSV names its columns; None if nobody says so, and it
            does unless it looks like a record.

    Raises:
        InputError: it is not what its name says, is damaged, or has rows of several lengths or two
            columns of one name.
    """
    ending = path.suffix.lower()
    if ending in DELIMITERS:
        names, columns = _from_csv(path, DELIMITERS[ending], header)
    elif header is False:
        raise InputError(f"{path}: header: expected only of CSV and TSV")
    elif ending in PARQUET:
        names, columns = _from_parquet(path)
    elif ending in JSON_LINES:
        names, columns = _from_json_lines(path)
    else:
        known = ", ".join((*DELIMITERS, *PARQUET, *JSON_LINES))
        raise InputError(f"{path}: expected a name that ends in one of {known}{likely(path)}")
    for name, times in Counter(names).items():
        if times > 1:
            raise InputError(f"{path}: the column {shown(name)} is there twice")
    if not columns or not len(columns[0]):
        raise InputError(f"{path}: no rows, expected one for each record")
    return Table(path, names, columns, ending in DELIMITERS)


def missing(values: np.ndarray) -> np.ndarray:
    """Whether each value of a column is missing, (N,) bool."""
    if values.dtype.kind == "f":
        gone: np.ndarray = np.isnan(values)
        return gone
    return np.array([one is None for one in values], bool)


def labels(values: np.ndarray, found_in: str) -> tuple[np.ndarray, list[str]]:
    """Labels (N,) uint8 from 0, and the names of the classes, in sorted order.

    Args:
        values: (N,), numbers, which are sorted as such, or strings; none is missing.
        found_in: the file and the column, for messages.

    Raises:
        InputError: there is one class, or there are more than labels can be stored of.
    """
    names, places = np.unique(values, return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"{found_in}: only the label {shown(_name(names[0]))}, expected 2 at least"
        )
    if len(names) > MOST_CLASSES:
        cause = "is this a column of labels?"
        raise InputError(
            f"{found_in}: {len(names):,} different labels, {shown(_name(names[0]))} to "
            f"{shown(_name(names[-1]))}, expected at most {MOST_CLASSES}: {cause}"
        )
    return places.reshape(-1).astype(np.uint8), list(map(_name, names))


def _name(value: Any) -> str:
    """A label as it is told: 3 for 3.0."""
    if isinstance(value, np.floating | float) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _objects(array: Any) -> np.ndarray:
    found: np.ndarray = array.to_numpy()
    return found.astype(object)


def _from_csv(path: Path, delimiter: str, told: bool | None) -> tuple[list[str], list[Any]]:
    hint = likely(path)
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if hint or b"\0" in content:
        raise InputError(f"{path}: not a table as text{hint or ': it holds a NUL byte'}")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        found = f"byte {content[error.start]:#x}"
        raise InputError(f"{path}: line {line}: {found}: expected text in UTF-8") from None
    try:
        first = next(csv.reader(_lines(content), delimiter=delimiter))
    except (StopIteration, csv.Error):
        first = []
    if not first:
        raise InputError(f"{path}: the first line is empty, or no line of a table")
    if len(first) == 1:
        for other, what in (";", "semicolon"), ("\t", "tab"), (",", "comma"), ("|", "bar"):
            if other in first[0]:
                expected = "commas, or tabs in a .tsv"
                raise InputError(
                    f"{path}: this looks like a {what}-separated file, expected {expected}"
                )
    header = told is not False
    numbers = [name.strip() for name in first if NUMBER.fullmatch(name.strip())]
    fraction = next((name for name in numbers if "." in name), None)
    if header and (len(numbers) == len(first) or (told is None and fraction)):
        found = "numbers alone" if len(numbers) == len(first) else f"the number {fraction}"
        cause = "a file without a header needs `header: false`"
        raise InputError(f"{path}: the header has {found}: {cause}")
    if header and "" in (name.strip() for name in first):
        empty = [name.strip() for name in first].index("") + 1
        cause = "pandas writes one of row numbers so, without index=False"
        raise InputError(f"{path}: the header has no name for column {empty}: {cause}")
    names = (
        [name.strip() for name in first]
        if header
        else [f"column {number}" for number in range(1, 1 + len(first))]
    )
    columns, wrong = _parsed(path, content, delimiter, len(names), header, quotes=True)
    if b'"' in content:
        if delimiter == "\t":
            # In many such files a quotation mark is a character like any other. Then each line is a
            # row, and there are more than if it is none.
            plain, none = _parsed(path, content, delimiter, len(names), header, quotes=False)
            is_open = content.count(b'"') % 2 == 1
            if not none and (is_open or len(plain[0]) != len(columns[0])):
                return names, plain
        _check_quotes(path, content, delimiter)
    if wrong:
        row, fields, text = wrong
        expected = f"{fields} fields, expected {len(names)}"
        raise InputError(f"{path}: row {row - header}: {expected}: {shown(text)}")
    return names, columns


def _check_quotes(path: Path, content: bytes, delimiter: str) -> None:
    """Refuse quotation marks that do not pair up, over which pyarrow passes."""
    rows = csv.reader(_lines(content), delimiter=delimiter, strict=True)
    limit = csv.field_size_limit(len(content))
    begins = 1
    try:
        for _ in rows:
            begins = rows.line_num + 1
    except csv.Error as error:
        where = f"{path}: line {begins}"
        cause = "a quotation mark is not closed, or not doubled within quotation marks"
        raise InputError(f"{where}: {cause} ({error})") from None
    finally:
        csv.field_size_limit(limit)


def _lines(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")


def _parsed(
    path: Path, content: bytes, delimiter: str, width: int, header: bool, quotes: bool
) -> tuple[list[Any], tuple[int, int, str] | None]:
    """The columns, as texts, and the first line of another length: number, fields and text."""
    import pyarrow
    from pyarrow import csv as arrow

    wrong: list[tuple[int, int, str]] = []

    def skip(row: Any) -> str:
        wrong.append((row.number, row.actual_columns, row.text))
        return "skip"

    names = [str(number) for number in range(width)]
    try:
        table = arrow.read_csv(
            io.BytesIO(content),
            read_options=arrow.ReadOptions(
                use_threads=False,
                block_size=min(len(content) + 1, BLOCK),
                column_names=names,
                skip_rows_after_names=int(header),
            ),
            parse_options=arrow.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quotes else False,
                newlines_in_values=quotes,
                invalid_row_handler=skip,
            ),
            convert_options=arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False
            ),
        )
    except pyarrow.ArrowException as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a table as text ({shown(reason)})") from None
    return table.columns, wrong[0] if wrong else None


def _from_parquet(path: Path) -> tuple[list[str], list[Any]]:
    import pyarrow
    from pyarrow import parquet

    hint = likely(path, b"PAR1")
    if hint:
        raise InputError(f"{path}: not a parquet file{hint}")
    try:
        with parquet.ParquetFile(path) as file:
            if (rows := file.metadata.num_rows) > MOST_ROWS:  # of which a small file may tell
                raise InputError(f"{path}: {rows:,} rows, expected at most {MOST_ROWS:,}")
            table = file.read(use_threads=False)
        table.validate(full=True)  # that texts are UTF-8, for one
    except InputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a whole parquet file ({shown(reason)})") from None
    return [str(name) for name in table.column_names], table.columns


def _from_json_lines(path: Path) -> tuple[list[str], list[Any]]:
    import pyarrow

    hint = likely(path)
    if hint:
        raise InputError(f"{path}: not lines of JSON{hint}")
    rows = list(_json_rows(path))
    names = list(rows[0]) if rows else []
    for number, row in enumerate(rows, 1):
        if row.keys() != set(names):
            other = min(row.keys() ^ set(names))
            raise InputError(
                f"{path}: row {number}: key {shown(other)}: expected in every row or none"
            )
    columns = []
    for name in names:
        _check_kinds(path, name, [row[name] for row in rows])
        try:
            columns.append(pyarrow.chunked_array([pyarrow.array([row[name] for row in rows])]))
        except (pyarrow.ArrowException, TypeError, OverflowError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: key {shown(name)}: {shown(reason)}") from None
    return names, columns


def _check_kinds(path: Path, name: str, values: list[Any]) -> None:
    """Refuse texts beside numbers, or other kinds beside others, of one key."""
    first: tuple[int, Any] | None = None
    for number, value in enumerate(values, 1):
        if value is None:
            continue
        if first is None:
            first = number, value
        kinds = [float if isinstance(one, int) else type(one) for one in (value, first[1])]
        if kinds[0] is not kinds[1]:
            raise InputError(
                f"{path}: row {number}, key {shown(name)}: {shown(value)}, but row {first[0]} has "
                f"{shown(first[1])}: expected values of one kind"
            )


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        number = 0
        for line in file:
            line = line.removeprefix(b"\xef\xbb\xbf").strip()
            if not line:
                continue
            number += 1
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = " ".join(str(error).split())
                raise InputError(f"{path}: row {number}: not JSON ({shown(reason)})") from None
            if not isinstance(row, dict):
                found = shown(row)
                raise InputError(f"{path}: row {number}: {found}, expected an object in braces")
            yield row
