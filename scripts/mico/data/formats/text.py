"""Text of one's own: a row for each record, with its text and its label."""

from pathlib import Path

from mico.data import tables
from mico.data.checksums import verify
from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.support.errors import InputError, shown

SUMMARY = (
    "text of your own: CSV, TSV, parquet or JSON lines, "
    "see [docs/your-data.md](../docs/your-data.md)"
)
KINDS = ("tokens",)
OPTIONS = ("text", "label", "header", "truncate")


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Read the file; texts stay as they are.

    Raises:
        InputError: names the file, the row (from 1, after the header) and the column.
    """
    assert raw is not None
    verify(raw, options.checks)
    table = tables.read(raw, header=options.header)
    text, label = (
        table.place(name if given is None else given)
        for name, given in (("text", options.text), ("label", options.label))
    )
    if text == label:
        raise InputError(f"{raw}: column {shown(table.names[text])}: expected text or labels")
    sentences = table.texts(text)
    values = table.values(label, is_label=True)
    gone = tables.missing(values)
    if gone.any():
        raise InputError(f"{table.where(int(gone.argmax()), label)}: the label is missing")
    labels, class_names = tables.labels(values, f"{raw}: column {shown(table.names[label])}")
    return Raw(sentences, labels, raw.name, "tokens", len(class_names), class_names=class_names)
