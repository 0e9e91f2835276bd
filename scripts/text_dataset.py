"""Read or generate sentences once and store them as tokens that can be memory-mapped."""

import argparse
from pathlib import Path

import numpy as np

from mico.data import store, tokens
from mico.data.checksums import verify
from mico.data.format_names import GENERATED, TEXT
from mico.data.formats import sst2, sst2_synthetic
from mico.data.store import Description
from mico.support import program
from mico.support.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the data set's name in the configuration")
    parser.add_argument("--format", choices=TEXT, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--features", type=int, required=True, help="tokens that a record may have")
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument(
        "--tokenizer",
        required=True,
        help=f"{tokens.BPE}: one trained on the sentences; else a checkpoint's folder or name",
    )
    parser.add_argument("--vocabulary", type=int, help=f"tokens of {tokens.BPE}, at most")
    parser.add_argument("--raw", type=Path, help="the directory of the files, or the .zip")
    parser.add_argument("--seed", type=int, help="of generated sentences")
    parser.add_argument(
        "--check", nargs="*", default=[], help="of the .zip: sha256=..., md5=... or git_blob=..."
    )
    parser.add_argument("--files", nargs="*", default=[], help="in order: NAME, or NAME=MD5")
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()
    generated = args.format in GENERATED
    for name in ["seed"] if generated else ["raw", "files"]:
        if getattr(args, name) in (None, []):
            parser.error(f"{args.format} needs --{name}")
    if args.tokenizer == tokens.BPE and args.vocabulary is None:
        parser.error(f"{tokens.BPE} needs --vocabulary")

    if generated:
        try:
            sentences, labels = sst2_synthetic.sst2(args.records, args.seed, args.classes)
        except ValueError as error:
            raise InputError(f"{args.format}: {error}") from None
        source = f"generated, seed {args.seed}"
    else:
        sentences, labels, source = _sst2(args)
    try:
        if args.tokenizer == tokens.BPE:
            tokenizer = tokens.train(sentences, args.vocabulary)
        else:
            tokenizer = tokens.load(args.tokenizer)
        ids = tokenizer.encode(sentences, args.features)
    except InputError as error:
        raise InputError(f"dataset {args.name}: {error}") from None
    folder = Path(args.tokenizer)  # whose place on this machine is nobody's business
    name = folder.resolve().name if folder.is_dir() else args.tokenizer
    description = Description(
        name=args.name,
        records=args.records,
        features=args.features,
        classes=args.classes,
        synthetic=generated,
        source=f"{source}; tokenizer {name}",
        kind="tokens",
        vocabulary=tokenizer.vocabulary,
        padding=tokenizer.padding,
    )
    store.write(args.output, description, ids, labels, tokenizer.files())


def _sst2(args: argparse.Namespace) -> tuple[list[str], np.ndarray, str]:
    """Sentences, labels, and where they came from."""
    files = {name: md5 or None for name, _, md5 in (file.partition("=") for file in args.files)}
    names = ", ".join(files)
    if args.raw.is_dir():
        return *sst2.read(args.raw, args.records, args.classes, files), names
    verify(args.raw, args.check)  # each file has a checksum of its own
    sentences, labels = sst2.read(args.raw, args.records, args.classes, files)
    return sentences, labels, f"{args.raw.name}: {names}"


if __name__ == "__main__":
    program.run(main)
