"""Read or generate a data set once and store it as arrays that can be memory-mapped."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mico.data import store
from mico.data.checksums import verify
from mico.data.formats import cifar10_binary, cifar10_synthetic
from mico.data.formats.labelled_bits import is_archive, read_csv
from mico.data.store import Description
from mico.support import program
from mico.support.errors import InputError

Read = tuple[np.ndarray, np.ndarray, str]  # what is stored, labels, and where they came from


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the data set's name in the configuration")
    parser.add_argument("--format", choices=[*READERS, *GENERATORS], required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--features", type=int, required=True)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--raw", type=Path, help="the file, or CIFAR-10's directory")
    parser.add_argument("--seed", type=int, help="of a generated data set")
    parser.add_argument(
        "--check",
        nargs="*",
        default=[],
        help="of a CSV or an archive: sha256=..., md5=... or git_blob=...",
    )
    parser.add_argument(
        "--files", nargs="*", default=[], help="of CIFAR-10, in order: NAME, or NAME=MD5"
    )
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    if args.format in READERS:
        if args.raw is None:
            parser.error(f"{args.format} needs --raw")
        stored, labels, source = READERS[args.format](args)
    else:
        if args.seed is None:
            parser.error(f"{args.format} needs --seed")
        shape = (args.records, args.seed, args.features, args.classes)
        try:
            stored, labels = GENERATORS[args.format](*shape)
        except ValueError as error:
            raise InputError(f"{args.format}: {error}") from None
        source = f"generated, seed {args.seed}"
    description = Description(
        name=args.name,
        records=args.records,
        features=args.features,
        classes=args.classes,
        synthetic=args.format in GENERATORS,
        source=source,
        kind="images" if args.format.startswith("cifar10-") else "bits",
    )
    store.write(args.output, description, stored, labels)


def _labelled_bits(args: argparse.Namespace) -> Read:
    verify(args.raw, args.check)
    shape = (args.records, args.features, args.classes)
    return *read_csv(args.raw, *shape), args.raw.name


def _cifar10(args: argparse.Namespace) -> Read:
    files = {name: md5 or None for name, _, md5 in (file.partition("=") for file in args.files)}
    names = ", ".join(files)
    archive = is_archive(args.raw)
    if archive:  # whose checksums these are; each file has its own
        verify(args.raw, args.check)
    pixels, labels = cifar10_binary.read(args.raw, args.records, args.features, args.classes, files)
    return pixels, labels, f"{args.raw.name}: {names}" if archive else names


def _purchase100(
    records: int, seed: int, features: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    from mico.data.formats import purchase100_synthetic

    bits, labels = purchase100_synthetic.purchase100(records, seed, features, classes)
    return np.packbits(bits, axis=1), labels


def _images(records: int, seed: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    if features != cifar10_binary.PIXELS:
        raise ValueError(f"features = {features}: an image has {cifar10_binary.PIXELS}")
    return cifar10_synthetic.cifar10(records, seed, classes)


READERS: dict[str, Callable[[argparse.Namespace], Read]] = {
    "labelled-bits": _labelled_bits,
    "cifar10-binary": _cifar10,
}
GENERATORS: dict[str, Callable[[int, int, int, int], tuple[np.ndarray, np.ndarray]]] = {
    "purchase100-synthetic": _purchase100,
    "cifar10-synthetic": _images,
}


if __name__ == "__main__":
    program.run(main)
