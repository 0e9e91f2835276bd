"""A table of one's own: a row for each record, its label in one column, features in the others."""

from pathlib import Path
from typing import Any

import numpy as np

from mico.data import numpy_files, tables
from mico.data.checksums import verify
from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.support.errors import InputError, shown

SUMMARY = (
    "a table of your own: CSV, TSV, parquet or `.npz`, "
    "see [docs/your-data.md](../docs/your-data.md)"
)
KINDS = ("bits", "numbers")
OPTIONS = ("label", "header", "array", "missing", "scale")

MOST_TEXTS = 256  # of a column, each of which becomes a feature

Columns = dict[str, np.ndarray]  # numbers float64, a missing one NaN, or objects: str or None


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Read the file, scale its numbers, and make a feature of each text of a column of texts.

    It gives bits if all features are 0 or 1 and no scaling is asked for, else numbers.

    Raises:
        InputError: names the file, the row (from 1, after the header) and the column.
    """
    assert raw is not None
    verify(raw, options.checks)
    is_npz = raw.suffix.lower() == ".npz"
    columns, label = (_from_npz if is_npz else _from_table)(options, raw)
    if len(columns) < 2:
        raise InputError(f"{raw}: no column besides the labels, expected features")
    columns = _without_missing(raw, columns, label, options.missing)
    labels, class_names = tables.labels(columns.pop(label), f"{raw}: column {shown(label)}")
    scale = options.scale
    if scale is None:
        is_plain = all(np.isin(one, (0, 1)).all() for one in columns.values() if _is_numbers(one))
        scale = "none" if is_plain else "standard"
    features: list[np.ndarray] = []
    about: list[dict[str, Any]] = []
    for name, column in columns.items():
        try:
            made, how = _scaled(column, scale) if _is_numbers(column) else _one_hot(column)
        except InputError as error:
            raise InputError(f"{raw}: column {shown(name)}: {error}") from None
        features += made
        about.append({"name": name, **how})
    matrix = np.stack(features, axis=1)
    is_bits = scale == "none" and bool(np.isin(matrix, (0, 1)).all())
    return Raw(
        np.packbits(matrix.astype(np.uint8), axis=1) if is_bits else matrix,
        *(labels, raw.name, "bits" if is_bits else "numbers", len(class_names), matrix.shape[1]),
        class_names=class_names,
        columns=about,
    )


def _from_table(options: DataOptions, raw: Path) -> tuple[Columns, str]:
    """The columns by name, and the name of that of labels."""
    if options.array is not None:
        raise InputError(f"{raw}: array: expected only of an .npz")
    table = tables.read(raw, header=options.header)
    place = table.place("label" if options.label is None else options.label)
    columns = {
        name: table.values(number, is_label=number == place)
        for number, name in enumerate(table.names)
    }
    return columns, table.names[place]


def _from_npz(options: DataOptions, raw: Path) -> tuple[Columns, str]:
    """The columns of an array by their numbers, and labels under a name of theirs."""
    if options.header is not None:
        raise InputError(f"{raw}: header: expected only of CSV and TSV")
    if isinstance(options.label, int):
        raise InputError(f"{raw}: label {options.label}: expected an array's name")
    found, labels = numpy_files.read(raw, options.array, options.label)
    if found.ndim != 2:
        cause = ": images have a format of their own" if found.ndim in (3, 4) else ""
        raise InputError(f"{raw}: shape {found.shape}, expected (records, features){cause}")
    if found.dtype.kind not in "biuf":
        raise InputError(f"{raw}: {found.dtype}, expected numbers or booleans")
    columns = {f"column {at}": one.astype(np.float64) for at, one in enumerate(found.T, 1)}
    return columns | {"label": labels}, "label"


def _is_numbers(column: np.ndarray) -> bool:
    return column.dtype.kind == "f"


def _without_missing(raw: Path, columns: Columns, label: str, rule: str | None) -> Columns:
    """The columns with nothing missing, by the rule.

    Raises:
        InputError: something is missing for which there is no rule, or a number is infinite.
    """
    there = np.ones(len(columns[label]), bool)
    whole: Columns = {}
    for name, column in columns.items():
        missing = tables.missing(column)
        if _is_numbers(column) and (wrong := np.isinf(column)).any():
            row = int(wrong.argmax())
            found = f"row {row + 1}, column {shown(name)}: {column[row]}"
            raise InputError(f"{raw}: {found}, expected a finite number")
        if rule == "drop":
            there &= ~missing
        elif missing.any():
            where = f"{raw}: row {int(missing.argmax()) + 1}, column {shown(name)}: missing"
            if missing.all():
                raise InputError(f"{raw}: column {shown(name)}: all values are missing")
            if rule is None:
                rules = "drop`" if name == label or not _is_numbers(column) else "mean` or `drop`"
                raise InputError(f"{where}: expected a value, or `missing: {rules}")
            if name == label or not _is_numbers(column):
                what = "a label" if name == label else "a text"
                raise InputError(f"{where}: {what} has no mean, expected `missing: drop`")
            column = np.where(missing, column[~missing].mean(), column)
        whole[name] = column
    if not there.any():
        raise InputError(f"{raw}: no row in which nothing is missing")
    return {name: column[there] for name, column in whole.items()}


def _scaled(column: np.ndarray, scale: str) -> tuple[list[np.ndarray], dict[str, float]]:
    """The feature of a column of numbers, and what it was scaled by; a constant one becomes 0.

    Raises:
        InputError: a number is too large.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        subtract, divide = 0.0, 1.0
        if scale == "range":
            subtract, divide = float(column.min()), float(np.ptp(column)) or 1.0
        elif scale == "standard":
            subtract, divide = float(column.mean()), float(column.std()) or 1.0
        scaled = ((column - subtract) / divide).astype(np.float32)
    if not (np.isfinite(scaled).all() and np.isfinite(divide)):
        largest = f"{float(np.abs(column).max()):g}"
        raise InputError(f"{largest} is too large for single precision")
    return [scaled], {"subtract": subtract, "divide": divide}


def _one_hot(column: np.ndarray) -> tuple[list[np.ndarray], dict[str, list[str]]]:
    """A feature of 0 and 1 for each text of a column, and the texts, sorted.

    Raises:
        InputError: there are too many.
    """
    texts = sorted(set(column.tolist()))
    if len(texts) > MOST_TEXTS:
        found = f"{len(texts):,} different texts, such as {shown(texts[0])}"
        cause = "is this a name or a number of the record? Take the column out"
        raise InputError(f"{found}, expected at most {MOST_TEXTS}: {cause}")
    place = {text: number for number, text in enumerate(texts)}
    places = np.array([place[text] for text in column])
    made = [(places == number).astype(np.float32) for number in range(len(texts))]
    return made, {"texts": texts}
