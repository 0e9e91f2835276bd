"""Read or generate a data set once and store it as arrays that can be memory-mapped."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from mico.data import store, tokens
from mico.data.check import check_format
from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.data.registry import formats
from mico.data.store import Description
from mico.support import program, records
from mico.support.errors import InputError


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
        records=options.records,
        features=options.features,
        classes=options.classes,
        synthetic=form.generated,
        source=raw.source,
        kind=form.kind,
    )
    if form.kind == "tokens":
        try:
            _store_tokens(args.output, description, options, raw)
        except InputError as error:
            raise InputError(f"dataset {args.name}: {error}") from None
    else:
        store.write(args.output, description, np.asarray(raw.records), raw.labels)


def _store_tokens(folder: Path, description: Description, options: DataOptions, raw: Raw) -> None:
    """Store sentences as tokens, with the tokenizer."""
    sentences = [str(sentence) for sentence in raw.records]
    assert options.tokenizer is not None  # as `check_format` has found
    if options.vocabulary is not None:
        tokenizer = tokens.train(sentences, options.vocabulary)
    else:
        tokenizer = tokens.load(options.tokenizer)
    ids = tokenizer.encode(sentences, options.features)
    place = Path(options.tokenizer)  # on this machine, which is nobody's business
    name = place.resolve().name if place.is_dir() else options.tokenizer
    whole = replace(
        description,
        source=f"{raw.source}; tokenizer {name}",
        vocabulary=tokenizer.vocabulary,
        padding=tokenizer.padding,
    )
    store.write(folder, whole, ids, raw.labels, tokenizer.files())


if __name__ == "__main__":
    program.run(main)
