"""Read or generate a data set once and store it as bits that can be memory-mapped."""

import argparse
from pathlib import Path

import numpy as np

from mico import command_line, datasets
from mico.command_line import InputError
from mico.datasets import Description


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the data set's name in the configuration")
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--features", type=int, required=True)
    parser.add_argument("--classes", type=int, required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--raw", type=Path, help="a CSV of labelled bits, or a .tgz of one")
    source.add_argument("--seed", type=int, help="generate synthetic shopping data instead")
    parser.add_argument(
        "--check", nargs="*", default=[], help="sha256=..., md5=... or git_blob=..."
    )
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    shape = (args.records, args.features, args.classes)
    if args.raw:
        datasets.verify(args.raw, args.check)
        packed, labels = datasets.read_csv(args.raw, *shape)
    else:
        packed, labels = _generate(args.seed, *shape)
    description = Description(
        name=args.name,
        records=args.records,
        features=args.features,
        classes=args.classes,
        synthetic=args.raw is None,
        source=args.raw.name if args.raw else f"generated, seed {args.seed}",
    )
    datasets.store(args.output, description, packed, labels)


def _generate(
    seed: int, records: int, features: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    from mico import synthetic  # scikit-learn takes a second to import

    try:
        bits, labels = synthetic.purchase100(records, seed, features, classes)
    except ValueError as error:
        raise InputError(f"purchase100-synthetic: {error}") from None
    return np.packbits(bits, axis=1), labels


if __name__ == "__main__":
    command_line.run(main)
