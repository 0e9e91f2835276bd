"""Read or generate a data set once and store it as arrays that can be memory-mapped."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from mico.data import store, tokens
from mico.data.check import check_format
from mico.data.options import COUNTS, DataOptions
from mico.data.raw import Raw
from mico.data.registry import formats
from mico.data.store import Description
from mico.support import program, records
from mico.support.errors import InputError

LEAST = 3  # records of a data set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the data set's name in the configuration")
    parser.add_argument("--options", required=True, help="JSON of mico.data.options.DataOptions")
    parser.add_argument("--raw", type=Path, help="the file, or the directory of the official files")
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    options = records.read(DataOptions, args.options, "--options: ")
    if options.format not in formats():
        raise InputError(f"format {options.format!r}: expected one of {', '.join(formats())}")
    form = formats()[options.format]
    try:
        check_format(options)
        if not form.generated and args.raw is None:
            raise InputError("needs --raw")
    except InputError as error:
        raise InputError(f"{options.format}: {error}") from None
    raw = form.read(options, args.raw)
    description = Description(
        name=args.name,
        records=len(raw.labels),
        features=raw.features or 0,
        classes=raw.classes,
        synthetic=form.generated,
        source=raw.source,
        kind=raw.kind,
        **{field: getattr(raw, field) for field in (*store.OF_IMAGES, "class_names", "columns")},
    )
    _check_counts(options, description)
    if raw.kind == "tokens":
        try:
            _store_tokens(args.output, description, options, raw)
        except InputError as error:
            raise InputError(f"dataset {args.name}: {error}") from None
    else:
        store.write(args.output, description, np.asarray(raw.records), raw.labels)


def _check_counts(options: DataOptions, found: Description) -> None:
    """Refuse a file that has other counts than the configuration says, or too few records."""
    if found.records < LEAST:
        expected = f"expected {LEAST} at least"
        raise InputError(f"dataset {found.name}: {found.records} records, {expected}")
    for key in COUNTS:
        expected, own = getattr(options, key), getattr(found, key)
        # Of text, `features` is a limit.
        if expected not in (None, own) and not (key == "features" and found.kind == "tokens"):
            says = f"expected {expected:,}, as the configuration says"
            raise InputError(f"dataset {found.name}: {own:,} {key} found, {says}")


def _store_tokens(folder: Path, description: Description, options: DataOptions, raw: Raw) -> None:
    """Store sentences as tokens, with the tokenizer."""
    sentences = [str(sentence) for sentence in raw.records]
    assert options.tokenizer is not None  # as `check_format` has found
    if options.vocabulary is not None:
        tokenizer = tokens.train(sentences, options.vocabulary)
    else:
        tokenizer = tokens.load(options.tokenizer)
    ids = tokenizer.encode(sentences, options.features, truncate=bool(options.truncate))
    place = Path(options.tokenizer)  # on this machine, which is nobody's business
    name = place.resolve().name if place.is_dir() else options.tokenizer
    whole = replace(
        description,
        features=ids.shape[1],
        source=f"{raw.source}; tokenizer {name}",
        vocabulary=tokenizer.vocabulary,
        padding=tokenizer.padding,
    )
    store.write(folder, whole, ids, raw.labels, tokenizer.files())


if __name__ == "__main__":
    program.run(main)
